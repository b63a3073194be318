"""Stays: the state and location of each character, with start and end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from ..protocol.messages import MessageTypes
from .arguments import Names, names_of
from .schema import NAT, Codes, Ints, Mask, timestamps
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


def stay_table(view: View, extra: Extra, gap_rows: Ints, character_id: Names) -> pd.DataFrame:
    """Return the frame of `timeline()` from a view's rows and the extra changes; gaps end stays."""
    columns = view.columns
    departed: Mask = columns["type"] == view.code("type", MessageTypes.CHARACTER_LEFT)
    chosen: Mask = (columns["state"] >= 0) | (columns["location"] >= 0) | (departed & (columns["character_id"] >= 0))
    late: Mask = extra.rows >= view.first_row
    if character_id is not None:
        chosen &= has_word(view, "character_id", character_id)
        names = names_of(character_id) or ()
        late &= np.isin(extra.characters, [view.code("character_id", name) for name in names])
    at = np.flatnonzero(chosen)
    rows = np.concatenate([extra.rows[late], at + view.first_row])
    who = np.concatenate([extra.characters[late], columns["character_id"][at]])
    what = np.concatenate([extra.states[late], columns["state"][at]]).astype(np.int32)
    where = np.concatenate([extra.locations[late], columns["location"][at]]).astype(np.int32)
    when = np.concatenate([extra.times[late], columns["time"][at]])
    tick = np.concatenate([_ticks_of(view, extra.rows[late], extra.times[late]), _ticks(view, at)])
    left = np.concatenate([np.zeros(int(late.sum()), np.bool_), departed[at]])

    # stable, so that a snapshot's changes come first within a row
    order = np.argsort(rows, kind="stable") if late.any() else np.arange(len(rows))
    order = order[np.argsort(who[order], kind="stable")]
    rows, who, what, where, when = rows[order], who[order], what[order], where[order], when[order]
    tick, left = tick[order], left[order]
    part = np.searchsorted(gap_rows, rows, side="right")
    fresh = _differs(who) | _differs(part)
    fresh[1:] |= left[:-1]
    what[left] = where[left] = -1
    what, where = _carried(what, fresh), _carried(where, fresh)
    where[where == view.code("location", "")] = -1  # an empty text: the character left its place
    stated = (what >= 0) | left
    rows, who, part, when, what, where, tick, left = (
        column[stated] for column in (rows, who, part, when, what, where, tick, left)
    )
    fresh = _differs(who) | _differs(part)
    fresh[1:] |= left[:-1]
    starts = np.flatnonzero(fresh | left | _differs(what) | _differs(where))
    ends, last_ticks = np.full(len(starts), NAT), np.full(len(starts), UNKNOWN)
    if len(starts):
        follows = ~fresh[starts[1:]]
        ends[:-1][follows] = when[starts[1:]][follows]
        last_ticks[:-1][follows] = tick[starts[1:]][follows]
    by_row = np.argsort(rows[starts], kind="stable")
    by_row = by_row[~left[starts[by_row]]]  # a departure ends a stay and begins none
    starts, ends, last_ticks = starts[by_row], ends[by_row], last_ticks[by_row]
    frame = _frame(view, who[starts], what[starts], where[starts], when[starts], ends)
    begin, end = _whole(tick[starts]), _whole(last_ticks)
    return frame.assign(start_tick=begin, end_tick=end, ticks=end - begin)


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


def _differs(values: Array) -> Mask:
    """Return a mask of the values that differ from the one before; the first always does."""
    changed = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def _carried(values: Codes, fresh: Mask) -> Codes:
    """Replace each unknown value (−1) by the last known one since the last fresh start."""
    if not len(values):
        return values
    last = np.maximum.accumulate(np.where((values >= 0) | fresh, np.arange(len(values)), 0))
    return values[last]


def _frame(view: View, who: Codes, what: Codes, where: Codes, start: Ints, end: Ints) -> pd.DataFrame:
    columns = {}
    for name, codes in (("character_id", who), ("state", what), ("location", where)):
        dictionary = view.dictionaries[name]
        columns[name] = pd.Categorical.from_codes(codes, dtype=dictionary.dtype(len(dictionary.words)))
    begin, finish = timestamps(start), timestamps(end)
    return pd.DataFrame({**columns, "start": begin, "end": finish, "duration": finish - begin})
