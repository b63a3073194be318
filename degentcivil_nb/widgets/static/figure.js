// A live figure: plotly.js comes from the kernel once a page; then only the ends of arrays do.

/** @typedef {{promise: Promise<Plotly> | null, asked: number, waiting: Set<() => unknown>}} Shelf */
const SHELF = Symbol.for("degentcivil_nb.plotly");
const shelves = /** @type {Record<symbol, Shelf>} */ (/** @type {unknown} */ (window)); // one for all panels of the page
shelves[SHELF] ??= { promise: null, asked: 0, waiting: new Set() };
const shelf = shelves[SHELF];

// A module of its own scope, so that no loader on the page takes plotly.js for its own, and no global is made.
/** @param {Uint8Array<ArrayBuffer>} bytes */
function loadPlotly(bytes) {
  shelf.promise ??= (async () => {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const text = await new Response(stream).text();
    const source = [
      "const module = { exports: {} }; let exports = module.exports, define;\n",
      text,
      "\nexport default module.exports;",
    ];
    const url = URL.createObjectURL(new Blob(source, { type: "text/javascript" }));
    try {
      return (await import(url)).default;
    } finally {
      URL.revokeObjectURL(url);
    }
  })();
  shelf.promise.then(
    () => {
      for (const tell of shelf.waiting) tell();
      shelf.waiting.clear();
    },
    (error) => {
      shelf.promise = null;
      console.error("degentcivil_nb: plotly.js", error);
    },
  );
}

/**
 * @param {FigureArray} reference
 * @param {Buffers} buffers
 * @returns {any[]}
 */
function numbers(reference, buffers) {
  if (Array.isArray(reference)) return reference;
  const view = buffers[reference.buffer];
  const doubles = new Float64Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  return Array.from(doubles, (x) => (Number.isNaN(x) ? null : x));
}

