// The page side of one widget: its links to the panels in Python, flow control, and the frame around each panel.
//
// A panel's own script registers itself: `PANELS.set(name, {receive, render})`, where
//   receive(state, body, buffers, full)  takes an update into the panel's state (an empty object at first)
//   render(state, el, tools)             builds one view in `el` and returns {draw(body, buffers, full), stand(), point()};
//                                        draw() without arguments draws the whole state; stand() says that `standing()`
//                                        changed, point() that the cursor or the selection did
// `body` is the update's JSON, `buffers` the DataViews beside it. What travels is declared in tests/javascript/types.d.ts.

/** @type {Map<string, Script<any, any>>} */
const PANELS = new Map();
const decoder = new TextDecoder();
// What the panels of a page drew within this time is said at once: the kernel says "busy" and "idle" for each message
// that it gets, and JupyterLab draws both.
const TOGETHER_MS = 40;
// A full update that has not come for so long is asked for again.
const AGAIN_MS = 10_000;
const LIVE = { moment: null, character: null, row: null };

// One host a model and page: it lives as long as the model, whatever is shown of it.
/**
 * @param {Model} model
 * @param {Line} line
 * @returns {Host}
 */
function makeHost(model, line) {
  const client = crypto.randomUUID?.() ?? Math.random().toString(36).slice(2);
  /** @type {Map<string, ReturnType<typeof makeLink>>} */
  const links = new Map();
  /** @type {Standing | null} */
  let said = null; // the session's standing as Python sent it: why the panel is not current
  /** @type {Pointed} */
  let cursor = LIVE;
  let showing = false;
  /** @type {Map<string, number>} */
  const drawn = new Map(); // by panel: the number of the last update drawn, which Python does not know yet
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let telling;
  const tellDrawn = () => {
    clearTimeout(telling);
    telling = undefined;
    for (const key of drawn.keys()) if (!links.get(key)?.showing()) drawn.delete(key);
    if (drawn.size) line.send({ kind: "ack", client, drawn: Object.fromEntries(drawn) });
    drawn.clear();
  };

  const stand = () => {
    for (const link of links.values()) link.stand();
  };
  const life = watchLiveness(model, {
    changed: stand,
    passed(ms) {
      for (const link of links.values()) link.passed(ms);
    },
    ask(anew) {
      if (anew) line.reopen();
      for (const link of links.values()) link.ask();
    },
  });
  line.trouble = life.tell;
  for (const name of line.troubles) life.tell(name);

  const wake = () => {
    const any = [...links.values()].some((link) => link.showing());
    if (any !== showing) {
      showing = any;
      life.showing(any && !said?.over); // a link that sent the last message need not send again
    }
  };
  /** @type {(message: Message, buffers: Buffers) => void} */
  const onMessage = (message, buffers) => {
    if (message.kind === "code") return;
    const link = links.get(message.panel);
    if (!link) return;
    life.heard();
    const words = message.standing ?? null;
    if (JSON.stringify(words) !== JSON.stringify(said)) {
      said = words;
      life.showing(showing && !said?.over);
      stand();
    }
    if (message.cursor && JSON.stringify(message.cursor) !== JSON.stringify(cursor)) {
      cursor = message.cursor;
      for (const each of links.values()) each.point();
    }
    if (message.kind === "beat") link.reads(message.reading === true);
    else link.take(message, buffers);
  };
  model.on("msg:custom", onMessage);

  /** @type {Tools} */
  const tools = {
    standing: () => life.problem() ?? said,
    cursor: () => cursor,
    say: (panel, kind, more) => line.send({ kind, client, panel, ...more }),
    drew(panel, n, soon) {
      drawn.set(panel, n);
      // after the last update the comm may close
      if (soon || said?.over) tellDrawn();
      else telling ??= setTimeout(tellDrawn, TOGETHER_MS);
    },
    wake,
  };
  for (const [key, script] of model.get("_parts")) {
    const known = PANELS.get(script);
    if (known) links.set(key, makeLink(key, known, tools));
  }
  return {
    render(el, signal) {
      el.classList.add("dc-widget");
      el.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab must not take our keys for its own
      adoptStyle(el);
      const ended = new AbortController();
      const dashboard = model.get("_kind") === "dashboard";
      const end = () => ended.abort();
      signal?.addEventListener("abort", end);
      el.replaceChildren();
      /** @type {(place: HTMLElement, part: PartFields) => void} */
      const put = (place, [key, , , name]) => {
        const link = links.get(key);
        if (link) showPanel(link, place, { inside: dashboard, states: name === "head", signal: ended.signal, tools });
      };
      if (dashboard) renderDashboard(el, model.get("_parts"), put, ended.signal);
      else put(el, model.get("_parts")[0]);
      return end;
    },
    close() {
      model.off("msg:custom", onMessage);
      clearTimeout(telling);
      life.close();
    },
  };
}

