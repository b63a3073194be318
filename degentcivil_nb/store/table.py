"""The event columns: contiguous buffers filled by one writer; readers get slices of a held frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..core.event_columns import CATEGORIES, EVENT_COLUMNS, NUMBERS, PAYLOAD_COLUMNS, TIMES
from .columns import Dictionary, code_dtype, number_dtype
from .links import LinkCells, LinkTable, LinkView
from .numbers import StoreIntegers
from .schema import timestamps

Array = npt.NDArray[Any]
FIRST_CAPACITY: Final = 4_096  # rows of a new table, and the most of one append
GROWTH: Final = 8  # times as large: moving is rare, and unused memory costs nothing
BLANK_ROWS: Final = 4_096  # filled ahead at a time
_ROOM: Final = {
    np.dtype(np.int8): np.iinfo(np.int8).max,
    np.dtype(np.int16): np.iinfo(np.int16).max,
    np.dtype(np.int32): np.iinfo(np.int32).max,
}
"""The number of words from which on pandas uses wider codes."""
UTC: Final = pd.DatetimeTZDtype("ns", "UTC")
SLACK: Final = 1.25
"""A full table is moved to new buffers only after a quarter of it was evicted."""


@dataclass(slots=True)
class Batch:
    """Rows to append: an array or a single value for each column (`−1`: no category), and masks of missing numbers.

    Columns read from payloads may be left out: most rows lack them, so they are filled ahead with blanks. The masks of
    `seq` and `tick` are `NOWHERE` if nothing is missing.
    """

    size: int
    columns: dict[str, Array]
    masks: dict[str, Array]


class Buffers:
    """The arrays of one capacity; row `first_row` is at index 0.

    In nearly all streams `seq` and `tick` are missing in the same rows, so they share a mask until they differ.
    """

    def __init__(self, capacity: int, first_row: int, like: Buffers | None = None) -> None:
        self.capacity = capacity
        self.first_row = first_row  # the row number of index 0
        self.arrays: dict[str, Array] = {}
        self.masks: dict[str, Array] = {}
        self.times: dict[str, Any] = {}
        for name in CATEGORIES:
            self.arrays[name] = np.empty(capacity, np.int8 if like is None else like.arrays[name].dtype)
        for name in NUMBERS:
            narrow = np.int16 if name == "code" else np.int64
            self.arrays[name] = np.empty(capacity, narrow if like is None else like.arrays[name].dtype)
            shared = name == "tick" and (like is None or like.masks["tick"] is like.masks["seq"])
            self.masks[name] = self.masks["seq"] if shared else np.empty(capacity, np.bool_)
        for name in TIMES:
            # made from integers without a copy: localizing would touch all the memory, which takes a second
            self.times[name] = pd.array(np.empty(capacity, np.int64), dtype=UTC, copy=False)
            self.arrays[name] = self.times[name].view("i8")
        self.cells = LinkCells(capacity, first_row)

    def copy_rows(self, source: Buffers, start: int, stop: int) -> None:
        """Copy the rows `start` to `stop` (indices) of other buffers to the beginning of these."""
        for name, array in source.arrays.items():
            self.arrays[name][: stop - start] = array[start:stop]
        for name, mask in source.masks.items():
            self.masks[name][: stop - start] = mask[start:stop]

    def frame(self, sizes: dict[str, int], dictionaries: dict[str, Dictionary]) -> pd.DataFrame:
        """Return the frame over the whole capacity, with the current words; readers get slices of it."""
        index = pd.RangeIndex(self.first_row, self.first_row + self.capacity, name="row")
        columns: dict[str, Any] = {}
        links = self.cells.columns(index)
        for name in EVENT_COLUMNS:
            if name in links:
                columns[name] = links[name]
            elif name in self.times:
                columns[name] = self.times[name]
            elif name in self.masks:
                columns[name] = StoreIntegers(_frozen(self.arrays[name]), _frozen(self.masks[name]))
            else:
                dtype = dictionaries[name].dtype(sizes[name])
                columns[name] = pd.Categorical.from_codes(_frozen(self.arrays[name]), dtype=dtype, validate=False)
        frame = pd.DataFrame(columns, index=index, copy=False)
        _protect(frame)
        return frame


def _same(some: Array, more: Array) -> bool:
    """Return whether two masks of equal length are equal."""
    return some is more or np.array_equal(some, more)


def _frozen(array: Array) -> Array:
    """Return a view that cannot be written through; a copy made by pandas can be.

    Callers can take the arrays out of a frame. `StoreIntegers` guards nullable ones against pandas' own writes.
    """
    view = array.view()
    view.flags.writeable = False
    return view


NO_LINKS: Final = LinkTable().view()


class _Anchor:
    """An object that permanently shares every frame's data."""


_ANCHOR: Final = _Anchor()


