"""The links of envelopes (`event_id`, `cause`, `intervention`, `sim_time`), kept only for the rows that have any."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..protocol.json_text import decode, encode
from ..protocol.messages import Links
from .columns import Growing
from .numbers import StoreFloats
from .schema import Ints, Mask

TEXT_BYTES: Final = 57
"""The bytes that Python needs for a text besides its characters, its slot in a list included."""
_SPARE: Final = 4_096
"""Evicted entries that may remain before the rest is moved."""


class TextView(NamedTuple):
    """Texts as they were at one moment, readable without a lock; `rows` ascend, and a row may have several."""

    rows: Ints
    hashes: Ints
    alone: Mask
    """Whether the text was sent by itself, not as an item of a list."""
    texts: list[str]
    first: int
    """The index in `texts` of the first entry; the list may have grown meanwhile."""

    def between(self, start: int, stop: int) -> tuple[Ints, list[str], Mask]:
        """Return the entries of the rows from `start` to before `stop`."""
        low, high = np.searchsorted(self.rows, (start, stop))
        return self.rows[low:high], self.texts[self.first + low : self.first + high], self.alone[low:high]

    def rows_of(self, text: str) -> list[int]:
        """List the rows that have a text, ascending."""
        found = np.flatnonzero(self.hashes == hash(text)).tolist()
        return [int(self.rows[place]) for place in found if self.texts[self.first + place] == text]

    def codes(self, rows: Ints) -> tuple[Ints, list[str]]:
        """Return for each row the index of its text among those returned, −1 where it has none."""
        if not len(self.rows):
            return np.full(len(rows), -1), []
        places = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[places] == rows, places, -1), self.texts[self.first : self.first + len(self.rows)]


class LinkView(NamedTuple):
    """The links as they were at one moment, readable without a lock."""

    ids: TextView
    causes: TextView
    interventions: TextView
    """The commands that made the events, as JSON text."""
    time_rows: Ints
    times: npt.NDArray[np.float64]


class _Texts:
    """Texts by row, appended in the order of rows; a compact hash of each makes it easy to find."""

    def __init__(self) -> None:
        self._rows, self._hashes, self._alone = Growing(), Growing(), Growing(np.bool_)
        self._texts: list[str] = []
        self._start = 0  # entries before it were evicted
        self._characters = 0

    def extend(self, rows: list[int], texts: list[str], alone: list[bool] | None = None) -> None:
        self._rows.extend(rows)
        self._hashes.extend([*map(hash, texts)])
        self._alone.extend([True] * len(rows) if alone is None else alone)
        self._texts += texts
        self._characters += sum(map(len, texts))

    def evict(self, first_row: int) -> None:
        start = int(np.searchsorted(self._rows.values, first_row))
        self._characters -= sum(map(len, self._texts[self._start : start]))
        self._start = start
        if self._start > len(self._texts) // 2 + _SPARE:
            for column in (self._rows, self._hashes, self._alone):
                column.drop(self._start)
            self._texts = self._texts[self._start :]  # a new list: views keep the old one
            self._start = 0

    def view(self) -> TextView:
        start = self._start
        rows, hashes, alone = (column.values[start:] for column in (self._rows, self._hashes, self._alone))
        return TextView(rows, hashes, alone, self._texts, start)

    @property
    def memory_bytes(self) -> int:
        """Estimate the memory of the entries."""
        held = len(self._texts) - self._start
        return held * (TEXT_BYTES + 17) + self._characters  # 17 bytes: row, hash and mark


class LinkTable:
    """The links of the rows that have any; written by one thread, under the store's lock."""

    def __init__(self) -> None:
        self._ids, self._causes, self._interventions = _Texts(), _Texts(), _Texts()
        self._time_rows, self._times = Growing(), Growing(np.float64)

    def extend(self, first_row: int, found: Iterable[tuple[int, Links]]) -> None:
        """Append the links of new rows, numbered from `first_row`, in order."""
        named: list[tuple[int, str]] = []
        caused: list[tuple[int, str, bool]] = []
        changed: list[tuple[int, str]] = []
        timed: list[tuple[int, float]] = []
        for place, (sim_time, event_id, cause, intervention) in found:
            row = first_row + place
            if event_id is not None:
                named.append((row, event_id))
            if isinstance(cause, str):
                caused.append((row, cause, True))
            elif cause is not None:
                caused += [(row, one, False) for one in cause]
            if intervention is not None:
                changed.append((row, encode(intervention).decode()))
            if sim_time is not None:
                timed.append((row, sim_time))
        if named:
            self._ids.extend(*map(list, zip(*named, strict=True)))
        if caused:
            self._causes.extend(*map(list, zip(*caused, strict=True)))
        if changed:
            self._interventions.extend(*map(list, zip(*changed, strict=True)))
        if timed:
            self._time_rows.extend([row for row, _ in timed])
            self._times.extend([value for _, value in timed])

    def evict(self, first_row: int) -> None:
        """Drop the links of rows before one."""
        for texts in (self._ids, self._causes, self._interventions):
            texts.evict(first_row)
        gone = int(np.searchsorted(self._time_rows.values, first_row))
        if gone > self._time_rows.size // 2 + _SPARE:
            self._time_rows.drop(gone)
            self._times.drop(gone)

    def view(self) -> LinkView:
        """Return the links so far."""
        ids, causes, interventions = self._ids.view(), self._causes.view(), self._interventions.view()
        return LinkView(ids, causes, interventions, self._time_rows.values, self._times.values)

    @property
    def memory_bytes(self) -> int:
        """Estimate the memory of all links."""
        texts = sum(part.memory_bytes for part in (self._ids, self._causes, self._interventions))
        return texts + self._time_rows.nbytes + self._times.nbytes


