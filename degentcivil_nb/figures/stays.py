"""The figures of characters and places as plain data: the states over time, and the map."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from ..core.counting import counted
from .colours import ink_on, state_colour
from .map_layout import placed
from .parts import (
    INK,
    OTHER,
    Spec,
    axis,
    empty,
    footnote,
    gap_shapes,
    layout,
    listed,
    texts,
    time_axis,
    times_of,
)
from .plotly_text import distinct_texts, plotly_text

MAX_CHARACTERS: Final = 40
MAX_STATES: Final = 24
MAX_STAYS: Final = 4_000
MAX_DOTS: Final = 2_000
NAMED: Final = 40
"""The most places whose names are drawn: more would cover each other, and tooltips have them."""
NO_STAYS: Final = "No stays yet. They begin with the first state of a character."


def timeline(
    stays: pd.DataFrame,
    gaps: pd.DataFrame | None = None,
    *,
    now: Any = None,
    more: int = 0,
    max_stays: int = MAX_STAYS,
) -> Spec:
    """Draw the states of characters over time: a line for each character, a bar for each stay, a colour for each state.

    A stay without an end is drawn until `now` (by default the last known time), or until the gap that ended it. `more`
    characters were left out by the caller.
    """
    if not len(stays):
        return empty(NO_STAYS)
    everybody = list(dict.fromkeys(texts(stays, "character_id")))
    who = np.array(texts(stays, "character_id"), dtype=object)
    shown = everybody[:MAX_CHARACTERS]
    chosen = np.flatnonzero(np.isin(who, shown))
    left_out = len(chosen) - max_stays
    chosen = chosen[-max_stays:]
    frame, who = stays.iloc[chosen], who[chosen]
    starts, ends = times_of(frame["start"]), times_of(frame["end"])
    latest = np.nanmax(np.concatenate([starts, ends, times_of([now] if now is not None else [])]))
    open_ends = np.isnat(ends)
    bounds = times_of(gaps["time"]) if gaps is not None and "time" in gaps else times_of([])
    bounds = np.sort(bounds[~np.isnat(bounds)])
    cut = np.searchsorted(bounds, starts, side="left")
    until = np.append(bounds, latest)[np.minimum(cut, len(bounds))]
    ends = np.where(open_ends, np.maximum(until, starts), ends)

    names = dict(zip(shown, distinct_texts(shown, 24), strict=True))
    rows = np.array([names[name] for name in who], dtype=object)
    states = np.array(texts(frame, "state"), dtype=object)
    places = [plotly_text(place, 40) for place in texts(frame, "location", "an unknown place")]
    words, counts = np.unique(states.astype(str), return_counts=True)
    order = [str(words[place]) for place in np.argsort(-counts, kind="stable")]
    groups = [(state, state_colour(state), states == state) for state in order[:MAX_STATES]]
    if rest := order[MAX_STATES:]:
        groups.append((f"other ({len(rest)})", OTHER, np.isin(states, rest)))
    labels = distinct_texts([state for state, _, _ in groups], 16)
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": label,
            "y": rows[mine].tolist(),
            "base": starts[mine],
            "x": ((ends[mine] - starts[mine]) / np.timedelta64(1, "ms")),
            "customdata": [places[place] for place in np.flatnonzero(mine)],
            "marker": {"color": colour, "line": {"width": 0}},
            "texttemplate": label,
            "textposition": "inside",
            "insidetextanchor": "start",
            "textfont": {"size": 10, "color": ink_on(colour)},
            "textangle": 0,
            "hovertemplate": f"%{{y}}<br>{label} in %{{customdata}}"
            "<br>%{base|%H:%M:%S.%L} to %{x|%H:%M:%S.%L}<extra></extra>",
        }
        for label, (_, colour, mine) in zip(labels, groups, strict=True)
    ]
    missing = len(everybody) - len(shown) + more
    notes = [f"{counted(missing, 'more character')} not shown"] if missing else []
    if left_out > 0:
        notes.append(f"{counted(left_out, 'earlier stay')} not shown")
    if rest:
        notes.append(f"other: {listed(rest)}")
    return {
        "data": data,
        "layout": layout(
            height=max(240, 130 + 22 * len(shown) + 18 * (len(groups) // 6)),
            barmode="overlay",
            bargap=0.25,
            uniformtext={"mode": "hide", "minsize": 9},
            xaxis=time_axis(),
            yaxis=axis(
                "", type="category", autorange="reversed", categoryorder="array", categoryarray=list(names.values())
            ),
            shapes=[
                {**shape, "layer": "above"}  # else the stays would hide it
                for shape in gap_shapes(gaps, np.concatenate([starts, ends]), np.timedelta64(500, "ms"))
            ],
            annotations=[footnote("; ".join(notes))] if notes else [],
        ),
    }


def town_map(characters: pd.DataFrame, places: pd.DataFrame | None = None) -> Spec:
    """Draw places and characters by their `x` and `y`; a character without them is drawn around its place."""
    shown = characters.iloc[:MAX_DOTS]
    x, y, spots = placed(shown, places)
    if not len(characters) and not spots:
        return empty("No characters yet. They appear with their attributes x and y, or at their location.")
    where = texts(shown, "location", "")
    states = np.array(texts(shown, "state"), dtype=object)
    names = [plotly_text(name) for name in shown.index.tolist()]
    data: list[Spec] = [
        {
            "type": "scatter",
            "mode": "markers+text" if len(spots) <= NAMED else "markers",
            "name": "places",
            "x": [spot[0] for spot in spots.values()],
            "y": [spot[1] for spot in spots.values()],
            "text": [plotly_text(name, 24) for name in spots],
            "textposition": "bottom center",
            "marker": {"symbol": "square-open", "size": 18, "color": INK},
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]
    known = ~(np.isnan(x) | np.isnan(y))
    words = list(dict.fromkeys(states[known].tolist()))
    for state, label in zip(words, distinct_texts(words, 30), strict=True):
        mine = np.flatnonzero(known & (states == state))
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": x[mine],
                "y": y[mine],
                "text": [
                    f"{names[place]}<br>{label} in {plotly_text(where[place] or 'an unknown place')}" for place in mine
                ],
                "marker": {"size": 9, "color": state_colour(state)},
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    nowhere, beyond = len(shown) - int(known.sum()), len(characters) - len(shown)
    notes = [f"without a known place: {nowhere:,}"] if nowhere else []
    if beyond:
        notes.append(f"{beyond:,} of {len(characters):,} characters are not drawn")
    return {
        "data": data,
        "layout": layout(
            height=480,
            xaxis=axis("x (the town's own unit)", constrain="domain"),
            yaxis=axis("y (the town's own unit)", scaleanchor="x", constrain="domain"),
            annotations=[footnote("; ".join(notes))] if notes else [],
        ),
    }
