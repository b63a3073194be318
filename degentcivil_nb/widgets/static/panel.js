// What every panel's script shares: the way in, flow control, and text that cannot deceive.
// Joined, with `liveness.js`, in front of each panel's own script, which ends with `export default panel({receive, render})`:
//   receive(state, body, buffers, full)          takes an update into the model's state (an empty object at first)
//   render(state, el, {send, standing, signal})  builds one view in `el` and returns {draw(body, buffers, full), stand()};
//                                                draw() without arguments draws the whole state; `standing()` says why
//                                                what is shown is no longer so (null: it is), stand() that this changed
// `body` is the update's JSON, `buffers` the DataViews beside it.

const LINKS = new Map();
const decoder = new TextDecoder();

function panel({ receive, render }) {
  return {
    initialize({ model, signal }) {
      const link = makeLink(model, receive);
      LINKS.set(model.get("_key"), link);
      const end = () => { LINKS.delete(model.get("_key")); link.close(); };
      signal?.addEventListener("abort", end);
      return end;
    },
    render({ model, el, signal }) {
      const link = LINKS.get(model.get("_key"));
      el.classList.add("dc-panel");
      el.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab must not take our keys for its own
      const failure = make("div", "dc-failure");
      failure.setAttribute("role", "alert");
      failure.hidden = true;
      const banner = make("div", "dc-standing");
      banner.setAttribute("role", "status");
      banner.hidden = true;
      const content = make("div", "dc-content");
      el.replaceChildren(banner, failure, content);
      const ended = new AbortController();
      const view = render(link.state, content, { send: link.input, standing: link.standing, signal: ended.signal });
      const shown = {
        visible: false,
        draw: (...update) => { failure.hidden = true; view.draw(...update); },
        fail: (text) => {
          failure.textContent = `This panel could not be drawn: ${visible(text)}. It tries again when something changes.`;
          failure.hidden = false;
        },
        stand: () => {
          const standing = link.standing();
          el.toggleAttribute("data-stale", standing !== null);
          const blank = link.blank(); // a tab that is opened when it is too late
          banner.hidden = standing === null || (model.get("_aside") && !blank); // beside a head line, that says it
          content.hidden = blank && standing?.kernel === true && standing.over;
          const text = standing === null ? "" : standingText(standing, blank);
          if (banner.textContent !== text) banner.textContent = text;
          view.stand?.();
        },
      };
      link.attach(shown);
      shown.stand();
      let onScreen = false;
      const look = () => link.setVisible(shown, onScreen && document.visibilityState !== "hidden");
      const observer = new IntersectionObserver((entries) => {
        onScreen = entries[entries.length - 1].isIntersecting;
        look();
      });
      observer.observe(el);
      document.addEventListener("visibilitychange", look);
      const end = () => {
        if (ended.signal.aborted) return;
        observer.disconnect();
        document.removeEventListener("visibilitychange", look);
        link.detach(shown);
        ended.abort();
      };
      signal?.addEventListener("abort", end);
      return end;
    },
  };
}

// One link a model and page: the state, the views, what was drawn, and the way to the kernel.
function makeLink(model, receive) {
  const client = crypto.randomUUID?.() ?? Math.random().toString(36).slice(2);
  const state = {};
  const views = new Set();
  let said = null;     // what Python says of the session: why what is shown is no longer so
  let number = 0;      // of the last update taken in
  let whole = false;   // whether the state is complete and follows `number`
  let asked = false;   // whether a full update is on its way
  let showing = false;

  const stand = () => { for (const view of views) view.stand(); };
  const life = watchLiveness(model, {
    changed: stand,
    ask(anew) {
      if (anew) { wire.close(); wire = openInput(model, life); } // refused where Python knows nothing of this panel
      whole = false;
      asked = true;
      say("show");
    },
  });
  let wire = openInput(model, life);

  const say = (kind, more) => wire.send({ kind, client, ...more });
  const onMessage = (message, buffers) => {
    if (message.kind !== "update" && message.kind !== "failure" && message.kind !== "beat") return;
    life.heard();
    const words = message.standing ?? null;
    if (JSON.stringify(words) !== JSON.stringify(said)) {
      said = words;
      life.showing(showing && !said?.over); // who has said the last word need not speak again
      stand();
    }
    if (message.kind === "beat") return;
    if (!showing) { whole = false; return; }
    const body = JSON.parse(decoder.decode(buffers[0]));
    const first = number === 0;
    const rest = buffers.slice(1);
    if (message.kind === "failure") {
      number = message.n;
      whole = false; // what comes next is a full one
      for (const view of views) view.fail(body.text);
    } else {
      if (!message.full && (!whole || message.n !== number + 1)) {
        if (!asked) { whole = false; asked = true; say("hole"); }
        return;
      }
      if (message.full) asked = false;
      number = message.n;
      whole = true;
      receive(state, body, rest, message.full);
      for (const view of views) if (view.visible) view.draw(body, rest, message.full);
    }
    if (first) stand(); // it is blank no longer
    requestAnimationFrame(() => { if (showing) say("ack", { n: message.n }); }); // when it had time to draw it
  };
  model.on("msg:custom", onMessage);

  const look = () => {
    const any = [...views].some((view) => view.visible);
    if (any === showing) return;
    showing = any;
    whole = false;
    asked = any;
    life.showing(any && !said?.over);
    say(any ? "show" : "hide");
  };
  return {
    state,
    standing: () => life.problem() ?? said,
    blank: () => number === 0,
    input: (content) => say("input", { content }),
    attach: (view) => views.add(view),
    detach: (view) => { views.delete(view); look(); },
    setVisible(view, on) {
      if (on === view.visible) return;
      view.visible = on;
      if (on && showing && whole) view.draw(); // shown twice: the state is here already
      look();
    },
    close() { model.off("msg:custom", onMessage); life.close(); wire.close(); },
  };
}

