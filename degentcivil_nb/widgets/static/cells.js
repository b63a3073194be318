// Columns as they come over the wire, and cells as they are shown.

/** @typedef {Uint8ArrayConstructor | Uint16ArrayConstructor | Uint32ArrayConstructor | Float32ArrayConstructor | Float64ArrayConstructor} Numbers */
/** @type {Map<string, Numbers>} */
const ARRAYS = new Map(
  /** @type {[string, Numbers][]} */ ([
    ["u1", Uint8Array],
    ["u2", Uint16Array],
    ["u4", Uint32Array],
    ["f4", Float32Array],
    ["f8", Float64Array],
  ]),
);
const NO_TIME = new Map([
  ["u2", 0xffff],
  ["u4", 0xffffffff],
]);

// Read one packed array out of the update's buffer.
/**
 * @param {Place} place
 * @param {ArrayBuffer} bytes
 */
function unpackArray([type, offset, length], bytes) {
  const Numbers = ARRAYS.get(type);
  if (!Numbers) throw new TypeError(`no array is a ${type}`);
  return new Numbers(bytes, offset, length);
}

// Give the row numbers that a packed column is for.
/**
 * @param {PackedPlaces} packed
 * @param {ArrayBuffer} bytes
 */
function unpackPlaces(packed, bytes) {
  if ("at" in packed) return unpackArray(packed.at, bytes);
  /** @type {number[]} */
  const places = [];
  unpackArray(packed.among, bytes).forEach((byte, i) => {
    for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) places.push(8 * i + bit);
  });
  return places;
}

// Give a packed column as a plain array: texts or null, numbers or NaN, whole numbers beyond 2⁵³ as BigInt.
/**
 * @param {Packed} packed
 * @param {ArrayBuffer} bytes
 * @param {TableState["colours"]} colours
 * @returns {Cell[]}
 */
function unpackValues(packed, bytes, colours) {
  if ("n" in packed) {
    /** @type {(number | bigint)[]} */
    const values = Array.from(unpackArray(packed.n, bytes));
    for (const [place, digits] of packed.exact ?? []) values[place] = BigInt(digits);
    return values;
  }
  if ("t" in packed) {
    const none = NO_TIME.get(packed.t[0]);
    return Array.from(unpackArray(packed.t, bytes), (ms) => (ms === none ? NaN : packed.base + ms / 1000));
  }
  packed.colours?.forEach((colour, i) => {
    colours.set(packed.u[i], colour);
  });
  return Array.from(unpackArray(packed.c, bytes), (code) => packed.u[code]);
}

// Buffers arrive at any offset; typed arrays want theirs aligned, so one copy.
/** @param {DataView<ArrayBuffer> | undefined} buffer */
function alignedBytes(buffer) {
  return buffer ? buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength) : new ArrayBuffer(0);
}

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 3 });
const small = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const tiny = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3, notation: "scientific" });

/** @param {number | bigint} value */
function formatNumber(value) {
  if (typeof value === "bigint") return value.toLocaleString("en-US");
  if (Number.isNaN(value)) return "";
  if (Number.isSafeInteger(value)) return whole.format(value);
  const size = Math.abs(value);
  if (size >= 1e-7 && size < 0.001) return small.format(value); // what a call costs
  if (size !== 0 && (size < 0.001 || size >= 1e12) && Number.isFinite(value)) return tiny.format(value);
  return whole.format(value);
}

// A cell as it is read; where all times of a table are of one `day`, which is said beside it, they need none of their own.
/**
 * @param {Cell | undefined} value
 * @param {Kind} kind
 */
function cellText(value, kind, day = "") {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return visible(value);
  if (kind !== "time") return formatNumber(value);
  if (Number.isNaN(value)) return "";
  return day ? clockTime(Number(value)) : localTime(Number(value));
}

// Give the one local day that all times of a table are of; nothing where there are several, or none.
/**
 * @param {Column[]} columns
 * @param {Cells} cells
 */
