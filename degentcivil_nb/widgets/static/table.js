// The table panel: toolbar, grid, and the whole of one row.

/** @type {Script<TableState, TableBody>["render"]} */
function renderTable(state, el, tools) {
  return makeTable(state, el, tools, makeDetail());
}

// A table with its toolbar; `detail` shows the whole of a row.
/**
 * @param {TableState} state
 * @param {HTMLElement} el
 * @param {ViewTools} tools
 * @param {DetailView} detail
 * @returns {View<TableBody>}
 */
function makeTable(state, el, tools, detail) {
  const { send, go, standing, cursor, signal } = tools;
  const bar = make("div", "dc-bar");
  const filter = make("input", "dc-filter");
  filter.type = "search";
  filter.placeholder = "filter: move   or   location:park";
  filter.setAttribute("aria-label", "Filter rows: words, or column:word");
  const count = make("span", "dc-count dc-dim");
  count.setAttribute("role", "status");
  const jump = make("button", "dc-jump");
  jump.hidden = true;
  const copy = make("button", "dc-copy", "copy");
  copy.title = "Copy the selected rows, or all that are shown, as tab-separated text";
  const empty = make("div", "dc-empty");
  const note = make("div", "dc-note dc-dim");
  const pages = make("span", "dc-pages");
  const earlier = pageButton("earlier");
  const later = pageButton("later");
  const newest = pageButton("newest");
  pages.append(earlier, later, newest);
  const columns = makeColumns(
    state,
    (...laid) => grid.setColumns(...laid),
    () => arrange(),
  );
  bar.append(filter, count, columns.dated, jump, pages, columns.el, copy);

  /** @type {Sort | null} */
  let sort = null;
  let sorted = false; // whether somebody sorted in this view; if not, it takes over how the rows came
  let following = true;
  let followed = true; // whether the rows that were drawn last were the newest ones
  let dropped = 0;
  let shownCount = 0;
  const words = makeWords(state, filter, send, () => arrange(), signal);
  /** @type {string | null} */
  let awaited = null; // the key whose detail was asked for
  /** @type {GridSource} */
  const source = {
    key: (row) => state.keys[row],
    value: (row, name) => columnOf(state, name)[row],
    text: (row, column) => cellText(columnOf(state, column.name)[row], column.kind, columns.day()),
    colour: (text) => state.colours.get(typeof text === "string" ? text : null) ?? "transparent",
    tone: (row) => (state.tones ? String(state.cells.get(state.tones)?.[row] ?? "") : ""),
    mark: markOf,
  };
  const acts = makeRowActs(tools, open, () => state.breaks === true);
  const grid = makeGrid({ source, signal, onOpen: open, onPick: pick, onMenu: acts.ask, onSort: sortBy });
  grid.el.hidden = acts.el.hidden = true; // until the first rows come
  grid.el.addEventListener("pointerdown", () => {
    columns.el.open = false; // it would go on lying over the rows
  });
  el.append(bar, acts.el, grid.el, empty, acts.chain, detail.el, note);

  /** @param {"earlier" | "later" | "newest"} page */
  function pageButton(page) {
    const button = make("button", `dc-${page}`, page);
    button.hidden = true; // until it is known whether there is such a page
    button.addEventListener("click", () => send({ page }));
    return button;
  }

  // The row that the cursor stands at, the rows after it, and those of the character that is selected.
  /** @param {number} row */
  function markOf(row) {
    const { moment, character } = cursor();
    const key = state.keys[row];
    const mine = character !== null && whoOf(row) === character;
    if (state.picks === "row" && moment !== null && /^\d+$/.test(key)) {
      if (Number(key) === moment.row) return mine ? "at chosen" : "at";
      if (Number(key) > moment.row) return mine ? "later chosen" : "later";
    }
    return mine ? "chosen" : "";
  }

  /** @param {number} row */
  function whoOf(row) {
    const who = state.cells.get("character_id")?.[row];
    return typeof who === "string" ? who : null;
  }

  /** @param {string} key */
  function pick(key) {
    acts.choose(key);
    if (state.picks === "character") go({ select: { character: key, row: null } });
    if (state.picks === "evidence") {
      const place = state.keys.indexOf(key);
      const first = Number(state.cells.get("row")?.[place] ?? NaN);
      const row = Number.isNaN(first) ? null : first;
      go({ select: { character: whoOf(place), row }, ...(row === null ? {} : { row }) });
    }
    if (state.picks !== "row" || !/^\d+$/.test(key)) return;
    const character = whoOf(state.keys.indexOf(key));
    go({ select: { character, row: Number(key) }, row: Number(key) });
  }

  /** @param {string} key */
  function open(key) {
    awaited = key;
    detail.wait(key);
    const at = standing();
    if (at?.kernel && at.over) detail.show({ key, title: key, text: `${at.what}, and the rest of this row with it.` });
    else send({ detail: key });
  }

  /** @param {string} name */
  function sortBy(name) {
    if (sort?.name !== name) sort = { name, direction: 1 };
    else sort = sort.direction > 0 ? { name, direction: -1 } : null;
    sorted = true;
    grid.setSort(sort);
    arrange(); // among the rows that are here already
    if (sort)
      grid.el.scrollTop = 0; // what comes first is what was asked for
    else at = -1; // the row of the moment again
    if (state.window?.words) send({ sort });
  }

  function arrange() {
    if (!state.columns) return; // somebody typed before the first rows came
    const total = state.keys.length;
    let rows = Array.from({ length: total }, (_, row) => row);
    const test = words.judged() ? null : rowFilter(filter.value, columns.shown(), state.cells);
    if (test) rows = rows.filter(test);
    const by = sort;
    const column = by && state.columns.find((candidate) => candidate.name === by.name);
    if (column) rows.sort(rowComparer(columnOf(state, column.name), column.kind, by.direction));
    const stays = state.follow && !sort;
    if (stays && !followed) following = true; // the newest rows again, after a moment of the past
    followed = !!state.follow;
    if (stays && !following && state.dropped !== dropped) grid.shift(state.dropped - dropped);
    dropped = state.dropped;
    grid.el.hidden = rows.length === 0; // before it scrolls: what is hidden cannot
    grid.setRows(rows, total);
    if (stays && following) grid.toEnd();
    if (!state.follow) following = false;
    const numbers = (/** @type {number} */ n) => n.toLocaleString("en-US");
    const all = state.window ? state.window.all : total;
    const first = state.window?.sorted;
    const search = state.window?.searched;
    const found = search?.busy ? "found so far" : "found";
    const some = words.judged() ? "with these words" : search ? found : `row${all === 1 ? "" : "s"}`;
    const held = `${numbers(all)} ${some}`;
    const part = first ? `the first ${numbers(total)} of` : `${numbers(total)} shown of`;
    const here = (all > total ? `${part} ${held}${first ? orderWords(first) : ""}` : held) + words.progress();
    count.textContent = test ? `${numbers(rows.length)} with these words, ${here}` : here;
    earlier.hidden = !state.window?.earlier;
    later.hidden = !state.window?.later;
    newest.hidden = state.window === undefined || state.window.tail || cursor().moment !== null;
    const fresh = state.dropped + total - shownCount;
    jump.hidden = !(stays && !following);
    jump.replaceChildren(icon("newer"), fresh > 0 ? `${numbers(fresh)} newer` : "follow");
    if (following) shownCount = state.dropped + total;
    empty.hidden = rows.length > 0;
    acts.el.hidden = total === 0;
    empty.classList.toggle("dc-tall", total > 0 || words.judged()); // the page below must not jump while somebody types
    const unfound = search?.busy ? " so far; the search goes on." : ".";
    const none = search ? `Nothing here is found by the search above${unfound}` : (state.empty ?? "");
    empty.textContent = total || words.judged() ? words.none() : none;
    el.toggleAttribute("data-nothing", total === 0 && !words.judged() && !search);
    note.textContent = state.note ? visible(state.note) : "";
    note.hidden = !state.note;
  }

  // Which rows stand here, where there are more of them than a page has.
  /** @param {NonNullable<RowWindow["sorted"]>} by */
  function orderWords({ name, direction, busy, judged, held, problem }) {
    const column = state.columns?.find((each) => each.name === name);
    const way = direction > 0 ? "" : ", the last or largest first";
    if (problem) return `, which could not be sorted: ${visible(problem)}`;
    const sofar = busy ? `, ${Math.floor((100 * judged) / Math.max(1, held))} % looked at` : "";
    return ` by ${visible(column?.label || name)}${way}${sofar}`;
  }

  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(grid.tsv());
      copy.textContent = "copied";
    } catch {
      copy.textContent = "select rows and press Ctrl+C";
    }
    setTimeout(() => {
      copy.textContent = "copy";
    }, 1500);
  });
  grid.el.addEventListener(
    "scroll",
    () => {
      if (!state.follow) return;
      const now = grid.atEnd();
      if (now !== following) {
        following = now;
        if (!now) shownCount = state.dropped + state.keys.length;
        jump.hidden = now || !!sort;
      }
    },
    { passive: true },
  );
  jump.addEventListener("click", () => {
    following = true;
    arrange();
    grid.toEnd();
  });

  // The row of the moment may be of another kind than those shown here: then the last one before it stands for it.
  /** @param {number} row */
  function lastKey(row) {
    const known = state.keys.filter((key) => /^\d+$/.test(key));
    return known.findLast((key) => Number(key) <= row) ?? known[0] ?? null;
  }

  let at = -1; // the row that the table was scrolled to
  /** @type {string[]} */
  let stood = []; // the keys that were drawn last
  function follow() {
    const row = cursor().moment?.row ?? -1;
    if (sort) at = row; // a table in an order stays where it is
    if (row === at || !state.columns) return;
    const last = state.picks === "row" && row >= 0 ? lastKey(row) : null;
    if (last === null || grid.show(last)) at = row;
  }

  return {
    point() {
      grid.refresh();
      follow();
    },
    draw(body) {
      if (!state.columns) return;
      if (columns.renewed()) {
        if (stood.length !== state.keys.length || stood.some((key, i) => key !== state.keys[i])) at = -1; // other rows
      }
      stood = state.keys;
      const by = state.window?.sorted;
      if (by && !sorted) {
        sorted = true;
        sort = { name: by.name, direction: by.direction };
        grid.setSort(sort);
      }
      columns.measure();
      words.follow();
      arrange();
      follow();
      if (body?.detail && body.detail.key === awaited) detail.show(body.detail);
      acts.draw();
      if (body) acts.take(body);
    },
    stand: acts.draw,
  };
}

PANELS.set("table", { receive: receiveTable, render: renderTable });
