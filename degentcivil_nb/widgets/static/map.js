// The map: a dot a character, at its coordinates or around its place; the layout of places is made once and stays.

const DOT = 3.5;
const MAX_LABELS = 300;
const MAX_LABEL = 120; // px
const NOWHERE =
  "No character has a known place, so nothing is drawn. They appear at their attributes x and y, or at their location.";

/** @type {Script<MapState, TableBody>["receive"]} */
function receiveMap(state, body, buffers, full) {
  receiveTable(state, body, buffers, full);
  if (body.spots) state.spots = new Map(body.spots.map(([name, x, y]) => [name, [x, y]]));
}

/** @type {Script<MapState, TableBody>["render"]} */
function renderMap(state, el, { go, cursor, signal }) {
  const bar = make("div", "dc-bar");
  const count = make("span", "dc-count dc-dim");
  count.setAttribute("role", "status");
  const buttons = make("span", "dc-pages");
  for (const [name, act] of /** @type {[string, () => void][]} */ ([
    ["whole town", () => zoomTo(1)],
    ["closer", () => zoomTo(scale * 1.5)],
    ["farther", () => zoomTo(scale / 1.5)],
  ])) {
    const button = make("button", "", name);
    button.addEventListener("click", act);
    buttons.append(button);
  }
  bar.append(count, buttons);
  const stage = make("div", "dc-map");
  stage.tabIndex = 0;
  stage.setAttribute("role", "img");
  stage.setAttribute("aria-label", "Map of the town, still empty");
  const canvas = make("canvas");
  stage.append(canvas);
  const tip = make("div", "dc-tip");
  tip.setAttribute("role", "status");
  const legend = make("div", "dc-legend");
  const empty = make("div", "dc-empty");
  el.append(bar, stage, tip, legend, empty);
  let scale = 1;
  let shift = { x: 0, y: 0 }; // px
  /** @type {Map<string, [number, number]>} */
  const made = new Map(); // places without coordinates of their own, in the order in which they were seen
  /** @type {Float64Array} */
  let xs = new Float64Array(0);
  /** @type {Float64Array} */
  let ys = new Float64Array(0);
  let box = { left: 0, right: 1, low: 0, high: 1 };
  let frame = 0;
  let placed = 0;

  const column = (/** @type {string} */ name) => state.cells?.get(name) ?? [];
  /** @param {string} name */
  function spotOf(name) {
    const known = state.spots?.get(name) ?? made.get(name);
    if (known) return known;
    // a spiral: each new place goes outside of the ones before, which stay where they are
    const n = made.size + 1;
    const angle = n * 2.399963;
    /** @type {[number, number]} */
    const spot = [10 * Math.sqrt(n) * Math.cos(angle), 10 * Math.sqrt(n) * Math.sin(angle)];
    made.set(name, spot);
    return spot;
  }

  // Put everybody; those at one place, or at the same coordinates, stand in a sunflower around it: none hides another.
  function layOut() {
    const [wide, high, where] = [column("x"), column("y"), column("location")];
    const total = state.keys?.length ?? 0;
    xs = new Float64Array(total);
    ys = new Float64Array(total);
    placed = 0;
    /** @type {Map<string, number>} */
    const crowd = new Map();
    /** @type {Map<string, number>} */
    const together = new Map();
    for (let i = 0; i < total; i++) {
      const at = where[i];
      if (!Number.isNaN(Number(wide[i] ?? NaN)) && !Number.isNaN(Number(high[i] ?? NaN))) {
        xs[i] = Number(wide[i]);
        ys[i] = Number(high[i]);
        const here = `${xs[i]} ${ys[i]}`;
        seeds[i] = together.get(here) ?? 0; // the first one stands at the very point
        together.set(here, seeds[i] + 1);
        placed++;
        continue;
      }
      if (typeof at === "string" && at) {
        const spot = spotOf(at);
        const n = (crowd.get(at) ?? 0) + 1;
        crowd.set(at, n);
        xs[i] = spot[0];
        ys[i] = spot[1];
        seeds[i] = n;
        placed++;
        continue;
      } else xs[i] = ys[i] = NaN;
      seeds[i] = 0;
    }
    const spots = [...(state.spots?.values() ?? []), ...made.values()];
    const left = spots.map(([x]) => x);
    const up = spots.map(([, y]) => y);
    for (let i = 0; i < total; i++) {
      if (Number.isNaN(xs[i])) continue;
      left.push(xs[i]);
      up.push(ys[i]);
    }
    const least = (/** @type {number[]} */ list) => list.reduce((a, b) => Math.min(a, b), Infinity);
    const most = (/** @type {number[]} */ list) => list.reduce((a, b) => Math.max(a, b), -Infinity);
    const next = left.length ? { left: least(left), right: most(left), low: least(up), high: most(up) } : box;
    // the frame grows and never shrinks, or the town would swim
    if (!grown) box = next;
    else {
      box = {
        left: Math.min(box.left, next.left),
        right: Math.max(box.right, next.right),
        low: Math.min(box.low, next.low),
        high: Math.max(box.high, next.high),
      };
    }
    grown = left.length > 0;
  }
  let grown = false;
  /** @type {number[]} */
  const seeds = [];

  /** @returns {(i: number) => [number, number]} */
  function projection() {
    const width = stage.clientWidth;
    const height = stage.clientHeight;
    const margin = 40;
    const span = Math.max(
      (box.right - box.left) / (width - 2 * margin),
      (box.high - box.low) / (height - 2 * margin),
      1e-9,
    );
    const middle = { x: (box.left + box.right) / 2, y: (box.low + box.high) / 2 };
    toPage = (x, y) => [
      width / 2 + ((x - middle.x) / span) * scale + shift.x,
      height / 2 - ((y - middle.y) / span) * scale + shift.y,
    ];
    return (i) => {
      const [x, y] = toPage(xs[i], ys[i]);
      const n = seeds[i];
      if (!n) return [x, y];
      const away = 2.1 * DOT * Math.sqrt(n + 0.5) * Math.min(2, Math.max(0.6, scale));
      return [x + away * Math.cos(n * 2.399963), y + away * Math.sin(n * 2.399963)];
    };
  }
  /** @type {(x: number, y: number) => [number, number]} */
  let toPage = (x, y) => [x, y];

  function paint() {
    frame = 0;
    const width = stage.clientWidth;
    const height = stage.clientHeight;
    if (!width || !state.keys) return;
    const dots = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * dots) || canvas.height !== Math.round(height * dots)) {
      canvas.width = Math.round(width * dots);
      canvas.height = Math.round(height * dots);
    }
    const pen = canvas.getContext("2d");
    if (!pen) return;
    const style = getComputedStyle(stage);
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, width, height);
    const where = projection();
    const ink = style.color;
    pen.font = `11px ${style.fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    /** @type {[number, number, number, number][]} */
    const taken = [];
    const free = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ w, h = 12) => {
      if (taken.some(([a, b, c, d]) => x < a + c && a < x + w && y < b + d && b < y + h)) return false;
      taken.push([x, y, w, h]);
      return true;
    };
    // a name stays readable above dots and lines
    const ground = style.getPropertyValue("--jp-layout-color1") || "#fff";
    const write = (/** @type {string} */ text, /** @type {number} */ x, /** @type {number} */ y) => {
      pen.strokeStyle = ground;
      pen.lineWidth = 3;
      pen.lineJoin = "round";
      pen.strokeText(text, x, y);
      pen.lineWidth = 1;
      pen.fillText(text, x, y);
    };
    pen.strokeStyle = style.getPropertyValue("--jp-border-color1") || "#bbb";
    const named = [...(state.spots ?? []), ...made].map(([name, spot]) => {
      const [x, y] = toPage(spot[0], spot[1]);
      return { name, x, y };
    });
    const places = named.filter(({ x, y }) => x >= -50 && y >= -50 && x <= width + 50 && y <= height + 50);
    for (const { x, y } of places) pen.strokeRect(x - 3, y - 3, 6, 6);
    const states = column("state");
    const chosen = cursor().character;
    const size = DOT * Math.min(2, Math.max(0.6, Math.sqrt(scale) * (state.keys.length > 1500 ? 0.6 : 1)));
    let last = "";
    for (let i = 0; i < state.keys.length; i++) {
      if (Number.isNaN(xs[i])) continue;
      const [x, y] = where(i);
      const text = states[i];
      const colour = state.colours.get(typeof text === "string" ? text : null) ?? "#9aa0a6";
      if (colour !== last) {
        pen.fillStyle = colour;
        last = colour;
      }
      pen.fillRect(x - size, y - size, 2 * size, 2 * size);
    }
    const at = chosen === null ? -1 : state.keys.indexOf(chosen);
    if (at >= 0 && !Number.isNaN(xs[at])) {
      const [x, y] = where(at);
      const wide = 1.15 * pen.measureText(visible(state.keys[at])).width;
      free(x - wide / 2, y + size + 6, wide, 14); // no other name stands over the chosen one's
      free(x - size - 5, y - size - 5, 2 * size + 10, 2 * size + 10);
    }
    pen.fillStyle = style.getPropertyValue("--dc-dim") || "#666";
    for (const { name, x, y } of places) {
      const text = fit(pen, visible(name), 150);
      const wide = pen.measureText(text).width;
      if (free(x - wide / 2, y - 18, wide)) write(text, x, y - 18);
    }
    let labels = 0;
    pen.fillStyle = ink;
    for (let i = 0; i < state.keys.length && labels < MAX_LABELS; i++) {
      if (Number.isNaN(xs[i]) || state.keys[i] === chosen) continue;
      const [x, y] = where(i);
      if (x < 0 || y < 0 || x > width || y > height) continue;
      const text = fit(pen, visible(state.keys[i]), MAX_LABEL);
      const wide = pen.measureText(text).width;
      if (!free(x - wide / 2, y + size + 1, wide)) continue;
      write(text, x, y + size + 1);
      labels++;
    }
    if (at >= 0 && !Number.isNaN(xs[at])) {
      const [x, y] = where(at);
      pen.lineWidth = 3;
      pen.strokeStyle = style.getPropertyValue("--jp-brand-color1") || "#1976d2";
      pen.beginPath();
      pen.arc(x, y, size + 5, 0, 7);
      pen.stroke();
      pen.lineWidth = 1;
      pen.font = `700 12px ${style.fontFamily}`;
      write(visible(state.keys[at]), x, y + size + 6);
    }
  }
  const soon = () => {
    frame ||= requestAnimationFrame(paint);
  };

  /** @param {MouseEvent} event */
  function under(event) {
    const at = stage.getBoundingClientRect();
    const where = projection();
    let best = -1;
    let near = 14;
    for (let i = 0; i < (state.keys?.length ?? 0); i++) {
      if (Number.isNaN(xs[i])) continue;
      const [x, y] = where(i);
      const away = Math.hypot(x - (event.clientX - at.left), y - (event.clientY - at.top));
      if (away < near) {
        near = away;
        best = i;
      }
    }
    return best;
  }
  /** @param {number} next */
  function zoomTo(next) {
    scale = Math.min(200, Math.max(1, next));
    if (scale === 1) shift = { x: 0, y: 0 };
    soon();
  }
  /** @type {{x: number, y: number} | null} */
  let held = null;
  let dragged = false;
  stage.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX - shift.x, y: event.clientY - shift.y };
    dragged = false;
  });
  stage.addEventListener("pointermove", (event) => {
    if (held && event.buttons) {
      const next = { x: event.clientX - held.x, y: event.clientY - held.y };
      dragged ||= Math.hypot(next.x - shift.x, next.y - shift.y) > 4;
      if (dragged) {
        shift = next;
        soon();
      }
      return;
    }
    const i = under(event);
    tip.textContent = i < 0 ? "" : tipText(i);
  });
  stage.addEventListener("click", (event) => {
    held = null;
    const i = under(event);
    if (!dragged && i >= 0) go({ select: { character: state.keys[i], row: null } });
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return; // the page scrolls
      zoomTo(scale * (event.deltaY > 0 ? 0.8 : 1.25));
      event.preventDefault();
    },
    { passive: false },
  );
  stage.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") zoomTo(scale * 1.5);
    else if (event.key === "-") zoomTo(scale / 1.5);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  /** @param {number} i */
  function tipText(i) {
    const text = (/** @type {string} */ name) => cellText(column(name)[i], "text");
    const since = cellText(column("since")[i], "time");
    const place = text("location");
    return `${visible(state.keys[i])}: ${text("state") || "state unknown"}${place ? ` in ${place}` : ""}${since ? `, since ${since}` : ""}`;
  }

  const sized = new ResizeObserver(soon);
  sized.observe(stage);
  const theme = new MutationObserver(soon);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  signal.addEventListener("abort", () => {
    sized.disconnect();
    theme.disconnect();
    cancelAnimationFrame(frame);
  });
  return {
    point: soon,
    draw() {
      const total = state.keys?.length ?? 0;
      layOut();
      const nothing = !placed && !state.spots?.size;
      empty.textContent = total ? NOWHERE : (state.empty ?? "");
      empty.hidden = !nothing;
      stage.hidden = nothing;
      const without = total - placed;
      count.textContent = `${countOf(total, "character")}${without ? `, ${formatCount(without)} of them without a known place` : ""}`;
      stage.setAttribute(
        "aria-label",
        `Map of ${countOf(total, "character")}; the table beside it has the same as text`,
      );
      /** @type {Map<string | null, number>} */
      const counts = new Map();
      for (const text of column("state")) {
        const name = typeof text === "string" ? text : null;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      const order = [...counts].sort((a, b) => b[1] - a[1]);
      const items = order.slice(0, 24).map(([name, many]) => {
        const item = make("span");
        const chip = make("span", "dc-chip");
        chip.style.background = state.colours.get(name) ?? "#9aa0a6";
        item.append(chip, `${visible(name ?? "unknown")} ${formatCount(many)}`);
        return item;
      });
      if (order.length > 24) items.push(make("span", "dc-dim", `and ${order.length - 24} more states`));
      legend.replaceChildren(...items);
      soon();
    },
  };
}

PANELS.set("map", { receive: receiveMap, render: renderMap });
