"""The figures of values that are published tick by tick, as plain data: watches and measures."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .parts import (
    CAP,
    DASHES,
    HEIGHT,
    PALETTE,
    Spec,
    Times,
    axis,
    column,
    empty,
    footnote,
    gap_shapes,
    layout,
    tick_axis,
    time_axis,
    times_of,
)
from .plotly_text import distinct_texts, plotly_text

NOBODY = ""
TICKS: Final = "It is published after each tick."
SAID: Final = ("%{y}", "%{y:,.12~r}")
"""The format of a value in a tooltip: a text, or a number in full instead of 16k."""
MEASURES: Final = 8
"""The most measures that are drawn, one below the other."""


def values(
    table: pd.DataFrame,
    title: str,
    gaps: pd.DataFrame | None = None,
    *,
    comes: str = TICKS,
    by_tick: bool = False,
    present: Callable[[], Collection[Any]] = tuple,
    until: Any = None,
) -> Spec:
    """Draw a table of `time`, `tick`, `character_id` and `value`: a line for each character, over time.

    With `by_tick` it is drawn over ticks, since a run that is stepped is paused most of the time; where ticks are
    missing or start over, it is drawn over time all the same. Numbers and truth values are drawn as a line of steps;
    texts are the names on the axis. Values of characters are published when they change: the lines of those that are
    `present` go on, over ticks to the last one of the table, and over time to `until`, the time of the newest event.
    """
    if not len(table):
        return empty(f"No value of {title} yet. {comes}")
    whose = table["character_id"].astype("object").where(table["character_id"].notna(), NOBODY)
    keys = list(dict.fromkeys(whose.tolist()))
    shown = keys[:CAP]
    numbers = _numbers(table["value"])
    names = distinct_texts(str(key) if key != NOBODY else title for key in shown)
    times, ticks = times_of(table["time"]), table["tick"].astype("object").tolist()
    counted = _counted(table["tick"]) if by_tick else None
    x = times if counted is None else counted
    shapes = gap_shapes(gaps, times, np.timedelta64(1000, "ms"))
    data, said_as = [], SAID[numbers is not None]
    goes_on = len(keys) > 1 if counted is not None else until is not None
    stay = {str(one) for one in present()} if goes_on else set()
    end = x[-1] if counted is not None or until is None else max(x[-1], times_of([until])[0])
    for position, (key, name) in enumerate(zip(shown, names, strict=True)):
        mine = (whose == key).to_numpy(dtype=np.bool_)
        said = [value for value, is_mine in zip(table["value"].tolist(), mine, strict=True) if is_mine]
        y: Any = [plotly_text(value) for value in said] if numbers is None else numbers[mine]
        along, after = x[mine], [str(tick) for tick, is_mine in zip(ticks, mine, strict=True) if is_mine]
        if str(key) in stay and along[-1] < end:
            along, after = np.append(along, end), [*after, after[-1] if counted is None else str(ticks[-1])]
            y = [*y, y[-1]] if numbers is None else np.append(y, y[-1])
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "marker": {"size": 4},
                "name": name,
                "x": along,
                "y": y,
                "line": {
                    "color": PALETTE[position % len(PALETTE)],
                    "width": 1.8,
                    "dash": DASHES[position % len(DASHES)],
                    "shape": "hv",
                },
                "customdata": after,
                "hovertemplate": f"{said_as} after tick %{{customdata}}<extra>%{{fullData.name}}</extra>",
            }
        )
    notes = [footnote(f"{len(keys) - CAP:,} of {len(keys):,} characters are not drawn")] if len(keys) > CAP else []
    kind = {} if numbers is not None else {"type": "category"}
    return {
        "data": data,
        "layout": layout(
            xaxis=time_axis(np.append(times, end) if stay else times) if counted is None else tick_axis(counted),
            yaxis=axis(plotly_text(title), **kind),
            hovermode="x",
            showlegend=len(keys) > 1,
            annotations=notes,
            shapes=shapes if counted is None else [_over_ticks(shape, times, counted) for shape in shapes],
        ),
    }


def measures(table: pd.DataFrame, gaps: pd.DataFrame | None = None) -> Spec:
    """Draw a table of `time`, `tick`, `name` and `value`: a line for each name, with an axis of its own."""
    names = list(dict.fromkeys(table["name"].tolist())) if len(table) else []
    if not names:
        return empty("No measures yet. They appear when the simulation calls probe.measure(name, value).")
    shown = names[:MEASURES]
    times = times_of(table["time"])
    room = 1 / len(shown)
    data, axes = [], {}
    for place, (key, title) in enumerate(zip(shown, distinct_texts(shown, 24), strict=True)):
        mine = (table["name"] == key).to_numpy(dtype=np.bool_)
        said = table["value"][mine]
        numbers = _numbers(said)
        which = "" if place == 0 else str(place + 1)
        top = 1 - place * room
        axes[f"yaxis{which}"] = axis(
            title, domain=[top - 0.8 * room, top], **({} if numbers is not None else {"type": "category"})
        )
        said_as = SAID[numbers is not None]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if mine.sum() < 200 else "lines",
                "marker": {"size": 4},
                "name": title,
                "x": times[mine],
                "y": [plotly_text(value) for value in said.tolist()] if numbers is None else numbers,
                "yaxis": f"y{which}",
                "line": {"color": PALETTE[place % len(PALETTE)], "width": 1.8, "shape": "hv"},
                "customdata": [str(tick) for tick in table["tick"][mine].astype("object").tolist()],
                "hovertemplate": f"{said_as} at tick %{{customdata}}<extra>%{{fullData.name}}</extra>",
            }
        )
    left_out = len(names) - len(shown)
    return {
        "data": data,
        "layout": layout(
            height=max(HEIGHT, 110 + 120 * len(shown)),
            xaxis=time_axis(times, anchor=f"y{len(shown)}" if len(shown) > 1 else "y"),
            hovermode="x",
            showlegend=False,
            annotations=[footnote(f"{left_out:,} of {len(names):,} measures are not drawn")] if left_out else [],
            shapes=gap_shapes(gaps, times, np.timedelta64(1000, "ms")),
            **axes,
        ),
    }


def _counted(ticks: pd.Series) -> npt.NDArray[np.int64] | None:
    """Return the ticks if each is known and none is before its predecessor."""
    known = pd.to_numeric(ticks, errors="coerce")
    if known.isna().any() or not known.is_monotonic_increasing:
        return None
    return known.to_numpy(dtype=np.int64)


def _over_ticks(shape: Spec, times: Times, ticks: npt.NDArray[np.int64]) -> Spec:
    """Move a shape from times to the ticks that were reached then, one tick wide at least."""
    begins = max(0, int(np.searchsorted(times, np.datetime64(shape["x0"]), side="right")) - 1)
    ends = min(len(ticks) - 1, int(np.searchsorted(times, np.datetime64(shape["x1"]))))
    return {**shape, "x0": int(ticks[begins]), "x1": int(max(ticks[ends], ticks[begins] + 1))}


def _numbers(values: pd.Series) -> Any:
    """Return values as doubles; `None` if one of them is neither a number, a truth value nor missing."""
    held = [value for value in values.tolist() if value is not None and value is not pd.NA]
    if not all(isinstance(value, (int, float, bool, np.number, np.bool_)) for value in held):
        return None
    return column(pd.DataFrame({"value": [None if value is pd.NA else value for value in values.tolist()]}), "value")
