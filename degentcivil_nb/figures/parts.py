"""Parts of all figures: a layout for any theme, time axes, shaded gaps, capped categories, and empty figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from textwrap import wrap
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from .plotly_text import distinct_texts, plotly_text

Spec = dict[str, Any]
"""A figure as plotly's JSON, `data` and `layout`, with numpy arrays for long values."""
Still = Callable[[Spec], str | None]
"""A function that draws a figure's plain data as SVG; `None` where there is no such drawing."""
Times = npt.NDArray[np.datetime64]

INK: Final = "#7d8590"
"""A colour for text that is readable on white and on black."""
GRID: Final = "rgba(128,128,128,0.22)"
GAP: Final = "rgba(211,84,79,0.22)"
HEIGHT: Final = 352
CAP: Final = 8
MAX_GAPS: Final = 60
LINE: Final = 44
"""The characters of a line in a figure without data."""
WHOLE: Final = 10
"""Up to how many ticks each one is named on an axis; plotly would name halves too."""
MAX_BUCKETS: Final = 5_000
PALETTE: Final = ("#2f86d6", "#e07b1f", "#2e9e5b", "#a45fc4", "#2aa5a0", "#c9a21f", "#d6498f", "#7d7fd0", "#63a93c")
OTHER: Final = "#9aa0a6"
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)


class Series(NamedTuple):
    """A line or colour of a figure: its plotly-safe name, its values, and its meaning in a sentence."""

    key: Any
    name: str
    values: npt.NDArray[np.float64]
    note: str = ""


def layout(**more: Any) -> Spec:
    """Return the layout that every figure starts from."""
    return {
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "size": 12},
        "height": HEIGHT,
        "margin": {"l": 64, "r": 44, "t": 40, "b": 76},
        # at the right, where neither the legend nor a line is
        "modebar": {
            "orientation": "v",
            "bgcolor": "rgba(0,0,0,0)",
            "color": INK,
            "activecolor": "#2f86d6",
            "remove": ["lasso2d", "select2d", "autoScale2d"],
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "hoverlabel": {"namelength": -1},
        "uirevision": "kept",  # an update keeps zoom and pan
        **more,
        **_said_of_gaps(more),
    }


def _said_of_gaps(more: Spec) -> Spec:
    """Add to the notes of a figure how many of its gaps are shaded, if `gap_shapes` left some out."""
    few = next((shape["name"] for shape in more.get("shapes", ()) if "name" in shape), "")
    if not few:
        return {}
    notes = list(more.get("annotations", ()))
    if not notes:
        return {"annotations": [footnote(few)]}
    return {"annotations": [{**notes[0], "text": f"{notes[0]['text']}; {few}"}, *notes[1:]]}


def axis(title: str, **more: Any) -> Spec:
    """Return an axis with its unit in the title."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": GRID,
        "automargin": True,
        **more,
    }


def time_axis(times: Times | None = None, **more: Any) -> Spec:
    """Return an axis of wall clock time.

    If all `times` are the same, the axis shows a minute around them: plotly would choose years or parts of a
    millisecond.
    """
    known = np.unique(times[~np.isnat(times)]) if times is not None else times_of([])
    if len(known) == 1:
        half = np.timedelta64(30_000, "ms")
        more = {"range": [str(known[0] - half), str(known[0] + half)], **more}
    return axis("time (UTC)", type="date", hoverformat="%Y-%m-%d %H:%M:%S.%L", **more)


def tick_axis(ticks: npt.NDArray[np.int64], **more: Any) -> Spec:
    """Return an axis of ticks, with whole numbers alone."""
    first, last = int(ticks.min()), int(ticks.max())
    if first == last:
        more = {"range": [first - 1, last + 1], **more}
    if last - first <= WHOLE:
        more = {"dtick": 1, **more}
    return axis("tick", tickformat=",d", hoverformat=",d", **more)


def empty(text: str, **more: Any) -> Spec:
    """Return a figure without data, with a text on what would fill it."""
    note = {
        "text": "<br>".join(plotly_text(line, 300) for line in wrap(text, LINE)),  # a figure may be narrow
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "font": {"size": 13},
    }
    hidden = {"visible": False}
    return {"data": [], "layout": layout(annotations=[note], xaxis=hidden, yaxis=hidden, **more)}


def times_of(values: Any) -> Times:
    """Return times as UTC in milliseconds, NaT where there is none."""
    index = pd.DatetimeIndex(pd.to_datetime(values, utc=True))
    return index.tz_localize(None).to_numpy().astype("datetime64[ms]")


def column(frame: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    """Return a column as doubles, NaN where it is missing or not a number; all NaN if there is no such column."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def texts(frame: pd.DataFrame, name: str, missing: str = "unknown") -> list[str]:
    """Return a column as raw texts, `missing` where there is none."""
    if name not in frame:
        return [missing] * len(frame)
    return [missing if _missing(value) else str(value) for value in frame[name].tolist()]


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def bucket_s(start: np.datetime64, end: np.datetime64, most: int = 120) -> int:
    """Choose a round bucket width in seconds that divides a time span into at most so many buckets."""
    seconds = max(1.0, float((end - start) / np.timedelta64(1, "s")))
    return next((step for step in STEPS_S if seconds / step <= most), int(np.ceil(seconds / most)))


