// Actions for the chosen row: its details, its causes and effects, and a breakpoint for when it happens again.

const CHOOSE = "Choose a row to see its details, causes and effects";
const TO_BREAK = ", and to stop the run when it happens again";

/**
 * @param {ViewTools} tools
 * @param {(key: string) => void} open
 * @param {() => boolean} breaks
 * @returns {RowActsView}
 */
function makeRowActs({ send, go, standing }, open, breaks) {
  const el = make("div", "dc-acts");
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", "The chosen row");
  const title = make("span", "dc-acts-title dc-dim");
  const said = make("span", "dc-refusal");
  said.setAttribute("role", "status");
  const details = act("details", () => chosen && open(chosen.key));
  const talk = act("conversation", () => chain("talk"));
  const why = act("why", () => chain("causes"));
  const effects = act("effects", () => chain("effects"));
  const stop = act("break …", () => {
    const box = stop.getBoundingClientRect();
    if (chosen) menu(box.left, box.bottom, stop, breakItems());
  });
  stop.setAttribute("aria-haspopup", "menu");
  el.append(title, details, talk, why, effects, stop, said);
  const links = makeChain(go);
  /** @type {RowActs | null} */
  let chosen = null;
  /** @type {{key: string, menu: ReturnType<typeof openMenu>} | null} */
  let opened = null;

  /**
   * @param {string} text
   * @param {() => void} work
   */
  function act(text, work) {
    const button = make("button", "", text);
    button.hidden = true;
    button.addEventListener("click", work);
    return button;
  }

  /** @param {"causes" | "effects" | "talk"} to */
  function chain(to) {
    if (!chosen) return;
    links.wait({ causes: "What led to it", effects: "What it led to", talk: "The conversation" }[to]);
    send({ chain: chosen.key, to });
  }

  /** @returns {MenuItem[]} */
  function breakItems() {
    if (!chosen?.can_break) return [];
    const over = standing() !== null;
    const head = { text: over ? "no breakpoint can be set now" : "break when this happens again:" };
    if (over) return [head];
    return [
      head,
      ...chosen.breaks.map(([text, condition]) => ({
        text,
        title: condition,
        act: () => {
          said.textContent = "setting a breakpoint …";
          said.dataset.tone = "";
          send({ again: condition });
        },
      })),
    ];
  }

  /** @returns {MenuItem[]} */
  function allItems() {
    const key = opened?.key ?? chosen?.key ?? "";
    /** @type {MenuItem[]} */
    const items = [{ text: "details", act: () => open(key) }];
    if (chosen?.key !== key) return items;
    if (chosen.talks) items.push({ text: "the conversation", act: () => chain("talk") });
    if (chosen.chains) {
      items.push({ text: "why it happened", act: () => chain("causes") });
      items.push({ text: "what it led to", act: () => chain("effects") });
    }
    return [...items, ...breakItems()];
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {HTMLElement} from
   * @param {MenuItem[]} items
   */
  const menu = (x, y, from, items) => openMenu({ x, y, from, label: "The chosen row", items });

  function draw() {
    const key = chosen?.key ?? "";
    title.textContent = chosen
      ? /^\d+$/.test(key)
        ? `row ${formatCount(chosen.row ?? Number(key))}`
        : visible(key)
      : `${CHOOSE}${breaks() ? TO_BREAK : ""}.`;
    title.title = title.textContent ?? "";
    details.hidden = !chosen;
    talk.hidden = !chosen?.talks;
    why.hidden = effects.hidden = !chosen?.chains;
    stop.hidden = !chosen?.can_break || chosen.breaks.length === 0;
    stop.disabled = standing() !== null;
  }

  draw();
  return {
    el,
    draw,
    chain: links.el,
    choose(key) {
      said.textContent = "";
      send({ offers: key });
    },
    ask(key, x, y, from) {
      send({ offers: key });
      opened = { key, menu: menu(x, y, from, [{ text: "details", act: () => open(key) }]) };
    },
    take(body) {
      if (body.acts) {
        chosen = body.acts;
        draw();
        if (opened?.key === chosen.key) opened.menu.set(allItems());
        opened = null;
      }
      if (body.chain) links.show(body.chain);
      if (body.said) {
        said.textContent = visible(body.said.text);
        said.dataset.tone = body.said.failed ? "error" : "";
        if (body.said.failed) links.fail(body.said.text);
      }
    },
  };
}

// A chain of events, indented by their distance: a click on one shows the town as it was then.
/** @param {ViewTools["go"]} go */
function makeChain(go) {
  const el = make("section", "dc-detail dc-chain");
  el.setAttribute("aria-label", "What led to what");
  el.hidden = true;
  const bar = make("div", "dc-bar");
  const title = make("strong", "dc-detail-title");
  const close = make("button", "", "close");
  const list = make("ol", "dc-links");
  const notes = make("div", "dc-notes dc-dim");
  bar.append(title, close);
  el.append(bar, list, notes);
  let waits = false;
  const hide = () => {
    hideAndReturn(el);
    waits = false;
  };
  close.addEventListener("click", hide);
  el.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });

  /** @param {ChainLink} link */
  function lineOf([depth, row, time, tick, type, who, grade, text]) {
    const item = make("li");
    const line = make("button", "dc-link-line");
    line.style.paddingLeft = `${6 + Math.min(depth, 12) * 16}px`;
    const when = tick === null ? (time === null ? "" : localTime(time)) : `tick ${formatCount(tick)}`;
    const where = row === null ? when : `${when} · row ${formatCount(row)}`;
    line.append(make("span", "dc-dim", where), make("strong", "", visible(type ?? "event")));
    if (who) line.append(make("span", "", visible(who)));
    if (grade) line.append(make("span", "dc-grade", visible(grade)));
    line.append(make("span", "dc-link-text", visible(text)));
    line.title = visible(text);
    if (row === null) line.disabled = true;
    else line.addEventListener("click", () => go({ row, select: { character: who, row } }));
    item.append(line);
    return item;
  }

  return {
    el,
    /** @param {string} text */
    wait(text) {
      waits = true;
      title.textContent = `${text} …`;
      list.replaceChildren();
      notes.textContent = "";
      el.hidden = false;
      el.scrollIntoView({ block: "nearest" });
    },
    /** @param {ChainBody} body */
    show(body) {
      waits = false;
      title.textContent = visible(body.title);
      list.replaceChildren(...body.links.map(lineOf));
      notes.replaceChildren(...body.notes.map((note) => make("div", "", visible(note))));
      el.hidden = false;
      el.scrollIntoView({ block: "nearest" });
    },
    /** @param {string} text */
    fail(text) {
      if (!waits) return;
      waits = false;
      title.textContent = visible(text);
    },
  };
}
