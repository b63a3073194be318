"""Stays: the state and location of each character, with start and end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from ..protocol.messages import MessageTypes
from .arguments import Names, names_of
from .columns import Dictionary
from .schema import NAT, Codes, Ints, Mask, order_of_codes, timestamps
from .selection import has_word
from .table import Array, View
from .transitions import TransitionTracker

UNKNOWN: Final = -1
"""The value of an unknown tick."""


@dataclass(frozen=True, slots=True)
class Extra:
    """Changes that no single row names: from lists of characters, and from snapshots."""

    rows: Ints
    characters: Codes
    states: Codes
    locations: Codes
    times: Ints

    @classmethod
    def of(cls, stays: TransitionTracker, pending: tuple[Codes, Codes, Codes, Ints] | None, next_row: int) -> Extra:
        """Collect the noted changes, and those of a snapshot whose seq the stream has not reached."""
        rows, characters = stays.extra_rows.values, stays.extra_characters.values
        states, locations, times = stays.extra_states.values, stays.extra_locations.values, stays.extra_times.values
        if pending is not None:
            who, what, where, since = pending
            new = (what >= 0) & stays.unknown(who)
            rows = np.concatenate([rows, np.full(int(new.sum()), next_row)])
            characters = np.concatenate([characters, who[new]])
            states, locations = np.concatenate([states, what[new]]), np.concatenate([locations, where[new]])
            times = np.concatenate([times, since[new]])
        return cls(rows, characters, states, locations, times)


_NO_CODES: Final = np.zeros(0, np.int32)
NO_EXTRA: Final = Extra(np.zeros(0, np.int64), _NO_CODES, _NO_CODES, _NO_CODES, np.zeros(0, np.int64))
"""No such changes."""


class ToldRows(NamedTuple):
    """The facts of rows about stays: who is in which state and place (−1 is unknown), when, and who left."""

    rows: Array
    who: Array
    what: Array
    where: Array
    when: Array
    tick: Array
    left: Array

    def at(self, places: Array) -> ToldRows:
        """Return some of the rows."""
        return ToldRows(*(column[places] for column in self))

    def behind(self, others: ToldRows) -> ToldRows:
        """Return other rows and then these."""
        return ToldRows(*(np.concatenate(pair) for pair in zip(others, self, strict=True)))


class StayRows(NamedTuple):
    """Stays by character: where each began, and when it ended (`NAT` if it continues, or if a gap follows)."""

    begin: ToldRows
    ends: Ints
    last_ticks: Ints

    def at(self, places: Array) -> StayRows:
        """Return some of the stays."""
        return StayRows(self.begin.at(places), self.ends[places], self.last_ticks[places])


def told_rows(view: View, extra: Extra, character_id: Names = None) -> ToldRows:
    """Return the facts of a view's rows and the extra changes about stays."""
    columns = view.columns
    departed: Mask = columns["type"] == view.code("type", MessageTypes.CHARACTER_LEFT)
    chosen: Mask = (columns["state"] >= 0) | (columns["location"] >= 0) | (departed & (columns["character_id"] >= 0))
    late: Mask = extra.rows >= view.first_row
    if character_id is not None:
        chosen &= has_word(view, "character_id", character_id)
        names = names_of(character_id) or ()
        late &= np.isin(extra.characters, [view.code("character_id", name) for name in names])
    at = np.flatnonzero(chosen)
    told = ToldRows(
        at + view.first_row,
        columns["character_id"][at].astype(np.int32),
        columns["state"][at].astype(np.int32),
        columns["location"][at].astype(np.int32),
        columns["time"][at],
        _ticks(view, at),
        departed[at],
    )
    if not late.any():
        return told
    rows, times = extra.rows[late], extra.times[late]
    more = ToldRows(
        rows,
        extra.characters[late],
        extra.states[late],
        extra.locations[late],
        times,
        _ticks_of(view, rows, times),
        np.zeros(len(rows), np.bool_),
    )
    told = told.behind(more)
    return told.at(np.argsort(told.rows, kind="stable"))  # stable, so that a snapshot's changes come first within a row


