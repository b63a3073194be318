// Text that cannot deceive, and numbers and times as people read them.

// As in core/escaping.py: control characters, bidirectional overrides and invisible characters become escapes to be seen.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;
/** @type {Map<string, string>} */
const SHORT = new Map(Object.entries({ "\n": "\\n", "\r": "\\r", "\t": "\\t" }));

/** @param {string} text */
function visible(text) {
  return text.replace(UNSEEN, escapeOf);
}
/** @param {string} c */
function escapeOf(c) {
  const short = SHORT.get(c);
  if (short !== undefined) return short;
  const code = c.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`;
}
// The same for text of many lines: line ends and tabs stay.
/** @param {string} text */
function visibleLines(text) {
  return text.replace(UNSEEN, (c) => (c === "\n" || c === "\t" ? c : escapeOf(c)));
}

// A whole number as people read it; one beyond 2⁵³ comes as text, and is exact.
/** @param {Count | undefined} n */
function formatCount(n) {
  if (n === null || n === undefined) return "–";
  return (typeof n === "string" ? BigInt(n) : Math.round(n)).toLocaleString("en-US");
}

// So many of something: "1 call", "2,000 calls".
/**
 * @param {Count} n
 * @param {string} what
 */
function countOf(n, what) {
  return `${formatCount(n)} ${what}${String(n) === "1" ? "" : "s"}`;
}

const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
// Seconds since the epoch as the reader's local time; the day only when it is not today.
/** @param {number} seconds */
function localTime(seconds) {
  const t = new Date(Math.round(seconds * 1000)); // tables have whole milliseconds, and `Date` cuts
  if (Number.isNaN(t.getTime())) return String(seconds);
  const clock = clockTime(seconds);
  return t.toDateString() === new Date().toDateString() ? clock : `${localDay(seconds)} ${clock}`;
}
/** @param {number} seconds */
function clockTime(seconds) {
  const t = new Date(Math.round(seconds * 1000));
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${String(t.getMilliseconds()).padStart(3, "0")}`;
}
/** @param {number} seconds */
function localDay(seconds) {
  const t = new Date(Math.round(seconds * 1000));
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
}
// The reader's zone, as an offset: "UTC+2".
function zone() {
  const minutes = -new Date().getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return minutes ? `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${two(rest)}` : ""}` : "UTC";
}
/** @param {number} seconds */
function utcTime(seconds) {
  const t = new Date(Math.round(seconds * 1000));
  return Number.isNaN(t.getTime()) ? "" : `${t.toISOString().replace("T", " ").replace("Z", "")} UTC`;
}
