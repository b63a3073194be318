"""The clock of a run, by pieces: ticks where the run counts them, else seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ...store.pieces import Piece
from ...store.tick_extract import TICKS, lost_by_restarts
from .columns import Array
from .statistics import Floats

Ints = npt.NDArray[np.int64]
T = TypeVar("T")
SECOND: Final = 1_000_000_000
HELD: Final = 1 << 22
"""Events whose times and moments are held at a time."""


EXACT: Final = 2.0**52
"""Floats above are not exact."""


class _Before(NamedTuple):
    """The facts about earlier events that a piece needs."""

    time: int
    tick: float
    restarts: float
    moment: float


class _Marks(NamedTuple):
    """The places in a piece at which the moment changes, the moments, and the times of their first and last events."""

    places: Ints
    moments: Floats
    begins: Ints
    ends: Ints
    shift: float | None
    """What the moments are above the ticks within the piece (`moments_within`); `None` if they are not these."""


class _Recent(Generic[T]):
    """What was made of the pieces that were asked for last, up to a number of values."""

    def __init__(self, make: Callable[[int], T], size: Callable[[T], int]) -> None:
        self._make, self._size_of = make, size
        self._held: OrderedDict[int, T] = OrderedDict()
        self._size = 0

    def of(self, number: int) -> T:
        """Return what is made of a piece."""
        found = self._held.get(number)
        if found is None:
            found = self._held[number] = self._make(number)
            self._size += self._size_of(found)
            while self._size > HELD and len(self._held) > 1:
                self._size -= self._size_of(self._held.popitem(last=False)[1])
        self._held.move_to_end(number)
        return found


class Clock:
    """The time and the moment of each event.

    A moment is a float: a tick, or seconds since the first event. It goes on where a restarted simulation counts its
    ticks from 0 again. A time is in nanoseconds since 1970, and never before that of the event before it.
    """

    def __init__(self, parts: Sequence[Piece], each: Callable[[], Iterator[tuple[int, Piece]]]) -> None:
        self._parts = parts
        self._times: _Recent[Ints] = _Recent(self._read_times, len)
        self._marked: _Recent[_Marks] = _Recent(self._read_marks, lambda marks: len(marks.places))
        self.first_row = parts[0].first_row if parts else 0
        self.next_row = parts[-1].next_row if parts else 0
        self._starts = np.array([part.first_row for part in parts], np.int64)
        self._before: list[_Before] = []
        self._ends = np.zeros(len(parts), np.int64)
        self.first_time = self.last_time = 0
        least: float = np.inf
        most: float = -np.inf
        before = _Before(np.iinfo(np.int64).min, np.nan, 0.0, -np.inf)
        for number, part in each():
            self._before.append(before)
            told = part.extracted(TICKS).columns
            known = told["tick"][told["told"]]
            if len(known):
                least, most = min(least, known.min()), max(most, known.max())
            ticks, restarts = _ticks(told, before)
            highest = max(before.moment, float((ticks + restarts).max()))
            if not number:
                self.first_time = int(told["begin"][0])
            self.last_time = max(int(told["end"][-1]), before.time)
            self._ends[number] = self.last_time
            before = _Before(self.last_time, float(ticks[-1]), float(restarts[-1]), highest)
        self.has_ticks = bool(most > least)
        """Whether the run counts ticks."""

    def __len__(self) -> int:
        return self.next_row - self.first_row

    def times_of(self, number: int) -> Ints:
        """Return the times of a piece's events."""
        return self._times.of(number)

    def moments_at(self, number: int, places: npt.NDArray[np.intp]) -> Floats:
        """Return the moments of some events of a piece."""
        if not self.has_ticks:
            return self._seconds(self.times_of(number)[places])
        marks = self._marked.of(number)
        found: Floats = marks.moments[np.searchsorted(marks.places, places, "right") - 1]
        return found

    def steps_of(self, number: int) -> tuple[npt.NDArray[np.intp], Ints, Floats]:
        """Return the places, times and moments of the events of a piece with which a tick may begin.

        Without ticks these are all of its events.
        """
        if self.has_ticks:
            marks = self._marked.of(number)
            return marks.places, marks.begins, marks.moments
        times = self.times_of(number)
        return np.arange(len(times)), times, self._seconds(times)

    def _read_times(self, number: int) -> Ints:
        times: Ints = np.maximum.accumulate(self._parts[number].view().columns["time"])
        return np.maximum(times, self._before[number].time)

    def _read_marks(self, number: int) -> _Marks:
        before, told = self._before[number], self._parts[number].extracted(TICKS).columns
        ticks, restarts = _ticks(told, before)
        moments: Floats = np.maximum(np.maximum.accumulate(ticks + restarts), before.moment)
        begins, ends = (np.maximum(told[name], before.time) for name in ("begin", "end"))
        whole = bool(told["told"][0]) and np.abs(ticks).max() < EXACT and ticks[0] + restarts[0] >= before.moment
        return _Marks(told["place"], moments, begins, ends, float(moments[0] - ticks[0]) if whole else None)

    def shift_of(self, number: int) -> float | None:
        """Return what the moments of a piece are above the ticks within it; `None` if it must be looked at itself."""
        return self._marked.of(number).shift if self.has_ticks else None

    def after(self, number: int, times: Ints) -> Ints:
        """Return times of events within a piece as the clock has them: none is before those of earlier pieces."""
        return np.maximum(times, self._before[number].time)

    def _seconds(self, times: Ints) -> Floats:
        return np.asarray((times - self.first_time) / SECOND, np.float64)

    @property
    def start(self) -> float:
        """The moment of the first event; 0 without events."""
        return float(self.moments_at(0, np.zeros(1, np.intp))[0]) if self._parts else 0.0

    @property
    def now(self) -> float:
        """The moment of the last event; 0 without events."""
        return float(self.moments_of_rows([self.next_row - 1])[0]) if self._parts else 0.0

    def moments_of_rows(self, rows: npt.ArrayLike) -> Floats:
        """Return the moments of rows."""
        numbers = np.clip(np.asarray(rows, np.int64), self.first_row, max(self.first_row, self.next_row - 1))
        parts = np.searchsorted(self._starts, numbers, "right") - 1
        return _gathered(parts, lambda number, mine: self.moments_at(number, numbers[mine] - self._starts[number]))

    def moments_of_times(self, times: Ints) -> Floats:
        """Return the moments of times: each that of the first event that is not before it."""
        return _gathered(self._parts_of(times), lambda number, mine: self._moments_from(number, times[mine]))

    def _moments_from(self, number: int, times: Ints) -> Floats:
        """Return the moments of times as `moments_of_times` does, of which a piece has the first event."""
        if not self.has_ticks:
            return self._seconds(self.times_of(number)[self._places(number, times)])
        marks = self._marked.of(number)
        found: Floats = marks.moments[np.minimum(np.searchsorted(marks.ends, times), len(marks.ends) - 1)]
        return found

    def _parts_of(self, times: Ints) -> npt.NDArray[np.intp]:
        return np.minimum(np.searchsorted(self._ends, times), len(self._ends) - 1)

    def _places(self, number: int, times: Ints) -> npt.NDArray[np.intp]:
        known = self.times_of(number)
        return np.minimum(np.searchsorted(known, times), len(known) - 1)

    def row_at(self, time: int) -> int:
        """Return the first row that is not before a time, or the last one."""
        number = int(self._parts_of(np.array([time]))[0])
        return int(self._starts[number] + self._places(number, np.array([time]))[0])

    def time_of(self, row: int) -> int:
        """Return the time of a row."""
        row = min(max(row, self.first_row), self.next_row - 1)
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        return int(self.times_of(number)[row - self._starts[number]])

    def tick_of(self, row: int) -> int | None:
        """Return the tick of a row, if it has one."""
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        view, place = self._parts[number].view(), row - int(self._starts[number])
        return None if view.masks["tick"][place] else int(view.columns["tick"][place])

    def between(self, since: int, until: int) -> Iterator[tuple[int, slice]]:
        """Give the pieces with events from one time to another, both included, and where in them."""
        for number in range(int(self._parts_of(np.array([since]))[0]), len(self._parts)):
            times = self.times_of(number)
            part = slice(int(np.searchsorted(times, since)), int(np.searchsorted(times, until, "right")))
            if part.stop > part.start:
                yield number, part
            if part.stop < len(times):
                return


def _gathered(parts: npt.NDArray[np.intp], moments: Callable[[int, npt.NDArray[np.bool_]], Floats]) -> Floats:
    found = np.zeros(len(parts))
    if not len(parts):
        return found
    first = int(parts.min())
    if first == parts.max():
        return moments(first, np.ones(len(parts), np.bool_))
    for number in (np.flatnonzero(np.bincount(parts - first)) + first).tolist():
        mine = parts == number
        found[mine] = moments(number, mine)
    return found


def _ticks(told: Mapping[str, Array], before: _Before) -> tuple[Floats, Floats]:
    """Return the ticks since the changes of a piece, and what restarts took from them so far."""
    first = 0.0 if np.isnan(before.tick) else before.tick
    ticks = np.where(told["told"], told["tick"].astype(np.float64), first)  # only the first event may have none
    lost = lost_by_restarts(ticks, ticks[0] if np.isnan(before.tick) else before.tick)
    return ticks, lost + before.restarts
