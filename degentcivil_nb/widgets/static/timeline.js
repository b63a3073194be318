// The timeline: a lane a character, drawn as far as in sight; what is not, is not sent.

const LANE = 20;
const NAMES = 132; // px for the names
const SIGHT_MS = 90;
const MOST_STATES = 30;
const LANE_KEYS =
  "Up and down choose a lane, left and right a stay in it, plus and minus zoom, shift with an arrow moves.";
const ORDER_NAMES = ["first seen", "name", "stuck longest", "errors"];

/** @type {Script<TimelineState, TimelineBody>["receive"]} */
function receiveTimeline(state, body, buffers) {
  if (!body.lanes) return; // only the moment is another one
  const bytes = alignedBytes(buffers[0]);
  const list = (/** @type {Place} */ place) => unpackArray(place, bytes);
  state.body = body;
  state.stays = {
    lane: list(body.lane),
    from: list(body.from),
    to: list(body.to),
    state: list(body.state),
    place: list(body.place),
    many: list(body.many),
    open: list(body.open),
  };
}

/** @type {Script<TimelineState, TimelineBody>["render"]} */
function renderTimeline(state, el, { send, go, cursor, signal }) {
  const bar = make("div", "dc-bar");
  const words = make("input", "dc-filter");
  words.type = "search";
  words.placeholder = "characters by name";
  words.setAttribute("aria-label", "Show only characters whose names have these words");
  const count = make("span", "dc-count dc-dim");
  count.setAttribute("role", "status");
  const order = make("select");
  order.setAttribute("aria-label", "order of the lanes");
  for (const name of ORDER_NAMES) order.append(make("option", "", name));
  const buttons = make("span", "dc-pages");
  for (const [name, act] of /** @type {[string, () => void][]} */ ([
    ["whole run", () => look(null, null)],
    ["last minute", lastMinute],
    ["closer", () => zoom(0.5, 0.5)],
    ["farther", () => zoom(2, 0.5)],
  ])) {
    const button = make("button", "", name);
    button.addEventListener("click", act);
    buttons.append(button);
  }
  bar.append(words, count, order, buttons);
  const scroller = make("div", "dc-lanes");
  scroller.tabIndex = 0;
  scroller.setAttribute("role", "img");
  scroller.setAttribute("aria-label", "States over time, still empty");
  const tall = make("div", "dc-tall-lanes");
  const stage = make("div", "dc-stage");
  const canvas = make("canvas");
  stage.append(canvas);
  tall.append(stage);
  scroller.append(tall);
  const tip = make("div", "dc-tip");
  tip.setAttribute("role", "status");
  const legend = make("div", "dc-legend");
  const empty = make("div", "dc-empty", "No stays yet. A stay begins when the state of a character is published.");
  empty.hidden = true; // until it is known that there are none
  el.append(bar, scroller, tip, legend, empty);
  /** @type {{start: number | null, end: number | null}} */
  let span = { start: null, end: null };
  let asked = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;

  const inSight = () => ({
    start: span.start,
    end: span.end,
    first: Math.max(0, Math.floor(scroller.scrollTop / LANE) - 2),
    count: Math.ceil(scroller.clientHeight / LANE) + 4,
    pixels: Math.max(50, Math.round(scroller.clientWidth - NAMES)),
    order: order.value,
    words: words.value.trim(),
  });
  function ask() {
    clearTimeout(later);
    later = setTimeout(() => {
      const sight = inSight();
      const key = JSON.stringify(sight);
      if (key === asked || !scroller.clientWidth) return;
      asked = key;
      send({ sight });
    }, SIGHT_MS);
  }
  /**
   * @param {number | null} start
   * @param {number | null} end
   */
  function look(start, end) {
    span = { start, end };
    paint();
    ask();
  }
  function lastMinute() {
    const last = state.body?.span[1];
    if (last !== undefined) look(last - 60, last);
  }
  // The span in view: what was asked for, or the whole run.
  const view = () => {
    const body = state.body;
    const start = span.start ?? body?.span[0] ?? 0;
    return { start, end: Math.max(span.end ?? body?.span[1] ?? 1, start + 1e-3) };
  };
  /**
   * @param {number} factor
   * @param {number} at
   */
  function zoom(factor, at) {
    const body = state.body;
    if (!body) return;
    const { start, end } = view();
    const middle = start + at * (end - start);
    const width = Math.max(0.05, (end - start) * factor);
    const whole = body.span[1] - body.span[0];
    if (width >= whole) look(null, null);
    else {
      const from = Math.min(Math.max(middle - at * width, body.span[0]), body.span[1] - width);
      look(from, from + width);
    }
  }
  /** @param {number} share */
  function pan(share) {
    const body = state.body;
    if (!body || span.start === null) return;
    const { start, end } = view();
    const width = end - start;
    const from = Math.min(Math.max(start + share * width, body.span[0]), body.span[1] - width);
    look(from, from + width);
  }
  words.addEventListener("input", () => {
    scroller.scrollTop = 0;
    ask();
  });
  order.addEventListener("change", ask);
  scroller.addEventListener(
    "scroll",
    () => {
      paint();
      ask();
    },
    { passive: true },
  );
  scroller.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.shiftKey) return;
      const box = scroller.getBoundingClientRect();
      const at = Math.min(1, Math.max(0, (event.clientX - box.left - NAMES) / Math.max(1, box.width - NAMES)));
      if (event.ctrlKey) zoom(event.deltaY > 0 ? 1.25 : 0.8, at);
      else pan((event.deltaY || event.deltaX) > 0 ? 0.1 : -0.1);
      event.preventDefault();
    },
    { passive: false },
  );
  scroller.addEventListener("keydown", (event) => {
    const body = state.body;
    if (event.key === "+" || event.key === "=") zoom(0.5, 0.5);
    else if (event.key === "-") zoom(2, 0.5);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const by = event.key === "ArrowLeft" ? -1 : 1;
      if (event.shiftKey || !stepStay(by)) pan(0.2 * by);
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && body) {
      const who = cursor().character;
      const at = who === null ? -1 : body.lanes.indexOf(who);
      const to = event.key === "ArrowDown" ? at + 1 : Math.max(0, at - 1);
      if (to < 0 || to >= body.lanes.length) return;
      go({ select: { character: body.lanes[to], row: null } });
      const top = (body.first + to) * LANE;
      if (top < scroller.scrollTop || top + LANE > scroller.scrollTop + scroller.clientHeight) {
        scroller.scrollTop = top - scroller.clientHeight / 2;
      }
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // What lies under the pointer: a lane, a time, and a stay.
  /** @param {MouseEvent} event */
  function under(event) {
    const body = state.body;
    const box = stage.getBoundingClientRect();
    const x = event.clientX - box.left - NAMES;
    const wide = stage.clientWidth - NAMES;
    const lane = Math.floor((event.clientY - box.top + scroller.scrollTop) / LANE) - (body?.first ?? 0);
    if (!body || lane < 0 || lane >= body.lanes.length) return null;
    const { start, end } = view();
    const time = x < 0 ? null : start + (x / wide) * (end - start);
    return { lane, time, name: body.lanes[lane], stay: time === null ? -1 : stayAt(lane, time) };
  }
  /**
   * @param {number} lane
   * @param {number} time
   */
  function stayAt(lane, time) {
    const { body, stays } = state;
    if (!body || !stays) return -1;
    const t = time - body.start;
    let best = -1;
    for (let i = 0; i < stays.lane.length; i++) {
      if (stays.lane[i] === lane && stays.from[i] <= t && t <= stays.to[i]) best = i;
    }
    return best;
  }
  // Go to the stay before or after the moment shown, in the lane that is chosen.
  /** @param {1 | -1} by */
  function stepStay(by) {
    const { body, stays } = state;
    const { character, moment } = cursor();
    const lane = body?.lanes.indexOf(character ?? "") ?? -1;
    if (!body || !stays || lane < 0) return false;
    const t = (moment?.time ?? Infinity) - body.start;
    let found = -1;
    for (let i = 0; i < stays.lane.length; i++) {
      const from = stays.from[i];
      const beyond = by > 0 ? from > t + 1e-3 : from < t - 1e-3;
      if (stays.lane[i] === lane && beyond && (found < 0 || (from - stays.from[found]) * by < 0)) found = i;
    }
    if (found < 0) return false;
    const time = body.start + stays.from[found];
    go({ select: { character, row: null }, time: time + 1e-6 }); // a float is not exact to the nanosecond
    tip.textContent = tipText({ lane, time, name: body.lanes[lane], stay: found });
    return true;
  }
  scroller.addEventListener("mousemove", (event) => {
    const at = under(event);
    tip.textContent = at ? tipText(at) : "";
  });
  scroller.addEventListener("mouseleave", () => {
    tip.textContent = "";
  });
  scroller.addEventListener("click", (event) => {
    const at = under(event);
    if (!at) return;
    const select = { character: at.name, row: null };
    go(at.time === null ? { select } : { select, time: Math.min(at.time, state.body?.span[1] ?? at.time) });
  });

  /** @param {{lane: number, time: number | null, name: string, stay: number}} at */
  function tipText({ lane, time, name, stay }) {
    const { body, stays } = state;
    if (!body || !stays) return "";
    const who = visible(name);
    if (time === null) return who;
    const { start, end } = view();
    const near = ((end - start) * 4) / Math.max(1, stage.clientWidth - NAMES);
    const error = body.errors.find(([where, when]) => where === lane && Math.abs(when - time) < near);
    if (error) return `${who}: error at ${localTime(error[1])}: ${visible(error[2])}`;
    const gap = body.gaps.find(([when]) => Math.abs(when - time) < near);
    if (gap) return `gap at ${localTime(gap[0])}: ${visible(gap[1])}`;
    if (stay < 0) return `${who}: not known at ${localTime(time)}`;
    const from = body.start + stays.from[stay];
    const to = body.start + stays.to[stay];
    const place = stays.place[stay] ? ` in ${visible(body.places[stays.place[stay] - 1])}` : "";
    const until = stays.open[stay] ? "still going on" : `to ${localTime(to)}`;
    const many = stays.many[stay] > 1 ? `; ${stays.many[stay]} stays within this pixel` : "";
    const what = visible(body.states[stays.state[stay]]);
    return `${who}: ${what}${place} from ${localTime(from)} ${until} (${formatSpan(to - from)})${many}`;
  }

  function paint() {
    const { body, stays } = state;
    const width = scroller.clientWidth;
    const height = scroller.clientHeight;
    if (!body || !stays || !width) return;
    const scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    stage.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    if (!pen) return;
    const style = getComputedStyle(scroller);
    const ink = style.color;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const { start, end } = view();
    const wide = width - NAMES;
    const xOf = (/** @type {number} */ time) => NAMES + ((time - start) / (end - start)) * wide;
    const yOf = (/** @type {number} */ lane) => (body.first + lane) * LANE - scroller.scrollTop;
    pen.font = `12px ${style.fontFamily}`;
    pen.textBaseline = "middle";
    const chosen = cursor().character;
    body.lanes.forEach((name, lane) => {
      if (name !== chosen) return;
      pen.fillStyle = style.getPropertyValue("--jp-layout-color2") || "#eee";
      pen.fillRect(0, yOf(lane), width, LANE);
    });
    pen.save();
    pen.beginPath();
    pen.rect(NAMES, 0, wide, height);
    pen.clip();
    for (let i = 0; i < stays.lane.length; i++) {
      const x = xOf(body.start + stays.from[i]);
      const w = Math.max(1, xOf(body.start + stays.to[i]) - x - 0.5);
      const y = yOf(stays.lane[i]) + 2;
      pen.fillStyle = body.colours[stays.state[i]];
      pen.fillRect(x, y, w, LANE - 4);
      if (w > 46) {
        pen.fillStyle = inkOn(body.colours[stays.state[i]]);
        pen.font = `600 10px ${style.fontFamily}`;
        const text = visible(body.states[stays.state[i]]);
        if (pen.measureText(text).width < w - 8) pen.fillText(text, Math.max(x, NAMES) + 4, y + LANE / 2 - 2);
      }
    }
    pen.fillStyle = style.getPropertyValue("--dc-gap") || "#f57c0055";
    for (const [when] of body.gaps) pen.fillRect(xOf(when) - 2, 0, 4, height);
    pen.fillStyle = style.getPropertyValue("--dc-bad") || "#d32f2f";
    for (const [lane, when] of body.errors) {
      const x = xOf(when);
      pen.beginPath();
      pen.moveTo(x - 4, yOf(lane) + LANE - 1);
      pen.lineTo(x + 4, yOf(lane) + LANE - 1);
      pen.lineTo(x, yOf(lane) + LANE - 8);
      pen.fill();
    }
    const moment = cursor().moment;
    if (moment) {
      const x = xOf(moment.time);
      pen.fillStyle = style.getPropertyValue("--jp-layout-color1") || "#fff";
      pen.globalAlpha = 0.6; // what came after is faded
      pen.fillRect(x, 0, width, height);
      pen.globalAlpha = 1;
      pen.fillStyle = style.getPropertyValue("--dc-past-ink") || "#6a1b9a";
      pen.fillRect(x - 1, 0, 2, height);
    }
    pen.restore();
    pen.font = `12px ${style.fontFamily}`;
    body.lanes.forEach((name, lane) => {
      pen.fillStyle = ink;
      pen.font = `${name === chosen ? "700 " : ""}12px ${style.fontFamily}`;
      pen.fillText(fit(pen, visible(name), NAMES - 12), 4, yOf(lane) + LANE / 2);
    });
  }

  function draw() {
    const body = state.body;
    if (!body) return;
    const none = body.all === 0;
    empty.hidden = !none;
    scroller.hidden = none;
    tall.style.height = `${Math.max(body.total * LANE, 1)}px`;
    scroller.style.height = `${Math.min(Math.max(body.total * LANE + 2, 120), 520)}px`;
    const all = countOf(body.all, "character");
    const shown = body.total === body.all ? all : `${formatCount(body.total)} of ${all}`;
    const left = `${markedOf(body.errors, body.all_errors, "error")}${markedOf(body.gaps, body.all_gaps, "gap")}`;
    count.textContent = `${shown}, ${localTime(view().start).replace(/\.\d+$/, "")} to ${localTime(view().end).replace(/\.\d+$/, "")}${left}`;
    const lanes = `a lane for each of ${countOf(body.total, "character")}`;
    scroller.setAttribute("aria-label", `States over time: ${lanes}. ${LANE_KEYS}`);
    const used = new Set(state.stays?.state);
    legend.replaceChildren(
      ...[...used].slice(0, MOST_STATES).map((code) => {
        const item = make("span");
        const chip = make("span", "dc-chip");
        chip.style.background = body.colours[code];
        item.append(chip, visible(body.states[code]));
        return item;
      }),
      ...(used.size > MOST_STATES ? [make("span", "dc-dim", `and ${used.size - MOST_STATES} more states`)] : []),
    );
    paint();
    ask();
  }

  const sized = new ResizeObserver(() => {
    paint();
    ask();
  });
  sized.observe(scroller);
  const theme = new MutationObserver(paint);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  signal.addEventListener("abort", () => {
    sized.disconnect();
    theme.disconnect();
    clearTimeout(later);
  });
  return { draw, point: paint };
}

// Say how many are marked, where that is not all of them.
/**
 * @param {unknown[]} marked
 * @param {number} all
 * @param {string} what
 */
function markedOf(marked, all, what) {
  if (marked.length >= all) return "";
  return `; the newest ${formatCount(marked.length)} of ${countOf(all, what)} in sight are marked: zoom closer`;
}

// The ink that is readable on a colour, black or white: as `ink_on` of figures/colours.py.
/** @param {string} colour */
function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

// Cut a text to a width, with an ellipsis.
/**
 * @param {CanvasRenderingContext2D} pen
 * @param {string} text
 * @param {number} width
 */
function fit(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let cut = text.slice(0, Math.ceil(width / 2)); // no more fit, and a name may be very long
  while (cut.length > 1 && pen.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut.replace(/[\ud800-\udbff]$/, "")}…`;
}

PANELS.set("timeline", { receive: receiveTimeline, render: renderTimeline });