def _selected(frame: pd.DataFrame, rows: Ints) -> Mask:
    """Return a mask of the rows that a frame has."""
    chosen: Mask = np.isin(rows, frame.index.to_numpy())
    return chosen


_NO_TEXT: Final = np.array(None, object)


class LinkCells:
    """The columns of links for frames over a table's buffers, filled when they are read; empty ones take no memory.

    Readers fill the cells, each up to the rows of its own view.
    """

    def __init__(self, capacity: int, first_row: int) -> None:
        self._capacity, self._first_row = capacity, first_row
        self._filling = threading.Lock()
        self._filled = first_row  # up to this row
        self._texts: dict[str, npt.NDArray[Any]] = {}
        self._times: tuple[npt.NDArray[np.float64], Mask] | None = None

    @property
    def made(self) -> int:
        """Count the columns with cells of their own; a frame made with fewer has to be made again."""
        return len(self._texts) + (self._times is not None)

    def fill(self, links: LinkView, next_row: int) -> None:
        """Fill the cells up to a row."""
        with self._filling:
            if next_row > self._filled:
                self._fill(links, next_row)

    def _fill(self, links: LinkView, next_row: int) -> None:
        for name, texts in (("event_id", links.ids), ("cause", links.causes)):
            rows, words, alone = texts.between(self._filled, next_row)
            if len(rows):
                cells = self._texts.get(name)
                if cells is None:
                    cells = np.ndarray((self._capacity,), object)
                values = np.fromiter(words, object, len(words))
                cells[(rows - self._first_row)[alone]] = values[alone]
                self._texts[name] = cells
        low, high = np.searchsorted(links.time_rows, (self._filled, next_row))
        if high > low:
            values, missing = self._times or (np.zeros(self._capacity), np.ones(self._capacity, np.bool_))
            at = links.time_rows[low:high] - self._first_row
            values[at], missing[at] = links.times[low:high], False
            self._times = values, missing
        self._filled = next_row

    def columns(self, index: pd.Index) -> dict[str, Any]:
        """Return the columns over the whole capacity."""
        nothing = np.broadcast_to(_NO_TEXT, self._capacity)
        columns: dict[str, Any] = {}
        for name in ("event_id", "cause", "intervention"):
            cells = self._texts.get(name, nothing).view()
            cells.flags.writeable = False
            columns[name] = pd.Series(cells, index, dtype=object, copy=False)
        values, missing = self._times or (np.zeros(()), np.ones((), np.bool_))
        values, missing = np.broadcast_to(values, self._capacity), np.broadcast_to(missing, self._capacity)  # read-only
        columns["sim_time"] = StoreFloats(values, missing)
        return columns


