"""What two recordings have in common from their beginning on: proved by sums, so that no event of it is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from ..recordings.column_parts import Part, each
from ..recordings.column_store import ColumnStore
from ..store.interfaces import RunStore
from ..store.pieces import Extracted, Pieces
from ..store.schema import NAT, Ints
from ..store.sum_extract import KINDS, SUMS, Sums, joined_sums
from ..store.table import Array

FIRST_PIECES: Final = 8
"""Segments of each run that are looked at first; then twice as many, since runs often part soon."""
COUNTED: Final = ("type", "character_id")


class Beginning(NamedTuple):
    """The beginning of a run that another run has as well."""

    rows: int
    """How many events it has."""
    compared: int
    """How many of them correspond to one of the other run: not those that commands made, nor values of watches."""
    clock: Ints
    """The moments of its ticks, ascending."""
    sizes: Ints
    """How many events each tick has."""
    counts: Mapping[str, Mapping[str, int]]
    """How many events there are of each type and of each character."""
    changed: Ints
    """The rows that commands made."""
    times: tuple[int, int] | None
    """The earliest and the latest time, in nanoseconds since 1970."""
    lost: int
    """By how many ticks counters that began again fell back."""


class _Ticks(NamedTuple):
    """The ticks of some segments, each as one, though segments may cut it."""

    rows: Ints
    """The row of the first event."""
    tick: Ints
    clock: Ints
    lost: Ints
    compared: Ints
    changed: Ints
    sums: Sums


def equal_beginnings(a: RunStore, b: RunStore, *, until_changed: bool) -> tuple[Beginning, Beginning] | None:
    """Return the equal beginnings of two recordings; `None` if there is none, or nothing proves it.

    With `until_changed` it ends before the first event that a command made.
    """
    if not (isinstance(a, ColumnStore) and isinstance(b, ColumnStore)):
        return None
    many = [one.by_pieces(lambda pieces: len(_sealed(pieces))) for one in (a, b)]
    size = FIRST_PIECES
    while True:
        first, second = (one.by_pieces(partial(_ticks_of, most=size)) for one in (a, b))
        if first is None or second is None:
            return None
        known = min(len(first.tick), len(second.tick)) - 1  # the last one may go on
        equal = _equal(first, second, known, until_changed)
        if equal < known or size >= max(many):
            break
        size *= 2
    if not equal:
        return None
    one = a.by_pieces(lambda pieces: _beginning(pieces, first, equal))
    other = b.by_pieces(lambda pieces: _beginning(pieces, second, equal))
    return None if one is None or other is None else (one, other)


def _sealed(pieces: Pieces) -> list[Part]:
    return [part for part in pieces.parts if getattr(part, "stats", None) is not None]  # type: ignore[misc]  # those of a recording


def _ticks_of(pieces: Pieces, *, most: int) -> _Ticks | None:
    """Return the ticks of the first segments, up to one without sums; `None` if there are none."""
    parts = _sealed(pieces)[:most]
    tables = []
    for part, made in zip(parts, each(parts, lambda part: part.extracted(SUMS)), strict=True):
        if not len(made):
            break
        tables.append(made.columns | {"row": made.columns["place"] + part.first_row})
    if not tables or not tables[0]["told"][0]:
        return None
    table = {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}
    last = np.maximum.accumulate(np.where(table["told"], np.arange(len(table["told"])), 0))
    tick: Ints = table["tick"][last]  # events without a tick belong to that of the event before
    starts = np.flatnonzero(np.append(True, tick[1:] != tick[:-1]))
    tick = tick[starts]
    back = np.minimum(np.diff(tick, prepend=tick[0]), 0)
    lost = np.cumsum(np.where(back < -1, -back, 0))  # as in the alignment
    return _Ticks(
        table["row"][starts],
        tick,
        tick + lost,
        lost,
        np.add.reduceat(table["count"], starts),
        np.add.reduceat(table["changed"], starts),
        joined_sums(table["sum"].view(np.uint64), table["count"], starts),
    )


def _equal(a: _Ticks, b: _Ticks, known: int, until_changed: bool) -> int:
    """Return how many of the known first ticks are equal, and earlier than all that follow."""
    same = (
        (a.tick[:known] == b.tick[:known])
        & (a.compared[:known] == b.compared[:known])
        & (a.sums[:known] == b.sums[:known])
    )
    if until_changed:
        same &= (a.changed[:known] == 0) & (b.changed[:known] == 0)
    count = known if same.all() else int(same.argmin())
    return min(_apart(one.clock, count) for one in (a, b)) if count else 0


def _apart(clock: Ints, count: int) -> int:
    """Return how many of the first ticks are before all others; threads may publish a tick late."""
    highest, lowest = np.maximum.accumulate(clock), np.minimum.accumulate(clock[::-1])[::-1]
    places = np.flatnonzero(highest[:count] < lowest[1 : count + 1])
    return int(places[-1]) + 1 if len(places) else 0


def _kinds(part: Part) -> Extracted:
    """Return how many events of each kind a piece has; an extract that counts others than its events is made anew."""
    found = part.extracted(KINDS)
    return found if int(found.columns["count"].sum()) == part.next_row - part.first_row else KINDS.make(part)


def _beginning(pieces: Pieces, ticks: _Ticks, equal: int) -> Beginning | None:
    parts = _sealed(pieces)
    if not parts:  # what is damaged is read from the messages
        return None
    first, stop = parts[0].first_row, int(ticks.rows[equal])
    moments, at = np.unique(ticks.clock[:equal], return_inverse=True)
    sizes = np.bincount(at, np.diff(ticks.rows[: equal + 1]), len(moments)).astype(np.int64)
    counted = {name: np.zeros(len(pieces.words[name].words), np.int64) for name in COUNTED}
    lowest, highest = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    whole = [part for part in parts if part.next_row <= stop]
    for made in each(whole, _kinds):
        for name, counts in counted.items():
            codes = made.codes(name, pieces.words[name])
            counts += np.bincount(codes[codes >= 0], made.columns["count"][codes >= 0], len(counts)).astype(np.int64)
        lowest, highest = min(lowest, made.columns["first"].min()), max(highest, made.columns["last"].max())
    for part in (part for part in parts if part.first_row < stop < part.next_row):
        columns, size = part.view().columns, stop - part.first_row
        for name, counts in counted.items():
            codes = columns[name][:size]
            counts += np.bincount(codes[codes >= 0], minlength=len(counts))
        times: Array = columns["time"][:size]
        times = times[times != NAT]
        if len(times):
            lowest, highest = min(lowest, times.min()), max(highest, times.max())
    return Beginning(
        stop - first,
        int(ticks.compared[:equal].sum()),
        moments,
        sizes,
        {name: _named(counts, pieces.words[name].words) for name, counts in counted.items()},
        _changed(parts, ticks, equal),
        (int(lowest), int(highest)) if lowest <= highest else None,
        int(ticks.lost[equal - 1]),
    )


def _named(counts: Ints, words: Sequence[str]) -> Counter[str]:
    return Counter({words[code]: int(counts[code]) for code in np.flatnonzero(counts).tolist()})


def _changed(parts: Sequence[Part], ticks: _Ticks, equal: int) -> Ints:
    """Return the rows that commands made; few segments have any."""
    found = [np.zeros(0, np.int64)]
    stop = int(ticks.rows[equal])
    rows = ticks.rows[:equal][ticks.changed[:equal] > 0]
    ends = ticks.rows[1 : equal + 1][ticks.changed[:equal] > 0]
    for part in parts:
        if len(rows) and bool(((rows < part.next_row) & (ends > part.first_row)).any()):
            last = min(part.next_row, stop)
            found.append(part.view().links.interventions.between(part.first_row, last)[0])
    return np.concatenate(found)
