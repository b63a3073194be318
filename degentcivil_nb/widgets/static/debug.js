// The debugger: who may change the run, breakpoints made and edited in place, the stops with a jump, and watches.

const BREAKPOINT_HEADS = ["", "name", "condition", "hits", "last hit", "owner", ""];
const STOP_HEADS = ["time", "tick", "breakpoint", "character", "row"];
const WATCH_HEADS = ["name", "character", "value", "tick", ""];

const NO_BREAKPOINTS = "No breakpoints. Add one here, or from any row of a table.";
const NONE_RECORDED = "The run was recorded without breakpoints; a recording takes none.";

/** @type {Script<DebugState, DebugBody>["receive"]} */
function receiveDebug(state, body) {
  state.body = body;
}

/** @type {Script<DebugState, DebugBody>["render"]} */
function renderDebug(state, el, { send, go, standing }) {
  const stopped = make("div", "dc-stopped");
  stopped.setAttribute("role", "status");
  const control = make("div", "dc-control");
  const holder = make("span");
  holder.setAttribute("role", "status");
  const take = button("take control", () => send({ control: "take" }));
  const give = button("give control back", () => send({ control: "give" }));
  control.append(holder, take, give);
  const form = breakForm("break", null, (given) => request(given, form.condition));
  const said = { control: refusal(), break: refusal(), watch: refusal() };
  const breakpoints = make("table", "dc-list");
  const none = make("div", "dc-dim");
  const stops = make("table", "dc-list");
  const noStops = make("div", "dc-dim", "No breakpoint has stopped the run.");
  const watches = make("table", "dc-list");
  const watch = make("form", "dc-bar");
  const watched = make("input", "dc-condition");
  Object.assign(watched, { type: "text", placeholder: "money", spellcheck: false });
  watched.setAttribute("aria-label", "Expression to watch");
  const addWatch = make("button", "", "watch");
  addWatch.type = "submit";
  watch.append(watched, addWatch);
  const titles = ["breakpoints", "stops", "watches"].map((title) => make("h4", "", title));
  el.append(stopped, control, said.control, titles[0], form.el, said.break, none, breakpoints);
  el.append(titles[1], noStops, stops, titles[2], watch, said.watch, watches);
  sendByEnter(watch);
  watch.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!watched.value.trim()) return;
    request({ watch: watched.value.trim() }, watched);
  });
  /** @type {Map<HTMLInputElement, {ask: string, text: string, then?: () => void}>} */
  const asked = new Map(); // by field: what was sent and is not answered yet, which stays to be corrected if it is refused
  /** @type {{name: string, form: ReturnType<typeof breakForm>} | null} */
  let editing = null;

  function refusal() {
    const said = make("div", "dc-refusal");
    said.setAttribute("role", "status");
    return said;
  }

  // Send what a field holds; the field is emptied once Python has answered this request, and not before.
  /**
   * @param {Record<string, unknown>} given
   * @param {HTMLInputElement} field
   * @param {() => void} [then]
   */
  function request(given, field, then) {
    const ask = Math.random().toString(36).slice(2);
    asked.set(field, { ask, text: field.value, then });
    send(/** @type {Input} */ (/** @type {unknown} */ ({ ...given, ask })));
  }

  /** @param {DebugBody} body */
  function answer(body) {
    for (const [field, { ask, text, then }] of asked) {
      const told = body.answers.find(([name]) => name === ask);
      if (!told) continue;
      asked.delete(field);
      if (told[1]) continue; // it was refused
      if (field.value !== text) continue; // somebody typed on
      if (then) then();
      else field.value = "";
    }
  }

  /**
   * @param {string} word
   * @param {BreakpointFields | null} row
   * @param {(given: {break: string, hits: number, once: boolean, name?: string}) => void} done
   */
  function breakForm(word, row, done) {
    const box = make("form", "dc-bar");
    const condition = make("input", "dc-condition");
    Object.assign(condition, {
      type: "text",
      placeholder: "entered('MOVE') and character_id == 'emma'",
      spellcheck: false,
      value: row?.condition ?? "",
    });
    condition.setAttribute("aria-label", row ? `Condition of ${row.name}` : "Condition of a new breakpoint");
    const hits = make("input", "dc-number dc-hits");
    Object.assign(hits, {
      type: "number",
      min: "1",
      value: String(row?.stops_at ?? 1),
      title: "stop from which match",
    });
    hits.setAttribute("aria-label", "from which match on it stops");
    const once = make("input");
    once.type = "checkbox";
    once.checked = row?.once ?? false;
    const label = make("label", "dc-once");
    label.append(once, "once");
    const add = make("button", "dc-break", word);
    add.type = "submit";
    box.append(condition, make("span", "dc-dim", "at match"), hits, label, add);
    sendByEnter(box);
    box.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = condition.value.trim();
      if (!text) return;
      const often = Math.max(1, Math.round(Number(hits.value)) || 1);
      done({ break: text, hits: often, once: once.checked, ...(row?.name ? { name: row.name } : {}) });
    });
    return { el: box, condition, add };
  }

  /**
   * @param {HTMLTableElement} table
   * @param {string[]} heads
   * @param {(string | HTMLElement)[][]} rows
   */
  function fill(table, heads, rows) {
    const head = make("tr");
    for (const name of heads) {
      const cell = make(name ? "th" : "td", "dc-dim", visible(name));
      if (name) cell.setAttribute("scope", "col");
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

  const shown = (/** @type {string | null} */ text) => visible(text ?? "");

  // Whether the simulation has it, as a sign and a word.
  /** @param {BreakpointFields} row */
  function signOf(row) {
    const [name, word] = !row.verified
      ? ["warning", row.problem ?? "not verified yet"]
      : row.enabled
        ? ["recording", "on"]
        : ["ring", "off"];
    const sign = make("span", "dc-sign");
    sign.dataset.tone = !row.verified ? "warn" : row.enabled ? "on" : "off";
    sign.append(icon(name), visible(word));
    return sign;
  }

  /** @param {BreakpointFields} row */
  function conditionOf(row) {
    if (editing !== null && row.mine && editing.name === row.name) return editing.form.el;
    const box = make("span", "dc-code", shown(row.condition));
    const notes = [row.stops_at > 1 ? `from match ${row.stops_at} on` : "", row.once ? "once" : ""];
    if (row.log) notes.push(`logs: ${row.log}`);
    if (row.verified && row.problem) notes.push(row.problem);
    const note = notes.filter(Boolean).join(", ");
    if (note) box.append(make("span", "dc-dim", ` ${visible(note)}`));
    return box;
  }

  /** @param {BreakpointFields} row */
  function edit(row) {
    editing = {
      name: row.name ?? "",
      form: breakForm("save", row, (given) => {
        const mine = editing;
        if (mine) request(given, mine.form.condition, () => editing === mine && stopEditing());
      }),
    };
    const cancel = button("cancel", stopEditing);
    cancel.type = "button";
    editing.form.el.append(cancel);
    editing.form.el.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      stopEditing();
      event.stopPropagation();
    });
    draw();
    editing.form.condition.focus();
  }

  function stopEditing() {
    editing = null;
    keepingFocus(el, draw);
  }

  /** @param {BreakpointFields} row */
  function actionsOf(row) {
    const name = row.name ?? "";
    const actions = make("span", "dc-pages");
    if (!row.mine || !state.body?.can || editing?.name === name) return actions;
    actions.append(
      button(row.enabled ? "switch off" : "switch on", () => send({ name, enable: !row.enabled })),
      button("edit", () => edit(row)),
      button("remove", () => send({ name, remove: true })),
    );
    return actions;
  }

  /**
   * @param {number | null} row
   * @param {string | null} character
   */
  function jump(row, character) {
    if (row === null) return "at a checkpoint";
    return button(`row ${row.toLocaleString("en-US")}`, () => {
      go({ row, select: { character, row } });
      announce(el, "dc-open", "events"); // where the row is seen, with its causes and effects
    });
  }

  function draw() {
    const body = state.body;
    if (!body) return;
    const away = body.busy || standing() !== null;
    form.el.hidden = watch.hidden = !body.can;
    form.add.disabled = addWatch.disabled = away;
    answer(body);
    for (const [about, place] of Object.entries(said)) {
      const waits = body.asking === about;
      const refused = waits ? "" : (body.refused[about] ?? "");
      const text = waits ? "asking the simulation …" : visible(refused);
      if (place.textContent !== text) place.textContent = text;
      place.dataset.tone = refused ? "error" : "";
    }
    stopped.hidden = !body.stopped;
    stopped.textContent = visible(body.stopped);
    control.hidden = body.control === null;
    holder.textContent = visible(body.control?.text ?? "");
    take.textContent = body.control?.asked ? "keep control" : body.control?.mine ? "take control" : "ask for control";
    take.hidden = body.control?.mine === true && !body.control.asked;
    give.hidden = body.control?.mine !== true;
    take.disabled = give.disabled = away;
    fill(
      breakpoints,
      BREAKPOINT_HEADS,
      body.breakpoints.map((row) => [
        signOf(row),
        shown(row.name),
        conditionOf(row),
        shown(row.hits),
        row.last_tick === null ? "" : `tick ${shown(row.last_tick)} ${shown(row.last_character_id)}`,
        row.mine ? "this notebook" : shown(row.owner),
        actionsOf(row),
      ]),
    );
    none.hidden = body.breakpoints.length > 0;
    none.textContent = body.can ? NO_BREAKPOINTS : NONE_RECORDED;
    fill(
      stops,
      STOP_HEADS,
      body.stops.map(([time, tick, name, who, row]) => [
        time === null ? "" : localTime(time),
        shown(tick),
        shown(name),
        shown(who),
        jump(row, who),
      ]),
    );
    noStops.hidden = body.stops.length > 0;
    titles[1].textContent =
      body.all_stops > body.stops.length
        ? `stops, the last ${body.stops.length} of ${formatCount(body.all_stops)}`
        : "stops";
    fill(
      watches,
      WATCH_HEADS,
      body.watches.map((row) => {
        const actions = make("span", "dc-pages");
        if (row.row !== null) actions.append(jump(row.row, row.character));
        if (row.mine && body.can) actions.append(button("remove", () => send({ unwatch: row.name })));
        return [
          shown(row.name),
          shown(row.character),
          row.value === null ? "no value yet" : shown(row.value),
          shown(row.tick),
          actions,
        ];
      }),
    );
    const few = body.watches.length < body.all_watches;
    const last = few ? `, the last ${formatCount(body.watches.length)} of ${formatCount(body.all_watches)}` : "";
    const [all, among] = [formatCount(body.values), formatCount(body.searched)];
    titles[2].textContent = `watches${last}${body.searched < body.values ? ` (in the last ${among} of ${all} values)` : ""}`;
    titles[2].hidden = !body.can && body.watches.length === 0;
  }
  return { draw, stand: draw };
}

PANELS.set("debug", { receive: receiveDebug, render: renderDebug });
