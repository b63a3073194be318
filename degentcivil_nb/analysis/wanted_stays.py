"""The stays that meetings of some characters need: their own, and those that others spent with them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..store.pieces import Pieces
from ..store.schema import NAT, Ints, Mask
from ..store.stay_pieces import OPEN, stays_where
from ..store.timeline import ToldRows, differs, lasts
from .presences import FOREVER, Array
from .talk import Talk


def wanted_stays(pieces: Pieces, names: list[str] | None, others: list[str] | None, talk: Talk) -> pd.DataFrame:
    """Return the stays that may be part of a meeting, and those in which somebody spoke.

    A meeting is one of the `names` with one of the `others`; `None` are all. Everybody's stays are held at once only if
    both are `None`, or if a sender's times go back. A stay whose end a gap hides ends where it began.
    """
    some = names if names is not None else others
    if some is None:
        return _stays(pieces, None, talk)
    try:
        if names is not None and others is not None:
            return _stays(pieces, _Among([*names, *others]), talk)
        return _stays(pieces, _Beside(some, _stays(pieces, _Among(some), talk)), talk)
    except _TimesGoBack:
        return _stays(pieces, None, talk)


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
        mine = mine[mine["character_id"].isin(names)]
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


def _stays(pieces: Pieces, wanted: _Among | _Beside | None, talk: Talk) -> pd.DataFrame:
    order = _Order(len(pieces.words["character_id"].words))
    spoke = _Spoken(talk, pieces)

    def keep(begin: ToldRows, ends: Ints) -> Mask:
        if wanted is None:
            return np.ones(len(ends), np.bool_)
        order.check(begin, ends)
        found = wanted.chosen(pieces, begin, ends) | spoke.within(begin, ends)
        # a moment elsewhere parts two stays in one place; a stay whose end is hidden is one
        kept: Mask = found | (ends <= begin.when) | (ends == OPEN)
        return kept

    return stays_where(pieces, keep, hidden_ends=True)


class _Spoken:
    """When characters spoke: meetings say where that was."""

    def __init__(self, talk: Talk, pieces: Pieces) -> None:
        self._times = np.unique(talk.time)
        codes = np.array([pieces.words["character_id"].get(name, -1) for name in talk.names], np.int64)
        speaker = codes[talk.speaker] if len(codes) else np.zeros(0, np.int64)
        known = speaker >= 0
        self._keys = np.sort(self._key(speaker[known], np.searchsorted(self._times, talk.time[known])))

    def _key(self, who: Array, rank: Array) -> Array:
        """Return numbers that ascend with the character, and with time for each."""
        return who.astype(np.int64) * (len(self._times) + 1) + rank

    def within(self, begin: ToldRows, stop: Ints) -> Mask:
        """Return a mask of the stays in which their character spoke, both ends included."""
        first = self._key(begin.who, np.searchsorted(self._times, begin.when, "left"))
        behind = self._key(begin.who, np.searchsorted(self._times, stop, "right"))
        found: Mask = np.searchsorted(self._keys, behind) > np.searchsorted(self._keys, first)
        return found
