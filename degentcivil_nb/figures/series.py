"""The figure of values that are told again and again, as plain data: watches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .parts import CAP, DASHES, PALETTE, Spec, axis, column, empty, footnote, gap_shapes, layout, time_axis, times_of
from .plotly_text import distinct_texts, plotly_text

NOBODY = ""


def values(table: pd.DataFrame, title: str, gaps: pd.DataFrame | None = None) -> Spec:
    """Draw a table of `time`, `tick`, `character_id` and `value`: a line for each character, over time.

    Numbers and truth values are a line of steps, texts the names of an axis.
    """
    if not len(table):
        return empty(f"No value of {title} yet. It is published after each tick.")
    whose = table["character_id"].astype("object").where(table["character_id"].notna(), NOBODY)
    keys = list(dict.fromkeys(whose.tolist()))
    shown = keys[:CAP]
    numbers = _numbers(table["value"])
    names = distinct_texts(str(key) if key != NOBODY else title for key in shown)
    times, ticks = times_of(table["time"]), table["tick"].astype("object").tolist()
    data = []
    for position, (key, name) in enumerate(zip(shown, names, strict=True)):
        mine = (whose == key).to_numpy(dtype=np.bool_)
        said = [value for value, is_mine in zip(table["value"].tolist(), mine, strict=True) if is_mine]
        y: Any = [plotly_text(value) for value in said] if numbers is None else numbers[mine]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "marker": {"size": 4},
                "name": name,
                "x": times[mine],
                "y": y,
                "line": {
                    "color": PALETTE[position % len(PALETTE)],
                    "width": 1.8,
                    "dash": DASHES[position % len(DASHES)],
                    "shape": "hv",
                },
                "customdata": [str(tick) for tick, is_mine in zip(ticks, mine, strict=True) if is_mine],
                "hovertemplate": "%{y} after tick %{customdata}<extra>%{fullData.name}</extra>",
            }
        )
    notes = [footnote(f"{len(keys) - CAP:,} more characters are not drawn")] if len(keys) > CAP else []
    kind = {} if numbers is not None else {"type": "category"}
    return {
        "data": data,
        "layout": layout(
            xaxis=time_axis(),
            yaxis=axis(plotly_text(title), **kind),
            hovermode="x",
            showlegend=len(keys) > 1,
            annotations=notes,
            shapes=gap_shapes(gaps, times, np.timedelta64(1000, "ms")),
        ),
    }


def _numbers(values: pd.Series) -> Any:
    """Return values as doubles; `None` where one of them is neither a number, a truth value nor missing."""
    held = [value for value in values.tolist() if value is not None and value is not pd.NA]
    if not all(isinstance(value, (int, float, bool, np.number, np.bool_)) for value in held):
        return None
    return column(pd.DataFrame({"value": [None if value is pd.NA else value for value in values.tolist()]}), "value")