def capped(wide: pd.DataFrame, cap: int = CAP, label: Callable[[Any], str] = str) -> list[Series]:
    """Return the columns of a table of counts, with the smallest ones summed as `other (n)`, whose hover names them."""
    totals = wide.sum(axis=0).to_numpy(dtype=np.float64)
    order = np.argsort(-totals, kind="stable")
    if len(order) > cap:
        order, rest = order[: cap - 1], order[cap - 1 :]
    else:
        rest = order[:0]
    kept = sorted(order.tolist())
    values = wide.to_numpy(dtype=np.float64)
    keys = [wide.columns[position] for position in kept]
    series = [
        Series(key, name, values[:, position])
        for key, name, position in zip(keys, distinct_texts(map(label, keys)), kept, strict=True)
    ]
    if len(rest):
        names = [label(wide.columns[position]) for position in rest.tolist()]
        series.append(Series(None, f"other ({len(rest):,})", values[:, rest].sum(axis=1), listed(names)))
    return series


def listed(names: Sequence[str], most: int = 6) -> str:
    """Name some things in a plotly-safe phrase, and count the rest."""
    shown = ", ".join(plotly_text(name, 30) for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")


def footnote(text: str) -> Spec:
    """Return an annotation under the time axis for what is not shown; `text` must be plotly-safe."""
    return {
        "text": text,
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 1,
        "y": 0,
        "yshift": -58,  # below the title of the axis
        "xanchor": "right",
        "yanchor": "top",
        "font": {"size": 10},
    }


def footnoted(spec: Spec, text: str) -> Spec:
    """Add a sentence to the notes of a figure that has data; none for an empty text."""
    if text and spec["data"]:
        notes = spec["layout"].setdefault("annotations", [])
        if notes:
            notes[0] = {**notes[0], "text": f"{notes[0]['text']}; {plotly_text(text, 200)}"}
        else:
            notes.append(footnote(plotly_text(text, 200)))
    return spec


def gap_shapes(gaps: pd.DataFrame | None, known: Iterable[Any], width: np.timedelta64) -> list[Spec]:
    """Shade each gap: from the last event before it to the first one after it.

    Bands are at least `width` wide, touching bands are merged, and if there are too many the newest are drawn: then
    the name of the first one, which `layout` adds to the notes, says how many.
    """
    if gaps is None or "time" not in gaps or not len(gaps):
        return []
    declared = np.unique(times_of(gaps["time"]))
    declared = declared[~np.isnat(declared)]
    seen = np.unique(np.asarray(known, dtype="datetime64[ms]"))
    seen = seen[~np.isnat(seen)]
    bands: list[list[np.datetime64]] = []
    for time in declared:
        at = int(np.searchsorted(seen, time, side="right"))
        start = seen[at - 1] if at else time
        end = seen[at] if at < len(seen) else max(time, start + width)
        if end - start < width:
            end = start + width
        if bands and start <= bands[-1][1]:
            bands[-1][1] = max(end, bands[-1][1])
        else:
            bands.append([start, end])
    shapes: list[Spec] = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": str(start),
            "x1": str(end),
            "y0": 0,
            "y1": 1,
            "fillcolor": GAP,
            "line": {"width": 0},
            "layer": "below",
            "label": {"text": "gap", "textposition": "top center", "font": {"size": 10, "color": "#d3544f"}},
        }
        for start, end in bands[-MAX_GAPS:]
    ]
    if len(bands) > MAX_GAPS:
        shapes[0]["name"] = f"the newest {MAX_GAPS:,} of {len(bands):,} gaps are shaded"
    return shapes