// One link a panel: its state, its views, what was drawn, and what the page says of that.
/**
 * @param {string} key
 * @param {Script<any, any>} script
 * @param {Tools} tools
 */
function makeLink(key, script, tools) {
  /** @type {any} */
  const state = {};
  /** @type {Set<Shown>} */
  const views = new Set();
  let number = 0; // of the last update taken in
  let whole = false; // whether the state is complete and follows `number`
  let asked = false; // whether a full update is on its way
  let showing = false;
  let waited = 0; // ms since it is on its way, while messages for others came
  let again = false; // whether it was asked for again: once, since a kernel that is slow would get more to do
  /** @type {Moment | null} */
  let moment = null; // that the state is about

  /** @type {(kind: Said["kind"], more?: Partial<Said>) => void} */
  const say = (kind, more) => tools.say(key, kind, more);
  const stand = () => {
    for (const view of views) view.stand();
  };
  const look = () => {
    const any = [...views].some((view) => view.visible);
    if (any === showing) return;
    showing = any;
    whole = false;
    asked = any;
    waited = 0;
    again = false;
    tools.wake();
    say(any ? "show" : "hide");
  };
  const ask = () => {
    if (!showing) return;
    whole = false;
    asked = true;
    waited = 0;
    say("show");
  };
  return {
    key,
    state,
    script,
    stand,
    moment: () => moment,
    showing: () => showing,
    blank: () => number === 0,
    point() {
      for (const view of views) view.point();
    },
    ask,
    // What asks for a full update can be lost while other panels go on, so that no silence tells of it.
    /** @param {number} ms */
    passed(ms) {
      if (!asked || again) return;
      waited += ms;
      if (waited < AGAIN_MS) return;
      again = true;
      ask();
    },
    /** @type {(message: UpdateMessage, buffers: Buffers) => void} */
    take(message, buffers) {
      const body = JSON.parse(decoder.decode(buffers[0]));
      if (!showing) {
        whole = false;
        script.keep?.(body, buffers.slice(1)); // what is sent once a page must not be lost
        return;
      }
      const first = number === 0;
      const rest = buffers.slice(1);
      if (message.kind === "failure") {
        number = message.n;
        whole = false; // what comes next is a full one
        for (const view of views) view.fail(body.text);
      } else {
        if (!message.full && (!whole || message.n !== number + 1)) {
          if (!asked) {
            whole = false;
            asked = true;
            waited = 0;
            again = false;
            say("hole");
          }
          return;
        }
        if (message.full) asked = false;
        number = message.n;
        whole = true;
        const moved = JSON.stringify(moment) !== JSON.stringify(message.moment ?? null);
        moment = message.moment ?? null;
        script.receive(state, body, rest, message.full);
        for (const view of views) if (view.visible) view.draw(body, rest, message.full);
        if (moved) stand();
      }
      for (const view of views) view.reads(false);
      if (first) stand(); // it is blank no longer
      const { n } = message;
      requestAnimationFrame(() => {
        if (showing) tools.drew(key, n, moment !== null); // when it had time to draw it; a cursor that moves waits
      });
    },
    /** @param {boolean} on */
    reads(on) {
      for (const view of views) view.reads(on);
    },
    /** @param {Input} content */
    input: (content) => say("input", { content }),
    /** @param {Pointing} content */
    go: (content) => say("point", { content }),
    /** @param {Shown} view */
    attach: (view) => views.add(view),
    /** @param {Shown} view */
    detach: (view) => {
      views.delete(view);
      look();
    },
    /**
     * @param {Shown} view
     * @param {boolean} on
     */
    setVisible(view, on) {
      if (on === view.visible) return;
      view.visible = on;
      if (on && showing && whole) view.draw(); // shown twice: the state is here already
      look();
    },
  };
}

// The frame around a panel: why it is not current, what failed, and which moment it shows.
/**
 * @param {ReturnType<typeof makeLink>} link
 * @param {HTMLElement} place
 * @param {{inside: boolean, states: boolean, signal: AbortSignal, tools: Tools}} given
 */
