"""The states of characters around a moment, as our own drawing: a lane for each character, a bar for each stay."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import pandas as pd

from ..core.counting import counted
from ..figures.colours import ink_on, state_colour
from .drawing import BAD, GAP, MARK, Drawing, TimeScale
from .parts import Picture, records

WIDTH: Final = 960
LEFT: Final = 130
LANE: Final = 18
LANES: Final = 60
BARS: Final = 3_000
GAPS: Final = 200


def lanes(
    stays: pd.DataFrame,
    start: int,
    end: int,
    moment: int | None,
    *,
    gaps: pd.DataFrame,
    errors: pd.DataFrame,
    all_errors: int = 0,
    first: Collection[str] = (),
    most: int = LANES,
) -> Picture | None:
    """Draw the stays between two times in nanoseconds, the characters `first` on top; return `None` without stays.

    `errors` are the newest of `all_errors`.
    """
    if not len(stays):
        return None
    from_ = stays["start"].to_numpy("M8[ns]").astype(np.int64)
    until = stays["end"].to_numpy("M8[ns]").astype(np.int64)
    bounds = np.sort(gaps["time"].to_numpy("M8[ns]").astype(np.int64)) if len(gaps) else np.zeros(0, np.int64)
    cut = np.append(bounds, end)[np.searchsorted(bounds, from_, side="left")]
    until = np.maximum(np.where(stays["end"].isna().to_numpy(), cut, until), from_)
    seen = np.flatnonzero((from_ <= end) & (until >= start))
    stays, from_, until = stays.iloc[seen], from_[seen], until[seen]
    who = stays["character_id"].astype(object).to_numpy()
    present = set(who)
    everybody = [*dict.fromkeys(name for name in (*first, *sorted(present)) if name in present)]
    shown = {name: lane for lane, name in enumerate(everybody[:most])}
    drawing = Drawing(WIDTH, 34 + LANE * len(shown))
    scale = TimeScale(start, end, LEFT, WIDTH - 8)
    bottom = LANE * len(shown) + 6
    for name, lane in shown.items():
        drawing.text(LEFT - 8, LANE * lane + 17, name, anchor="end", cap=18)
        drawing.line(LEFT, LANE * (lane + 1) + 4, WIDTH - 8, LANE * (lane + 1) + 4)
    states, places = (stays[name].astype(object).to_numpy() for name in ("state", "location"))
    drawn = left_out = 0
    reached: dict[str, float] = {}
    for place, name in enumerate(who):
        if name not in shown:
            continue
        x, right = scale(from_[place]), scale(until[place])
        if drawn >= BARS or (right - x < 0.7 and x - reached.get(name, -1.0) < 0.7):
            left_out += 1
            continue
        drawn += 1
        reached[name] = max(x, reached.get(name, -1.0))
        state = "unknown" if pd.isna(states[place]) else str(states[place])
        where = "" if pd.isna(places[place]) else f" in {places[place]}"
        times = f"{_clock(from_[place])} to {_clock(until[place])}"
        y = LANE * shown[name] + 6
        colour = state_colour(state)
        drawing.rect(x, y, right - x, LANE - 4, colour, f"{name}: {state}{where}, {times}")
        if right - x > 7 * min(len(state), 12) + 6:
            drawing.text(x + 4, y + 11, state, size=10, colour=ink_on(colour), cap=12)
    missing = bounds[(bounds >= start) & (bounds <= end)]
    for time in missing[-GAPS:].tolist():
        drawing.rect(scale(time) - 2, 4, 4, bottom - 4, GAP, f"a gap at {_clock(time)}")
    for error in records(errors):
        if str(error.character_id) in shown:
            y = LANE * shown[str(error.character_id)] + 13
            drawing.dot(scale(int(error.time.as_unit("ns").value)), y, 3.5, BAD, f"error: {error.message}", "#ffffff")
    if moment is not None:
        drawing.line(scale(moment), 2, scale(moment), bottom, MARK, 2)
    scale.label(drawing, bottom + 16)
    notes = [f"{len(shown):,} of {counted(len(everybody), 'character')} with a stay in this time"]
    if left_out:
        notes.append(f"{counted(left_out, 'stay')} of {drawn + left_out:,} not drawn, which are narrower than a pixel")
    if len(missing) > GAPS:
        notes.append(f"the newest {GAPS:,} of {counted(len(missing), 'gap')}")
    if all_errors > len(errors):
        notes.append(f"the newest {len(errors):,} of {counted(all_errors, 'error')}")
    return Picture(drawing.svg("states over time"), "; ".join(notes))


def _clock(time: int) -> str:
    return f"{pd.Timestamp(time, unit='ns'):%H:%M:%S.%f}"[:-3]