function standingText({ what, since, todo, kernel }, blank) {
  const when = since === null ? "" : localTime(since).replace(/\.\d+$/, "");
  const shown = blank && kernel ? " This was not open before, so there is nothing to show." : when && ` What is shown is as of ${when}.`;
  return `⚠ ${visible(what)}.${shown} ${visible(todo)}`;
}

// The input comm: opened by the page so that its messages keep the subshell that JupyterLab stamps on them, and a
// click arrives while a cell blocks. Where the kernel is out of reach, messages go the ordinary way. Nothing that cannot
// be sent is thrown into the page: JupyterLab throws it, marimo rejects a promise, and `life` says that the kernel is gone.
function openInput(model, life) {
  const guarded = (send) => (content) => {
    const failed = (error) => { console.info("degentcivil_nb: not sent:", String(error)); life.tell("unsent"); };
    try { send(content)?.catch?.(failed); } catch (error) { failed(error); }
  };
  const ordinary = guarded((content) => model.send(content));
  const kernel = model.widget_manager?.kernel;
  if (!kernel?.createComm) return { send: ordinary, close() {} };
  let comm = null;
  let closed = false;
  let waiting = [];
  let send = (content) => waiting.push(content);
  const go = (how) => {
    send = how;
    for (const content of waiting) how(content);
    waiting = [];
  };
  (async () => {
    try {
      comm = kernel.createComm(model.get("_target"));
      comm.onClose = () => { if (!closed) life.tell("closed"); };
      await new Promise((resolve) => setTimeout(resolve)); // the comm starts its subshell a turn later
      if (comm.commsOverSubshells === "disabled") comm.commsOverSubshells = "perComm";
      if (comm.subshellStarted) {
        await Promise.race([comm.subshellStarted, new Promise((resolve) => setTimeout(resolve, 1500))]);
      }
      if (closed) { comm.dispose(); return; }
      comm.open({ key: model.get("_key") });
      const side = guarded((content) => { comm.send(content); }); // its future ends with an error where the kernel does
      go((content) => (comm.isDisposed ? ordinary(content) : side(content)));
    } catch (error) {
      console.warn("degentcivil_nb: input goes the ordinary way", error);
      go(ordinary);
    }
  })();
  return {
    send: (content) => { if (!closed) send(content); },
    close() {
      closed = true;
      try { if (comm && !comm.isDisposed) comm.close(); } catch { /* the kernel is gone */ }
    },
  };
}

// Text, as in core/escaping.py: control characters, bidirectional overrides and invisible characters become escapes that can be seen.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function visible(text) {
  return text.replace(UNSEEN, (c) => SHORT[c] ?? escapeOf(c.codePointAt(0)));
}
function escapeOf(code) {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`;
}
// The same for text of many lines: line ends and tabs stay.
function visibleLines(text) {
  return text.replace(UNSEEN, (c) => (c === "\n" || c === "\t" ? c : SHORT[c] ?? escapeOf(c.codePointAt(0))));
}

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

// A whole number as people read it; one beyond 2⁵³ comes as text, and is exact.
function formatCount(n) {
  if (n === null || n === undefined) return "–";
  return (typeof n === "string" ? BigInt(n) : Math.round(n)).toLocaleString("en-US");
}

const two = (n) => String(n).padStart(2, "0");
// Seconds since the epoch as the reader's local time; the day only when it is not today.
function localTime(seconds) {
  const t = new Date(seconds * 1000);
  if (Number.isNaN(t.getTime())) return String(seconds);
  const clock = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${String(t.getMilliseconds()).padStart(3, "0")}`;
  if (t.toDateString() === new Date().toDateString()) return clock;
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${clock}`;
}
function utcTime(seconds) {
  const t = new Date(seconds * 1000);
  return Number.isNaN(t.getTime()) ? "" : `${t.toISOString().replace("T", " ").replace("Z", "")} UTC`;
}
