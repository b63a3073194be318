// The page of one character: its state, attributes with their histories, and what happened to it last.

const NOBODY = "Click a character in a table, on the map or in the timeline to see its page here.";

/** @type {Script<CharacterState, CharacterBody>["receive"]} */
function receiveCharacter(state, body) {
  state.body = body;
}

/** @type {Script<CharacterState, CharacterBody>["render"]} */
function renderCharacter(state, el, { send, go, standing, cursor, moment }) {
  const page = make("div", "dc-person");
  const none = make("div", "dc-empty", NOBODY);
  el.append(page, none);
  const side = el.closest(".dc-side");
  const close = make("button", "", "close");
  close.addEventListener("click", () => go({ select: { character: null, row: null } }));
  const inspect = make("button", "dc-inspect", "inspect");
  inspect.title = "Ask the simulation for everything that it knows of this character";
  inspect.addEventListener("click", () => send({ inspect: true }));
  side?.addEventListener("keydown", (event) => {
    if (!(event instanceof KeyboardEvent) || event.key !== "Escape") return;
    close.click();
    event.stopPropagation();
  });

  function point() {
    const chosen = cursor().character !== null;
    side?.dispatchEvent(new CustomEvent("dc-side", { detail: { open: chosen } }));
    if (!state.body) none.textContent = chosen ? "…" : NOBODY;
    if (chosen && state.body && state.body.character !== cursor().character && !state.body.own) draw();
  }

  /**
   * @param {string} title
   * @param {HTMLElement[]} lines
   * @param {string} empty
   */
  function section(title, lines, empty) {
    const box = make("section");
    box.append(make("h4", "", title), ...(lines.length ? lines : [make("div", "dc-dim", empty)]));
    return box;
  }
  // A line about one event: a click shows the town as it was after it.
  /**
   * @param {number} row
   * @param {number | null} time
   * @param {string} text
   * @param {string} more
   */
  function eventLine(row, time, text, more = "", act = () => shows(row)) {
    const line = make("button", "dc-eventline");
    const when = make(
      "time",
      "dc-dim",
      time === null ? "" : localDay(time) === day ? clockTime(time) : localTime(time),
    );
    if (time !== null) when.title = utcTime(time);
    line.append(when, ` ${visible(text)}`);
    if (more) line.append(make("span", "dc-dim", ` ${visible(more)}`));
    line.title = `row ${row.toLocaleString("en-US")}: show the town as it was then`;
    line.addEventListener("click", act);
    return line;
  }
  /** @param {number} row */
  const shows = (row) => go({ row, select: { character: state.body?.character ?? null, row } });

  let day = ""; // of the newest event: said once
  const change = makeChanges(send);
  // What can be changed, while there is a simulation that can be asked.
  /** @param {CharacterBody} body */
  function changing(body) {
    const can = body.can_inspect && moment() === null && standing() === null;
    change.show(body, can);
    return can ? [change.el] : [];
  }
  /** @param {CharacterBody["findings"][number]} found */
  function findingLine([severity, text, row]) {
    const line = make("button", "dc-finding");
    line.dataset.tone = severity;
    line.append(icon("warning"), visible(text));
    line.disabled = row === null;
    if (row !== null) line.addEventListener("click", () => shows(row));
    return line;
  }

  function draw() {
    keepingFocus(page, paint);
  }

  function paint() {
    const body = state.body;
    const who = body?.character ?? null;
    none.hidden = who !== null;
    none.textContent = NOBODY;
    page.hidden = who === null;
    if (!body || who === null) return;
    const stale = !body.own && cursor().character !== null && cursor().character !== who;
    const bar = make("div", "dc-bar");
    const name = make("h3", "", visible(stale ? (cursor().character ?? "") : who));
    name.title = (name.textContent ?? "").slice(0, 2_000);
    bar.append(name);
    if (!body.own) bar.append(close);
    if (stale) {
      page.replaceChildren(bar, make("div", "dc-dim", "…"));
      return;
    }
    const at = moment();
    const state_ = make("div", "dc-statement");
    if (!body.known) state_.textContent = at ? "Not known yet at this moment." : "Nothing is known of this character.";
    else {
      const chip = make("span", "dc-chip");
      chip.dataset.state = body.state ?? "";
      const since = body.since === null ? "" : ` since ${localTime(body.since).replace(/\.\d+$/, "")}`;
      const ticks = body.since_tick === null ? "" : `, tick ${formatCount(body.since_tick)}`;
      const now = at ? at.time : body.live ? Date.now() / 1000 : (body.until ?? 0);
      const span = body.since === null || (!at && standing()) ? "" : ` (${formatSpan(Math.max(0, now - body.since))})`;
      state_.append(
        make("strong", "", visible(body.state ?? "state unknown")),
        body.location ? ` in ${visible(body.location)}` : "",
        `${since}${ticks}${span}`,
      );
    }
    const table = make("table", "dc-metrics");
    for (const [name, text, series] of body.attributes ?? []) {
      const row = table.insertRow();
      const th = make("th", "dc-dim", visible(name));
      th.scope = "row";
      row.append(th);
      const cell = row.insertCell();
      cell.textContent = text === null ? "" : visible(text);
      const spark = row.insertCell();
      if (series) spark.append(sparkline(series, name));
    }
    const about = section("attributes", body.attributes?.length ? [table] : [], "none is known");
    if (body.more) about.append(make("div", "dc-dim", `and ${formatCount(body.more)} more: session.characters()`));
    const newest = body.events[0]?.[1] ?? null;
    day = newest === null ? "" : localDay(newest);
    const events = body.events.map(([row, time, tick, text]) =>
      eventLine(row, time, text, tick === null ? "" : `tick ${formatCount(tick)}`),
    );
    const calls = body.calls.flatMap(([row, time, kind, model, latency, error, response]) => {
      const took = latency === null ? "" : ` ${formatNumber(latency)} s`;
      const words = `${kind ?? "call"}${took}${error ? `, failed: ${error}` : ""}`;
      const line = eventLine(row, time, words, response ?? model ?? "", () => send({ call: row }));
      const open = body.read?.row === row;
      line.setAttribute("aria-expanded", String(open));
      line.title = `row ${formatCount(row)}: ${open ? "close it" : "read what was asked and answered"}`;
      if (!body.read || !open) return [line];
      const read = make("div", "dc-call dc-read");
      const then = make("button", "dc-small", "show the town as it was then");
      then.addEventListener("click", () => go({ row, select: { character: who, row } }));
      read.append(then, facts(body.read), ...messages("prompt", body.read.prompt), ...answer(body.read));
      return [line, read];
    });
    const chat = body.chat.map(([row, time, speaker, to, text]) =>
      eventLine(row, time, `${speaker ?? "?"} to ${to || "all"}: ${text}`),
    );
    const tree = section(
      "everything known",
      body.tree ? [treeOf(body.tree)] : [],
      at ? "only the present can be asked" : "not asked yet",
    );
    inspect.disabled = !body.can_inspect || at !== null || standing() !== null || body.tree?.state === "sent";
    inspect.hidden = !body.can_inspect && !body.tree;
    tree.querySelector("h4")?.append(" ", inspect);
    page.replaceChildren(
      bar,
      state_,
      ...changing(body),
      ...(body.findings?.length ? [section("findings", body.findings.map(findingLine), "")] : []),
      ...(body.lane ? [section("states", [laneOf(body.lane, go)], "")] : []),
      about,
      section(newest === null ? "last events" : `last events, ${day}`, events, "none"),
      section("last calls of language models", calls, noneOf("calls", body.searched?.[0])),
      section("last messages", chat, noneOf("messages", body.searched?.[1])),
      ...(body.can_inspect || body.tree ? [tree] : []),
    );
  }
  return { draw, point, stand: draw };
}

