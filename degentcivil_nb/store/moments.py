"""Moments of a run: the row at which it was at a tick or a time, and the tick and time of a row."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from .arguments import Moment, moment_ns, not_held
from .checkpoints import last_where
from .table import View

CHUNK: Final = 10_000


class RowMoment(NamedTuple):
    """The moment after a row: the row's number, the last tick named up to it, and its time in nanoseconds."""

    row: int
    tick: int | None
    time: int


def row_at(view: View, *, tick: int | None = None, at: Moment = None) -> int | None:
    """Return the last row up to a tick or a time; `None` if all rows held are later."""
    if tick is not None:
        place = last_where(view.columns["tick"], view.masks["tick"], tick)
    else:
        place = last_where(view.columns["time"], None, moment_ns(at, view.newest))
    return None if place < 0 else view.first_row + place


def moment_of(view: View, row: int) -> RowMoment:
    """Return the moment after a row; `KeyError` for a row that is not held."""
    if not view.first_row <= row < view.next_row:
        raise not_held(row, view.first_row, view.next_row)
    place = row - view.first_row
    return RowMoment(row, _tick_by(view, place), int(view.columns["time"][place]))


def _tick_by(view: View, place: int) -> int | None:
    """Return the last tick that was named up to an index, searching backwards a chunk at a time."""
    for stop in range(place + 1, 0, -CHUNK):
        start = max(0, stop - CHUNK)
        named = np.flatnonzero(~view.masks["tick"][start:stop])
        if len(named):
            return int(view.columns["tick"][start + named[-1]])
    return None
