// The console: a log of lines and what came of them, and an input with a history.

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
  line.append(make("span", "dc-prompt", "›"), input, offers);
  el.append(log, line);
  /** @type {Map<number, ReturnType<typeof entry>>} */
  const drawn = new Map();
  /** @type {string[]} */
  const history = [];
  let at = 0;
  /** @type {Offer[] | undefined} */
  let offered;

  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      const text = input.value.trim();
      if (!text) return;
      if (history[history.length - 1] !== text) history.push(text);
      at = history.length;
      input.value = "";
      send({ line: text, id: Math.random().toString(36).slice(2) });
    } else if (event.key === "ArrowUp" && at > 0) input.value = history[--at];
    else if (event.key === "ArrowDown" && at < history.length) input.value = history[++at] ?? "";
    else return;
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
    input.disabled = over;
    empty.hidden = over || (state.jobs?.size ?? 0) > 0; // it says that what is typed is sent
    for (const { outcome, box } of drawn.values()) {
      if (over && box.dataset.state === "sent")
        outcome.textContent = "not known: nobody is there to say what came of it";
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
          : "This server offers no commands (yet): only servers that speak degentcivil.v1 take them.";
      }
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
      }
      if (end) log.scrollTop = log.scrollHeight;
      stand();
    },
  };
}

PANELS.set("console", { receive: receiveConsole, render: renderConsole });
