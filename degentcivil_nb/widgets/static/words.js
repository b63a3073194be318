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
  let asked = null; // what was sent last
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let later;
  const typed = () => filter.value.toLowerCase().split(/\s+/).filter(Boolean).join(" ");
  const status = () => state.window?.words ?? null;
  const wide = () => Boolean(status() && (status()?.text || (state.window?.all ?? 0) > state.keys.length));
  const ask = () => {
    if (typed() === asked || !wide()) return;
    asked = typed();
    send({ words: asked, zone: Intl.DateTimeFormat().resolvedOptions().timeZone });
  };
  filter.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(ask, 250);
    arrange(); // among the rows that are here already
  });
  signal.addEventListener("abort", () => clearTimeout(later));
  return {
    // Whether the rows that are here are those with the words.
    judged: () => Boolean(status()?.text) && status()?.text === typed(),
    progress() {
      const at = status();
      if (typed() && wide() && at?.text !== typed()) return ", searching the others …";
      if (!at?.text || (!at.busy && at.judged >= at.held)) return "";
      return `, ${Math.floor((100 * at.judged) / Math.max(1, at.held))} % searched`;
    },
    none: () => (status()?.busy ? "No row has these words so far; the search goes on." : "No row has these words."),
    follow() {
      const at = status();
      if (document.activeElement === filter || !at) {
        if (typed()) ask(); // there are more rows by now than the page has
      } else if (asked === null && at.text && !typed()) filter.value = asked = at.text; // another page asked, or this one before it was loaded again
    },
  };
}