def own_values(frame: pd.DataFrame, links: LinkView) -> pd.DataFrame:
    """Return a frame of events whose lists of causes and interventions belong to the caller alone."""
    if not len(frame):
        return frame
    first, last = int(frame.index[0]), int(frame.index[-1])
    rows, words, alone = links.causes.between(first, last + 1)
    lists: dict[int, Any] = {}
    if not alone.all():
        for place in np.flatnonzero(~alone & _selected(frame, rows)).tolist():
            lists.setdefault(int(rows[place]), []).append(words[place])
    if lists:
        frame["cause"] = _with(frame["cause"], lists)
    rows, words, _ = links.interventions.between(first, last + 1)
    if len(rows):
        chosen = np.flatnonzero(_selected(frame, rows)).tolist()
        told = {int(rows[place]): decode(Any, words[place]) for place in chosen}
        frame["intervention"] = _with(frame["intervention"], told)
    return frame


def _with(column: pd.Series, values: dict[int, Any]) -> pd.Series:
    """Return a column with some of its cells replaced, by row."""
    cells = column.to_numpy(copy=True)
    places = column.index.get_indexer(pd.Index(list(values)))
    for place, value in zip(places.tolist(), values.values(), strict=True):
        if place >= 0:
            cells[place] = value
    return pd.Series(cells, column.index, dtype=object, copy=False)


def causes_between(causes: TextView, rows: Ints) -> npt.NDArray[Any]:
    """Return for each of ascending rows its cause: a text, a list of texts, or `None`."""
    cells = np.ndarray((len(rows),), object)
    if not len(rows):
        return cells
    at, words, alone = causes.between(int(rows[0]), int(rows[-1]) + 1)
    places = np.searchsorted(rows, at).tolist()
    for place, row, word, single in zip(places, at.tolist(), words, alone.tolist(), strict=True):
        if place < len(rows) and rows[place] == row:
            cells[place] = word if single else [*(cells[place] or ()), word]
    return cells


def interventions_between(interventions: TextView, rows: Ints) -> npt.NDArray[Any]:
    """Return for each of ascending rows the command that made it, or `None`."""
    cells = np.ndarray((len(rows),), object)
    codes, texts = interventions.codes(rows)
    for place in np.flatnonzero(codes >= 0).tolist():
        cells[place] = decode(Any, texts[int(codes[place])])
    return cells


def sim_times(links: LinkView, rows: Ints) -> npt.NDArray[np.float64]:
    """Return for each row the model's own clock, NaN where it is unknown."""
    if not len(links.time_rows):
        return np.full(len(rows), np.nan)
    places = np.minimum(np.searchsorted(links.time_rows, rows), len(links.time_rows) - 1)
    return np.where(links.time_rows[places] == rows, links.times[places], np.nan)


def links_of(view: LinkView, rows: Iterable[int]) -> dict[int, Links]:
    """Return the links of those rows that have any."""
    at = np.unique(np.array([*rows], np.int64))
    codes, texts = view.ids.codes(at)
    ids = [texts[code] if code >= 0 else None for code in codes.tolist()]
    times = [None if np.isnan(time) else time for time in sim_times(view, at).tolist()]
    causes, interventions = causes_between(view.causes, at), interventions_between(view.interventions, at)
    found = zip(at.tolist(), map(Links, times, ids, causes.tolist(), interventions.tolist()), strict=True)
    return {row: links for row, links in found if links != Links()}