// The drawing library, which a page gets once, also if the figure that asked for it is hidden by now.
/** @type {(body: FigureBody, buffers: Buffers) => void} */
function keepLibrary(body, buffers) {
  if (body.script === undefined) return;
  const view = buffers[body.script];
  loadPlotly(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

/** @type {Script<FigureState, FigureBody>["receive"]} */
function receiveFigure(state, body, buffers) {
  keepLibrary(body, buffers);
  if (body.figure) {
    state.layout = body.figure.layout;
    const arrays = body.arrays ?? [];
    state.traces = body.figure.traces.map((trace, i) => {
      const whole = { ...trace };
      for (const [key, reference] of Object.entries(arrays[i])) whole[key] = numbers(reference, buffers);
      return whole;
    });
    return;
  }
  if (body.layout) state.layout = body.layout;
  const { traces } = state;
  if (!traces) return;
  for (const change of body.changes ?? []) {
    const trace = traces[change.trace];
    for (const [key, reference] of Object.entries(change.tails)) {
      const values = trace[key]; // in place: every view of this model draws these very arrays
      if (change.drop) values.splice(0, change.drop);
      values.length = change.keep;
      for (const value of numbers(reference, buffers)) values.push(value);
    }
  }
}

// Plotly keeps what it is given, and `state` goes on changing. Where bars begin must be text: in tooltips, plotly writes
// times that are numbers as NaN:NaN (issue 16).
/** @param {Trace} trace */
function copyOf(trace) {
  const copy = Object.fromEntries(
    Object.entries(trace).map(([key, value]) => [key, Array.isArray(value) ? value.slice() : value]),
  );
  if (Array.isArray(copy.base))
    copy.base = copy.base.map((base) => (typeof base === "number" ? localStamp(base) : base));
  return copy;
}

// Milliseconds since the epoch as the local date and time that plotly reads them as.
/** @param {number} ms */
function localStamp(ms) {
  return `${localDay(ms / 1000)} ${clockTime(ms / 1000)}`;
}

const NARROW = 760; // px
const ASK_LIBRARY_MS = 5_000;
const NOTE_SHIFT = -58; // of `footnote` in figures/parts.py
const EXTENDED = ["x", "y", "customdata"]; // of a line: what plotly can extend

const FIGURE_OPTIONS = {
  responsive: true,
  displaylogo: false,
  typesetMath: false,
  modeBarButtonsToRemove: ["lasso2d", "select2d"],
};

/** @type {Script<FigureState, FigureBody>["render"]} */
function renderFigure(state, el, { send, signal }) {
  const plot = make("div", "dc-figure");
  const wait = make("div", "dc-empty", "Loading the drawing library…");
  el.replaceChildren(wait, plot);
  /** @type {Plotly | null} */
  let Plotly = null;
  let drawn = false;
  let again = false; // an update arrived during a drawing

  // Plotly shows a number on an axis of time as the reader's local time, and a text as it stands: Python's is UTC.
  const local = (/** @type {string | number} */ time) => (typeof time === "string" ? Date.parse(`${time}Z`) : time);
  // On a narrow page, where labels are turned, the note at the right would lie over the title of the axis: it goes below.
  const inPlace = (/** @type {Layout} */ layout) => {
    /** @type {Layout} */
    const more = {};
    const notes = layout.annotations ?? [];
    const note = el.clientWidth < NARROW ? notes.find((/** @type {any} */ each) => each.yshift === NOTE_SHIFT) : null;
    let below = note ? `<br><span style="font-size:10px">${note.text}</span>` : "";
    for (const [name, axis] of Object.entries(layout)) {
      const dated = axis?.type === "date";
      if (!dated && !(below && /^xaxis\d*$/.test(name) && axis?.title)) continue;
      const text = dated ? `time (local, ${zone()})` : axis.title.text;
      const range = dated && axis.range ? { range: axis.range.map(local) } : {};
      more[name] = { ...axis, title: { ...axis.title, text: `${text}${below}` }, ...range };
      if (below) more.annotations = notes.filter((/** @type {any} */ each) => each !== note);
      below = ""; // an axis has taken it
    }
    if (layout.shapes)
      more.shapes = layout.shapes.map((/** @type {any} */ shape) => ({
        ...shape,
        x0: local(shape.x0),
        x1: local(shape.x1),
      }));
    return more;
  };
  const themed = (/** @type {Layout} */ layout) => {
    const style = getComputedStyle(el);
    const ink = style.getPropertyValue("--jp-ui-font-color1").trim() || layout.font.color;
    const ground = style.getPropertyValue("--jp-layout-color2").trim() || "#fff";
    return {
      ...layout,
      ...inPlace(layout),
      autosize: true,
      font: { ...layout.font, color: ink },
      hoverlabel: { ...layout.hoverlabel, bgcolor: ground, font: { color: ink } },
      datarevision: Math.random(),
    };
  };
  let drawing = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let asking;
  const draw = async () => {
    if (drawing) {
      again = true;
      return;
    }
    if (signal.aborted || !state.traces || !state.layout) return;
    if (!Plotly) {
      if (shelf.promise) {
        try {
          Plotly = await shelf.promise;
        } catch (error) {
          wait.textContent = `The drawing library did not load: ${visible(String(error))}`;
          return;
        }
        if (signal.aborted) return;
      } else {
        shelf.waiting.add(draw);
        if (el.offsetParent && Date.now() - shelf.asked >= ASK_LIBRARY_MS) {
          shelf.asked = Date.now();
          send({ want: "script" });
        }
        clearTimeout(asking); // the answer may be lost, and a figure of a run that rests has no further update
        asking = setTimeout(draw, ASK_LIBRARY_MS);
        return;
      }
    }
    drawing = true;
    try {
      do {
        again = false;
        await Plotly.react(plot, state.traces.map(copyOf), themed(state.layout), FIGURE_OPTIONS);
        drawn = wait.hidden = true; // not before: the first drawing takes up to two seconds
        if (plot.clientWidth && plot.clientWidth !== width) {
          width = plot.clientWidth;
          await Plotly.Plots.resize(plot);
        }
      } while (again && !signal.aborted);
    } finally {
      drawing = false;
    }
  };

  // The end of lines alone: appended in place, which leaves all else of the figure as it is drawn.
  const extend = async (/** @type {FigureBody} */ body, /** @type {Buffers} */ buffers) => {
    const { changes } = body;
    const { traces } = state;
    if (!Plotly || !changes || !traces || !drawn || drawing || body.layout || body.figure) return draw();
    const simple =
      changes.length > 0 &&
      changes.every(
        (change) =>
          traces[change.trace].type === "scatter" &&
          Object.keys(change.tails).join() === Object.keys(changes[0].tails).join() &&
          Object.keys(change.tails).every((key) => EXTENDED.includes(key)),
      );
    if (!simple) return draw();
    drawing = true;
    try {
      const keys = Object.keys(changes[0].tails); // those of every line
      const added = Object.fromEntries(keys.map((key) => [key, /** @type {any[][]} */ ([])]));
      const lengths = Object.fromEntries(keys.map((key) => [key, /** @type {number[]} */ ([])]));
      for (const change of changes) {
        const shown = /** @type {any} */ (plot).data[change.trace];
        for (const key of keys) {
          const tail = numbers(change.tails[key], buffers);
          const corrected = Math.max(0, shown[key].length - change.drop - change.keep);
          // what is corrected is put in place, the rest appended; plotly drops what is too many in front
          shown[key] = shown[key].slice(0, change.drop + change.keep).concat(tail.slice(0, corrected));
          added[key].push(tail.slice(corrected));
          lengths[key].push(traces[change.trace][key].length);
        }
      }
      await Plotly.extendTraces(
        plot,
        added,
        changes.map((change) => change.trace),
        lengths,
      );
    } finally {
      drawing = false;
    }
    if (again) {
      again = false;
      await draw();
    }
  };

  const theme = new MutationObserver(() => {
    if (drawn) draw();
  });
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  // plotly's own `responsive` hears of windows alone, and a tab that opens or a pane that is dragged is none
  let width = 0;
  const size = new ResizeObserver(() => {
    if (!drawn || !plot.clientWidth || plot.clientWidth === width) return;
    width = plot.clientWidth;
    // drawn once more, since a legend that has other lines now would stay where it was, on the lines
    Plotly?.Plots.resize(plot).then(draw);
  });
  size.observe(plot);
  signal.addEventListener("abort", () => {
    clearTimeout(asking);
    theme.disconnect();
    size.disconnect();
    shelf.waiting.delete(draw);
    if (Plotly && drawn) Plotly.purge(plot);
  });
  return { draw: (body, buffers) => (body?.changes && buffers ? extend(body, buffers) : draw()) };
}

PANELS.set("figure", { receive: receiveFigure, keep: keepLibrary, render: renderFigure });
