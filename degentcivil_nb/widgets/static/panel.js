// What every panel's script shares: the way in and flow control.
// Joined, with `text.js`, `icons.js` and `liveness.js`, in front of each panel's own script, which ends with
// `export default panel({receive, render})`:
//   receive(state, body, buffers, full)          takes an update into the model's state (an empty object at first)
//   render(state, el, {send, standing, signal})  builds one view in `el` and returns {draw(body, buffers, full), stand()};
//                                                draw() without arguments draws the whole state; `standing()` says why
//                                                what is shown is no longer so (null: it is), stand() that this changed
// `body` is the update's JSON, `buffers` the DataViews beside it. What travels is declared in tests/javascript/types.d.ts.

/** @type {Map<string, ReturnType<typeof makeLink>>} */
const LINKS = new Map();
const decoder = new TextDecoder();

/**
 * @template State, Body
 * @param {Script<State, Body>} script
 */
function panel({ receive, render }) {
  return {
    /** @param {{model: Model, signal?: AbortSignal}} given */
    initialize({ model, signal }) {
      const link = makeLink(model, receive);
      LINKS.set(model.get("_key"), link);
      const end = () => {
        LINKS.delete(model.get("_key"));
        link.close();
      };
      signal?.addEventListener("abort", end);
      return end;
    },
    /** @param {{model: Model, el: HTMLElement, signal?: AbortSignal}} given */
    render({ model, el, signal }) {
      const link = LINKS.get(model.get("_key"));
      if (!link) throw new Error("degentcivil_nb: a view without its model");
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
      /** @type {Shown} */
      const shown = {
        visible: false,
        draw: (...update) => {
          failure.hidden = true;
          view.draw(...update);
        },
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
          if (banner.textContent !== text) banner.replaceChildren(icon("warning"), document.createTextNode(text));
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
/**
 * @param {Model} model
 * @param {Script<any, any>["receive"]} receive
 */
function makeLink(model, receive) {
  const client = crypto.randomUUID?.() ?? Math.random().toString(36).slice(2);
  /** @type {any} */
  const state = {};
  /** @type {Set<Shown>} */
  const views = new Set();
  /** @type {Standing | null} */
  let said = null; // what Python says of the session: why what is shown is no longer so
  let number = 0; // of the last update taken in
  let whole = false; // whether the state is complete and follows `number`
  let asked = false; // whether a full update is on its way
  let showing = false;

  const stand = () => {
    for (const view of views) view.stand();
  };
  /** @type {Life} */
  const life = watchLiveness(model, {
    changed: stand,
    ask(anew) {
      if (anew) {
        wire.close(); // refused where Python knows nothing of this panel
        wire = openInput(model, life);
      }
      whole = false;
      asked = true;
      say("show");
    },
  });
  let wire = openInput(model, life);

  /** @type {(kind: Said["kind"], more?: Partial<Said>) => void} */
  const say = (kind, more) => wire.send({ kind, client, ...more });
  /** @type {(message: Message, buffers: Buffers) => void} */
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
    if (!showing) {
      whole = false;
      return;
    }
    const body = JSON.parse(decoder.decode(buffers[0]));
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
          say("hole");
        }
        return;
      }
      if (message.full) asked = false;
      number = message.n;
      whole = true;
      receive(state, body, rest, message.full);
      for (const view of views) if (view.visible) view.draw(body, rest, message.full);
    }
    if (first) stand(); // it is blank no longer
    const { n } = message;
    requestAnimationFrame(() => {
      if (showing) say("ack", { n }); // when it had time to draw it
    });
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
    /** @returns {Standing | null} */
    standing: () => life.problem() ?? said,
    blank: () => number === 0,
    /** @param {Input} content */
    input: (content) => say("input", { content }),
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
    close() {
      model.off("msg:custom", onMessage);
      life.close();
      wire.close();
    },
  };
}

/**
 * @param {Standing} standing
 * @param {boolean} blank
 */
function standingText({ what, since, todo, kernel }, blank) {
  const when = since === null ? "" : localTime(since).replace(/\.\d+$/, "");
  const shown =
    blank && kernel
      ? " This was not open before, so there is nothing to show."
      : when && ` What is shown is as of ${when}.`;
  return `${visible(what)}.${shown} ${visible(todo)}`;
}

// The input comm: opened by the page so that its messages keep the subshell that JupyterLab stamps on them, and a
// click arrives while a cell blocks. Where the kernel is out of reach, messages go the ordinary way. Nothing that cannot
// be sent is thrown into the page: JupyterLab throws it, marimo rejects a promise, and `life` says that the kernel is gone.
/**
 * @param {Model} model
 * @param {Life} life
 * @returns {Wire}
 */
function openInput(model, life) {
  /** @typedef {(content: Said) => void} Send */
  /** @type {(send: (content: Said) => Promise<unknown> | undefined) => Send} */
  const guarded = (send) => (content) => {
    const failed = (/** @type {unknown} */ error) => {
      console.info("degentcivil_nb: not sent:", String(error));
      life.tell("unsent");
    };
    try {
      send(content)?.catch?.(failed);
    } catch (error) {
      failed(error);
    }
  };
  const ordinary = guarded((content) => model.send(content));
  const kernel = model.widget_manager?.kernel;
  if (!kernel?.createComm) return { send: ordinary, close() {} };
  const create = kernel.createComm.bind(kernel);
  /** @type {PageComm | null} */
  let comm = null;
  let closed = false;
  /** @type {Said[]} */
  let waiting = [];
  /** @type {Send} */
  let send = (content) => waiting.push(content);
  /** @type {(how: Send) => void} */
  const go = (how) => {
    send = how;
    for (const content of waiting) how(content);
    waiting = [];
  };
  (async () => {
    try {
      const opened = create(model.get("_target"));
      comm = opened;
      opened.onClose = () => {
        if (!closed) life.tell("closed");
      };
      await new Promise((resolve) => setTimeout(resolve)); // the comm starts its subshell a turn later
      if (opened.commsOverSubshells === "disabled") opened.commsOverSubshells = "perComm";
      if (opened.subshellStarted) {
        await Promise.race([opened.subshellStarted, new Promise((resolve) => setTimeout(resolve, 1500))]);
      }
      if (closed) {
        opened.dispose();
        return;
      }
      opened.open({ key: model.get("_key") });
      const side = guarded((content) => {
        opened.send(content); // its future ends with an error where the kernel does
        return undefined;
      });
      go((content) => (opened.isDisposed ? ordinary(content) : side(content)));
    } catch (error) {
      console.warn("degentcivil_nb: input goes the ordinary way", error);
      go(ordinary);
    }
  })();
  return {
    send: (content) => {
      if (!closed) send(content);
    },
    close() {
      closed = true;
      try {
        if (comm && !comm.isDisposed) comm.close();
      } catch {
        /* the kernel is gone */
      }
    },
  };
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