def _protect(frame: pd.DataFrame) -> None:
    """Register a permanent reference to the frame's data, so that a slice copies before a write.

    pandas copies on write only while another reference is alive. Once a held frame is dropped (because its words or
    buffers were replaced), the caller's slice would be the only reference and would write into the store's buffers.
    """
    for block in frame._mgr.blocks:
        block.refs.add_index_reference(_ANCHOR)


LINK_TEXTS: Final = ("event_id", "cause", "intervention")


def event_frame(
    columns: Mapping[str, Array], masks: Mapping[str, Array], words: Mapping[str, Dictionary], index: pd.Index
) -> pd.DataFrame:
    """Return the frame of `events()`, or some of its columns, from columns that are the caller's own."""
    made: dict[str, Any] = {}
    for name in EVENT_COLUMNS:
        if name not in columns:
            continue
        if name in TIMES:
            made[name] = timestamps(columns[name])
        elif name in NUMBERS:
            made[name] = pd.arrays.IntegerArray(columns[name], masks[name])
        elif name == "sim_time":
            made[name] = pd.arrays.FloatingArray(columns[name], masks[name])
        elif name in LINK_TEXTS:
            made[name] = pd.Series(columns[name], index, dtype=object, copy=False)
        else:
            dtype = words[name].dtype(len(words[name].words))
            made[name] = pd.Categorical.from_codes(columns[name], dtype=dtype, validate=False)
    return pd.DataFrame(made, index=index, copy=False)


class LazyColumns(dict[str, Array]):
    """Columns by name, each read when it is first asked for."""

    def __init__(self, names: Sequence[str], read: Callable[[str], Array]) -> None:
        super().__init__()
        self._names, self._read = names, read

    def __missing__(self, name: str) -> Array:
        array = self[name] = self._read(name)
        return array

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def part(self, rows: slice) -> LazyColumns:
        """Return the columns of some rows."""
        return LazyColumns(self._names, lambda name: self[name][rows])


@dataclass(frozen=True, slots=True)
class View:
    """A consistent set of rows, `first_row` to `next_row` as published, readable without a lock."""

    first_row: int
    next_row: int
    columns: dict[str, Array]
    masks: dict[str, Array]
    dictionaries: dict[str, Dictionary]
    frame: pd.DataFrame
    cells: LinkCells | None = None
    """The frame's cells for links; filled when the view's frame is requested."""
    links: LinkView = NO_LINKS
    made: int = 0
    """How many columns of links had cells when the frame was made."""

    def fill_links(self) -> bool:
        """Fill the frame's cells for links; return False if more columns have cells than when the frame was made."""
        if self.cells is None:
            return True
        self.cells.fill(self.links, self.next_row)
        return self.cells.made == self.made

    @property
    def newest(self) -> int | None:
        """Return the time of the newest row in nanoseconds, from which durations count back."""
        times = self.columns["time"]
        return int(times[-1]) if len(times) else None

    def code(self, column: str, word: str) -> int:
        """Return the code of a word; −2 if it never occurred, so that it matches nothing."""
        return self.dictionaries[column].get(word, -2)

    def words(self, column: str, codes: Array) -> list[str | None]:
        """Return the words of codes."""
        words = self.dictionaries[column].words
        return [words[code] if code >= 0 else None for code in codes.tolist()]

    def rows(self, start: int, stop: int) -> slice:
        """Return row numbers as a slice of the columns, cut to the rows held."""
        low = min(max(start, self.first_row), self.next_row)
        return slice(low - self.first_row, max(min(stop, self.next_row), low) - self.first_row)


