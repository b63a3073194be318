"""Presences: who was in which place, from when to when, in arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..store.schema import NAT

Array = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
FOREVER: Final = int(np.iinfo(np.int64).max)
"""The end of a presence that goes on."""


class Presences(NamedTuple):
    """Characters in places, by character and in the order of their begin; times in nanoseconds since 1970."""

    who: Array
    where: Array
    start: Array
    end: Array
    """`FOREVER` if the character is still there."""
    people: pd.Index
    """The names of `who`."""
    places: pd.Index
    """The names of `where`."""

    def __len__(self) -> int:
        return len(self.who)

    @property
    def stop(self) -> Array:
        """The first moments at which they are over: one that a gap cut short was there when it began."""
        return np.maximum(self.end, self.start + 1)

    def at(self, chosen: Any) -> Presences:
        """Return some of them, given by their indices or a mask."""
        who, where, start, end = (values[chosen] for values in (self.who, self.where, self.start, self.end))
        return Presences(who, where, start, end, self.people, self.places)

    def of(self, who: int) -> slice:
        """Return the indices of the presences of a character, if they were not put in another order."""
        return slice(*np.searchsorted(self.who, [who, who + 1]).tolist())

    def place_at(self, who: int, moments: Array) -> Array:
        """Return the places of a character at some moments, −1 where that is unknown."""
        mine = self.at(self.of(who))
        where, end = np.append(mine.where, -1), np.append(mine.end, FOREVER)
        longest = np.append(np.maximum.accumulate(mine.end), FOREVER)
        last = np.searchsorted(mine.start, moments, "right") - 1
        # if a sender's times went back, an earlier presence may still go on: that one is looked for
        while np.any(over := (last >= 0) & (end[last] <= moments) & (longest[last] > moments)):
            last[over] -= 1
        return np.where(end[last] > moments, where[last], -1)


def presences(stays: pd.DataFrame) -> Presences:
    """Join the stays of each character in one place; an end that a gap hides is set to the last stay's beginning."""
    who, where = (stays[name].cat.codes.to_numpy().astype(np.int64) for name in ("character_id", "location"))
    start, end = (stays[name].to_numpy("M8[ns]").astype(np.int64) for name in ("start", "end"))
    order = np.lexsort((start, who))
    who, where, start, end = who[order], where[order], start[order], end[order]
    followed = np.append(who[1:] == who[:-1], False)[: len(who)]
    lost = np.where(followed, start, FOREVER)  # if another stay follows, a gap hides the end
    end = np.where(end != NAT, np.maximum(end, start), lost)  # a sender's times may go back
    known = where >= 0
    who, where, start, end = who[known], where[known], start[known], end[known]
    fresh = np.ones(len(who), np.bool_)
    fresh[1:] = (who[1:] != who[:-1]) | (where[1:] != where[:-1]) | (start[1:] != end[:-1])
    first = np.flatnonzero(fresh)
    last = np.append(first[1:], len(who))[: len(first)] - 1
    people, places = (pd.Index(stays[name].cat.categories) for name in ("character_id", "location"))
    return Presences(who[first], where[first], start[first], end[last], people, places)


def overlaps(there: Presences, who: int) -> Iterator[tuple[Array, Array]]:
    """Yield, place by place, the pairs of a presence of a character and one of another's at the same time.

    Both are indices into `there`, whose presences are by character.
    """
    own = there.of(who)
    others = np.append(np.arange(own.start), np.arange(own.stop, len(there)))
    by_place = others[np.argsort(there.where[others], kind="stable")]
    places = there.where[by_place]
    mine_of, start, stop = there.where[own], there.start, there.stop
    for place in np.unique(mine_of).tolist():
        mine = own.start + np.flatnonzero(mine_of == place)
        other = by_place[slice(*np.searchsorted(places, [place, place + 1]).tolist())]
        # those that overlap another's are next to each other, except where a sender's times went back
        first = np.searchsorted(np.maximum.accumulate(stop[mine]), start[other], "right")
        count = np.maximum(np.searchsorted(start[mine], stop[other]) - first, 0)
        near, beside = mine[np.repeat(first, count) + _within(count)], np.repeat(other, count)
        together = stop[near] > start[beside]
        yield near[together], beside[together]


class Crossings(NamedTuple):
    """Pairs of presences in one place at one time, as indices; the first of a pair began first."""

    first: Array
    second: Array
    cut: bool
    """Whether there are more."""


def crossings(there: Presences, most: int, one: Mask, other: Mask) -> Crossings:
    """Return the pairs of a presence of `one` and one of `other`; if there are more than `most`, the first in time.

    The pairs of the last presence are not cut, so a few more than `most` may come.
    """
    order = np.lexsort((there.start, there.where))
    order = order[(one | other)[order]]
    begin, over = _moments(there.at(order))
    ones, others = one[order], other[order]
    groups = [  # presences, and those with which they make pairs
        (np.flatnonzero(ones & ~others), np.flatnonzero(others)),
        (np.flatnonzero(others & ~ones), np.flatnonzero(ones)),
        (np.flatnonzero(ones & others), np.arange(len(order))),
    ]
    met = np.zeros(len(order), np.int64)  # how many of its partners were there when each began
    for mine, partners in groups:
        gone = np.searchsorted(np.sort(over[partners]), begin[mine], "right")
        met[mine] = np.searchsorted(partners, mine) - gone
    by_time = np.argsort(there.start[order], kind="stable")
    last = int(np.searchsorted(np.cumsum(met[by_time]), most, "right")) + 1
    if last < len(order):
        early = np.sort(order[by_time[:last]])
        found = crossings(there.at(early), most, one[early], other[early])
        return Crossings(early[found.first], early[found.second], cut=True)
    until = np.searchsorted(begin, over)
    first, second = [], []
    for mine, partners in groups:
        since = np.searchsorted(partners, mine, "right")
        count = np.searchsorted(partners, until[mine]) - since
        first.append(np.repeat(mine, count))
        second.append(partners[np.repeat(since, count) + _within(count)])
    return Crossings(order[np.concatenate(first)], order[np.concatenate(second)], cut=False)


def _moments(there: Presences) -> tuple[Array, Array]:
    """Return when presences begin and are over, as numbers that ascend from place to place and in each with time."""
    times, ranks = np.unique(np.concatenate([there.start, there.stop]), return_inverse=True)
    begin, over = there.where * len(times) + ranks.reshape(2, -1)
    return begin, over


def _within(count: Array) -> Array:
    """Return 0, 1, … for each of some counts, one after the other."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
