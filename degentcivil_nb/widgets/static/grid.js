// A grid of many rows of which only those in sight exist: recycled rows, text nodes only, whole by keyboard.
//
// makeGrid({source, onOpen, signal}) -> {el, setColumns, setRows, refresh, ...}; `source` answers for a row number:
//   key(row), value(row, name), text(row, column), colour(text), tone(row), mark(row).

const ROW_HEIGHT = 24;
const OVERSCAN = 6;
let gridCount = 0;

/** @param {{source: GridSource, onOpen: (key: string) => void, onPick: (key: string) => void, onMenu: RowActsView["ask"], onSort: (name: string) => void, signal: AbortSignal}} given */
function makeGrid({ source, onOpen, onPick, onMenu, onSort, signal }) {
  const id = `dc-grid-${++gridCount}-${Math.random().toString(36).slice(2, 7)}`;
  const el = make("div", "dc-grid");
  el.tabIndex = 0;
  el.setAttribute("role", "grid");
  el.setAttribute("aria-multiselectable", "true");
  const head = make("div", "dc-row dc-head");
  head.setAttribute("role", "row");
  head.setAttribute("aria-rowindex", "1");
  const body = make("div", "dc-body");
  body.setAttribute("role", "rowgroup");
  const top = make("div", "dc-headgroup");
  top.setAttribute("role", "rowgroup");
  top.append(head);
  el.append(top, body);

  /** @type {Column[]} */
  let columns = [];
  /** @type {number[]} */
  let rows = []; // row numbers in the order shown
  /** @type {Sort | null} */
  let sort = null; // {name, direction}
  /** @type {GridRow[]} */
  const pool = [];
  /** @type {Set<string>} */
  const selected = new Set(); // keys
  /** @type {{key: string | null, place: number, column: number}} */
  let active = { key: null, place: 0, column: 0 };
  let anchor = 0;

  /**
   * @param {Column[]} next
   * @param {Map<string, number>} widths
   */
  function setColumns(next, widths, rebuild = true) {
    columns = next;
    const tracks = columns.map((c, i) =>
      i === columns.length - 1 ? `minmax(${widths.get(c.name)}ch, 1fr)` : `${widths.get(c.name)}ch`,
    );
    el.style.setProperty("--dc-columns", tracks.join(" "));
    if (!rebuild) return; // only the widths are others
    el.setAttribute("aria-colcount", String(columns.length));
    head.replaceChildren(
      ...columns.map((column, i) => {
        const cell = make("div", `dc-cell dc-${column.kind}`);
        cell.setAttribute("role", "columnheader");
        cell.setAttribute("aria-colindex", String(i + 1));
        const label = make("button", "dc-sort", visible(column.label || column.name));
        label.tabIndex = i === 0 ? 0 : -1;
        label.addEventListener("keydown", (event) => {
          const to = { ArrowRight: i + 1, ArrowLeft: i - 1 }[event.key];
          const other = to === undefined ? null : head.children[to]?.querySelector("button");
          if (!(other instanceof HTMLElement)) return;
          other.focus();
          event.preventDefault();
          event.stopPropagation();
        });
        label.title = `Sort by ${visible(column.name)}`;
        label.addEventListener("click", () => onSort(column.name));
        cell.append(label, make("span", "dc-arrow"));
        return cell;
      }),
    );
    for (const row of pool) row.el.remove();
    pool.length = 0;
    showSort();
    refresh();
  }

  function showSort() {
    [...head.children].forEach((cell, i) => {
      const direction = sort !== null && columns[i].name === sort.name ? sort.direction : 0;
      const arrow = cell.querySelector(".dc-arrow");
      arrow?.replaceChildren(...(direction ? [icon(direction > 0 ? "up" : "down")] : []));
      cell.setAttribute("aria-sort", direction ? (direction > 0 ? "ascending" : "descending") : "none");
    });
  }

  // The grid is as tall as all rows, within reason, so that what stands below does not jump while somebody filters.
  /**
   * @param {number[]} next
   * @param {number} total
   */
  function setRows(next, total) {
    rows = next;
    el.style.setProperty("--dc-rows", String(total));
    el.setAttribute("aria-rowcount", String(rows.length + 1));
    body.style.height = `${rows.length * ROW_HEIGHT}px`;
    if (active.key !== null && (rows[active.place] === undefined || source.key(rows[active.place]) !== active.key)) {
      const place = rows.findIndex((row) => source.key(row) === active.key);
      if (place >= 0) active.place = place;
      else active = { key: null, place: Math.min(active.place, Math.max(0, rows.length - 1)), column: active.column };
    }
    refresh();
  }

  function newRow() {
    /** @type {GridRow} */
    const row = { el: make("div", "dc-row"), cells: [], place: -1 };
    row.el.setAttribute("role", "row");
    columns.forEach((column, i) => {
      const cell = make("div", `dc-cell dc-${column.kind}`);
      cell.setAttribute("role", "gridcell");
      cell.setAttribute("aria-colindex", String(i + 1));
      const chip = column.kind === "state" ? make("span", "dc-chip") : null;
      if (chip) cell.append(chip);
      const text = document.createTextNode("");
      cell.append(text);
      row.el.append(cell);
      row.cells.push({ el: cell, chip, text });
    });
    body.append(row.el);
    return row;
  }

  /**
   * @param {GridRow} row
   * @param {number} place
   */
  function drawRow(row, place) {
    const number = rows[place];
    const key = source.key(number);
    if (row.place !== place) {
      row.place = place;
      row.el.style.transform = `translateY(${place * ROW_HEIGHT}px)`;
      row.el.setAttribute("aria-rowindex", String(place + 2));
      row.el.id = `${id}-${place}`;
    }
    row.el.setAttribute("aria-selected", String(selected.has(key)));
    row.el.dataset.tone = source.tone(number);
    row.el.dataset.mark = source.mark(number);
    columns.forEach((column, i) => {
      const cell = row.cells[i];
      const value = source.value(number, column.name);
      const text = source.text(number, column);
      if (cell.text.data !== text) cell.text.data = text;
      if (cell.chip) {
        cell.chip.style.background = source.colour(value);
        cell.chip.hidden = !text;
      }
      const here = active.key === key && active.column === i;
      cell.el.classList.toggle("dc-active", here);
      cell.el.id = here ? `${id}-active` : "";
    });
  }

  function refresh() {
    const first = Math.max(0, Math.floor(el.scrollTop / ROW_HEIGHT) - OVERSCAN);
    const count = Math.min(rows.length - first, Math.ceil(el.clientHeight / ROW_HEIGHT) + 2 * OVERSCAN);
    while (pool.length < count) pool.push(newRow());
    // a place keeps its row while both are in sight, so that scrolling touches only what comes in
    const free = pool.filter((row) => row.place < first || row.place >= first + count);
    const byPlace = new Map(pool.map((row) => [row.place, row]));
    for (let place = first; place < first + count; place++)
      drawRow(byPlace.get(place) ?? free.shift() ?? newRow(), place);
    for (const row of free) {
      row.el.hidden = true;
      row.place = -1;
    }
    for (const row of pool) if (row.place >= 0) row.el.hidden = false;
    el.toggleAttribute("aria-activedescendant", false);
    if (active.key !== null) el.setAttribute("aria-activedescendant", `${id}-active`);
  }

  /**
   * @param {number} place
   * @param {number} column
   */
  function move(place, column, { extend = false, toggle = false, keep = false } = {}) {
    if (!rows.length) return;
    place = Math.max(0, Math.min(rows.length - 1, place));
    column = Math.max(0, Math.min(columns.length - 1, column));
    const key = source.key(rows[place]);
    active = { key, place, column };
    if (extend) {
      selected.clear();
      const [from, to] = anchor < place ? [anchor, place] : [place, anchor];
      for (let i = from; i <= to; i++) selected.add(source.key(rows[i]));
    } else {
      anchor = place;
      if (toggle) selected.has(key) ? selected.delete(key) : selected.add(key);
      else if (!keep) {
        selected.clear();
        selected.add(key);
      }
    }
    scrollTo(place);
    refresh();
  }

  /** @param {number} place */
  function scrollTo(place) {
    const above = place * ROW_HEIGHT;
    const room = el.clientHeight - head.offsetHeight;
    if (above < el.scrollTop) el.scrollTop = above;
    else if (above + ROW_HEIGHT > el.scrollTop + room) el.scrollTop = above + ROW_HEIGHT - room;
    const cell = head.children[active.column];
    if (!(cell instanceof HTMLElement)) return;
    if (cell.offsetLeft < el.scrollLeft) el.scrollLeft = cell.offsetLeft;
    const right = cell.offsetLeft + cell.offsetWidth;
    if (right > el.scrollLeft + el.clientWidth && cell.offsetWidth < el.clientWidth)
      el.scrollLeft = right - el.clientWidth;
  }

  /**
   * @param {Event} event
   * @param {string} selector
   * @returns {HTMLElement | null}
   */
  const around = (event, selector) => (event.target instanceof Element ? event.target.closest(selector) : null);

  /** @param {Event} event */
  function placeOf(event) {
    const rowEl = around(event, ".dc-body > .dc-row");
    const row = rowEl && pool.find((candidate) => candidate.el === rowEl);
    if (!row) return null;
    const cell = around(event, ".dc-cell");
    return {
      place: row.place,
      column: Math.max(
        0,
        row.cells.findIndex((candidate) => candidate.el === cell),
      ),
    };
  }

  const page = () => Math.max(1, Math.floor((el.clientHeight - head.offsetHeight) / ROW_HEIGHT) - 1);
  /**
   * Give where a key leads to.
   * @param {KeyboardEvent} event
   * @returns {[place: number, column: number] | null}
   */
  function target({ key, ctrlKey, metaKey }) {
    const { place, column } = active;
    const far = ctrlKey || metaKey;
    switch (key) {
      case "ArrowDown":
        return [place + 1, column];
      case "ArrowUp":
        return [place - 1, column];
      case "ArrowRight":
        return [place, column + 1];
      case "ArrowLeft":
        return [place, column - 1];
      case "PageDown":
        return [place + page(), column];
      case "PageUp":
        return [place - page(), column];
      case "Home":
        return [far ? 0 : place, 0];
      case "End":
        return [far ? rows.length - 1 : place, columns.length - 1];
      default:
        return null;
    }
  }
  el.addEventListener("keydown", (event) => {
    const control = event.ctrlKey || event.metaKey;
    if (around(event, "button")) return;
    const next = target(event);
    if (next) {
      const [place, column] = active.key === null ? [0, 0] : next;
      move(place, column, { extend: event.shiftKey, keep: control && !event.shiftKey });
    } else if (event.key === "Enter" && active.key !== null) {
      onOpen(active.key);
      onPick(active.key);
    } else if (event.key === " " && active.key !== null) move(active.place, active.column, { toggle: true });
    else if (control && event.key.toLowerCase() === "a") {
      for (const row of rows) selected.add(source.key(row));
      refresh();
    } else if (event.key === "Escape") {
      selected.clear();
      refresh();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  el.addEventListener("click", (event) => {
    const at = placeOf(event);
    if (!at) return;
    move(at.place, at.column, { extend: event.shiftKey, toggle: event.ctrlKey || event.metaKey });
    const cut = around(event, ".dc-cell")?.textContent?.endsWith("…");
    if (active.key === null) return;
    if (cut || event.detail === 2) onOpen(active.key);
    if (event.detail < 2 && !event.shiftKey && !event.ctrlKey && !event.metaKey) onPick(active.key);
  });
  // A right click, the menu key and Shift+F10 all come as this event; those of the keyboard know no row of their own.
  el.addEventListener("contextmenu", (event) => {
    const at = placeOf(event);
    if (at) move(at.place, at.column);
    if (active.key === null) return;
    const box = el.getBoundingClientRect();
    const below = (active.place + 2) * ROW_HEIGHT - el.scrollTop;
    onMenu(active.key, at ? event.clientX : box.left + 20, at ? event.clientY : box.top + below, el);
    event.preventDefault();
    event.stopPropagation();
  });
  el.addEventListener("mouseover", (event) => {
    const at = placeOf(event);
    const cell = around(event, ".dc-cell");
    if (!at || !cell) return;
    const column = columns[at.column];
    const value = source.value(rows[at.place], column.name);
    cell.title = column.kind === "time" ? utcTime(Number(value)) : source.text(rows[at.place], column);
  });
  el.addEventListener("copy", (event) => {
    if (!selected.size || !event.clipboardData) return;
    event.clipboardData.setData("text/plain", tsv());
    event.preventDefault();
    event.stopPropagation();
  });
  el.addEventListener("scroll", refresh, { passive: true });
  const sized = new ResizeObserver(refresh);
  sized.observe(el);
  signal.addEventListener("abort", () => sized.disconnect());

  function tsv() {
    const lines = [columns.map((column) => clipboardText(column.name, "text")).join("\t")];
    for (const row of rows) {
      if (selected.size && !selected.has(source.key(row))) continue;
      lines.push(columns.map((column) => clipboardText(source.value(row, column.name), column.kind)).join("\t"));
    }
    return lines.join("\n");
  }

  return {
    el,
    setColumns,
    setRows,
    refresh,
    tsv,
    /** @param {Sort | null} next */
    setSort(next) {
      sort = next;
      showSort();
    },
    /** @param {string} key */
    show(key) {
      const place = rows.findIndex((row) => source.key(row) === key);
      if (place < 0) return false;
      const above = place * ROW_HEIGHT;
      const room = el.clientHeight - head.offsetHeight;
      if (above < el.scrollTop || above + ROW_HEIGHT > el.scrollTop + room) el.scrollTop = above - room / 2;
      refresh();
      return true;
    },
    atEnd: () => el.scrollTop + el.clientHeight >= el.scrollHeight - ROW_HEIGHT,
    toEnd() {
      el.scrollTop = el.scrollHeight;
      refresh();
    },
    /** @param {number} count */
    shift(count) {
      el.scrollTop -= count * ROW_HEIGHT;
    },
    selectedCount: () => selected.size,
  };
}