class Table:
    """The rows from `first_row` to `next_row`; appended at the end and evicted at the start, by one writer."""

    def __init__(self, max_rows: int) -> None:
        self.max_rows = max_rows
        self.dictionaries = {name: Dictionary() for name in CATEGORIES}
        self.first_row = 0
        self.next_row = 0
        self._buffers = Buffers(min(FIRST_CAPACITY, self._most()), 0)
        self._blank = 0  # the columns of payloads are filled up to this index of the buffers
        self._held: pd.DataFrame | None = None
        self._sizes: dict[str, int] = {}
        self._made = 0  # how many columns of links have cells in the held frame

    def __len__(self) -> int:
        return self.next_row - self.first_row

    def _most(self) -> int:
        return int(self.max_rows * SLACK) + FIRST_CAPACITY

    def begin(self, row: int) -> None:
        """Set the number of the first row."""
        self.first_row = self.next_row = row
        self._buffers, self._blank, self._held = Buffers(self._buffers.capacity, row), 0, None

    def append(self, batch: Batch) -> None:
        """Append rows; at most `FIRST_CAPACITY` at a time."""
        if not self.fits(batch.size):
            self._move(batch.size)
        start = self.next_row - self._buffers.first_row
        stop = start + batch.size
        columns, masks = batch.columns, batch.masks
        arrays = self._buffers.arrays
        for name, dictionary in self.dictionaries.items():
            if len(dictionary.words) >= _ROOM[arrays[name].dtype]:
                arrays = self._widen(name, code_dtype(len(dictionary.words)))
        if "code" in columns:
            wide = number_dtype(int(np.abs(columns["code"]).max()))
            if arrays["code"].dtype.itemsize < np.dtype(wide).itemsize:
                arrays = self._widen("code", wide)
        if self._buffers.masks["tick"] is self._buffers.masks["seq"] and not _same(masks["seq"], masks["tick"]):
            self._buffers.masks["tick"] = self._buffers.masks["seq"].copy()
            self._held = None
        if stop > self._blank:
            self._write_ahead(start, stop + BLANK_ROWS)
        for name, values in columns.items():
            arrays[name][start:stop] = values
        for name, values in masks.items():
            self._buffers.masks[name][start:stop] = values
        self.next_row += batch.size

    def _write_ahead(self, start: int, stop: int) -> None:
        """Fill the columns read from payloads with blanks up to `stop`."""
        start, stop = max(start, self._blank), min(stop, self._buffers.capacity)
        for name in PAYLOAD_COLUMNS:
            self._buffers.arrays[name][start:stop] = 0 if name == "code" else -1
        self._buffers.masks["code"][start:stop] = True
        self._blank = stop

    def fits(self, more: int) -> bool:
        """Return whether so many rows fit without moving the held ones to new buffers."""
        return self.next_row + more - self._buffers.first_row <= self._buffers.capacity

    def evict(self, count: int) -> None:
        """Drop the oldest rows; their memory is reused when the table moves."""
        self.first_row += count

    def oldest(self, count: int) -> dict[str, Array]:
        """Return the columns of the oldest rows, for reading under the lock."""
        return self.between(self.first_row, self.first_row + count)

    def between(self, start: int, stop: int) -> dict[str, Array]:
        """Return the columns of rows, for reading under the lock; evicted ones too, until the table moves."""
        first = self._buffers.first_row
        rows = {name: array[start - first : stop - first] for name, array in self._buffers.arrays.items()}
        rows["code_missing"] = self._buffers.masks["code"][start - first : stop - first]
        return rows

    def arrays(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the columns and masks of the rows held."""
        held = slice(self.first_row - self._buffers.first_row, self.next_row - self._buffers.first_row)
        return (
            {name: array[held] for name, array in self._buffers.arrays.items()},
            {name: mask[held] for name, mask in self._buffers.masks.items()},
        )

    def view(self, links: LinkView = NO_LINKS) -> View:
        """Return the published rows; cheap unless there are new words."""
        sizes = {name: len(dictionary.words) for name, dictionary in self.dictionaries.items()}
        made = self._buffers.cells.made
        if self._held is None or sizes != self._sizes or made != self._made:
            self._held = self._buffers.frame(sizes, self.dictionaries)
            self._sizes, self._made = sizes, made
        start = self.first_row - self._buffers.first_row
        stop = self.next_row - self._buffers.first_row
        return View(
            self.first_row,
            self.next_row,
            {name: array[start:stop] for name, array in self._buffers.arrays.items()},
            {name: mask[start:stop] for name, mask in self._buffers.masks.items()},
            self.dictionaries,
            self._held.iloc[start:stop],
            self._buffers.cells,
            links,
            made,
        )

    @property
    def row_bytes(self) -> int:
        """Return the bytes of one row in the columns."""
        masks = {id(mask) for mask in self._buffers.masks.values()}
        return sum(array.itemsize for array in self._buffers.arrays.values()) + len(masks)

    @property
    def memory_bytes(self) -> int:
        """Return the bytes of all rows in the buffers, including evicted ones that were not overwritten."""
        words = sum(dictionary.memory_bytes for dictionary in self.dictionaries.values())
        return (self.next_row - self._buffers.first_row) * self.row_bytes + words

    def _move(self, more: int) -> None:
        """Move the held rows to new buffers: many times as large, or as large as retention needs.

        The writer is blocked meanwhile, so this should be rare; memory that no row has reached costs nothing.
        """
        needed = len(self) + more
        capacity = max(needed + FIRST_CAPACITY // 4, min(GROWTH * needed, self._most()))
        buffers = Buffers(capacity, self.first_row, like=self._buffers)
        start = self.first_row - self._buffers.first_row
        buffers.copy_rows(self._buffers, start, start + len(self))
        self._buffers, self._blank, self._held = buffers, len(self), None

    def _widen(self, name: str, dtype: npt.DTypeLike) -> dict[str, Array]:
        """Move a column to a wider type; readers keep the narrow array that they have."""
        old = self._buffers.arrays[name]
        used = self.next_row - self._buffers.first_row
        wide = np.empty(self._buffers.capacity, dtype)
        wide[:used] = old[:used]
        self._buffers.arrays[name] = wide
        self._blank, self._held = min(self._blank, used), None
        return self._buffers.arrays
