"""Several figures over time as one, below each other, with one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from .parts import HEIGHT, Spec, empty, layout, time_axis

EACH: Final = 200
"""The height of one figure of several, in pixels."""
AROUND: Final = 104
GAP_PX: Final = 46
MOMENT: Final = "#9c4dcc"
"""The colour of the line at the moment shown, as panels have it in the past."""


def stacked(specs: Sequence[Spec], moment: pd.Timestamp | None = None) -> Spec:
    """Put figures over time below each other; a line through all of them marks a moment (UTC).

    The figures share one time axis. Each keeps its own axis of values, legend and notes; one without data says why.
    """
    if not specs:
        return empty("No chart is chosen. Choose some above.")
    height = max(HEIGHT - AROUND, EACH * len(specs))
    room, between = 1 / len(specs), GAP_PX / height
    data: list[Spec] = []
    axes: dict[str, Any] = {}
    shapes: dict[tuple[str, str], Spec] = {}
    notes: list[Spec] = []
    for place, spec in enumerate(specs):
        number = "" if place == 0 else str(place + 1)
        top = 1 - place * room
        bottom = top - room + (between if len(specs) > 1 else 0)
        own = spec["layout"]
        shown = {} if spec["data"] else {"visible": False}
        axes[f"yaxis{number}"] = {**own.get("yaxis", {}), "domain": [bottom, top], "anchor": "x", **shown}
        axes[f"legend{number}"] = {**layout()["legend"], "y": top}
        for trace in spec["data"]:
            data.append({**trace, "xaxis": "x", "yaxis": f"y{number}", "legend": f"legend{number}"})
        for shape in own.get("shapes", ()):
            shapes[shape["x0"], shape["x1"]] = shape
        for note in own.get("annotations", ()):
            middle = {"y": (top + bottom) / 2} if not spec["data"] else {"y": bottom, "yshift": 0, "yanchor": "bottom"}
            notes.append({**note, **middle})
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


def _one_moment(specs: Sequence[Spec]) -> Spec:
    """Return the range of the time axis if all figures with data have the same single moment."""
    ranges = [spec["layout"].get("xaxis", {}).get("range") for spec in specs if spec["data"]]
    return {"range": ranges[0]} if ranges and all(each == ranges[0] and each for each in ranges) else {}


def _line(moment: pd.Timestamp) -> Spec:
    at = moment.tz_convert("UTC").tz_localize(None).isoformat(sep=" ", timespec="milliseconds")
    return {
        "type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1,
        "line": {"color": MOMENT, "width": 2},
        "label": {"text": "the moment shown", "textposition": "end", "font": {"size": 10, "color": MOMENT}},
    }  # fmt: skip