// Say that nothing was found, and where it was looked for if that was not everything.
/**
 * @param {string} what
 * @param {[most: number, all: number] | undefined} searched
 */
function noneOf(what, searched) {
  const [most, all] = searched ?? [0, 0];
  return all > most ? `none among the last ${formatCount(most)} of ${formatCount(all)} ${what}` : "none";
}

// The last stays as a lane: a click on one shows the town as it was when it began.
/**
 * @param {Lane} lane
 * @param {ViewTools["go"]} go
 */
function laneOf({ stays, all, start, end }, go) {
  const box = make("div");
  const bar = make("div", "dc-lane");
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "states, the newest at the right");
  const span = Math.max(end - start, 1e-3);
  for (const [from, to, state, place, colour] of stays) {
    const stay = make("button", "dc-stay");
    stay.style.left = `${(100 * (from - start)) / span}%`;
    stay.style.width = `max(1px, ${(100 * (to - from)) / span}%)`;
    stay.style.background = colour;
    stay.tabIndex = -1;
    const words = `${visible(state)}${place ? ` in ${visible(place)}` : ""}`;
    stay.title = `${words}, ${localTime(from).replace(/\.\d+$/, "")}, ${formatSpan(to - from)}`;
    stay.setAttribute("aria-label", stay.title);
    stay.addEventListener("click", () => go({ time: from }));
    bar.append(stay);
  }
  const shown =
    stays.length < all
      ? `the last ${formatCount(stays.length)} of ${formatCount(all)} stays`
      : `${formatCount(all)} stay${all === 1 ? "" : "s"}`;
  box.append(bar, make("div", "dc-dim", `${shown}, since ${localTime(start).replace(/\.\d+$/, "")}`));
  return box;
}

