// The one script that each widget carries: it opens the input comm and asks the kernel, once a page, for the module with
// all panels. The page keeps every instance's script for ever, and this one is small (issue 16: 1.15 MB a re-run before).

const SHELF = Symbol.for("degentcivil_nb.code");
const shelves = /** @type {Record<symbol, Map<string, Slot>>} */ (/** @type {unknown} */ (globalThis));
shelves[SHELF] ??= new Map();
const shelf = shelves[SHELF];
const ASK_MS = 3000;
const LATE_MS = 9000;
/** @type {Map<string, Line>} */
const LINES = new Map();

// The input comm: opened by the page so that its messages keep the subshell that JupyterLab stamps on them, and a
// click arrives while a cell blocks. Where the kernel is out of reach, messages go the ordinary way. Nothing that cannot
// be sent is thrown into the page: JupyterLab throws it, marimo rejects a promise, and `trouble` says what it was.
/**
 * @param {Model} model
 * @returns {Line}
 */
function openLine(model) {
  /** @type {Line} */
  const line = {
    trouble: (name) => line.troubles.push(name),
    troubles: [],
    send: (content) => wire.send(content),
    reopen() {
      wire.close(); // refused where Python knows nothing of this widget
      wire = openWire(model, line);
    },
    close: () => wire.close(),
  };
  let wire = openWire(model, line);
  return line;
}

/**
 * @param {Model} model
 * @param {Line} line
 * @returns {Wire}
 */
function openWire(model, line) {
  /** @typedef {(content: Said) => void} Send */
  /** @type {(send: (content: Said) => Promise<unknown> | undefined) => Send} */
  const guarded = (send) => (content) => {
    const failed = (/** @type {unknown} */ error) => {
      console.info("degentcivil_nb: not sent:", String(error));
      line.trouble("unsent");
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
  /** @type {Sent | undefined} */
  let last;
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
        if (!closed) line.trouble("closed");
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
      last = opened.open({ key: model.get("_key") });
      const side = guarded((content) => {
        last = opened.send(content); // its future ends with an error where the kernel does
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
      if (comm && last) end(comm, last).catch(() => {}); // the kernel is gone
    },
  };
}

// Close a comm once the kernel has taken all that was sent on it. JupyterLab deletes a comm's subshell as it closes the
// comm, and a message that the subshell has not finished then prints "Task was destroyed" into whatever cell runs next.
/**
 * @param {PageComm} comm
 * @param {Sent} last
 */
async function end(comm, last) {
  await last.done?.catch(() => {}); // it fails where the kernel has restarted
  if (comm.isDisposed) return;
  if (comm.commsOverSubshells) {
    comm.commsOverSubshells = "disabled"; // deletes the subshell, which is idle, so that the last message does without it
    await new Promise((resolve) => setTimeout(resolve));
  }
  comm.close();
}

// Give the module with all panels: the page's, or else one that the kernel sends. Whoever gets it first has it for all.
/**
 * @param {Model} model
 * @param {Line} line
 * @returns {Promise<Code>}
 */
function codeOf(model, line) {
  const hash = model.get("_code");
  const slot = shelf.get(hash) ?? newSlot();
  shelf.set(hash, slot);
  if (slot.here) return slot.promise;
  /** @type {(message: Message, buffers: Buffers) => void} */
  const take = (message, buffers) => {
    if (message.kind !== "code" || slot.here) return;
    slot.here = true;
    const view = buffers[0];
    load(new Uint8Array(view.buffer, view.byteOffset, view.byteLength)).then(slot.resolve, (error) => {
      shelf.delete(hash);
      slot.reject(error);
    });
  };
  model.on("msg:custom", take);
  const ask = () => {
    if (slot.here || Date.now() - slot.asked < ASK_MS) return;
    slot.asked = Date.now();
    line.send({ kind: "code" });
  };
  ask();
  const timer = setInterval(ask, ASK_MS / 3);
  return slot.promise.finally(() => {
    clearInterval(timer);
    model.off("msg:custom", take);
  });
}

/** @returns {Slot} */
function newSlot() {
  /** @type {any} */
  const slot = { asked: 0, here: false };
  slot.promise = new Promise((resolve, reject) => {
    slot.resolve = resolve;
    slot.reject = reject;
  });
  return slot;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<Code>}
 */
async function load(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const url = URL.createObjectURL(new Blob([await new Response(stream).text()], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

export default {
  /** @param {{model: Model, signal?: AbortSignal}} given */
  initialize({ model, signal }) {
    const line = openLine(model);
    LINES.set(model.get("_key"), line);
    const end = () => {
      LINES.delete(model.get("_key"));
      line.close();
      line.host?.close();
    };
    signal?.addEventListener("abort", end);
    return end;
  },
  /** @param {{model: Model, el: HTMLElement, signal?: AbortSignal}} given */
  async render({ model, el, signal }) {
    const line = LINES.get(model.get("_key"));
    if (!line) throw new Error("degentcivil_nb: a view without its model");
    el.textContent = "loading …";
    const late = setTimeout(() => {
      el.textContent =
        "This shows a run live, and needs the kernel that made it: it is busy, or gone. If it is gone, run the cell again.";
    }, LATE_MS);
    let code;
    try {
      code = await codeOf(model, line);
    } catch (error) {
      el.textContent = `degentcivil_nb: its script could not be loaded: ${String(error)}`;
      return undefined;
    } finally {
      clearTimeout(late);
    }
    if (signal?.aborted) return undefined;
    line.host ??= code.open(model, line);
    return line.host.render(el, signal);
  },
};
