"""The figures over time as plain data: rates, errors, latency; `build.py` makes plotly figures of them."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..core.counting import counted
from ..protocol.errors import CODE_NAMES
from ..store.error_names import CodeNames
from .colours import state_colour
from .parts import (
    CAP,
    DASHES,
    OTHER,
    PALETTE,
    WHOLE,
    Series,
    Spec,
    axis,
    bucket_s,
    capped,
    empty,
    footnote,
    footnoted,
    gap_shapes,
    layout,
    time_axis,
    times_of,
)
from .plotly_text import distinct_texts

TYPE_COLOURS: Final = {
    "state_change": "#2f86d6",
    "character_update": "#2e9e5b",
    "event_notification": "#e07b1f",
    "llm_call": "#a45fc4",
    "error": "#d3544f",
}
OTHER_TYPES: Final = tuple(colour for colour in PALETTE if colour not in TYPE_COLOURS.values())
TOP_LEFT: Final = {"x": 0, "y": 1, "yshift": 0, "xanchor": "left", "yanchor": "bottom"}
NAMELESS: Final[CodeNames] = MappingProxyType({})
NAMES: Final = 2
"""How many names of a code the legend has: many simulations give all their errors one code."""
SECOND: Final = np.timedelta64(1000, "ms")


def rates(wide: pd.DataFrame, gaps: pd.DataFrame | None = None, *, every: Any = None, until: Any = None) -> Spec:
    """Draw a table of counts by bucket as events per second, a line for each column; missing buckets have no events.

    With `until`, the last row is no bucket: it counts the events of one bucket's time up to that moment, and each line
    ends there with that rate. So the line reaches up to now, and its end is as complete as all before it.
    """
    if not len(wide) or not len(wide.columns):
        return empty("No events yet. Events a second appear here as the simulation sends them.")
    by = str(wide.columns.name or "type")
    width = _width(wide, every)
    times = times_of(wide.index)
    seconds = float(width / SECOND)
    # a bucket ends after its width: at the next one or, if rows are left out, at zero
    ends = np.flatnonzero(times[1:] - times[:-1] > width) + 1
    stop = times[-1] + width if until is None else times_of([until])[0]
    edges = np.append(np.insert(times, ends, times[ends - 1] + width), stop)
    last = {}
    if until is not None:
        said = f"<br>in the last {_span(width)} until now"
        last = {"customdata": [*[""] * (len(edges) - 2), said, said]}
    data = []
    for position, series in enumerate(capped(wide, label=partial(_code_name, NAMELESS) if by == "code" else str)):
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": series.name,
                "x": edges,
                "y": np.append(np.insert(series.values, ends, 0), series.values[-1]) / seconds,
                "line": {
                    "color": _colour(by, series, position),
                    "width": 1.8,
                    "dash": DASHES[position % len(DASHES)],
                    "shape": "hv",
                },
                "hovertemplate": f"%{{y:,.6~r}} /s{'%{customdata}' if last else ''}{_note(series)}"
                "<extra>%{fullData.name}</extra>",
                **last,
            }
        )
    known = times[wide.to_numpy().sum(axis=1) > 0]
    return {
        "data": data,
        "layout": layout(
            xaxis=time_axis(),
            yaxis=axis("events per second", rangemode="tozero"),
            hovermode="x",
            shapes=gap_shapes(gaps, known, width),
            annotations=[footnote(f"the end of each line counts the last {_span(width)} until now")] if last else [],
        ),
    }


def rates_over(wide: pd.DataFrame, gaps: pd.DataFrame | None, every: Any, newest: Any) -> Spec:
    """Draw the buckets of `rates` that are over when the newest event comes; a note counts the events of the last one,
    whose rate would seem to fall.
    """
    width, left_out = _width(wide, every), 0
    if newest is not None and len(wide) > 1 and times_of([newest])[0] < times_of(wide.index[-1:])[0] + width:
        left_out = int(wide.iloc[-1].sum())
        wide = wide.iloc[:-1]
    note = f"not drawn: {counted(left_out, 'event')} of the last {_duration(width)}, not over yet"
    return footnoted(rates(wide, gaps, every=every), note if left_out else "")


def error_counts(
    wide: pd.DataFrame,
    gaps: pd.DataFrame | None = None,
    known: Any = None,
    *,
    every: Any = None,
    names: CodeNames = NAMELESS,
) -> Spec:
    """Draw a table of counts of errors by bucket as stacked bars, with a colour for each code, and its names."""
    if not len(wide) or not len(wide.columns):
        return empty("No errors. What the simulation reports, and what could not be read, is counted here.")
    times, width = times_of(wide.index), _width(wide, every)
    milliseconds = int(width / np.timedelta64(1, "ms"))
    data = [
        {
            "type": "bar",
            "name": series.name,
            "x": times + width / 2,
            "y": series.values,
            "width": milliseconds * 0.9,
            "marker": {
                "color": OTHER if series.key is None else PALETTE[(position + 1) % len(PALETTE)],
                "pattern": {
                    "shape": ("", "/", "x", ".", "-", "+")[position % 6],
                    "solidity": 0.25,
                    "fillmode": "overlay",
                },
            },
            "hovertemplate": f"%{{y:,}} in {_duration(width)}{_note(series)}<extra>%{{fullData.name}}</extra>",
        }
        for position, series in enumerate(capped(wide, label=partial(_code_name, names)))
    ]
    found = times[wide.to_numpy().sum(axis=1) > 0] if known is None else known
    return {
        "data": data,
        "layout": layout(
            xaxis=time_axis(times + width / 2),
            yaxis=axis(f"errors per {_duration(width)}", rangemode="tozero", **_whole_numbers(wide)),
            barmode="stack",
            hovermode="x",
            shapes=gap_shapes(gaps, found, width),
        ),
    }


def _whole_numbers(wide: pd.DataFrame) -> Spec:
    """Return what keeps an axis of few things from numbers between them."""
    return {"dtick": 1} if wide.to_numpy().sum(axis=1).max() <= WHOLE else {}


def errors(frame: pd.DataFrame, gaps: pd.DataFrame | None = None, names: CodeNames = NAMELESS) -> Spec:
    """Count a table of errors by code in round buckets and draw that."""
    times = times_of(frame["time"]) if "time" in frame else times_of([])
    kept = ~np.isnat(times)
    if not kept.any():
        return error_counts(pd.DataFrame())
    codes = _codes(frame)[kept]
    times = times[kept]
    step = bucket_s(times.min(), times.max())
    starts = times.astype("datetime64[s]").astype(np.int64) // step
    buckets = range(starts.min(), starts.max() + 1)
    counts = pd.crosstab(starts, codes).reindex(index=buckets, columns=pd.unique(codes), fill_value=0)
    counts.index = pd.DatetimeIndex((counts.index.to_numpy() * step).astype("datetime64[s]"), tz="UTC")
    return error_counts(counts, gaps, every=step, names=names)


def latency(events: pd.DataFrame, gaps: pd.DataFrame | None = None) -> Spec:
    """Draw the time from the sender's clock to receipt of events: median and 95th percentile by bucket."""
    what = "No latencies yet. They appear for events that state when they were sent."
    if not len(events) or "received" not in events:
        return empty(what)
    sent = events if "time_source" not in events else events[events["time_source"] == "sent"]
    times, received = times_of(sent["time"]), times_of(sent["received"])
    took = (received - times) / SECOND
    # events sent well before anything was received came from the history: they waited for a client to connect
    kept = ~np.isnan(took)
    if kept.any():
        kept &= times >= received[kept].min() - SECOND
    times, took = times[kept], took[kept]
    if not len(times):
        return empty(what)
    step = bucket_s(times.min(), times.max())
    grouped = pd.Series(took).groupby(times.astype("datetime64[s]").astype(np.int64) // step)
    starts = grouped.median().index.to_numpy()
    at = (starts * step * 1000).astype("datetime64[ms]")
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(at) < 40 else "lines",
            "name": name,
            "x": at,
            "y": grouped.quantile(share).to_numpy() * 1000,
            "line": {"color": PALETTE[place], "dash": DASHES[place]},
            "hovertemplate": "%{y:,.4~r} ms<extra>%{fullData.name}</extra>",
        }
        for place, (name, share) in enumerate((("median", 0.5), ("95 % are faster", 0.95)))
    ]
    return {
        "data": data,
        "layout": layout(
            xaxis=time_axis(at),
            yaxis=axis("from sent to received (ms)"),
            hovermode="x",
            shapes=gap_shapes(gaps, times, step * SECOND),
            annotations=[footnote("difference of two clocks: negative where the sender's is ahead")],
        ),
    }


