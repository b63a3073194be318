"""The pairing of two runs' events: by tick and character, by position, or in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..protocol.messages import MessageTypes

Places = npt.NDArray[np.int64]
"""Indices into the frame of a run."""
Spans = tuple[Places, Places]

ALIGNMENTS: Final = ("tick", "seq", "order")


class Side(NamedTuple):
    """One of two runs: its events, which of them are compared, and the clock of each event."""

    frame: pd.DataFrame
    compared: Places
    clock: Places
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


def side(frame: pd.DataFrame, gaps: pd.DataFrame, left_out: npt.NDArray[np.bool_]) -> Side:
    """Prepare a run for the pairing; values of watches are left out, since notebooks caused them."""
    clock = _clock(frame)
    watched = (frame["type"] == MessageTypes.WATCH).to_numpy(bool)
    return Side(frame, np.flatnonzero(~(left_out | watched)), clock, _unsure(frame, gaps, clock))


def aligned(a: Side, b: Side, align: str) -> Alignment:
    """Pair the events of two runs.

    By tick, the n-th event of a type and a character in a tick corresponds to the n-th of that kind in the other run,
    so that an additional event shifts nothing else. In a tick with a gap, only kinds of which both runs have equally
    many events are paired. If a run has no ticks, events are paired by position, and if its positions are not of a
    single epoch, in order.
    """
    if align == "tick" and all(len(one.clock) and one.clock.max() >= 0 for one in (a, b)):
        return _by_tick(a, b)
    if align != "order" and all(_has_positions(one.frame) for one in (a, b)):
        mine, other = (one.frame["seq"].to_numpy(dtype=np.int64)[one.compared] for one in (a, b))
        _, first, second = np.intersect1d(mine, other, assume_unique=True, return_indices=True)
        return Alignment(a.compared[first], b.compared[second], _NONE, _NONE, "seq")
    both = min(len(a.compared), len(b.compared))
    return Alignment(a.compared[:both], b.compared[:both], _NONE, _NONE, "order")


def codes_of(a: pd.Series, b: pd.Series) -> tuple[Places, Places, int]:
    """Return two categorical columns as codes of one list of words, -1 for a missing one, and the number of words."""
    words = a.cat.categories.union(b.cat.categories, sort=False)
    found = [
        np.append(words.get_indexer(one.cat.categories), -1).astype(np.int64)[one.cat.codes.to_numpy()]
        for one in (a, b)
    ]
    return found[0], found[1], len(words)


_NONE: Final = np.zeros(0, np.int64)


def _has_positions(frame: pd.DataFrame) -> bool:
    return bool(len(frame) and frame["seq"].notna().all() and frame["epoch"].nunique() == 1)


def _clock(frame: pd.DataFrame) -> Places:
    known = frame["tick"].notna().to_numpy()
    if not known.any():
        return np.full(len(frame), -1, np.int64)
    ticks = frame["tick"].to_numpy(dtype=np.int64, na_value=-1)
    last = np.maximum.accumulate(
        np.where(known, np.arange(len(ticks)), -1)
    )  # an event without a tick belongs to the one before
    ticks = np.where(last < 0, -1, ticks[last])
    back = np.minimum(np.diff(ticks, prepend=ticks[0]), 0)
    return np.asarray(ticks - np.cumsum(np.where(back < -1, back, 0)), np.int64)  # threads may publish a tick late


def _unsure(frame: pd.DataFrame, gaps: pd.DataFrame, clock: Places) -> Spans:
    """Return the ticks before, in and after each gap."""
    if not len(gaps) or not len(clock):
        return _NONE, _NONE
    after = np.searchsorted(frame.index.to_numpy(np.int64), gaps["row"].to_numpy(np.int64))
    return clock[np.clip(after - 1, 0, len(clock) - 1)], clock[np.clip(after, 0, len(clock) - 1)]


def _within(clock: Places, spans: Sequence[Spans]) -> npt.NDArray[np.bool_]:
    """Return a mask of the moments that are in a span, both ends included."""
    starts: Places = np.concatenate([span[0] for span in spans])
    ends: Places = np.concatenate([span[1] for span in spans])
    if not len(starts):
        return np.zeros(len(clock), np.bool_)
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    last = np.searchsorted(starts, clock, "right") - 1
    return np.asarray((last >= 0) & (clock <= ends[last]), np.bool_)


def _first_is_whole(a: Side, b: Side) -> bool:
    seqs = [one.frame["seq"].iloc[0] for one in (a, b)]
    same = bool(pd.isna(seqs[0]) and pd.isna(seqs[1])) or bool(seqs[0] is not pd.NA and seqs[0] == seqs[1])
    return same and a.clock[0] == b.clock[0]


def _by_tick(a: Side, b: Side) -> Alignment:
    spans = [a.unsure, b.unsure]
    if not _first_is_whole(a, b):  # the recording of one of the two began in the middle of a tick
        joined = np.array([max(a.clock[0], b.clock[0])], np.int64)
        spans.append((joined, joined))
    moments = np.unique(np.concatenate([a.clock, b.clock]))
    *types, many_types = codes_of(a.frame["type"], b.frame["type"])
    *who, many = codes_of(a.frame["character_id"], b.frame["character_id"])
    sides: list[Any] = []
    for number, one in enumerate((a, b)):
        places = one.compared
        of_tick = np.searchsorted(moments, one.clock[places]) * (many + 1) + who[number][places] + 1
        keys = of_tick * (many_types + 1) + types[number][places] + 1
        order = np.argsort(keys, kind="stable")
        sides.append((places, order, *np.unique(keys[order], return_index=True, return_counts=True)))
    (places_a, order_a, keys_a, starts_a, counts_a), (places_b, order_b, keys_b, starts_b, counts_b) = sides
    _, in_a, in_b = np.intersect1d(keys_a, keys_b, assume_unique=True, return_indices=True)
    counts_a, counts_b, starts_a, starts_b = counts_a[in_a], counts_b[in_b], starts_a[in_a], starts_b[in_b]
    sure = ~_within(a.clock[places_a[order_a[starts_a]]], spans)
    both = np.where(sure | (counts_a == counts_b), np.minimum(counts_a, counts_b), 0)
    within = np.arange(both.sum()) - np.repeat(np.cumsum(both) - both, both)
    first = places_a[order_a[np.repeat(starts_a, both) + within]]
    second = places_b[order_b[np.repeat(starts_b, both) + within]]
    in_order = np.argsort(first, kind="stable")
    first, second = first[in_order], second[in_order]
    alone_a, alone_b = (
        places[~_within(one.clock[places], spans)]
        for one, places in ((a, _alone(places_a, first)), (b, _alone(places_b, second)))
    )
    return Alignment(first, second, alone_a, alone_b, "tick")


def _alone(places: Places, paired: Places) -> Places:
    """Return the events without a counterpart between the first and the last that have one."""
    if not len(paired):
        return _NONE
    within = places[(places > paired.min()) & (places < paired.max())]
    return np.setdiff1d(within, paired, assume_unique=True)
