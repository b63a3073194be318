"""The moments at which the tick changes: what the clock of a run needs of its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from .pieces import Extract, Extracted, Piece
from .schema import Ints
from .table import Array, View
from .timeline import differs

N = TypeVar("N", np.int64, np.float64)


RESTART: Final = 1
"""The counter counts as restarted if it falls back by more ticks than this: threads may publish a tick late."""


def _make(piece: Piece) -> Extracted:
    view = piece.view()
    if view.next_row == view.first_row:
        return TICKS.empty()
    places = changes_of_tick(view)
    times = np.maximum.accumulate(view.columns["time"])
    told = ~view.masks["tick"][places]
    return Extracted(
        {
            "place": places,
            "tick": np.where(told, view.columns["tick"][places], 0).astype(np.int64),
            "told": told,
            "begin": times[places],
            "end": times[np.append(places[1:], len(times)) - 1],
        }
    )


def changes_of_tick(view: View) -> Ints:
    """Return the places of the first event and of those whose tick is another than the last one that was told."""
    known = np.flatnonzero(~view.masks["tick"])
    news: Ints = known[differs(view.columns["tick"][known])]
    return news if len(news) and news[0] == 0 else np.append(0, news)


def lost_by_restarts(ticks: npt.NDArray[N], before: N) -> npt.NDArray[N]:
    """Return what restarts took from ticks so far: `before` is the tick before the first."""
    back = np.minimum(np.diff(ticks, prepend=before), 0)
    lost: npt.NDArray[N] = np.cumsum(np.where(back < -RESTART, -back, 0))
    return lost


def moments_within(view: View) -> Ints:
    """Return the ticks of a view's events as they go on where the counter begins again; the first one must be known."""
    places = changes_of_tick(view)
    ticks = view.columns["tick"][places].astype(np.int64)
    moments = np.maximum.accumulate(ticks + lost_by_restarts(ticks, ticks[0]))
    found: Ints = np.repeat(moments, np.diff(np.append(places, view.next_row - view.first_row)))
    return found


def _check(columns: Mapping[str, Array]) -> bool:
    places = columns["place"]
    return len(places) > 0 and places[0] == 0 and bool((np.diff(places) > 0).all())


TICKS: Final = Extract(
    "ticks",
    1,
    {"place": "i8", "tick": "i8", "told": "?", "begin": "i8", "end": "i8"},
    frozenset(),
    _make,
    check=_check,
)
"""The events whose tick differs from the one before, and the first event of the piece.

`told` is false if the first event has no tick. `begin` and `end` are the times of an event and of the last one before
the next change, in nanoseconds since 1970, each at least that of the events before it in the piece.
"""
