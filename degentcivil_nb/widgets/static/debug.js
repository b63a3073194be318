// The debugger: breakpoints made, switched and removed, the stops with a jump to their row, and watches.

const BREAKPOINT_HEADS = ["name", "condition", "owner", "on", "verified", "problem", "hits", "log", "last tick"];
const STOP_HEADS = ["time", "tick", "breakpoint", "character", "row"];

/** @type {Script<DebugState, DebugBody>["receive"]} */
function receiveDebug(state, body) {
  state.body = body;
}

/** @type {Script<DebugState, DebugBody>["render"]} */
function renderDebug(state, el, { send, go, standing }) {
  const stopped = make("div", "dc-stopped");
  stopped.setAttribute("role", "status");
  const form = make("form", "dc-bar");
  const condition = make("input", "dc-condition");
  Object.assign(condition, {
    type: "text",
    placeholder: "entered('MOVE') and character_id == 'emma'",
    spellcheck: false,
  });
  condition.setAttribute("aria-label", "Condition of a new breakpoint");
  const hits = make("input", "dc-number dc-hits");
  Object.assign(hits, { type: "number", min: "1", value: "1", title: "stop from which match on" });
  hits.setAttribute("aria-label", "from which match on it stops");
  const once = make("input");
  once.type = "checkbox";
  const onceLabel = make("label", "dc-dim");
  onceLabel.append(once, " once");
  const add = make("button", "dc-break", "break");
  add.type = "submit";
  const said = make("span", "dc-refusal");
  said.setAttribute("role", "status");
  form.append(condition, make("span", "dc-dim", "at match"), hits, onceLabel, add, said);
  const breakpoints = make("table", "dc-list");
  const none = make("div", "dc-dim", "No breakpoints.");
  const stops = make("table", "dc-list");
  const noStops = make("div", "dc-dim", "No breakpoint has stopped the run.");
  const watches = make("table", "dc-list");
  const titles = ["breakpoints", "stops", "watches"].map((title) => make("h4", "", title));
  el.append(stopped, form, titles[0], none, breakpoints, titles[1], noStops, stops, titles[2], watches);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = condition.value.trim();
    if (text) send({ break: text, hits: Math.max(1, Math.round(Number(hits.value)) || 1), once: once.checked });
  });

  /**
   * @param {HTMLTableElement} table
   * @param {string[]} heads
   * @param {(string | HTMLElement)[][]} rows
   */
  function fill(table, heads, rows) {
    const head = make("tr");
    for (const name of heads) {
      const cell = make("th", "dc-dim", visible(name));
      cell.scope = "col";
      head.append(cell);
    }
    const lines = rows.map((cells) => {
      const line = make("tr");
      for (const cell of cells) {
        const td = make("td");
        td.append(cell);
        line.append(td);
      }
      return line;
    });
    table.replaceChildren(head, ...lines);
    table.hidden = rows.length === 0;
  }

  /**
   * @param {string} text
   * @param {() => void} act
   */
  function button(text, act) {
    const it = make("button", "", text);
    it.disabled = standing()?.over === true;
    it.addEventListener("click", act);
    return it;
  }

  function draw() {
    const body = state.body;
    if (!body) return;
    form.hidden = !body.can;
    add.disabled = body.busy || standing() !== null;
    said.textContent = visible(body.said.text);
    said.dataset.tone = body.said.failed ? "error" : "";
    stopped.hidden = !body.stopped;
    stopped.textContent = visible(body.stopped);
    const shown = (/** @type {string | null} */ text) => visible(text ?? "");
    fill(
      breakpoints,
      body.can ? [...BREAKPOINT_HEADS, ""] : BREAKPOINT_HEADS,
      body.breakpoints.map((row) => {
        const name = row[0] ?? "";
        const on = row[3] === "true";
        const cells = row.map((text, i) =>
          i === 3 ? (on ? "on" : "off") : i === 4 ? (text === "true" ? "yes" : "no") : shown(text),
        );
        if (!body.can) return cells;
        const actions = make("span", "dc-pages");
        actions.append(
          button(on ? "switch off" : "switch on", () => send({ name, enable: !on })),
          button("edit", () => {
            condition.value = row[1] ?? "";
            condition.focus();
          }),
          button("remove", () => send({ name, remove: true })),
        );
        return [...cells, actions];
      }),
    );
    none.hidden = body.breakpoints.length > 0;
    fill(
      stops,
      STOP_HEADS,
      body.stops.map(([time, tick, name, who, row]) => [
        time === null ? "" : localTime(time),
        shown(tick),
        shown(name),
        shown(who),
        row === null
          ? "at a checkpoint"
          : button(`row ${row.toLocaleString("en-US")}`, () => go({ row, select: { character: who, row } })),
      ]),
    );
    noStops.hidden = body.stops.length > 0;
    titles[1].textContent =
      body.all_stops > body.stops.length
        ? `stops, the last ${body.stops.length} of ${formatCount(body.all_stops)}`
        : "stops";
    fill(
      watches,
      ["", ...body.watch_columns],
      body.watches.map((row) => row.map(shown)),
    );
    titles[2].hidden = body.watches.length === 0;
  }
  return { draw, stand: draw };
}

PANELS.set("debug", { receive: receiveDebug, render: renderDebug });
