"""The lane of one character: its last stays, for its page."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ..figures.colours import state_colour
from ..store.moments import RowMoment
from .cells import NO_TIME_NS, cell_text
from .interfaces import PanelReader

STAYS: Final = 60
"""The most stays of a lane."""
SECOND: Final = 1_000_000_000


def lane_of(reader: PanelReader, who: str, moment: RowMoment | None) -> dict[str, Any] | None:
    """Return the last stays of a character up to a moment, with their colours, and how many there are in all."""
    if reader.next_row <= reader.first_row:
        return None
    until = (reader.moment_of(reader.next_row - 1) if moment is None else moment).time
    frame = reader.timeline(who)
    if not len(frame):
        return None
    starts = frame["start"].to_numpy("M8[ns]").astype(np.int64)
    frame = frame[starts <= until]
    total, frame = len(frame), frame.iloc[-STAYS:]
    if not len(frame):
        return None
    starts = frame["start"].to_numpy("M8[ns]").astype(np.int64)
    ends = frame["end"].to_numpy("M8[ns]").astype(np.int64)
    ends = np.minimum(np.where(ends == NO_TIME_NS, until, ends), until)
    states = [cell_text(state) or "unknown" for state in frame["state"].astype(object)]
    places = [cell_text(place) for place in frame["location"].astype(object)]
    stays = [
        [start / SECOND, max(start, end) / SECOND, state, place, state_colour(state)]
        for start, end, state, place in zip(starts.tolist(), ends.tolist(), states, places, strict=True)
    ]
    return {"stays": stays, "all": total, "start": stays[0][0], "end": until / SECOND}
