"""Meetings: what characters said to each other, and stays in one place at one time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from ..store.schema import NAT, timestamps
from ..store.unknown import warn_user
from .presences import FOREVER, Array, Mask, Presences, crossings, presences
from .talk import Talk

MOST: Final = 1_000_000
"""The most meetings that are listed; a crowd that stays together for long has millions."""


class _Pairs(NamedTuple):
    """Meetings: two characters and the place as codes, begin and end."""

    one: Array
    other: Array
    where: Array
    start: Array
    end: Array

    def at(self, chosen: Mask | Array | slice) -> _Pairs:
        return _Pairs(*(values[chosen] for values in self))

    def turned(self, chosen: Mask) -> _Pairs:
        """Return them with the two characters of some changed for each other."""
        one, other = np.where(chosen, self.other, self.one), np.where(chosen, self.one, self.other)
        return self._replace(one=one, other=other)


def meeting_table(
    stays: pd.DataFrame,
    talk: Talk,
    names: Collection[str] | None,
    others: Collection[str] | None,
    after: int,
    before: int,
) -> pd.DataFrame:
    """Return the frame of `meetings()`; a character that was asked for comes first in its rows.

    Meetings that end before `after` or begin at `before` or later are left out; both in nanoseconds since 1970.
    """
    there = presences(stays)
    people, spoken = _spoken(talk, there)
    mine, theirs = (None if asked is None else people.get_indexer(pd.Index(asked)) for asked in (names, others))
    together, cut = _together(there.at((there.end >= after) & (there.start < before)), mine, theirs)
    found = []
    for pairs in (together, spoken):
        asked = [(place, codes) for place, codes in enumerate((mine, theirs)) if codes is not None]
        for place, codes in asked:
            pairs = pairs.turned(~np.isin(pairs[place], codes))
        fits = (pairs.end >= after) & (pairs.start < before)
        for place, codes in asked:
            fits &= np.isin(pairs[place], codes)
        found.append(pairs.at(fits))
    return _frame(found, people, there.places, cut)


def _together(there: Presences, mine: Array | None, theirs: Array | None) -> tuple[_Pairs, bool]:
    """Return the wanted presences in one place that overlap, in the order in which they began, and whether some lack.

    Only pairs that are wanted are made: a crowd's other pairs would be more than fit in memory.
    """
    first, second, cut = crossings(there, MOST, _among(there, mine), _among(there, theirs))
    apart = there.who[first] != there.who[second]
    first, second = first[apart], second[apart]
    pairs = _Pairs(
        there.who[first],
        there.who[second],
        there.where[first],
        there.start[second],
        np.minimum(there.end[first], there.end[second]),
    )
    return pairs.at(np.argsort(pairs.start, kind="stable")), cut


def _among(there: Presences, wanted: Array | None) -> Mask:
    return np.ones(len(there), np.bool_) if wanted is None else np.isin(there.who, wanted)


def _spoken(talk: Talk, there: Presences) -> tuple[pd.Index, _Pairs]:
    """Return what was said as meetings, and all names: those of `there`, then of other speakers and receivers."""
    codes = {name: code for code, name in enumerate(there.people.tolist())}
    known = np.array([codes.setdefault(name, len(codes)) for name in talk.names], np.int64)
    one, other = known[talk.speaker], known[talk.receiver]
    where = np.full(len(one), -1, np.int64)
    for who in np.unique(one).tolist():
        mine = one == who
        where[mine] = there.place_at(who, talk.time[mine])
    return pd.Index([*codes], dtype="object"), _Pairs(one, other, where, talk.time, talk.time)


def _frame(found: Sequence[_Pairs], people: pd.Index, places: pd.Index, cut: bool) -> pd.DataFrame:
    how = np.repeat(np.array(["place", "chat"], object), [len(pairs.one) for pairs in found])
    pairs = _Pairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
    order = np.lexsort((pairs.other, pairs.one, pairs.start))  # the same, whichever other characters were asked for
    if cut or len(order) > MOST:
        warn_user(f"only the first {MOST:,} meetings are listed: ask for fewer characters, or a shorter time")
        order = order[:MOST]
    pairs, how = pairs.at(order), how[order]
    named, placed = np.array([*people, None], object), np.array([*places, None], object)
    return pd.DataFrame(
        {
            "character_id": pd.Series(named[pairs.one], dtype="str"),
            "other": pd.Series(named[pairs.other], dtype="str"),
            "location": pd.Series(placed[pairs.where], dtype="str"),
            "start": timestamps(pairs.start),
            "end": timestamps(np.where(pairs.end == FOREVER, NAT, pairs.end)),
            "how": pd.Series(how, dtype="str"),
        }
    )
