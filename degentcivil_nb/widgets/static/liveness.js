// Whether what a panel shows is still so: the kernel's signals, a beat each second, and messages that cannot be sent.

const BEAT_MS = 1000; // Python's refresher sends a message at least this often to a page that shows the panel
const PATIENCE_MS = 5000; // from this silence on something is wrong
const ASK_MS = 2500; // before that, the page asks: Python may have dropped it as too slow
const AGAIN = "Run the cells again to follow the run.";
/** @type {Map<string, {sign: string, what: string, todo: string, rank: number}>} */
const PROBLEMS = new Map([
  ["restarted", { sign: "no kernel", what: "The kernel was restarted", todo: AGAIN, rank: 3 }],
  ["died", { sign: "no kernel", what: "The kernel died and was started again", todo: AGAIN, rank: 4 }],
  [
    "dead",
    {
      sign: "no kernel",
      what: "The kernel was shut down or died",
      todo: "Start it (Kernel › Restart Kernel) and run the cells again.",
      rank: 5,
    },
  ],
  [
    "closed",
    {
      sign: "closed",
      what: "This panel was closed in Python, or belongs to an earlier kernel",
      todo: "Run its cell again to get a new one.",
      rank: 2,
    },
  ],
  ["unsent", { sign: "no kernel", what: "The kernel that fed this panel is gone", todo: AGAIN, rank: 1 }],
  [
    "cut",
    {
      sign: "cut off",
      what: "The page has lost its connection to the kernel",
      todo: "It connects again by itself; if it does not, reload the page.",
      rank: 0,
    },
  ],
  [
    "quiet",
    {
      sign: "silent",
      what: "Nothing has arrived from the kernel for some seconds",
      todo: "It is busy with code that blocks all threads, or it is gone: wait, or restart it and run the cells again.",
      rank: 0,
    },
  ],
]);
const KERNEL_STATUS = new Map([
  ["restarting", "restarted"],
  ["autorestarting", "died"],
  ["dead", "dead"],
  ["terminating", "dead"],
]);

// Watch one model. `changed()` is called when there is another problem, or none; `ask()` when Python should say all anew,
// `passed(ms)` while messages may be expected.
/**
 * @param {Model} model
 * @param {{changed: () => void, ask: (anew: boolean) => void, passed: (ms: number) => void}} told
 * @returns {Life}
 */
function watchLiveness(model, { changed, ask, passed }) {
  /** @type {string | null} */
  let lasting = null; // a problem that no message can end: this model's Python side is gone
  /** @type {string | null} */
  let passing = null; // "cut" or "quiet"
  let heardAt = Date.now();
  let quiet = 0; // ms without a message while the page was visible
  let looked = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;

  const rankOf = (/** @type {string | null} */ name) => PROBLEMS.get(name ?? "")?.rank ?? -1;

  /** @param {string} name */
  function tell(name) {
    const rank = rankOf(name);
    if (rank === 0) {
      if (passing === name || passing === "cut") return;
      passing = name;
    } else {
      if (rankOf(lasting) >= rank) return;
      lasting = name;
    }
    changed();
  }

  /** @param {string} name */
  function mended(name) {
    if (passing !== name) return;
    passing = null;
    quiet = 0;
    changed();
  }

  function look() {
    const now = Date.now();
    const step = Math.min(now - looked, 1.5 * BEAT_MS); // a machine that slept, or a throttled page, heard nothing either
    looked = now;
    if (document.visibilityState === "hidden" || lasting !== null) return;
    const before = quiet;
    quiet += step;
    if (quiet >= PATIENCE_MS) tell("quiet");
    if (Math.floor(before / ASK_MS) !== Math.floor(quiet / ASK_MS)) ask(quiet >= PATIENCE_MS && before < PATIENCE_MS);
    else passed(step);
  }

  const kernel = model.widget_manager?.kernel;
  /** @type {(sender: unknown, status: string) => void} */
  const onStatus = (_, status) => {
    const name = KERNEL_STATUS.get(status);
    if (name) tell(name);
  };
  /** @type {(sender: unknown, status: string) => void} */
  const onLine = (_, status) => {
    if (status === "connected") {
      if (passing === "cut") {
        mended("cut");
        ask(false);
      }
    } else tell("cut");
  };
  const onEnd = () => tell("dead");
  kernel?.statusChanged?.connect(onStatus);
  kernel?.connectionStatusChanged?.connect(onLine);
  kernel?.disposed?.connect(onEnd);
  const classic = globalThis.Jupyter?.notebook?.events; // nbclassic
  /** @type {[string, () => void][]} */
  const CLASSIC = [
    ["kernel_restarting.Kernel", () => tell("restarted")],
    ["kernel_autorestarting.Kernel", () => tell("died")],
    ["kernel_dead.Kernel kernel_killed.Session", onEnd],
    ["kernel_disconnected.Kernel", () => tell("cut")],
    [
      "kernel_connected.Kernel",
      () => {
        if (passing === "cut") {
          mended("cut");
          ask(false);
        }
      },
    ],
  ];
  if (classic?.on) for (const [name, call] of CLASSIC) classic.on(name, call);

  return {
    tell,
    heard() {
      heardAt = Date.now();
      quiet = 0;
      mended("quiet");
    },
    // Silence counts only while Python has a reason to speak: while the panel is on view.
    showing(on) {
      clearInterval(timer);
      quiet = 0;
      looked = Date.now();
      timer = on ? setInterval(look, BEAT_MS / 2) : undefined;
    },
    problem() {
      const found = PROBLEMS.get(lasting ?? passing ?? "");
      return found
        ? {
            sign: found.sign,
            what: found.what,
            todo: found.todo,
            since: heardAt / 1000,
            over: lasting !== null,
            kernel: true,
          }
        : null;
    },
    close() {
      clearInterval(timer);
      kernel?.statusChanged?.disconnect(onStatus);
      kernel?.connectionStatusChanged?.disconnect(onLine);
      kernel?.disposed?.disconnect(onEnd);
      if (classic?.off) for (const [name, call] of CLASSIC) classic.off(name, call);
    },
  };
}
