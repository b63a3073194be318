"""Spans of time that are far longer than the others of their kind, found by pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .columns import Array, Columns, below, differs, lasts, rows_at, size_of
from .statistics import FEW, Floats, Outlier, farthest, usual_of

BUFFERED: Final = 1 << 20
"""Lengths that are counted together."""
MOST_KEPT: Final = 1 << 19
"""Spans that may turn out to be far too long; if there are more, they are looked for in a second reading."""


class Lengths:
    """How often each length was there, by kind and character, of spans that are over."""

    def __init__(self) -> None:
        self._counted = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
        self._new: list[tuple[Array, Floats]] = []
        self._size = 0

    def add(self, kinds: Array, who: Array, lengths: Floats) -> None:
        """Count spans; kinds and characters are codes of at most a million words."""
        self._new.append(((kinds.astype(np.int64) << OWNER_BITS) | who, lengths))
        self._size += len(lengths)
        if self._size > BUFFERED:
            self._count()

    def _count(self) -> None:
        keys, lengths, counts = self._counted
        keys = np.concatenate([keys, *(new for new, _ in self._new)])
        lengths = np.concatenate([lengths, *(new for _, new in self._new)])
        counts = np.concatenate([counts, np.ones(self._size, np.int64)])
        self._new, self._size = [], 0
        at_key, known = pd.factorize(keys)
        at_length, values = pd.factorize(lengths)
        at, pairs = pd.factorize(at_key * len(values) + at_length)
        summed = np.bincount(at, counts, len(pairs)).astype(np.int64)
        self._counted = (known[pairs // max(1, len(values))], values[pairs % max(1, len(values))], summed)

    def frozen(self) -> LengthCounts:
        """Return what was counted."""
        self._count()
        keys, lengths, counts = self._counted
        order = np.argsort(lengths, kind="stable")
        keys, lengths, counts = keys[order], lengths[order], counts[order]
        return LengthCounts(keys >> OWNER_BITS, keys & ((1 << OWNER_BITS) - 1), lengths, counts)


OWNER_BITS: Final = 22


@dataclass(frozen=True)
class LengthCounts:
    """How often each length was there, ascending."""

    kinds: Array
    who: Array
    lengths: Floats
    counts: Array

    def of_kind(self, kind: int) -> LengthCounts:
        """Return those of a kind."""
        return self._some(self.kinds == kind)

    def of(self, who: int) -> LengthCounts:
        """Return those of a character."""
        return self._some(self.who == who)

    def without(self, length: float) -> LengthCounts:
        """Return all but one of a length."""
        counts = self.counts.copy()
        counts[np.searchsorted(self.lengths, length)] -= 1
        return LengthCounts(self.kinds, self.who, self.lengths, counts)._some(counts > 0)

    def _some(self, chosen: npt.NDArray[np.bool_]) -> LengthCounts:
        return LengthCounts(self.kinds[chosen], self.who[chosen], self.lengths[chosen], self.counts[chosen])

    def __len__(self) -> int:
        return int(self.counts.sum())

    @property
    def usual(self) -> float:
        """The length that few exceed."""
        return usual_of(self.lengths, self.counts)

    def limits(self) -> dict[int, float]:
        """Return what the usual long one of a kind is not below, whichever is left out; of kinds with three or more."""
        found = {}
        for kind in np.unique(self.kinds).tolist():
            mine = self.of_kind(kind)
            size = len(mine)
            if size >= 3:
                found[kind] = mine.ranked(size - 2 if size <= FEW else int(0.95 * (size - 2)))
        return found

    def ranked(self, rank: int) -> float:
        """Return the length of a rank, from the shortest on."""
        return float(self.lengths[np.searchsorted(np.cumsum(self.counts), rank, "right")])

    @property
    def farthest(self) -> float:
        """How far the tail of the lengths reaches; 0 where there are few."""
        return farthest(len(self), self.ranked)


@dataclass(frozen=True)
class LongSpans:
    """The spans that may be far too long, those that go on, and how long the others are."""

    kept: pd.DataFrame
    """One row a span: `who`, `kind`, `length` and `open`, and its other facts."""
    lengths: LengthCounts
    factor: float

    def outliers(self) -> list[Outlier]:
        """List the spans above so many times the usual long one of the other ones of their kind that are over.

        None is listed that lies where the tail of the lengths of its kind reaches.
        """
        limits = self.lengths.limits()
        found: list[Outlier] = []
        tails: dict[int, float] = {}
        kinds, lengths = self.kept["kind"].tolist(), self.kept["length"].tolist()
        for at, (kind, length, goes_on) in enumerate(zip(kinds, lengths, self.kept["open"].tolist(), strict=True)):
            if kind not in limits or length <= self.factor * limits[kind]:
                continue
            others = self.lengths.of_kind(kind)
            if kind not in tails:
                tails[kind] = others.farthest
            if length <= tails[kind]:
                continue
            others = others if goes_on else others.without(length)
            if len(others) >= 3 and length > self.factor * others.usual:
                found.append(Outlier(at, others.usual))
        return found


def long_spans(spans: Callable[[], Iterator[Columns]], least: float, factor: float) -> LongSpans | None:
    """Look for the spans longer than `least` that may be far too long; `None` if there are no spans.

    `spans` gives tables with `who`, `kind`, `row`, `length` and `open`.
    """
    lengths, kept, size = Lengths(), list[Columns](), 0
    for table in spans():
        over = ~table["open"]
        lengths.add(table["kind"][over], table["who"][over], table["length"][over])
        if size <= MOST_KEPT:
            kept.append(rows_at(table, ~over | (table["length"] > least)))
            size += size_of(kept[-1])
    counts = lengths.frozen()
    if size > MOST_KEPT:
        kept = [rows_at(table, _may_be(table, counts, least, factor)) for table in spans()]
    if not kept:
        return None
    frame = pd.DataFrame(below(kept))
    return LongSpans(frame.sort_values(["row", "who"], kind="stable", ignore_index=True), counts, factor)


def _may_be(table: Columns, counts: LengthCounts, least: float, factor: float) -> npt.NDArray[np.bool_]:
    limits = counts.limits()
    highest = max(table["kind"].max(initial=-1), *limits, 0) + 1
    by_kind = np.full(highest + 1, np.inf)
    for kind, limit in limits.items():
        by_kind[kind] = max(least, factor * limit)
    chosen: npt.NDArray[np.bool_] = table["open"] | (table["length"] > by_kind[table["kind"]])
    return chosen


def merged(stays: Iterable[Columns], column: str) -> Iterator[Columns]:
    """Join the stays of a character that follow each other with the same value of a column; unknown ones are left out.

    A joined stay is given once it is over; the last table has the last one of each character.
    """
    held: list[Columns] = []
    for some in stays:
        table = below([*held, {name: some[name] for name in (column, *OF_STAYS)}])
        order = np.argsort(table["who"], kind="stable")
        order = order[table[column][order] >= 0]
        who, what = table["who"][order], table[column][order]
        starts = np.flatnonzero(differs(who) | differs(what))
        ends = np.append(starts[1:], len(order))[: len(starts)] - 1
        last = lasts(who[starts])
        held = [_joined(table, order[starts[last]], order[ends[last]])]
        yield _joined(table, order[starts[~last]], order[ends[~last]])
    yield from held


OF_STAYS: Final = ("who", "row", "start", "since", "end", "ended", "open")


def _joined(table: Columns, first: Array, last: Array) -> Columns:
    return {name: values[last if name in ("end", "ended", "open") else first] for name, values in table.items()}
