"""The stays that meetings of some characters need: their own, and those that others spent with them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..store.interfaces import RunStore
from ..store.pieces import Pieces
from ..store.schema import NAT, Ints, Mask
from ..store.stay_pieces import stays_where
from ..store.timeline import ToldRows, differs, lasts
from .presences import FOREVER, Array
from .talk import Talk


def wanted_stays(
    store: RunStore, names: list[str] | None, others: list[str] | None, talk: Talk, after: int, before: int
) -> pd.DataFrame:
    """Return the stays that reach into a time and may be part of a meeting, and those in which somebody spoke.

    A meeting is one of the `names` with one of the `others`; `None` are all. Everybody's stays are held at once only if
    both are `None`. A stay whose end a gap hides ends where it began.
    """
    some = names if names is not None else others
    if some is None:
        return _stays(store, None, talk, after, before)
    try:
        if names is not None and others is not None:
            return _stays(store, _Among([*names, *others]), talk, after, before)
        mine = _stays(store, _Among(some), talk, after, before)
        return _stays(store, _Beside(some, mine), talk, after, before)
    except _TimesGoBack:
        return _stays(store, None, talk, NAT, FOREVER)


class _TimesGoBack(Exception):
    """A sender's times went back: which stays follow each other depends on all of them."""


class _Order:
    """The check that the times of each character's stays ascend."""

    def __init__(self, characters: int) -> None:
        self._newest = np.full(characters, NAT)

    def check(self, begin: ToldRows, ends: Ints) -> None:
        """Look at the next stays, which are by character; raise `_TimesGoBack` if one is before another."""
        first, last = differs(begin.who), lasts(begin.who)
        goes_back = (begin.when[1:] < begin.when[:-1]) & ~first[1:]
        if goes_back.any() or (begin.when[first] < self._newest[begin.who[first]]).any() or (ends < begin.when).any():
            raise _TimesGoBack
        self._newest[begin.who[last]] = begin.when[last]


class _Among:
    """The stays of some characters."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def chosen(self, pieces: Pieces, begin: ToldRows, stop: Ints) -> Mask:  # as the other one takes it
        codes = [pieces.words["character_id"].get(name, -2) for name in self._names]
        return np.isin(begin.who, codes)


class _Beside:
    """The stays of some characters, and those of others in the same place at the same time."""

    def __init__(self, names: list[str], mine: pd.DataFrame) -> None:
        self._own = _Among(names)
        start = mine["start"].to_numpy("M8[ns]").astype(np.int64)
        end = mine["end"].to_numpy("M8[ns]").astype(np.int64)
        stop = np.where(end == NAT, FOREVER, np.maximum(end, start))
        where = mine["location"].astype(object).to_numpy()
        self._times = {
            place: (np.sort(start[where == place]), np.sort(stop[where == place]))
            for place in mine["location"].dropna().unique()
        }

    def chosen(self, pieces: Pieces, begin: ToldRows, stop: Ints) -> Mask:
        found = self._own.chosen(pieces, begin, stop)
        for place, (starts, stops) in self._times.items():
            here = np.flatnonzero(begin.where == pieces.words["location"].get(place, -2))
            # both include their ends: two that were in a place at one instant met
            started = np.searchsorted(starts, stop[here], "right")
            over = np.searchsorted(stops, begin.when[here], "left")
            found[here[started > over]] = True
        return found


def _stays(store: RunStore, wanted: _Among | _Beside | None, talk: Talk, after: int, before: int) -> pd.DataFrame:
    spoke = {talk.names[who]: np.sort(talk.time[talk.speaker == who]) for who in np.unique(talk.speaker).tolist()}

    def ask(pieces: Pieces) -> pd.DataFrame:
        codes = {pieces.words["character_id"].get(name, -2): times for name, times in spoke.items()}

        order = _Order(len(pieces.words["character_id"].words))

        def keep(begin: ToldRows, ends: Ints) -> Mask:
            if wanted is not None:
                order.check(begin, ends)
            stop = np.maximum(ends, begin.when)
            found = (stop >= after) & (begin.when <= before)
            if wanted is not None:
                found &= wanted.chosen(pieces, begin, stop)
                found |= ends <= begin.when  # a moment elsewhere parts two stays in one place
            return found | _spoken(codes, begin, stop)

        return stays_where(pieces, keep, hidden_ends=True)

    return store.by_pieces(ask)


def _spoken(codes: dict[int, Array], begin: ToldRows, stop: Ints) -> Mask:
    """Return a mask of the stays in which their character spoke: meetings say where that was."""
    found = np.zeros(len(stop), np.bool_)
    for who, times in codes.items():
        mine = np.flatnonzero(begin.who == who)
        found[mine] = np.searchsorted(times, stop[mine], "right") > np.searchsorted(times, begin.when[mine], "left")
    return found
