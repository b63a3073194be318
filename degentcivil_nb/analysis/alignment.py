"""The pairing of two runs' events: by tick and character, by position, or in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..protocol.messages import MessageTypes
from ..store.interfaces import RunStore
from ..store.schema import Ints
from ..store.table import Array
from .compared_columns import ComparedColumns, joined, narrow, positions_of

Places = npt.NDArray[np.int32]
"""Indices into the columns of a run."""
Spans = tuple[Array, Array]

ALIGNMENTS: Final = ("tick", "seq", "order")
STRETCH: Final = 65_536
"""About so many events of each run are paired at a time, so that long runs need little memory."""
MOST_KEYS: Final = 1 << 62


class Side(NamedTuple):
    """One of two runs: its columns, which of its events are compared, and the clock of each event."""

    store: RunStore
    columns: ComparedColumns
    compared: Places
    clock: Array
    """Ticks, counted on where a restarted simulation begins at 0 again; -1 where there are none."""
    unsure: Spans
    """The first and last tick of each stretch in which events are missing."""


class Alignment(NamedTuple):
    """Pairs of corresponding events, in the order of the first run, and the events that have none."""

    a: Places
    b: Places
    alone_a: Places
    alone_b: Places
    """Events without a counterpart, although the other run went on past that moment."""
    by: str


def side(store: RunStore, columns: ComparedColumns, gaps: pd.DataFrame, *, without_changed: bool) -> Side:
    """Prepare a run for the pairing; values of watches are left out, since notebooks caused them."""
    clock = _clock(columns)
    words = columns.words["type"]
    watched = words.index(MessageTypes.WATCH) if MessageTypes.WATCH in words else -2
    kept = columns.codes["type"] != watched
    if without_changed:
        kept[columns.changed] = False
    return Side(store, columns, np.flatnonzero(kept).astype(np.int32), clock, _unsure(columns, gaps, clock))


def aligned(a: Side, b: Side, align: str) -> Alignment:
    """Pair the events of two runs.

    By tick, the n-th event of a type and a character in a tick corresponds to the n-th of that kind in the other run,
    so that an additional event shifts nothing else. In a tick with a gap, only kinds of which both runs have equally
    many events are paired. If a run has no ticks, events are paired by position, and if its positions are not of a
    single epoch, in order.
    """
    if a.columns.before is not None:  # equal ticks prove that there are some
        return _by_tick(a, b)
    if align == "tick" and all(len(one.clock) and one.clock.max() >= 0 for one in (a, b)):
        return _by_tick(a, b)
    if align != "order":
        mine, other = (positions_of(one.store, one.columns) for one in (a, b))
        if mine is not None and other is not None:
            seqs = mine[a.compared], other[b.compared]
            _, first, second = np.intersect1d(*seqs, assume_unique=True, return_indices=True)
            return Alignment(a.compared[first], b.compared[second], _NONE, _NONE, "seq")
    both = min(len(a.compared), len(b.compared))
    return Alignment(a.compared[:both], b.compared[:both], _NONE, _NONE, "order")


_NONE: Final = np.zeros(0, np.int32)


def _clock(columns: ComparedColumns) -> Array:
    ticks, known = columns.ticks, columns.has_tick
    lost = 0 if columns.before is None else columns.before.lost
    if not known.any():
        return np.full(len(ticks), -1, np.int32)
    if known.all() and not lost and not (ticks[1:] < ticks[:-1]).any():
        return ticks
    last = np.maximum.accumulate(np.where(known, np.arange(len(ticks), dtype=np.int32), np.int32(-1)))
    full = np.where(last < 0, -1, ticks[last]).astype(np.int64)  # one without a tick belongs to the event before
    back = np.minimum(np.diff(full, prepend=full[0]), 0)
    full += lost - np.cumsum(np.where(back < -1, back, 0))  # threads may publish a tick late
    return narrow(full)


def _unsure(columns: ComparedColumns, gaps: pd.DataFrame, clock: Array) -> Spans:
    """Return the ticks before, in and after each gap."""
    if not len(gaps) or not len(clock):
        return _NONE, _NONE
    after = gaps["row"].to_numpy(np.int64) - columns.first_row
    after = after if columns.before is None else after[after >= 0]
    return clock[np.clip(after - 1, 0, len(clock) - 1)], clock[np.clip(after, 0, len(clock) - 1)]


def _joined_spans(spans: list[Spans]) -> Spans:
    """Return the spans of both runs, sorted so that a moment can be looked up."""
    starts, ends = (np.concatenate([span[number] for span in spans]) for number in (0, 1))
    order = np.argsort(starts, kind="stable")
    return starts[order], np.maximum.accumulate(ends[order])


def _within(clock: Array, spans: Spans) -> npt.NDArray[np.bool_]:
    """Return a mask of the moments that are in a span, both ends included."""
    starts, ends = spans
    if not len(starts):
        return np.zeros(len(clock), np.bool_)
    last = np.searchsorted(starts, clock, "right") - 1
    return np.asarray((last >= 0) & (clock <= ends[last]), np.bool_)


def _first_is_whole(a: Side, b: Side) -> bool:
    if a.columns.before is not None:
        return True
    return a.columns.first_seq == b.columns.first_seq and bool(a.clock[0] == b.clock[0])


def _by_tick(a: Side, b: Side) -> Alignment:
    listed = [a.unsure, b.unsure]
    if not _first_is_whole(a, b):  # the recording of one of the two began in the middle of a tick
        joint = np.array([max(a.clock[0], b.clock[0])], np.int64)
        listed.append((joint, joint))
    spans = _joined_spans(listed)
    keys = _Keys(a, b)
    partner = np.full(len(a.columns), -1, np.int32)
    for in_a, in_b in _stretches(a, b):
        keys_a, keys_b = keys.of(in_a, in_b)
        if np.array_equal(keys_a, keys_b):  # as it is before two runs part
            partner[in_a] = in_b
            continue
        order_a, starts_a, counts_a = _grouped(keys_a)
        order_b, starts_b, counts_b = _grouped(keys_b)
        _, both_a, both_b = np.intersect1d(
            keys_a[order_a[starts_a]], keys_b[order_b[starts_b]], assume_unique=True, return_indices=True
        )
        counts_a, counts_b, starts_a, starts_b = counts_a[both_a], counts_b[both_b], starts_a[both_a], starts_b[both_b]
        sure = ~_within(a.clock[in_a[order_a[starts_a]]], spans)
        both = np.where(sure | (counts_a == counts_b), np.minimum(counts_a, counts_b), 0)
        within = np.arange(both.sum()) - np.repeat(np.cumsum(both) - both, both)
        first = in_a[order_a[np.repeat(starts_a, both) + within]]
        partner[first] = in_b[order_b[np.repeat(starts_b, both) + within]]
    first = np.flatnonzero(partner >= 0).astype(np.int32)
    second = partner[first]
    alone_a, alone_b = _alone(a, first, spans), _alone(b, second, spans)
    return Alignment(first, second, alone_a, alone_b, "tick")


def _stretches(a: Side, b: Side) -> Iterator[tuple[Places, Places]]:
    """Yield the compared events of both runs, some ticks at a time."""
    sides = [_by_clock(one) for one in (a, b)]
    starts = np.unique(np.concatenate([clock[::STRETCH] for _, clock in sides]))
    ends = [[*np.searchsorted(clock, starts).tolist(), len(clock)] for _, clock in sides]
    for (low_a, high_a), (low_b, high_b) in zip(*map(pairwise, ends), strict=True):
        yield sides[0][0][low_a:high_a], sides[1][0][low_b:high_b]


def _by_clock(one: Side) -> tuple[Places, Array]:
    places, clock = one.compared, one.clock
    if len(places) < len(clock):
        clock = clock[places]
    if (clock[1:] < clock[:-1]).any():
        order = np.argsort(clock, kind="stable")
        return places[order], clock[order]
    return places, clock


class _Keys:
    """Numbers for tick, character and type, the same for both runs."""

    def __init__(self, a: Side, b: Side) -> None:
        self._sides = (a, b)
        self._types, self._many_types = joined(a.columns, b.columns, "type")
        self._who, self._many = joined(a.columns, b.columns, "character_id")

    def of(self, in_a: Places, in_b: Places) -> tuple[Ints, Ints]:
        a, b = self._sides
        clocks = a.clock[in_a].astype(np.int64), b.clock[in_b].astype(np.int64)
        ends = [end for clock in clocks if len(clock) for end in (int(clock[0]), int(clock[-1]))]
        low, high = min(ends), max(ends)
        size = (self._many + 1) * (self._many_types + 1)
        if (high - low + 1) * size >= MOST_KEYS:
            moments = np.unique(np.concatenate(clocks))
            clocks = np.searchsorted(moments, clocks[0]), np.searchsorted(moments, clocks[1])
            low = 0
        types = a.columns.codes["type"][in_a], self._types[b.columns.codes["type"][in_b]]
        who = a.columns.codes["character_id"][in_a], self._who[b.columns.codes["character_id"][in_b]]
        first, second = (
            (clock - low) * size + (one.astype(np.int64) + 1) * (self._many_types + 1) + kind + 1
            for clock, one, kind in zip(clocks, who, types, strict=True)
        )
        return first, second


def _grouped(keys: Ints) -> tuple[Ints, Ints, Ints]:
    """Return an order in which equal keys are together, and where each key starts in it, and how often it is there."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
    return order, starts, np.diff(starts, append=len(ordered))


def _alone(one: Side, paired: Places, spans: Spans) -> Places:
    """Return the events without a counterpart between the first and the last that have one, in ticks without gaps."""
    if not len(paired):
        return _NONE  # also behind a beginning that both have
    has_none = np.ones(len(one.columns), np.bool_)
    has_none[paired] = False
    first = paired.min() if one.columns.before is None else -1
    within = one.compared[(one.compared > first) & (one.compared < paired.max())]
    alone: Places = within[has_none[within]]
    sure: Places = alone[~_within(one.clock[alone], spans)]
    return sure
