// A menu at a place of the page: arrows and letters move, Enter chooses, Escape and a click beside it close it.

/**
 * @param {{x: number, y: number, from: HTMLElement, label: string, items: MenuItem[]}} given
 * @returns {{close(): void, set(items: MenuItem[]): void}}
 */
function openMenu({ x, y, from, label, items }) {
  const root = /** @type {HTMLElement} */ (from.closest(".dc-widget") ?? document.body);
  const el = make("div", "dc-menu");
  el.setAttribute("role", "menu");
  el.setAttribute("aria-label", label);
  const ended = new AbortController();
  const close = () => {
    if (ended.signal.aborted) return;
    ended.abort();
    const held = el.contains(document.activeElement);
    el.remove();
    if (held) from.focus();
  };

  /** @param {MenuItem[]} next */
  function set(next) {
    const at = [...el.children].indexOf(/** @type {Element} */ (document.activeElement));
    el.replaceChildren(
      ...next.map((item) => {
        if (!item.act) {
          const title = make("div", "dc-menu-title", visible(item.text));
          title.setAttribute("role", "presentation");
          return title;
        }
        const button = make("button", "dc-menu-item", visible(item.text));
        button.setAttribute("role", "menuitem");
        button.tabIndex = -1;
        if (item.title) button.title = visible(item.title);
        button.addEventListener("click", () => {
          close();
          item.act?.();
        });
        return button;
      }),
    );
    const child = at >= 0 ? el.children[at] : el.querySelector("button");
    if (child instanceof HTMLElement) child.focus({ preventScroll: true });
    const box = root.getBoundingClientRect();
    const left = Math.min(x - box.left, box.width - el.offsetWidth - 4);
    const below = Math.min(box.bottom, innerHeight) - y;
    const top = below < el.offsetHeight ? y - box.top - el.offsetHeight : y - box.top;
    el.style.left = `${Math.max(4, left)}px`;
    el.style.top = `${Math.max(4, top)}px`;
  }

  el.addEventListener("keydown", (event) => {
    const buttons = [...el.querySelectorAll("button")];
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to !== undefined) buttons[(to + buttons.length) % buttons.length]?.focus();
    else if (event.key === "Escape" || event.key === "Tab") close();
    else if (event.key === "Enter" || event.key === " ") buttons[at]?.click();
    else if (event.key.length === 1) {
      const after = [...buttons.slice(at + 1), ...buttons.slice(0, at + 1)];
      after.find((button) => button.textContent?.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    }
    event.preventDefault();
    event.stopPropagation();
  });
  root.append(el);
  set(items);
  const { signal } = ended;
  const beside = (/** @type {Event} */ event) => {
    if (!event.composedPath().includes(el)) close();
  };
  document.addEventListener("pointerdown", beside, { capture: true, signal });
  root.addEventListener("wheel", beside, { passive: true, signal });
  return { close, set };
}
