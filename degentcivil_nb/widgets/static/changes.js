// What can be changed about a character: an attribute, an event, and a breakpoint on it.

/** @param {ViewTools["send"]} send */
function makeChanges(send) {
  const el = make("div", "dc-changes");
  const bar = make("div", "dc-bar");
  const said = make("div", "dc-refusal");
  said.setAttribute("role", "status");
  /** @type {CharacterBody | null} */
  let body = null;
  const set = formOf("set attribute …", "attribute", "value", "set", (name, text) => send({ set: [name, text] }));
  const inject = formOf("inject event …", "kind of event", "data (JSON or text)", "inject", (kind, text) =>
    send({ inject: [kind, text] }),
  );
  const stop = make("button", "", "break …");
  stop.setAttribute("aria-haspopup", "menu");
  stop.addEventListener("click", () => {
    const box = stop.getBoundingClientRect();
    const items = (body?.breaks ?? []).map(([text, condition]) => ({
      text,
      title: condition,
      act: () => send({ again: condition }),
    }));
    openMenu({ x: box.left, y: box.bottom, from: stop, label: "break when", items });
  });
  bar.append(set.button, inject.button, stop);
  el.append(bar, set.form, inject.form, said);

  /**
   * @param {string} label
   * @param {string} first
   * @param {string} second
   * @param {string} word
   * @param {(first: string, second: string) => void} act
   */
  function formOf(label, first, second, word, act) {
    const button = make("button", "", label);
    button.setAttribute("aria-expanded", "false");
    const form = make("form", "dc-bar");
    form.hidden = true;
    const fields = [first, second].map((name) => {
      const field = make("input");
      Object.assign(field, { type: "text", placeholder: name, spellcheck: false, size: 12 });
      field.setAttribute("aria-label", name);
      return field;
    });
    form.append(...fields, make("button", "", word));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (fields[0].value.trim()) act(fields[0].value, fields[1].value);
      else fields[0].focus();
    });
    sendByEnter(form);
    button.addEventListener("click", () => {
      form.hidden = !form.hidden;
      button.setAttribute("aria-expanded", String(!form.hidden));
      if (!form.hidden) fields[0].focus();
    });
    return { button, form };
  }

  return {
    el,
    /**
     * @param {CharacterBody} next
     * @param {boolean} can
     */
    show(next, can) {
      if (body !== null && body.character !== next.character) {
        // what was typed was meant for somebody else
        for (const { button, form } of [set, inject]) {
          form.reset();
          form.hidden = true;
          button.setAttribute("aria-expanded", "false");
        }
      }
      body = next;
      stop.hidden = !can || !next.breaks?.length;
      said.textContent = next.said ? visible(next.said.text) : "";
      said.dataset.tone = next.said?.failed ? "error" : "";
    },
  };
}
