"""Counts kept as events come and go, so that a rate is never counted from history."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .schema import SECOND, Ints, Mask

CODE_BITS: Final = 24
"""Words of a dictionary and codes of errors are numbered below this; seconds stand above."""
TAIL: Final = 16_384


class Seconds:
    """Hold the seconds of events as what lies between the first of them and each."""

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
    """Count pairs of numbers from 0 on, the higher ones below `span`; gives each pair once, in order, and its count."""
    width = int(lows.max()) + 1
    if span * width <= 4 * len(lows) + 4_096:
        table = np.bincount(lows if span == 1 else highs * width + lows)
        pairs = np.flatnonzero(table)
        counts = table[pairs]
    else:
        pairs, counts = np.unique(highs * width + lows, return_counts=True)
    return pairs // width, pairs % width, counts


class Tally:
    """Count pairs of second and code in sorted arrays, with a tail of small pieces that is merged in now and then.

    What was given to a reader is never written again. Evicted events are counted with −1, so that the counts are
    always those of the events held.
    """

    def __init__(self) -> None:
        self._keys: Ints = np.empty(0, np.int64)
        self._counts: Ints = np.empty(0, np.int64)
        self._tail: list[tuple[Ints, Ints]] = []
        self._tail_size = 0

    def add(self, seconds: Seconds, codes: npt.NDArray[Any], sign: int = 1) -> None:
        """Count events by their seconds (since 1970) and codes; codes below zero are none."""
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
            self._keys, self._counts = _merged(*self._pieces())
            self._tail = []
            self._tail_size = 0

    def _pieces(self) -> tuple[list[Ints], list[Ints]]:
        return (
            [self._keys, *[keys for keys, _ in self._tail]],
            [self._counts, *[counts for _, counts in self._tail]],
        )

    def merged(self) -> tuple[Ints, Ints]:
        """Give the pairs in order, as `restore` takes them, and their counts."""
        return _merged(*self._pieces()) if self._tail else (self._keys, self._counts)

    def restore(self, keys: Ints, counts: Ints) -> None:
        """Go on from what `merged` gave."""
        self._keys, self._counts = keys, counts

    def freeze(self) -> tuple[list[Ints], list[Ints]]:
        """Give what is counted by now, for `counts_of`, outside any lock."""
        return self._pieces()

    @property
    def memory_bytes(self) -> int:
        """Count what the arrays take."""
        return 16 * (len(self._keys) + self._tail_size)


def counts_of(frozen: tuple[list[Ints], list[Ints]]) -> tuple[Ints, Ints, Ints]:
    """Give seconds, codes and counts of what `Tally.freeze` gave; pairs may repeat, and some counts be negative."""
    keys, counts = np.concatenate(frozen[0]), np.concatenate(frozen[1])
    return keys >> CODE_BITS, keys & ((1 << CODE_BITS) - 1), counts


def _merged(keys: list[Ints], counts: list[Ints]) -> tuple[Ints, Ints]:
    all_keys, all_counts = np.concatenate(keys), np.concatenate(counts)
    order = np.argsort(all_keys, kind="stable")
    all_keys, all_counts = all_keys[order], all_counts[order]
    starts = np.flatnonzero(np.r_[True, all_keys[1:] != all_keys[:-1]])
    sums = np.add.reduceat(all_counts, starts)
    left = sums != 0
    return all_keys[starts][left], sums[left]