function dayOf(columns, cells) {
  let first = Infinity;
  let last = -Infinity;
  for (const { name, kind } of columns) {
    if (kind !== "time") continue;
    for (const value of cells.get(name) ?? []) {
      const time = Number(value);
      if (time < first) first = time;
      if (time > last) last = time;
    }
  }
  return first <= last && localDay(first) === localDay(last) ? localDay(first) : "";
}

// What a spreadsheet would calculate: the very pattern of core/escaping.py; a number and a dash are none.
const FORMULA =
  /^[\t\r\n ]*(?![+\-\uff0b\uff0d]? ?(?:[0-9\uff10-\uff19][0-9\uff10-\uff19.,'\u00a0\u202f ]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)? ?%?[\t\r\n ]*(?![\s\S]))[=+@\-\uff1d\uff0b\uff0d\uff20](?![=+@.\-\uff1d\uff0b\uff0d\uff20\t\r\n ]*(?![\s\S]))/;

// A cell for the clipboard: one line, no tabs, and no formula that a spreadsheet would run. A spreadsheet takes quotation
// marks around a cell away, so one that begins so is quoted as in CSV.
/**
 * @param {Cell | undefined} value
 * @param {Kind} kind
 */
function clipboardText(value, kind) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value !== "string") {
    return kind === "time" ? utcTime(Number(value)).replace(" UTC", "Z").replace(" ", "T") : String(value);
  }
  const text = visible(value);
  if (text.startsWith('"')) return `"${text.replaceAll('"', '""')}"`;
  return FORMULA.test(text) ? `'${text}` : text;
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

// Give a function that compares two rows by a column; missing values go last in both directions.
/**
 * @param {any[]} values
 * @param {Kind} kind
 * @param {1 | -1} direction
 * @returns {(a: number, b: number) => number}
 */
function rowComparer(values, kind, direction) {
  if (kind === "number" || kind === "time") {
    return (a, b) => {
      const x = values[a],
        y = values[b];
      if (Number.isNaN(x)) return Number.isNaN(y) ? a - b : 1;
      if (Number.isNaN(y)) return -1;
      return (x < y ? -direction : x > y ? direction : 0) || a - b; // a BigInt cannot be subtracted from a number
    };
  }
  const ranks = new Map(); // collating each pair would take most of a second at 5,000 rows
  [...new Set(values)]
    .sort((x, y) => collator.compare(x ?? "", y ?? ""))
    .forEach((text, i) => {
      ranks.set(text, i);
    });
  return (a, b) => {
    const x = values[a],
      y = values[b];
    if (x === null) return y === null ? a - b : 1;
    if (y === null) return -1;
    return (ranks.get(x) - ranks.get(y)) * direction || a - b;
  };
}

// Give a test of a row by what was typed: words that must all occur, each in any column or, as `column:word`, in one.
/**
 * @param {string} query
 * @param {Column[]} columns
 * @param {Cells} cells
 * @returns {((row: number) => boolean) | null}
 */
function rowFilter(query, columns, cells) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  const tests = words.map((word) => {
    const [, name, rest] = /^([^:]+):(.*)$/.exec(word) ?? [];
    const one = columns.filter((column) => column.name.toLowerCase() === name || column.label.toLowerCase() === name);
    const where = one.length ? one : columns;
    const sought = one.length ? (rest ?? "") : word;
    return (/** @type {number} */ row) =>
      where.some((column) => {
        const value = cells.get(column.name)?.[row];
        if (value === null || value === undefined || Number.isNaN(value)) return false;
        if (typeof value === "string") return value.toLowerCase().includes(sought);
        const plain = column.kind === "number" && String(value).includes(sought); // 1234 is found as 1234 and as 1,234
        return plain || cellText(value, column.kind).toLowerCase().includes(sought);
      });
  });
  return (row) => tests.every((test) => test(row));
}
