// The columns of a table: which of them are shown, how wide they are, and the day that all their times are of.

const MEASURE_MS = 1000;
const SENTENCES = new Set(["text", "message", "content"]); // columns whose texts are to be read, not only recognised

// How wide a column should be for a sample of its values, in ch.
/**
 * @param {Column} column
 * @param {Cell[]} values
 * @param {string} day
 */
function columnWidth(column, values, day = "") {
  const header = (column.label || column.name).length + 4;
  if (column.kind === "time") return Math.max(header, day ? 15 : 26);
  let widest = 0;
  const step = Math.max(1, Math.floor(values.length / 300));
  for (let i = 0; i < values.length; i += step) widest = Math.max(widest, roughWidth(cellText(values[i], column.kind)));
  const room = column.kind === "state" ? 5 : 3;
  return Math.max(Math.min(header, 24), Math.min(widest + room, SENTENCES.has(column.name) ? 72 : 34), 7);
}

// Capitals are wider than the digit that `ch` is the width of.
/** @param {string} text */
function roughWidth(text) {
  return text.length + (text === text.toUpperCase() ? text.length / 4 : 0);
}

/**
 * @param {TableState} state
 * @param {(columns: Column[], widths: Map<string, number>, force: boolean) => void} lay
 * @param {() => void} chosen
 */
function makeColumns(state, lay, chosen) {
  const el = make("details", "dc-columns");
  const choices = make("div", "dc-choices");
  el.append(make("summary", "", "columns"), choices);
  const dated = make("span", "dc-day dc-dim");
  /** @type {Set<string>} */
  const hidden = new Set();
  /** @type {Column[] | null} */
  let known = null; // the columns that the choices were made for
  /** @type {Map<string, number>} */
  let widths = new Map(); // in ch, by column
  let measured = 0;
  let day = "";
  const shown = () => (state.columns ?? []).filter((column) => !hidden.has(column.name));

  function choose() {
    const columns = state.columns ?? [];
    known = columns;
    widths = new Map();
    choices.replaceChildren(
      ...columns.map((column) => {
        const label = make("label");
        const box = make("input");
        box.type = "checkbox";
        box.checked = !hidden.has(column.name);
        box.addEventListener("change", () => {
          if (box.checked) hidden.delete(column.name);
          else hidden.add(column.name);
          layOut();
          chosen();
        });
        label.append(box, document.createTextNode(` ${visible(column.label || column.name)}`));
        return label;
      }),
    );
    layOut();
  }

  // Columns are as wide as what they held so far, within reason: they grow when they must, and never jump back.
  function layOut(force = true) {
    let grown = force;
    const times = shown().filter(({ kind }) => kind === "time");
    day = dayOf(times, state.cells);
    const plain = day === localDay(Date.now() / 1000) ? zone() : `${day}, ${zone()}`;
    dated.textContent = times.length && state.keys.length ? (day ? plain : zone()) : "";
    for (const column of shown()) {
      const width = columnWidth(column, columnOf(state, column.name), day);
      if (width > (widths.get(column.name) ?? 0)) {
        widths.set(column.name, width);
        grown = true;
      }
    }
    measured = performance.now();
    if (grown) lay(shown(), widths, force);
  }
  return {
    el,
    dated,
    shown,
    day: () => day,
    measure() {
      if (performance.now() - measured > MEASURE_MS) layOut(false);
    },
    // Whether the page was told its columns anew. The same columns keep their heads, of which one may have the focus.
    renewed() {
      if (known === state.columns) return false;
      if (JSON.stringify(known) === JSON.stringify(state.columns)) known = state.columns ?? null;
      else choose();
      return true;
    },
  };
}
