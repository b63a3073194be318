"""Counts kept up to date as events are added and evicted, so that rates need no pass over the history."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .schema import SECOND, Ints, Mask

CODE_BITS: Final = 24
"""Bits for codes of words and errors in a key; the second is above them."""
TAIL: Final = 16_384  # pairs counted before they are merged, so that merging is rare


class Seconds:
    """The seconds of events, relative to the first of them."""

    __slots__ = ("after", "span", "start")

    def __init__(self, times: Ints) -> None:
        seconds = times // SECOND
        self.start = int(seconds.min()) if len(seconds) else 0
        self.after = seconds - self.start
        self.span = int(self.after.max()) + 1 if len(seconds) else 0

    def __getitem__(self, chosen: Mask) -> Seconds:
        some = Seconds.__new__(Seconds)
        some.start, some.span, some.after = self.start, self.span, self.after[chosen]
        return some


def count_pairs(highs: Ints, lows: npt.NDArray[Any], span: int) -> tuple[Ints, Ints, Ints]:
    """Count pairs of numbers from 0 on, the first ones below `span`; return each pair once, in order, and its count."""
    width = int(lows.max()) + 1
    if span * width <= 4 * len(lows) + 4_096:
        table = np.bincount(lows if span == 1 else highs * width + lows)
        pairs = np.flatnonzero(table)
        counts = table[pairs]
    else:
        pairs, counts = np.unique(highs * width + lows, return_counts=True)
    return pairs // width, pairs % width, counts


class Tally:
    """Counts of pairs of second and code in sorted arrays, with a tail of small pieces that is merged from time to
    time.

    Arrays returned to a reader are never overwritten. Evicted events are counted with −1, so the counts are always
    those of the events held.
    """

    def __init__(self) -> None:
        self._keys: Ints = np.empty(0, np.int64)
        self._counts: Ints = np.empty(0, np.int64)
        self._tail: list[tuple[Ints, Ints]] = []
        self._tail_size = 0

    def add(self, seconds: Seconds, codes: npt.NDArray[Any], sign: int = 1) -> None:
        """Count events by their seconds (since 1970) and codes; codes below zero are ignored."""
        if not len(codes):
            return
        after = seconds.after
        if codes.min() < 0:
            some = codes >= 0
            after, codes = after[some], codes[some]
            if not len(codes):
                return
        after, codes, counts = count_pairs(after, codes, seconds.span)
        keys = ((after + seconds.start) << CODE_BITS) + codes
        self._tail.append((keys, counts * sign))
        self._tail_size += len(keys)
        if self._tail_size > max(TAIL, len(self._keys) // 2):
            self._keys, self._counts = merged_counts(*self._pieces())
            self._tail = []
            self._tail_size = 0

    def _pieces(self) -> tuple[list[Ints], list[Ints]]:
        return (
            [self._keys, *[keys for keys, _ in self._tail]],
            [self._counts, *[counts for _, counts in self._tail]],
        )

    def merged(self) -> tuple[Ints, Ints]:
        """Return the pairs in order, as `restore` takes them, with their counts."""
        return merged_counts(*self._pieces()) if self._tail else (self._keys, self._counts)

    def restore(self, keys: Ints, counts: Ints) -> None:
        """Continue from what `merged` returned."""
        self._keys, self._counts = keys, counts
        self._tail, self._tail_size = [], 0

    def freeze(self) -> tuple[list[Ints], list[Ints]]:
        """Return the current counts for `counts_of`, which needs no lock."""
        return self._pieces()

    @property
    def memory_bytes(self) -> int:
        """Return the memory of the arrays in bytes."""
        return 16 * (len(self._keys) + self._tail_size)


def counts_of(frozen: tuple[list[Ints], list[Ints]]) -> tuple[Ints, Ints, Ints]:
    """Return seconds, codes and counts of what `Tally.freeze` returned; pairs may repeat, counts may be negative."""
    keys, counts = np.concatenate(frozen[0]), np.concatenate(frozen[1])
    return keys >> CODE_BITS, keys & ((1 << CODE_BITS) - 1), counts


def merged_counts(keys: list[Ints], counts: list[Ints]) -> tuple[Ints, Ints]:
    """Return keys in order, each once, with the sums of their counts; sums of zero are left out."""
    all_keys, all_counts = np.concatenate(keys), np.concatenate(counts)
    order = np.argsort(all_keys, kind="stable")
    all_keys, all_counts = all_keys[order], all_counts[order]
    starts = np.flatnonzero(np.r_[True, all_keys[1:] != all_keys[:-1]])
    sums = np.add.reduceat(all_counts, starts)
    left = sums != 0
    return all_keys[starts][left], sums[left]
