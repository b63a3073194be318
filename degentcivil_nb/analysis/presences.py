"""Presences: who was in which place, from when to when, in arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..store.schema import NAT

Array = npt.NDArray[np.int64]
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
        last = np.searchsorted(mine.start, moments, "right") - 1
        known = last >= 0
        known[known] = moments[known] < mine.end[last[known]]
        return np.where(known, np.append(mine.where, -1)[np.where(known, last, -1)], -1)


def presences(stays: pd.DataFrame) -> Presences:
    """Join the stays of each character in one place; an end that a gap hides is set to the last stay's beginning."""
    who, where = (stays[name].cat.codes.to_numpy().astype(np.int64) for name in ("character_id", "location"))
    start, end = (stays[name].to_numpy("M8[ns]").astype(np.int64) for name in ("start", "end"))
    order = np.lexsort((start, who))
    who, where, start, end = who[order], where[order], start[order], end[order]
    followed = np.append(who[1:] == who[:-1], False)[: len(who)]
    end = np.where(end != NAT, end, np.where(followed, start, FOREVER))  # another stay follows, so its end was lost
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
    mine_of, stop = there.where[own], there.stop
    for place in np.unique(mine_of).tolist():
        mine = own.start + np.flatnonzero(mine_of == place)
        other = by_place[slice(*np.searchsorted(places, [place, place + 1]).tolist())]
        # one character's presences follow each other: those that overlap another's are next to each other
        first = np.searchsorted(stop[mine], there.start[other], "right")
        count = np.maximum(np.searchsorted(there.start[mine], stop[other]) - first, 0)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        yield mine[np.repeat(first, count) + within], np.repeat(other, count)


def crossings(there: Presences, most: int) -> tuple[Array, Array]:
    """Return the pairs of presences in one place at one time; if there are more than `most`, about the first of them.

    Both are indices into `there`; the first of a pair began first.
    """
    order = np.lexsort((there.start, there.where))
    where, start, end = there.where[order], there.start[order], there.stop[order]
    bounds = np.append(np.flatnonzero(np.diff(where, prepend=-1)), len(where))
    stops, met = np.zeros(len(where), np.int64), np.zeros(len(where), np.int64)
    for first, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        mine = slice(first, stop)
        stops[mine] = first + np.searchsorted(start[mine], end[mine])
        met[mine] = np.arange(stop - first) - np.searchsorted(np.sort(end[mine]), start[mine], "right")
    if met.sum() > most:
        by_time = np.argsort(start, kind="stable")
        last = int(np.searchsorted(np.cumsum(met[by_time]), most, "right"))
        early = np.flatnonzero(there.start <= start[by_time[min(last, len(by_time) - 1)]])
        if len(early) < len(there):
            pairs = crossings(there.at(early), most)
            return early[pairs[0]], early[pairs[1]]
    places = np.arange(len(order))
    count = np.maximum(stops - places - 1, 0)
    count[np.cumsum(count) > CROWD * most] = 0  # a crowd that came at one moment
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return order[np.repeat(places, count)], order[np.repeat(places + 1, count) + within]


CROWD: Final = 8
"""How many times as many pairs as wanted are made at most."""
