"""Counts kept as events come and go, so that a rate is never counted from history."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .schema import Ints

CODE_BITS: Final = 24
"""Words of a dictionary and codes of errors are numbered below this; seconds stand above."""
TAIL: Final = 16_384


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

    def add(self, seconds: Ints, codes: npt.NDArray[Any], sign: int = 1) -> None:
        """Count events by their seconds (since 1970) and codes; codes below zero are none."""
        if not len(codes):
            return
        if codes.min() < 0:
            some = codes >= 0
            seconds, codes = seconds[some], codes[some]
            if not len(codes):
                return
        start = int(seconds.min())
        width = int(codes.max()) + 1
        cells = (int(seconds.max()) - start + 1) * width
        if cells <= 4 * len(codes) + 4_096:
            table = np.bincount((seconds - start) * width + codes, minlength=cells)
            hit = np.flatnonzero(table)
            keys = ((hit // width + start) << CODE_BITS) + hit % width
            counts = table[hit]
        else:
            keys, counts = np.unique((seconds << CODE_BITS) + codes, return_counts=True)
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
