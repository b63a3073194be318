"""The clock of a run, by pieces: ticks where the run counts them, else seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...store.pieces import Piece
from .statistics import Floats

Ints = npt.NDArray[np.int64]
SECOND: Final = 1_000_000_000
RESTART: Final = 1
"""The counter counts as restarted if it falls back by more ticks than this: threads may publish a tick late."""
HELD: Final = 1 << 22
"""Events whose times and moments are held at a time."""


class _Before(NamedTuple):
    """The facts about earlier events that a piece needs."""

    time: int
    tick: float
    restarts: float
    moment: float


class Clock:
    """The time and the moment of each event.

    A moment is a float: a tick, or seconds since the first event. It goes on where a restarted simulation counts its
    ticks from 0 again. A time is in nanoseconds since 1970, and never before that of the event before it.
    """

    def __init__(self, parts: Sequence[Piece], each: Callable[[], Iterator[tuple[int, Piece]]]) -> None:
        self._parts = parts
        self._held: OrderedDict[int, tuple[Ints, Floats]] = OrderedDict()
        self._size = 0
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
            times, known = _times(part, before.time), _known_ticks(part)
            if len(known):
                least, most = min(least, known.min()), max(most, known.max())
            ticks, restarts = _ticks(part, before)
            highest = max(before.moment, float((ticks + restarts).max()))
            before = _Before(int(times[-1]), float(ticks[-1]), float(restarts[-1]), highest)
            self._ends[number] = times[-1]
            if not number:
                self.first_time = int(times[0])
            self.last_time = int(times[-1])
        self.has_ticks = bool(most > least)
        """Whether the run counts ticks."""

    def __len__(self) -> int:
        return self.next_row - self.first_row

    def of(self, number: int) -> tuple[Ints, Floats]:
        """Return the times and moments of a piece's events."""
        found = self._held.get(number)
        if found is None:
            found = self._held[number] = self._made(number)
            self._size += len(found[0])
            while self._size > HELD and len(self._held) > 1:
                self._size -= len(self._held.popitem(last=False)[1][0])
        self._held.move_to_end(number)
        return found

    def _made(self, number: int) -> tuple[Ints, Floats]:
        part, before = self._parts[number], self._before[number]
        times = _times(part, before.time)
        if not self.has_ticks:
            return times, np.asarray((times - self.first_time) / SECOND, np.float64)
        ticks, restarts = _ticks(part, before)
        moments: Floats = np.maximum(np.maximum.accumulate(ticks + restarts), before.moment)
        return times, moments

    @property
    def start(self) -> float:
        """The moment of the first event; 0 without events."""
        return float(self.of(0)[1][0]) if self._parts else 0.0

    @property
    def now(self) -> float:
        """The moment of the last event; 0 without events."""
        return float(self.of(len(self._parts) - 1)[1][-1]) if self._parts else 0.0

    def moments_of_rows(self, rows: npt.ArrayLike) -> Floats:
        """Return the moments of rows."""
        numbers = np.clip(np.asarray(rows, np.int64), self.first_row, max(self.first_row, self.next_row - 1))
        parts = np.searchsorted(self._starts, numbers, "right") - 1
        return self._gathered(parts, lambda number, mine: numbers[mine] - self._starts[number])

    def moments_of_times(self, times: Ints) -> Floats:
        """Return the moments of times: each that of the first event that is not before it."""
        return self._gathered(self._parts_of(times), lambda number, mine: self._places(number, times[mine]))

    def moments_told(self, number: int, rows: Ints, times: Ints) -> Floats:
        """Return the moments of the times of rows, most of them rows of a piece."""
        known, moments = self.of(number)
        places = rows - self._starts[number]
        held = np.clip(places, 0, len(known) - 1)
        # of several events at one time the first one counts, as in `moments_of_times`
        first = np.maximum.accumulate(np.where(np.diff(known, prepend=known[0] - 1) > 0, np.arange(len(known)), 0))
        found: Floats = moments[first[held]]
        other = (places != held) | (known[held] != times) | ((first[held] == 0) & (number > 0))
        if other.any():
            found[other] = self.moments_of_times(times[other])
        return found

    def _parts_of(self, times: Ints) -> npt.NDArray[np.intp]:
        return np.minimum(np.searchsorted(self._ends, times), len(self._ends) - 1)

    def _places(self, number: int, times: Ints) -> npt.NDArray[np.intp]:
        known = self.of(number)[0]
        return np.minimum(np.searchsorted(known, times), len(known) - 1)

    def _gathered(
        self, parts: npt.NDArray[np.intp], places: Callable[[int, npt.NDArray[np.bool_]], npt.NDArray[np.intp]]
    ) -> Floats:
        found = np.zeros(len(parts))
        for number in np.unique(parts).tolist():
            mine = parts == number
            found[mine] = self.of(number)[1][places(number, mine)]
        return found

    def row_at(self, time: int) -> int:
        """Return the first row that is not before a time, or the last one."""
        number = int(self._parts_of(np.array([time]))[0])
        return int(self._starts[number] + self._places(number, np.array([time]))[0])

    def time_of(self, row: int) -> int:
        """Return the time of a row."""
        row = min(max(row, self.first_row), self.next_row - 1)
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        return int(self.of(number)[0][row - self._starts[number]])

    def tick_of(self, row: int) -> int | None:
        """Return the tick of a row, if it has one."""
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        view, place = self._parts[number].view(), row - int(self._starts[number])
        return None if view.masks["tick"][place] else int(view.columns["tick"][place])

    def between(self, since: int, until: int) -> Iterator[tuple[int, slice]]:
        """Give the pieces with events from one time to another, both included, and where in them."""
        for number in range(int(self._parts_of(np.array([since]))[0]), len(self._parts)):
            times = self.of(number)[0]
            part = slice(int(np.searchsorted(times, since)), int(np.searchsorted(times, until, "right")))
            if part.stop > part.start:
                yield number, part
            if part.stop < len(times):
                return


def _times(part: Piece, before: int) -> Ints:
    times: Ints = np.maximum(np.maximum.accumulate(part.view().columns["time"]), before)
    return times


def _known_ticks(part: Piece) -> npt.NDArray[np.int64]:
    view = part.view()
    known: Ints = view.columns["tick"][~view.masks["tick"]]
    return known


def _ticks(part: Piece, before: _Before) -> tuple[Floats, Floats]:
    """Return the ticks of a piece, for each event the last published one, and what restarts took from them so far."""
    view = part.view()
    missing = view.masks["tick"]
    last = np.maximum.accumulate(np.where(missing, -1, np.arange(len(missing))))
    told = view.columns["tick"].astype(np.float64)
    first = 0.0 if np.isnan(before.tick) else before.tick
    ticks = np.where(last >= 0, told[last], first)
    back = np.minimum(np.diff(ticks, prepend=ticks[0] if np.isnan(before.tick) else before.tick), 0)
    lost = np.cumsum(np.where(back < -RESTART, -back, 0)) + before.restarts
    return ticks, lost