function showPanel(link, place, { inside, states, signal, tools }) {
  const el = make("div", "dc-panel");
  const failure = make("div", "dc-failure");
  failure.setAttribute("role", "alert");
  failure.hidden = true;
  const banner = make("div", "dc-standing");
  banner.setAttribute("role", "status");
  banner.hidden = true;
  const lacking = make(
    "div",
    "dc-empty dc-lacking",
    "Nothing of this panel had arrived before that, so there is nothing to show.",
  );
  lacking.hidden = true;
  const past = make("div", "dc-past");
  past.setAttribute("role", "status");
  past.hidden = true;
  const busy = make("div", "dc-busy", "reading the run …");
  busy.setAttribute("role", "status");
  busy.hidden = true;
  const content = make("div", "dc-content");
  el.append(banner, lacking, failure, past, busy, content);
  place.append(el);
  const view = link.script.render(link.state, content, {
    send: link.input,
    go: link.go,
    standing: tools.standing,
    cursor: tools.cursor,
    moment: link.moment,
    signal,
  });
  /** @type {Shown} */
  const shown = {
    visible: false,
    draw: (...update) => {
      failure.hidden = true;
      keepingFocus(el, () => view.draw(...update));
    },
    fail: (text) => {
      failure.textContent = `This panel could not be drawn: ${visible(text)}. It tries again when something changes.`;
      failure.hidden = false;
    },
    reads: (on) => {
      busy.hidden = !on;
    },
    point: () => keepingFocus(el, () => view.point?.()),
    stand: () => {
      const standing = tools.standing();
      el.toggleAttribute("data-stale", standing !== null);
      const blank = link.blank() && standing?.kernel === true; // opened too late, or cut off before its first data
      banner.hidden = standing === null || (inside && !states); // in a dashboard the head line says it, for all
      lacking.hidden = !blank;
      content.hidden = blank && standing.over;
      const text = standing === null ? "" : standingText(standing, blank);
      if (banner.textContent !== text) banner.replaceChildren(icon("warning"), document.createTextNode(text));
      const moment = link.moment();
      past.hidden = moment === null;
      el.toggleAttribute("data-past", moment !== null);
      if (moment !== null) past.replaceChildren(icon("clock"), document.createTextNode(`as of ${momentText(moment)}`));
      if (moment !== null && !inside) past.append(backButton(() => link.go({ live: true })));
      keepingFocus(el, () => view.stand?.());
    },
  };
  link.attach(shown);
  shown.stand();
  let onScreen = false;
  const look = () => link.setVisible(shown, onScreen && document.visibilityState !== "hidden");
  const observer = new IntersectionObserver((entries) => {
    onScreen = entries[entries.length - 1].isIntersecting;
    if (onScreen) adoptStyle(el);
    look();
  });
  observer.observe(el);
  document.addEventListener("visibilitychange", look);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    document.removeEventListener("visibilitychange", look);
    link.detach(shown);
  });
}

/** @param {() => void} act */
function backButton(act) {
  const button = make("button", "dc-live", "back to live");
  button.addEventListener("click", act);
  return button;
}

/** @param {Moment} moment */
function momentText({ row, tick, time }) {
  const where = tick === null ? `row ${row.toLocaleString("en-US")}` : `tick ${tick.toLocaleString("en-US")}`;
  return `${where}, ${localTime(time).replace(/\.\d+$/, "")}`;
}

/**
 * @param {Standing} standing
 * @param {boolean} blank
 */
function standingText({ what, since, todo }, blank) {
  const when = since === null || blank ? "" : localTime(since).replace(/\.\d+$/, "");
  return `${visible(what)}.${when && ` What is shown is as of ${when}.`} ${visible(todo)}`;
}

// The style, once in each tree of the page that shows a panel: marimo puts widgets into shadow roots.
/** @type {CSSStyleSheet | null} */
let sheet = null;
/** @param {HTMLElement} el */
function adoptStyle(el) {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
  }
  const root = el.getRootNode();
  for (const tree of [document, root]) {
    if ((tree instanceof Document || tree instanceof ShadowRoot) && !tree.adoptedStyleSheets.includes(sheet))
      tree.adoptedStyleSheets.push(sheet);
  }
}

// Tell the other panels of a widget something: such as to open a tab.
/**
 * @param {HTMLElement} el
 * @param {string} what
 * @param {string} detail
 */
function announce(el, what, detail) {
  el.closest(".dc-widget")?.dispatchEvent(new CustomEvent(what, { detail }));
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

// Enter in a field sends its form: JupyterLab takes the key before the browser would do so by itself.
/** @param {HTMLFormElement} form */
function sendByEnter(form) {
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !(event.target instanceof HTMLInputElement)) return;
    form.requestSubmit();
    event.preventDefault();
    event.stopPropagation();
  });
}
