// The filter of a table that has more rows than the page: Python looks for the words in all of them, newest first.
/**
 * @param {TableState} state
 * @param {HTMLInputElement} filter
 * @param {(content: Input) => void} send
 * @param {() => void} arrange
 * @param {AbortSignal} signal
 */
function makeWords(state, filter, send, arrange, signal) {
  /** @type {string | null} */
  let due = null; // words that were typed here and not sent yet
  /** @type {number | null} */
  let sent = null; // how many requests Python had had when these words were sent to it; null once it has answered
  let known = ""; // the words that were sent or received last
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;
  const typed = () => filter.value.toLowerCase().split(/\s+/).filter(Boolean).join(" ");
  const status = () => state.window?.words ?? null;
  const wide = () => Boolean(status() && (status()?.text || (state.window?.all ?? 0) > state.keys.length));
  const waits = () => due !== null || sent !== null;
  const ask = () => {
    later = undefined;
    const at = status();
    if (due === null || sent !== null || !at || !wide()) return;
    sent = at.asks;
    known = due;
    due = null;
    send({ words: known, zone: Intl.DateTimeFormat().resolvedOptions().timeZone });
  };
  filter.addEventListener("input", () => {
    due = typed() === known ? null : typed();
    clearTimeout(later);
    later = setTimeout(ask, 250);
    arrange(); // among the rows that are here already
  });
  signal.addEventListener("abort", () => clearTimeout(later));
  return {
    // Whether the rows that are here are those with the words.
    judged: () => !waits() && Boolean(status()?.text) && !status()?.problem,
    progress() {
      const at = status();
      if (waits() && wide()) return typed() ? ", searching the others …" : "";
      if (at?.text && at.problem) return `, the others could not be searched: ${visible(at.problem)}`;
      return at?.text && at.busy ? `, ${Math.floor((100 * at.judged) / Math.max(1, at.held))} % searched` : "";
    },
    none: () => (status()?.busy ? "No row has these words so far; the search goes on." : "No row has these words."),
    follow() {
      const at = status();
      if (!at) return;
      if (sent !== at.asks) sent = null;
      if (due !== null) {
        if (later === undefined) ask(); // Python has answered, or there are more rows by now than the page has
      } else if (sent === null && at.text !== known) filter.value = known = at.text; // another page asked, or this one before it was loaded again
    },
  };
}