def transitions(table: pd.DataFrame) -> Spec:
    """Draw how often each state led to each other state."""
    if not len(table) or not table.to_numpy().sum():
        return empty("No transitions yet. They are counted when characters change from one state to another.")
    counts = table.to_numpy(dtype=np.float64)
    froms, tos = np.argsort(-counts.sum(axis=1), kind="stable"), np.argsort(-counts.sum(axis=0), kind="stable")
    most = 5 * CAP
    shown = counts[np.ix_(froms[:most], tos[:most])]
    left_out = max(0, len(froms) - most) + max(0, len(tos) - most)
    rows = distinct_texts([table.index[place] for place in froms[:most]], 24)
    columns = distinct_texts([table.columns[place] for place in tos[:most]], 24)
    small = shown.size <= 200
    return {
        "data": [
            {
                "type": "heatmap",
                "x": columns,
                "y": rows,
                "z": np.where(shown > 0, shown, np.nan),
                "colorscale": [[0, "rgba(47,134,214,0.18)"], [1, "#2f86d6"]],
                "colorbar": {"title": {"text": "times"}, "thickness": 12, "outlinewidth": 0},
                "hovertemplate": "%{y} → %{x}<br>%{z:,} times<extra></extra>",
                "hoverongaps": False,
                "xgap": 1,
                "ygap": 1,
                **({"texttemplate": "%{z:,}", "textfont": {"size": 10}} if small else {}),
            }
        ],
        "layout": layout(
            height=max(300, 120 + 22 * len(rows)),
            margin={"l": 64, "r": 16, "t": 40, "b": 48},
            modebar={**layout()["modebar"], "orientation": "h"},
            xaxis=axis("to state", type="category", showgrid=False),
            yaxis=axis("from state", type="category", autorange="reversed", showgrid=False),
            annotations=[{**footnote(f"{left_out:,} rarer states not shown"), **TOP_LEFT}] if left_out else [],
        ),
    }