/** @param {Tree} tree */
function treeOf(tree) {
  if (tree.state !== "done" || tree.value === null) {
    const text = make("pre", "dc-outcome");
    text.dataset.state = tree.state;
    text.textContent = visibleLines(tree.text);
    return text;
  }
  return branch(tree.value, 0);
}

/**
 * @param {unknown} value
 * @param {number} depth
 * @returns {HTMLElement}
 */
function branch(value, depth) {
  if (value === null || typeof value !== "object") return make("span", "dc-leaf", visible(String(value)));
  const box = make("div", "dc-branch");
  for (const [key, inner] of Object.entries(value)) {
    if (inner !== null && typeof inner === "object" && Object.keys(inner).length) {
      const more = make("details");
      more.open = depth < 1;
      more.append(make("summary", "", `${visible(key)} (${Object.keys(inner).length})`));
      // the inside is made when it is opened: a memory may be long
      const fill = () => {
        if (more.open && more.childElementCount === 1) more.append(branch(inner, depth + 1));
      };
      more.addEventListener("toggle", fill);
      fill();
      box.append(more);
    } else {
      const line = make("div");
      line.append(
        make("span", "dc-dim", `${visible(key)}: `),
        inner === null ? "null" : visible(typeof inner === "object" ? JSON.stringify(inner) : String(inner)),
      );
      box.append(line);
    }
  }
  return box;
}

/**
 * @param {number[]} values
 * @param {string} name
 */
function sparkline(values, name) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("class", "dc-spark");
  picture.setAttribute("viewBox", "0 0 100 20");
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("role", "img");
  const low = Math.min(...values);
  const high = Math.max(...values);
  picture.setAttribute(
    "aria-label",
    `${name}: from ${formatNumber(low)} to ${formatNumber(high)}, last ${formatNumber(values[values.length - 1])}`,
  );
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const points = values.map(
    (value, i) => `${(100 * i) / (values.length - 1)},${18 - (16 * (value - low)) / (high - low || 1)}`,
  );
  line.setAttribute("points", points.join(" "));
  line.setAttribute("fill", "none");
  line.setAttribute("stroke", "currentColor");
  line.setAttribute("stroke-width", "1.5");
  line.setAttribute("vector-effect", "non-scaling-stroke");
  picture.append(line);
  return picture;
}

PANELS.set("character", { receive: receiveCharacter, render: renderCharacter });
