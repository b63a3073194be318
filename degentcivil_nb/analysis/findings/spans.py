"""Spans of time that are far longer than the others of their kind, found by pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...store.schema import order_of_codes
from ...store.timeline import differs, lasts
from .clock import Ints
from .columns import Array, Columns, below, rows_at, size_of
from .statistics import FEW, Floats, Outlier, farthest, usual_of

BUFFERED: Final = 1 << 20
"""Lengths that are counted together."""
MOST_KEPT: Final = 1 << 19
"""Spans that may turn out to be far too long; if there are more, they are looked for in a second reading."""


MOST_LENGTHS: Final = 1 << 21
"""Different lengths that are counted apart, by kind and character: without ticks nearly every span has its own."""
FINER: Final = (12, 8, 5, 3)
"""The bits of a length that are kept beside its power of two, if there are more; the first ones tell 0.02 % apart."""


class Lengths:
    """How often each length was there, by kind and character, of spans that are over."""

    def __init__(self) -> None:
        self._counted = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
        self._new: list[tuple[Array, Floats, Ints]] = []
        self._size = 0
        self._bits: int | None = None

    def add(self, kinds: Array, who: Array, lengths: Floats, times: Ints | None = None) -> None:
        """Count spans, each so many times; kinds and characters are codes of at most a million words."""
        keys = (kinds.astype(np.int64) << OWNER_BITS) | who
        self._new.append((keys, lengths, np.ones(len(keys), np.int64) if times is None else times))
        self._size += len(lengths)
        if self._size > BUFFERED:
            self._count()

    def _count(self) -> None:
        """Count what is new. How exact the lengths are follows from how many there are, not from their order."""
        keys, lengths, counts = (np.concatenate(parts) for parts in zip(self._counted, *self._new, strict=True))
        self._new, self._size = [], 0
        self._counted = _summed(keys, cut_to(lengths, self._bits), counts)
        for bits in FINER:
            if len(self._counted[0]) <= MOST_LENGTHS:
                break
            if self._bits is None or bits < self._bits:
                self._bits = bits
                keys, lengths, counts = self._counted
                self._counted = _summed(keys, cut_to(lengths, bits), counts)

    def frozen(self) -> LengthCounts:
        """Return what was counted."""
        self._count()
        keys, lengths, counts = self._counted
        order = np.argsort(lengths, kind="stable")
        keys, lengths, counts = keys[order], lengths[order], counts[order]
        return LengthCounts(keys >> OWNER_BITS, keys & ((1 << OWNER_BITS) - 1), lengths, counts, self._bits)


def _summed(keys: Ints, lengths: Floats, counts: Ints) -> tuple[Ints, Floats, Ints]:
    """Return each key and length once, and how often both were there together."""
    at_key, known = pd.factorize(keys)
    at_length, values = pd.factorize(lengths)
    at, pairs = pd.factorize(at_key * len(values) + at_length)
    summed = np.bincount(at, counts, len(pairs)).astype(np.int64)
    return known[pairs // max(1, len(values))], values[pairs % max(1, len(values))], summed


def cut_to(lengths: Floats, bits: int | None) -> Floats:
    """Return lengths with so many bits beside their power of two; `None` leaves them as they are."""
    if bits is None:
        return lengths
    kept = np.int64(-1) << np.int64(MANTISSA - bits)
    found: Floats = (np.ascontiguousarray(lengths, np.float64).view(np.int64) & kept).view(np.float64)
    return found


MANTISSA: Final = 52
OWNER_BITS: Final = 22


@dataclass(frozen=True)
class LengthCounts:
    """How often each length was there, ascending."""

    kinds: Array
    who: Array
    lengths: Floats
    counts: Array
    bits: int | None = None
    """To how many bits the lengths are cut (`cut_to`)."""

    def of_kind(self, kind: int) -> LengthCounts:
        """Return those of a kind."""
        return self._some(self.kinds == kind)

    def of(self, who: int) -> LengthCounts:
        """Return those of a character."""
        return self._some(self.who == who)

    def without(self, length: float) -> LengthCounts:
        """Return all but one of a length."""
        counts = self.counts.copy()
        counts[np.searchsorted(self.lengths, cut_to(np.array([length]), self.bits)[0])] -= 1
        return replace(self, counts=counts)._some(counts > 0)

    def _some(self, chosen: npt.NDArray[np.bool_]) -> LengthCounts:
        kinds, who, counts = self.kinds[chosen], self.who[chosen], self.counts[chosen]
        return LengthCounts(kinds, who, self.lengths[chosen], counts, self.bits)

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
    open_factor: float
    """The factor of those that go on."""

    def outliers(self) -> list[Outlier]:
        """List the spans above so many times the usual long one of the other ones of their kind that are over.

        None is listed that lies where the tail of the lengths of its kind reaches.
        """
        limits = self.lengths.limits()
        found: list[Outlier] = []
        tails: dict[int, float] = {}
        kinds, lengths = self.kept["kind"].tolist(), self.kept["length"].tolist()
        for at, (kind, length, goes_on) in enumerate(zip(kinds, lengths, self.kept["open"].tolist(), strict=True)):
            factor = self.open_factor if goes_on else self.factor
            if kind not in limits or length <= factor * limits[kind]:
                continue
            others = self.lengths.of_kind(kind)
            if kind not in tails:
                tails[kind] = others.farthest
            if length <= tails[kind]:
                continue
            others = others if goes_on else others.without(length)
            if len(others) >= 3 and length > factor * others.usual:
                found.append(Outlier(at, others.usual))
        return found


def long_spans(
    spans: Callable[[], Iterator[Columns]], least: float, factor: float, open_factor: float | None = None
) -> LongSpans | None:
    """Look for the spans longer than `least` that may be far too long; `None` if there are no spans.

    `spans` gives tables with `who`, `kind`, `row`, `length` and `open`; with `times`, if rows of theirs are many spans
    each, none of which is longer than `least`.
    """
    lengths, kept, size = Lengths(), list[Columns](), 0
    for table in spans():
        over, times = ~table["open"], table.pop("times", None)
        often = None if times is None else times[over]
        lengths.add(table["kind"][over], table["who"][over], table["length"][over], often)
        if size <= MOST_KEPT:
            kept.append(rows_at(table, ~over | (table["length"] > least)))
            size += size_of(kept[-1])
    counts = lengths.frozen()
    if size > MOST_KEPT:
        limits = _limits(counts, least, factor)
        kept = []
        for table in spans():
            table.pop("times", None)
            limit = limits[np.minimum(table["kind"], len(limits) - 1)]
            kept.append(rows_at(table, table["open"] | (table["length"] > limit)))
    if not kept:
        return None
    frame = pd.DataFrame(below(kept))
    frame = frame.sort_values(["row", "who"], kind="stable", ignore_index=True)
    return LongSpans(frame, counts, factor, factor if open_factor is None else open_factor)


def _limits(counts: LengthCounts, least: float, factor: float) -> Floats:
    """Return by kind the length above which a span may be far too long: infinity for others, and that of −1 last."""
    limits = counts.limits()
    by_kind = np.full(max(int(counts.kinds.max(initial=-1)), *limits, 0) + 2, np.inf)
    for kind, limit in limits.items():
        by_kind[kind] = max(least, factor * limit)
    return by_kind


def merged(stays: Iterable[Columns], column: str) -> Iterator[Columns]:
    """Join the stays of a character that follow each other with the same value of a column; unknown ones are left out.

    A joined stay is given once it is over; the last table has the last one of each character.
    """
    held: list[Columns] = []
    for some in stays:
        table = below([*held, {name: some[name] for name in (column, *OF_STAYS)}])
        order = order_of_codes(table["who"])
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
