// The dashboard: the head line and the time bar above tabs of which one is open, and a side page.

const SIDE = "side";

/**
 * @param {HTMLElement} el
 * @param {PartFields[]} parts
 * @param {(place: HTMLElement, part: PartFields) => void} put
 * @param {AbortSignal} signal
 */
function renderDashboard(el, parts, put, signal) {
  el.classList.add("dc-dashboard");
  const top = make("div", "dc-top");
  const middle = make("div", "dc-middle");
  const main = make("div", "dc-main");
  const list = make("div", "dc-tabs");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", "What is shown");
  const side = make("aside", "dc-side");
  side.hidden = true;
  side.setAttribute("aria-label", "The selected character");
  main.append(list);
  middle.append(main, side);
  el.append(top, middle);
  const id = Math.random().toString(36).slice(2, 8);
  /** @type {Map<string, {tab: HTMLButtonElement, page: HTMLElement}>} */
  const tabs = new Map();
  for (const part of parts) {
    const place = part[3];
    if (place === "head" || place === "bar") put(top, part);
    else if (place === SIDE) put(side, part);
    else put(pageOf(place), part);
  }

  /** @param {string} name */
  function pageOf(name) {
    const known = tabs.get(name);
    if (known) return known.page;
    const tab = make("button", "dc-tab", name);
    tab.setAttribute("role", "tab");
    tab.id = `dc-tab-${id}-${tabs.size}`;
    const page = make("div", "dc-page");
    page.setAttribute("role", "tabpanel");
    page.setAttribute("aria-labelledby", tab.id);
    page.id = `dc-page-${id}-${tabs.size}`;
    page.dataset.tab = name;
    tab.setAttribute("aria-controls", page.id);
    tab.addEventListener("click", () => open(name));
    list.append(tab);
    main.append(page);
    tabs.set(name, { tab, page });
    return page;
  }

  /** @param {string} name */
  function open(name) {
    for (const [each, { tab, page }] of tabs) {
      tab.setAttribute("aria-selected", String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
      page.hidden = each !== name;
    }
    remember(name);
  }

  // The tab that was open is open again after the page is reloaded.
  const KEPT_AS = `degentcivil_nb.tab.${parts[0]?.[0] ?? ""}`;
  /** @param {string} name */
  function remember(name) {
    try {
      sessionStorage.setItem(KEPT_AS, name);
    } catch {
      /* a page may keep nothing */
    }
  }
  function remembered() {
    try {
      return sessionStorage.getItem(KEPT_AS);
    } catch {
      return null;
    }
  }

  list.addEventListener("keydown", (event) => {
    const names = [...tabs.keys()];
    const at = names.findIndex((name) => tabs.get(name)?.tab === event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    const name = names[(to + names.length) % names.length];
    open(name);
    tabs.get(name)?.tab.focus();
    event.preventDefault();
    event.stopPropagation();
  });
  el.addEventListener(
    "dc-open",
    (event) => {
      const name = String(/** @type {CustomEvent} */ (event).detail);
      if (tabs.has(name)) open(name);
    },
    { signal },
  );
  side.addEventListener("dc-side", (event) => {
    const held = focusedIn(side) !== null;
    side.hidden = !(/** @type {CustomEvent} */ (event).detail.open);
    const open = [...tabs.values()].find(({ page }) => !page.hidden);
    if (held && side.hidden) open?.tab.focus({ preventScroll: true });
  });
  signal.addEventListener("abort", () => tabs.clear());
  const first = [...tabs.keys()][0];
  const kept = remembered();
  open(kept !== null && tabs.has(kept) ? kept : first);
}
