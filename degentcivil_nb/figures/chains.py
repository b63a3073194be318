"""The figure of a chain of causes or effects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from .parts import INK, PALETTE, Spec, axis, layout
from .plotly_text import plotly_text

LINES: Final = {"declared": "solid", "derived": "dot", "tested": "solid", "unknown": "dash"}


def chain(table: pd.DataFrame, parents: Sequence[int | None], direction: str) -> Spec:
    """Draw a chain: time to the right, a line for each character, a style of link for each grade."""
    shown = table.copy()
    shown["time"] = shown["time"].ffill().bfill()  # a cause without an event is drawn beside the event that names it
    who = [plotly_text(name) if isinstance(name, str) else "—" for name in shown["character_id"]]
    times = shown["time"].tolist()
    traces: list[Spec] = []
    for grade, dash in LINES.items():
        x: list[Any] = []
        y: list[Any] = []
        for place, parent in enumerate(parents):
            if parent is not None and shown["grade"].iloc[place] == grade:
                x += [times[parent], times[place], None]
                y += [who[parent], who[place], None]
        if x:
            line = {"dash": dash, "color": INK, "width": 1.5}
            traces.append(
                {"type": "scatter", "mode": "lines", "name": grade, "x": x, "y": y, "line": line, "hoverinfo": "skip"}
            )
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": times,
            "y": who,
            "showlegend": False,
            "marker": {"size": 11, "color": [PALETTE[min(depth, len(PALETTE) - 1)] for depth in shown["depth"]]},
            "hovertext": [plotly_text(str(text)) for text in shown["text"]],
            "hoverinfo": "text",
        }
    )
    title = "What led to it" if direction == "causes" else "What it led to"
    return {
        "data": traces,
        "layout": layout(title={"text": title}, xaxis=axis("time"), yaxis=axis("character", type="category")),
    }
