// The console: a log of lines and their outcomes, and an input with a history.

const LINES_KEPT = 200;

/** @type {Script<ConsoleState, ConsoleBody>["receive"]} */
function receiveConsole(state, body, _buffers, full) {
  if (full || !state.jobs) state.jobs = new Map();
  for (const job of body.jobs ?? []) state.jobs.set(job.number, job);
  for (const number of state.jobs.keys()) {
    if (state.jobs.size <= LINES_KEPT) break;
    state.jobs.delete(number);
  }
  if (body.offered) state.offered = body.offered;
}

/** @type {Script<ConsoleState, ConsoleBody>["render"]} */
function renderConsole(state, el, { send, standing }) {
  const log = make("div", "dc-log");
  log.setAttribute("role", "log");
  log.tabIndex = 0;
  const empty = make("div", "dc-empty");
  log.append(empty);
  const line = make("div", "dc-line");
  const input = make("input");
  const offers = make("datalist");
  offers.id = `dc-offers-${Math.random().toString(36).slice(2)}`;
  input.setAttribute("list", offers.id);
  input.setAttribute("aria-label", "Command");
  Object.assign(input, {
    type: "text",
    placeholder: 'step 10   ·   inject trade {"price": 3}   ·   help',
    autocomplete: "off",
    spellcheck: false,
  });
  const hint = make("div", "dc-hint dc-dim");
  hint.setAttribute("role", "status");
  const form = make("form", "dc-form");
  form.hidden = true;
  const fields = button("arguments", () => showForm());
  fields.title = "Fill the arguments of the command into a form";
  line.append(make("span", "dc-prompt", "›"), input, fields, offers);
  el.append(log, line, hint, form);
  /** @type {Map<number, ReturnType<typeof entry>>} */
  const drawn = new Map();
  /** @type {string[]} */
  const history = [];
  let at = 0;
  let listed = ""; // the line whose completions were listed last
  /** @type {Offer[] | undefined} */
  let offered;

  /**
   * @param {string} text
   * @param {() => void} act
   */
  function button(text, act) {
    const it = make("button", "", text);
    it.type = "button";
    it.addEventListener("click", act);
    return it;
  }

  /** @param {string} text */
  function say(text) {
    if (history[history.length - 1] !== text) history.push(text);
    at = history.length;
    send({ line: text, id: Math.random().toString(36).slice(2) });
  }

  const first = () => input.value.trimStart().split(/\s/, 1)[0];
  const meant = () => (state.offered ?? []).find((command) => command.name === first());

  // What the command on the line takes, or which commands begin so.
  function tell() {
    const word = first();
    const known = meant();
    fields.hidden = !known?.arguments.length;
    if (!known && !form.hidden) form.hidden = true;
    const begins = word ? (state.offered ?? []).filter((command) => command.name.startsWith(word)) : [];
    if (known) hint.textContent = visible(`${known.usage}  ${known.doc.split("\n", 1)[0]}`);
    else hint.textContent = begins.length ? `Tab: ${begins.map((command) => visible(command.name)).join("  ")}` : "";
  }

  // Complete the command, or the name of an argument that is not there yet.
  function complete() {
    const known = meant();
    const words = input.value.split(/\s+/);
    const last = words[words.length - 1];
    const names =
      words.length > 1 && known
        ? known.arguments
            .map(([name]) => `${name}=`)
            .filter((name) => !words.slice(1, -1).some((w) => w.startsWith(name)))
        : [...(state.offered ?? []).map((command) => command.name), "help"];
    const found = names.filter((name) => name.startsWith(last));
    if (!found.length) return false;
    let common = found[0];
    for (const name of found) while (!name.startsWith(common)) common = common.slice(0, -1);
    const end = found.length === 1 && !common.endsWith("=") ? " " : "";
    const value = `${input.value.slice(0, input.value.length - last.length)}${common}${end}`;
    if (value === input.value && (found.length === 1 || value === listed)) return false; // Tab must leave the field
    input.value = listed = value;
    tell();
    if (found.length > 1) hint.textContent = `Tab: ${found.map(visible).join("  ")}`;
    return true;
  }

  // A field for each argument of the command on the line.
  function showForm() {
    const known = meant();
    form.hidden = !known || !form.hidden;
    if (!known || form.hidden) return;
    const run = make("button", "", `run ${visible(known.name)}`);
    run.type = "submit";
    const inputs = known.arguments.map(([name, kind, needed]) => {
      const label = make("label", "dc-field");
      const field = make("input");
      field.name = name;
      field.required = needed;
      field.placeholder = kind;
      label.append(make("span", "dc-dim", `${visible(name)}${needed ? "" : " (optional)"}`), field);
      return { name, kind, field, label };
    });
    form.replaceChildren(...inputs.map(({ label }) => label), run);
    form.onsubmit = (event) => {
      event.preventDefault();
      const given = inputs.filter(({ field }) => field.value !== "");
      const parts = given.map(({ name, kind, field }) => {
        const text = kind === "string" ? JSON.stringify(field.value) : field.value;
        return `${name}=${text}`;
      });
      say([known.name, ...parts].join(" "));
      form.hidden = true;
      input.value = "";
      tell();
      input.focus();
    };
    inputs[0]?.field.focus();
  }
  sendByEnter(form);
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    form.hidden = true;
    input.focus();
    event.stopPropagation();
  });

  input.addEventListener("input", tell);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      const text = input.value.trim();
      if (!text) return;
      input.value = "";
      say(text);
    } else if (event.key === "Tab" && !event.shiftKey && input.value !== "") {
      if (!complete()) return; // nothing begins so: the key goes on to the next field
    } else if (event.key === "ArrowUp" && at > 0) input.value = history[--at];
    else if (event.key === "ArrowDown" && at < history.length) input.value = history[++at] ?? "";
    else return;
    tell();
    event.preventDefault();
  });

  /** @param {Job} job */
  function entry(job) {
    const box = make("div", "dc-entry");
    const said = make("div", "dc-said");
    const outcome = make("pre", "dc-outcome");
    box.append(said, outcome);
    log.append(box);
    said.textContent = `› ${visible(job.line)}`;
    return { box, outcome, changed: -1 };
  }

  function stand() {
    const over = standing()?.over === true;
    input.disabled = fields.disabled = over;
    empty.hidden = over || (state.jobs?.size ?? 0) > 0; // it says that what is typed is sent
    for (const { outcome, box } of drawn.values()) {
      if (over && box.dataset.state === "sent")
        outcome.textContent = "unknown: the kernel is gone, so the outcome cannot be shown";
    }
  }

  return {
    stand,
    draw() {
      if (!state.jobs) return;
      if (offered !== state.offered) {
        const known = state.offered ?? [];
        offered = state.offered;
        offers.replaceChildren(
          ...known.map((command) => {
            const option = make("option");
            option.value = command.name;
            option.label = visible(command.usage);
            return option;
          }),
        );
        empty.textContent = known.length
          ? `What you type is sent to the simulation. It knows: ${known.map((command) => visible(command.name)).join(", ")}. Type help for more.`
          : "This server offers no commands (yet): only servers with the degentcivil.v1 protocol do.";
      }
      tell();
      const end = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      for (const [number, { box }] of drawn) {
        if (!state.jobs.has(number)) {
          box.remove();
          drawn.delete(number);
        }
      }
      for (const job of state.jobs.values()) {
        const shown = drawn.get(job.number) ?? entry(job);
        drawn.set(job.number, shown);
        if (shown.changed === job.changed) continue;
        shown.changed = job.changed;
        shown.box.dataset.state = job.state;
        shown.outcome.textContent = job.state === "sent" ? "…" : visibleLines(job.text);
        if (job.state === "error") shown.outcome.prepend(icon("dead"), " ");
      }
      if (end) log.scrollTop = log.scrollHeight;
      stand();
    },
  };
}

PANELS.set("console", { receive: receiveConsole, render: renderConsole });
