// The time bar: the whole run as a strip with its marks, the cursor on it, the search, and jumps from mark to mark.

const STRIP_HEIGHT = 46;
const SEND_MS = 50; // while dragging, the newest moment is sent so often at most
const LIVE_PX = 5; // so near to the end, the present is meant
const JUMP_NAMES = new Map([
  ["match", "matches of the search"],
  ["error", "errors"],
  ["stop", "stops"],
  ["gap", "gaps"],
  ["bookmark", "bookmarks"],
  ["finding", "findings"],
]);

/** @type {Script<TimeBarState, TimeBarBody>["receive"]} */
function receiveTimeBar(state, body) {
  state.body = body;
}

// Whether a key was meant for something that takes keys itself.
/** @param {Event} event */
function isTyping(event) {
  const at = event.composedPath()[0];
  return at instanceof HTMLElement && at.closest("input, textarea, select, [contenteditable]") !== null;
}

/** @type {Script<TimeBarState, TimeBarBody>["render"]} */
function renderTimeBar(state, el, { send, go, cursor, signal }) {
  const strip = make("div", "dc-strip");
  strip.tabIndex = 0;
  strip.setAttribute("role", "slider");
  strip.setAttribute("aria-label", "The moment shown; left and right move by a tick");
  const canvas = make("canvas");
  const hand = make("div", "dc-hand");
  const tip = make("div", "dc-tip");
  strip.append(canvas, hand, tip);
  const row = make("div", "dc-bar");
  const search = make("input", "dc-search");
  search.type = "search";
  search.placeholder = "search everything:  type == 'error' and tick > 10";
  search.setAttribute("aria-label", "Search: a condition, as in events(where=…)");
  const found = make("span", "dc-found dc-dim");
  found.setAttribute("role", "status");
  const where = make("span", "dc-where");
  where.setAttribute("role", "status");
  const previous = make("button", "dc-previous", "previous");
  const next = make("button", "dc-next", "next");
  previous.prepend(icon("previous"));
  next.append(icon("next"));
  previous.title = "previous  [";
  next.title = "next  ]";
  const to = make("select", "dc-to");
  to.setAttribute("aria-label", "what first, previous and next jump to");
  for (const [name, words] of JUMP_NAMES) {
    const option = make("option", "", words);
    option.value = name;
    to.append(option);
  }
  to.value = "error";
  const live = backButton(() => go({ live: true }));
  live.title = "show the present again  l";
  const said = make("span", "dc-dim");
  const now = make("span", "dc-now");
  now.append(where, live);
  const jumps = make("span", "dc-jumps");
  const start = make("button", "dc-first", "first");
  start.prepend(icon("first"));
  jumps.append(start, previous, to, next);
  row.append(search, found, jumps, said, now);
  el.append(strip, row);
  let sent = 0;
  /** @type {number | null} */
  let wanted = null; // the time that a hand holds
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;
  let typed = 0;
  let searched = "";

  const span = () => {
    const body = state.body;
    return body?.first === null || body === undefined
      ? null
      : { first: body.first, last: Math.max(body.last, body.first + 1e-3) };
  };
  /** @param {number} time */
  const placeOf = (time) => {
    const s = span();
    return s ? ((time - s.first) / (s.last - s.first)) * strip.clientWidth : 0;
  };
  /** @param {PointerEvent} event */
  const timeAt = (event) => {
    const s = span();
    const box = strip.getBoundingClientRect();
    const x = Math.min(Math.max(event.clientX - box.left, 0), box.width);
    if (!s || box.width - x <= LIVE_PX) return null;
    return s.first + (x / box.width) * (s.last - s.first);
  };

  /** @param {number | null} time */
  function move(time) {
    wanted = time;
    place();
    const wait = sent + SEND_MS - Date.now();
    clearTimeout(later);
    if (wait > 0) later = setTimeout(() => move(time), wait);
    else {
      sent = Date.now();
      go(time === null ? { live: true } : { time });
    }
  }
  strip.addEventListener("pointerdown", (event) => {
    if (!span()) return;
    strip.setPointerCapture(event.pointerId);
    move(timeAt(event));
  });
  strip.addEventListener("pointermove", (event) => {
    if (strip.hasPointerCapture(event.pointerId)) move(timeAt(event));
    else hint(event);
  });
  strip.addEventListener("pointerleave", () => {
    tip.textContent = "";
  });
  strip.addEventListener("keydown", (event) => {
    const s = span();
    if (!s) return;
    const here = cursor().moment?.time ?? s.last;
    const page = (s.last - s.first) / 10;
    if (event.key === "ArrowLeft") send({ step: -1 });
    else if (event.key === "ArrowRight") send({ step: 1 });
    else if (event.key === "Home") move(s.first);
    else if (event.key === "End") move(null);
    else if (event.key === "PageUp") move(Math.max(s.first, here - page));
    else if (event.key === "PageDown") move(here + page >= s.last ? null : here + page);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  /** @param {1 | 0 | -1} by */
  const jump = (by) => send({ jump: by, to: to.value });
  previous.addEventListener("click", () => jump(-1));
  next.addEventListener("click", () => jump(1));
  start.addEventListener("click", () => jump(0));
  const root = el.closest(".dc-widget");
  root?.addEventListener(
    "keydown",
    (event) => {
      if (!(event instanceof KeyboardEvent) || isTyping(event) || event.ctrlKey || event.metaKey || event.altKey)
        return;
      if (event.key === "[") jump(-1);
      else if (event.key === "]") jump(1);
      else if (event.key === "l") go({ live: true });
      else if (event.key === "/") search.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    { signal },
  );
  const ask = () => {
    searched = search.value.trim();
    if (searched) to.value = "match";
    send({ search: searched });
  };
  search.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(ask, 400);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      clearTimeout(typed);
      ask();
    } else if (event.key === "Escape") {
      search.value = "";
      ask();
    }
    event.stopPropagation();
  });

  // What a place of the strip is about.
  /** @param {PointerEvent} event */
  function hint(event) {
    const time = timeAt(event);
    const body = state.body;
    if (time === null || !body || body.first === null) {
      tip.textContent = "";
      return;
    }
    const at = body.starts.findLastIndex((start) => start <= time);
    const words = [localTime(time).replace(/\.\d+$/, "")];
    if (at >= 0 && time < body.starts[at] + body.width) {
      const many = `${formatCount(body.counts[at])} in ${body.width} s`;
      words.push(body.errors[at] ? `${many}, ${countOf(body.errors[at], "error")}` : many);
    }
    const near = ((body.last - body.first) * 4) / Math.max(1, strip.clientWidth);
    for (const [kind, [, marks]] of Object.entries(body.marks)) {
      const mark = marks.find(([when]) => Math.abs(when - time) < near);
      if (mark) words.push(mark[1] ? `${kind}: ${visible(mark[1])}` : kind);
    }
    tip.textContent = words.join(" · ");
    tip.style.left = `${Math.min(Math.max(placeOf(time), 4), Math.max(4, strip.clientWidth - tip.offsetWidth - 4))}px`;
  }

  function paint() {
    const body = state.body;
    const width = strip.clientWidth;
    if (!width) return;
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(STRIP_HEIGHT * scale);
    const pen = canvas.getContext("2d");
    if (!pen) return;
    pen.scale(scale, scale);
    pen.clearRect(0, 0, width, STRIP_HEIGHT);
    if (!body || body.first === null) return;
    const style = getComputedStyle(strip);
    const ink = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const most = Math.max(1, ...body.counts);
    const floor = STRIP_HEIGHT - 6;
    const tall = floor - 10;
    for (const [when] of body.marks.gap?.[1] ?? []) {
      pen.fillStyle = ink("--dc-gap");
      pen.fillRect(placeOf(when) - 2, 0, Math.max(4, placeOf(when + body.width) - placeOf(when)), STRIP_HEIGHT);
    }
    body.starts.forEach((start, i) => {
      const left = placeOf(Math.max(start, body.first ?? start));
      const end = Math.min(start + body.width, body.last);
      const bar = Math.max(1, placeOf(end) - left - 0.5);
      const over = Math.max(0.2, Math.min(1, (end - start) / body.width)); // the last one is not over yet
      const high = Math.min(tall, (body.counts[i] / most / over) * tall);
      pen.fillStyle = ink("--dc-count");
      pen.fillRect(left, floor - high, bar, high);
      if (body.errors[i]) {
        const part = Math.max(2, (body.errors[i] / most / over) * tall);
        pen.fillStyle = ink("--dc-bad");
        pen.fillRect(left, floor - Math.min(part, high || part), bar, Math.min(part, high || part));
      }
    });
    pen.fillStyle = ink("--dc-hit");
    for (const [when] of body.marks.match?.[1] ?? []) pen.fillRect(placeOf(when) - 0.5, floor + 1, 1.5, 5);
    for (const kind of ["stop", "bookmark", "finding"]) {
      pen.fillStyle = ink(`--dc-${kind}`);
      for (const [when] of body.marks[kind]?.[1] ?? []) mark(pen, kind, placeOf(when));
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {string} kind
   * @param {number} x
   */
  function mark(pen, kind, x) {
    pen.beginPath();
    if (kind === "stop") pen.rect(x - 3, 1, 6, 6);
    else if (kind === "bookmark") {
      pen.moveTo(x, 1);
      pen.lineTo(x + 7, 4);
      pen.lineTo(x, 7);
      pen.rect(x - 1, 1, 1, 9);
    } else pen.arc(x, 4, 3, 0, 7);
    pen.fill();
  }

  function place() {
    const moment = cursor().moment;
    const s = span();
    const held = wanted !== null && Date.now() - sent < 1000;
    const time = held ? wanted : (moment?.time ?? null);
    hand.hidden = s === null;
    strip.toggleAttribute("data-past", moment !== null);
    hand.style.transform = `translateX(${time === null ? strip.clientWidth - 2 : Math.min(Math.max(placeOf(time), 0), strip.clientWidth - 2)}px)`;
    if (s) {
      strip.setAttribute("aria-valuemin", String(Math.round(s.first)));
      strip.setAttribute("aria-valuemax", String(Math.round(s.last)));
      strip.setAttribute("aria-valuenow", String(Math.round(moment?.time ?? s.last)));
    }
    strip.setAttribute("aria-valuetext", moment ? `as of ${momentText(moment)}` : "the present");
    where.replaceChildren();
    if (moment) where.append(icon("clock"), `as of ${momentText(moment)}`);
    where.hidden = moment === null;
    live.hidden = moment === null;
  }

  function tell() {
    const body = state.body;
    if (!body) return;
    const { search: at } = body;
    if (document.activeElement !== search && at.text !== search.value.trim() && at.text !== searched)
      search.value = at.text;
    found.dataset.tone = at.problem ? "error" : "";
    live.textContent = body.live ? "back to live" : "back to the end";
    if (at.problem) found.textContent = visible(at.problem);
    else if (!at.text) found.textContent = "";
    else {
      const judged = at.busy || at.judged < at.held ? `, ${formatCount(at.judged)} of them searched` : "";
      const hint = body.hint && !at.hits ? `: ${visible(body.hint)}` : "";
      found.textContent = `${formatCount(at.hits)} of ${formatCount(at.held)}${judged}${hint}`;
    }
    said.textContent = visible(body.said);
    for (const option of to.options) {
      const [count, drawn] = body.marks?.[option.value] ?? [0, []];
      const some = drawn.length < count ? `, ${formatCount(drawn.length)} marked` : "";
      const known = option.value === "error" || option.value === "match" || count > 0;
      option.hidden = !known;
      option.textContent = `${JUMP_NAMES.get(option.value)}${count ? ` (${formatCount(count)}${some})` : ""}`;
    }
  }

  const sized = new ResizeObserver(() => {
    paint();
    place();
  });
  sized.observe(strip);
  const theme = new MutationObserver(paint);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  signal.addEventListener("abort", () => {
    sized.disconnect();
    theme.disconnect();
    clearTimeout(later);
    clearTimeout(typed);
  });
  place();
  return {
    point: place,
    draw() {
      paint();
      place();
      tell();
    },
  };
}

PANELS.set("timebar", { receive: receiveTimeBar, render: renderTimeBar });
