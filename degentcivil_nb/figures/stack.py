"""Several figures over time as one, below each other, with one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from .parts import HEIGHT, Spec, empty, layout, time_axis

EACH: Final = 154
"""The height of one figure of several, in pixels, besides its legend and its notes."""
AROUND: Final = 116
ENTRIES: Final = 3
"""The names of a legend that fit beside each other on a narrow screen."""
ENTRY_PX, NOTE_PX, GAP_PX = 19, 16, 27
MOMENT: Final = "#9c4dcc"
"""The colour of the line at the moment shown, as panels have it in the past."""


def stacked(specs: Sequence[Spec], moment: pd.Timestamp | None = None) -> Spec:
    """Put figures over time below each other; a line through all of them marks a moment (UTC).

    The figures share one time axis. Each keeps its own axis of values, legend and notes; one without data says why.
    """
    if not specs:
        return empty("No chart is chosen. Choose some above.")
    above = [_above(spec, first=place == 0) for place, spec in enumerate(specs)]
    if len(specs) == 1:  # plotly itself moves a single figure down by as much as its legend is high
        above = [0]
    below = [NOTE_PX if spec["layout"].get("annotations") else 0 for spec in specs[:-1]] + [0]
    each = max(EACH, HEIGHT - AROUND) if len(specs) == 1 else EACH
    height = sum(above) + sum(below) + each * len(specs)
    end = 0
    data: list[Spec] = []
    axes: dict[str, Any] = {}
    shapes: dict[tuple[str, str], Spec] = {}
    notes: list[Spec] = []
    for place, spec in enumerate(specs):
        number = "" if place == 0 else str(place + 1)
        top = 1 - (end + above[place]) / height
        bottom = top - each / height
        end += above[place] + each + below[place]
        own = spec["layout"]
        shown = {} if spec["data"] else {"visible": False}
        axis = own.get("yaxis", {})
        if len(specs) > 1:
            axis = {**axis, "title": {**axis.get("title", {}), "font": {"size": 10}}}  # else longer than the axis
        axes[f"yaxis{number}"] = {**axis, "domain": [max(bottom, 0), top], "anchor": "x", **shown}
        axes[f"legend{number}"] = {**layout()["legend"], "y": top}
        for trace in spec["data"]:
            data.append({**trace, "xaxis": "x", "yaxis": f"y{number}", "legend": f"legend{number}"})
        for shape in own.get("shapes", ()):
            shapes[shape["x0"], shape["x1"]] = {key: value for key, value in shape.items() if key != "name"}  # noted
        for note in own.get("annotations", ()):
            if not spec["data"]:
                note = {**note, "y": (top + bottom) / 2}
            elif place < len(specs) - 1:
                note = {**note, "y": bottom, "yshift": -2}  # between it and the next legend
            notes.append(note)
    bars = next((spec["layout"]["barmode"] for spec in specs if "barmode" in spec["layout"]), "stack")
    return {
        "data": data,
        "layout": layout(
            height=height + AROUND,
            barmode=bars,
            hovermode="x",
            showlegend=True,
            xaxis={**time_axis(), **_one_moment(specs), "anchor": f"y{len(specs)}" if len(specs) > 1 else "y"},
            shapes=[*shapes.values(), *([] if moment is None else [_line(moment)])],
            annotations=notes,
            **axes,
        ),
    }


def _above(spec: Spec, *, first: bool) -> int:
    """Return the room above a figure in pixels, for all lines of its legend; the margin has room for one."""
    lines = -(-len([trace for trace in spec["data"] if trace.get("showlegend", True)]) // ENTRIES)
    return max(0, lines - 1) * ENTRY_PX + (0 if first else GAP_PX)


def _one_moment(specs: Sequence[Spec]) -> Spec:
    """Return the range of the time axis if all figures with data have the same single moment."""
    ranges = [spec["layout"].get("xaxis", {}).get("range") for spec in specs if spec["data"]]
    return {"range": ranges[0]} if ranges and all(each == ranges[0] and each for each in ranges) else {}


def _line(moment: pd.Timestamp) -> Spec:
    at = moment.tz_convert("UTC").tz_localize(None).isoformat(sep=" ", timespec="milliseconds")
    return {
        "type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1,
        "line": {"color": MOMENT, "width": 2},
        "label": {"text": "the moment shown", "textposition": "middle", "font": {"size": 10, "color": MOMENT}},
    }  # fmt: skip