def stay_rows(told: ToldRows, gap_rows: Ints, nowhere: int) -> tuple[StayRows, ToldRows]:
    """Return the stays of rows, and the rows with which the rows that come later have to begin.

    Those are where the last stay of each character began. `nowhere` is the code of a location that is empty.
    """
    order = order_of_codes(told.who)
    who, left = told.who[order], told.left[order]
    part = np.searchsorted(gap_rows, told.rows[order], side="right") if len(gap_rows) else None
    fresh = _fresh(who, part, left)
    what, where = told.what[order].astype(np.int32), told.where[order].astype(np.int32)
    what[left] = where[left] = -1
    what, where = carried(what, fresh), carried(where, fresh)
    where[where == nowhere] = -1  # an empty one: it left its place

    def at(places: Array) -> ToldRows:
        of = order[places]
        known = who[places], what[places], where[places]
        return ToldRows(told.rows[of], *known, told.when[of], told.tick[of], left[places])

    only_placed = at(np.flatnonzero(lasts(who) & (what < 0) & (where >= 0) & ~left))
    stated = (what >= 0) | left
    if not stated.all():
        order, who, left = order[stated], who[stated], left[stated]
        what, where = what[stated], where[stated]
        fresh = _fresh(who, None if part is None else part[stated], left)
    starts = np.flatnonzero(fresh | left | differs(what) | differs(where))
    begin = at(starts)
    ends, last_ticks = np.full(len(starts), NAT), np.full(len(starts), UNKNOWN)
    follows = np.flatnonzero(~fresh[starts[1:]])
    ends[follows], last_ticks[follows] = begin.when[follows + 1], begin.tick[follows + 1]
    goes_on = begin.at(lasts(begin.who) & ~begin.left & ~np.isin(begin.who, only_placed.who))
    carry = only_placed.behind(goes_on)
    if begin.left.any():  # a departure ends a stay and begins none
        kept = ~begin.left
        return StayRows(begin.at(kept), ends[kept], last_ticks[kept]), carry
    return StayRows(begin, ends, last_ticks), carry


def _fresh(who: Codes, part: Ints | None, left: Mask) -> Mask:
    """Return a mask of the rows before which nothing is known: of another character, and behind gaps and departures."""
    fresh = differs(who)
    if part is not None:
        fresh |= differs(part)
    fresh[1:] |= left[:-1]
    return fresh


def stay_table(view: View, extra: Extra, gap_rows: Ints, character_id: Names) -> pd.DataFrame:
    """Return the frame of `timeline()` from a view's rows and the extra changes; gaps end stays."""
    told = told_rows(view, extra, character_id)
    stays, _ = stay_rows(told, gap_rows, view.code("location", ""))
    return stay_frame(stays.at(np.argsort(stays.begin.rows, kind="stable")), view.dictionaries)


def stay_frame(stays: StayRows, words: Mapping[str, Dictionary]) -> pd.DataFrame:
    """Return the frame of `timeline()` from stays in its order."""
    begin, ends, last_ticks = stays
    columns: dict[str, Any] = {}
    for name, codes in (("character_id", begin.who), ("state", begin.what), ("location", begin.where)):
        dictionary = words[name]
        columns[name] = pd.Categorical.from_codes(codes, dtype=dictionary.dtype(len(dictionary.words)))
    started, finished = timestamps(begin.when), timestamps(ends)
    columns |= {"start": started, "end": finished, "duration": finished - started}
    first, last = _whole(begin.tick), _whole(last_ticks)
    return pd.DataFrame({**columns, "start_tick": first, "end_tick": last, "ticks": last - first})


def _ticks(view: View, places: Ints) -> Ints:
    """Return the ticks of a view's rows by their indices, `UNKNOWN` where there is none."""
    known: Ints = np.where(view.masks["tick"][places], UNKNOWN, view.columns["tick"][places])
    return known


def _ticks_of(view: View, rows: Ints, times: Ints) -> Ints:
    """Return the ticks of changes from lists of characters: those of their rows. A snapshot has no tick."""
    ticks = np.full(len(rows), UNKNOWN)
    held = np.flatnonzero((rows >= view.first_row) & (rows < view.next_row))
    places = rows[held] - view.first_row
    same = view.columns["time"][places] == times[held]
    ticks[held[same]] = _ticks(view, places[same])
    return ticks


def _whole(ticks: Ints) -> Any:
    unknown = ticks == UNKNOWN
    return pd.arrays.IntegerArray(np.where(unknown, 0, ticks), unknown)


def differs(values: Array) -> Mask:
    """Return a mask of the values that differ from the one before; the first always does."""
    changed = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def lasts(values: Array) -> Mask:
    """Return a mask of the values that differ from the one behind; the last always does."""
    changed = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[:-1])
    return changed


def carried(values: Codes, fresh: Mask) -> Codes:
    """Replace each unknown value (−1) by the last known one since the last fresh start."""
    if not len(values):
        return values
    last = np.maximum.accumulate(np.where((values >= 0) | fresh, np.arange(len(values)), 0))
    return values[last]
