// The focus, which must not be lost where what has it is drawn anew, hidden or closed: nobody finds it again by keyboard.

/** @param {HTMLElement} el */
function focusedIn(el) {
  const root = el.getRootNode(); // marimo puts widgets into shadow roots
  const at = root instanceof Document || root instanceof ShadowRoot ? root.activeElement : null;
  return at instanceof HTMLElement && el.contains(at) ? at : null;
}

// Do some work on a panel; if it takes the focus away, what is now most like the element that had it gets it.
/**
 * @template Result
 * @param {HTMLElement} panel
 * @param {() => Result} work
 * @returns {Result}
 */
function keepingFocus(panel, work) {
  const at = focusedIn(panel);
  if (!at) return work();
  const label = labelOf(at);
  const place = [...panel.querySelectorAll(at.tagName)].indexOf(at);
  const result = work();
  if (focusedIn(panel)) return result;
  if (panel.contains(at)) at.focus({ preventScroll: true }); // it was taken out and put in again
  if (focusedIn(panel)) return result;
  const others = [...panel.querySelectorAll(at.tagName)].map((el, i) => ({ el, far: Math.abs(i - place) }));
  const near = others.filter(({ el }) => canHave(el)).sort((a, b) => a.far - b.far);
  const again = near.find(({ el }) => labelOf(el) === label) ?? near[0];
  const { el } = again ?? { el: [...panel.querySelectorAll("button, input, select, [tabindex='0']")].find(canHave) };
  if (el instanceof HTMLElement) el.focus({ preventScroll: true });
  return result;
}

/** @param {Element} el */
const labelOf = (el) => el.getAttribute("aria-label") ?? (el instanceof HTMLButtonElement ? el.textContent : "");

/** @param {Element} el */
const canHave = (el) => el instanceof HTMLElement && el.offsetParent !== null && !el.matches(":disabled");

// Hide what was opened from a table, and give the focus back to the table.
/** @param {HTMLElement} el */
function hideAndReturn(el) {
  const held = focusedIn(el) !== null;
  el.hidden = true;
  const grid = el.parentElement?.querySelector(".dc-grid");
  if (held && grid instanceof HTMLElement) grid.focus({ preventScroll: true });
}
