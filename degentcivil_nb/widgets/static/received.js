// What a table panel is told: its columns, and the cells of its rows, by column.

/** @param {TableState} state */
function emptyTable(state) {
  state.columns = [];
  state.keys = [];
  state.cells = new Map(); // by column, whose names come from the wire
  state.colours ??= new Map();
  state.dropped = 0;
}

/**
 * @param {TableState} state
 * @param {string} name
 */
function columnOf(state, name) {
  const cells = state.cells.get(name);
  if (!cells) throw new TypeError(`there is no column ${name}`);
  return cells;
}

/** @type {Script<TableState, TableBody>["receive"]} */
function receiveTable(state, body, buffers) {
  const bytes = alignedBytes(buffers[0]);
  if (body.columns) {
    emptyTable(state);
    state.columns = body.columns;
    for (const column of state.columns) state.cells.set(column.name, []);
  }
  for (const [name, part] of Object.entries(body.set ?? {})) {
    const values = unpackValues(part, bytes, state.colours);
    const column = columnOf(state, name);
    unpackPlaces(part, bytes).forEach((row, i) => {
      column[row] = values[i];
    });
  }
  if (body.add) {
    push(state.keys, body.add.keys);
    for (const [name, part] of Object.entries(body.add.cells)) {
      push(columnOf(state, name), unpackValues(part, bytes, state.colours));
    }
  }
  const over = body.keep === undefined ? 0 : Math.max(0, state.keys.length - body.keep);
  if (over) {
    state.dropped += over;
    state.keys.splice(0, over);
    for (const cells of state.cells.values()) cells.splice(0, over);
  }
  const { empty = state.empty, note = state.note, follow = state.follow, tones = state.tones } = body;
  const { picks = state.picks, window = state.window, breaks = state.breaks } = body;
  Object.assign(state, { empty, note, follow, tones, picks, window, breaks });
}

/**
 * @template Item
 * @param {Item[]} list
 * @param {ArrayLike<Item> & Iterable<Item>} more
 */
function push(list, more) {
  for (const item of more) list.push(item);
}