def _codes(frame: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Return codes of errors as exact whole numbers; −1 where there is none."""
    codes = frame["code"].tolist() if "code" in frame else [None] * len(frame)
    whole = [-1 if pd.isna(code) else int(code) for code in codes]
    return np.fromiter(whole, dtype=object, count=len(whole))


def _width(wide: pd.DataFrame, every: Any) -> np.timedelta64:
    """Return the width of the buckets as requested, not the distance of the rows, some of which may be missing."""
    freq = getattr(wide.index, "freq", None)  # set if the table was resampled
    asked = every if every is not None else wide.attrs.get("every_s") if freq is None else freq
    if asked is not None:
        seconds = asked if isinstance(asked, int | float) else pd.Timedelta(asked).total_seconds()
        return np.timedelta64(round(1000 * seconds), "ms")
    times = times_of(wide.index)
    return np.min(np.diff(times)) if len(times) > 1 else SECOND


def _duration(width: np.timedelta64) -> str:
    seconds = float(width / SECOND)
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"


def _span(width: np.timedelta64) -> str:
    return "second" if width == SECOND else _duration(width)


def _colour(by: str, series: Series, position: int) -> str:
    if series.key is None:
        return OTHER
    if by == "state":
        return state_colour(str(series.key))
    return TYPE_COLOURS.get(str(series.key)) or OTHER_TYPES[position % len(OTHER_TYPES)]


def _note(series: Series) -> str:
    return f"<br>{series.note}" if series.note else ""


def _code_name(names: CodeNames, code: Any) -> str:
    if code is None or code != code or code == -1:
        return "no code"
    own = CODE_NAMES.get(int(code))
    known = names.get(int(code)) or ([own] if own else [])
    more = f" and {len(known) - NAMES:,} more" if len(known) > NAMES else ""
    return f"{int(code)} {', '.join(known[:NAMES])}{more}".rstrip()
