"""The figure of language model calls as plain data: latency, tokens, cost and failures by type of prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from ..core.counting import counted
from .parts import OTHER, PALETTE, Spec, axis, column, empty, gap_shapes, layout, texts, time_axis, times_of
from .plotly_text import distinct_texts, plotly_text

MAX_TYPES: Final = 8
MAX_CALLS: Final = 2_000
LEFT, RIGHT = [0.0, 0.44], [0.58, 1.0]
UPPER, LOWER = [0.6, 0.94], [0.0, 0.36]
SYMBOLS: Final = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "hexagon", "circle-open")


def llm(calls: pd.DataFrame, gaps: pd.DataFrame | None = None) -> Spec:
    """Draw calls of language models: when and how slow, and by type of prompt tokens, cost, and the share of failures.

    A call counts as failed if it has an `error`, as a call with a malformed response does.
    """
    if not len(calls):
        return empty("No calls of language models yet. They appear as the simulation reports them.", height=520)
    kinds = np.array(texts(calls, "prompt_type"), dtype=object)
    words, counts = np.unique(kinds.astype(str), return_counts=True)
    order = [str(words[place]) for place in np.argsort(-counts, kind="stable")]
    kept, rest = (order, []) if len(order) <= MAX_TYPES else (order[: MAX_TYPES - 1], order[MAX_TYPES - 1 :])
    members = [kinds == kind for kind in kept] + ([np.isin(kinds, rest)] if rest else [])
    labels = distinct_texts(kept, 16) + ([f"other ({len(rest)})"] if rest else [])
    colours = [PALETTE[place % len(PALETTE)] for place in range(len(kept))] + [OTHER]
    took, cost = column(calls, "latency_s"), column(calls, "cost_usd")
    failed = calls["error"].notna().to_numpy() if "error" in calls else np.zeros(len(calls), dtype=bool)
    if "malformed" in calls:
        failed = failed | calls["malformed"].eq(True).fillna(False).to_numpy(dtype=bool)
    times = times_of(calls["time"]) if "time" in calls else times_of([None] * len(calls))

    data: list[Spec] = []
    recent = np.arange(len(calls)) >= len(calls) - MAX_CALLS
    for place, (label, mine) in enumerate(zip(labels, members, strict=True)):
        here = mine & recent & ~np.isnan(took)
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": times[here],
                "y": took[here],
                "marker": {"color": colours[place], "size": 6, "symbol": SYMBOLS[place % len(SYMBOLS)]},
                "hovertemplate": f"%{{y:.3~g}} s<br>%{{x}}<extra>{label}</extra>",
            }
        )
    data += [
        _bars("median latency", labels, [_quantile(took[mine], 0.5) for mine in members], 0, "2", "s"),
        _bars("95th percentile", labels, [_quantile(took[mine], 0.95) for mine in members], 1, "2", "s"),
        _bars("prompt tokens", labels, [_total(calls[mine], "prompt_tokens") for mine in members], 2, "3", "tokens"),
        _bars(
            "completion tokens",
            labels,
            [_total(calls[mine], "completion_tokens") for mine in members],
            3,
            "3",
            "tokens",
        ),
        _bars("failed", labels, [100 * float(failed[mine].mean()) for mine in members], 5, "4", "%"),
    ]
    told = [some for name in ("prompt_tokens", "completion_tokens") if (some := _total(calls, name)) is not None]
    total = f"{counted(len(calls), 'call')}, {counted(sum(told), 'token') if told else 'tokens unknown'}, "
    total += f"{_dollars(np.nansum(cost))} US$" if not np.isnan(cost).all() else "cost unknown"
    by_cost = [f"{label} {_dollars(np.nansum(cost[mine]))}" for label, mine in zip(labels, members, strict=True)]
    costs = f"<br>({', '.join(by_cost[:4])}{' …' if len(by_cost) > 4 else ''})" if np.nansum(cost) > 0 else ""
    worst = max(100 * float(failed[mine].mean()) for mine in members)
    dots = int((recent & ~np.isnan(took)).sum())
    if len(calls) > MAX_CALLS:
        total += f"; the newest {MAX_CALLS:,} of {len(calls):,} calls are dots"
    others = f"<br>other: {plotly_text(', '.join(rest), 100)}" if rest else ""
    return {
        "data": data,
        "layout": layout(
            height=560,
            barmode="group",
            legend={**layout()["legend"], "y": 1.08},
            margin={"l": 64, "r": 44, "t": 110, "b": 48},
            xaxis=time_axis(times, domain=LEFT, anchor="y", tickangle=0, nticks=5, **_span(times, dots)),
            yaxis=_axis("latency of each call (s)", took.tolist(), domain=UPPER, anchor="x"),
            xaxis2=_names(RIGHT, "y2"),
            yaxis2=_axis("median, 95 % hatched (s)", took.tolist(), domain=UPPER, anchor="x2"),
            xaxis3=_names(LEFT, "y3"),
            yaxis3=_axis("prompt, completion tokens", told, domain=LOWER, anchor="x3"),
            xaxis4=_names(RIGHT, "y4"),
            yaxis4=_small(axis("failed or malformed (%)", domain=LOWER, anchor="x4", range=[0, max(10, 1.15 * worst)])),
            shapes=[{**shape, "yref": "y domain"} for shape in gap_shapes(gaps, times, np.timedelta64(1, "s"))],
            annotations=[
                {
                    "text": f"{total}{costs}{others}",
                    "showarrow": False,
                    "xref": "paper",
                    "yref": "paper",
                    "x": 0,
                    "y": 0.95,
                    "xanchor": "left",
                    "yanchor": "bottom",
                    "align": "left",
                    "font": {"size": 11},
                }
            ],
        ),
    }


def latency(calls: pd.DataFrame, gaps: pd.DataFrame | None = None) -> Spec:
    """Draw how long each call took, by type of prompt."""
    whole = llm(calls, gaps)
    if not whole["data"]:
        return empty("No calls of language models yet. They appear as the simulation reports them.")
    times = times_of(calls["time"])
    return {
        "data": [trace for trace in whole["data"] if trace["type"] == "scatter"],
        "layout": layout(
            xaxis=time_axis(times),
            yaxis=axis("latency of each call (s)", rangemode="tozero"),
            shapes=gap_shapes(gaps, times, np.timedelta64(1, "s")),
        ),
    }


def _dollars(amount: float) -> str:
    if amount == 0 or abs(amount) >= 0.001:
        return f"{amount:,.4f}"
    return np.format_float_positional(amount, 2, unique=False, fractional=False, trim="-")


def _bars(name: str, labels: list[str], values: Sequence[float | None], place: int, which: str, unit: str) -> Spec:
    return {
        "type": "bar",
        "name": name,
        "x": labels,
        "y": np.array(values, dtype=np.float64),
        "customdata": [
            "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" for value in values
        ],
        "xaxis": f"x{which}",
        "yaxis": f"y{which}",
        "showlegend": False,
        "marker": {
            "color": PALETTE[place],
            "pattern": {"shape": "/" if place % 2 else "", "solidity": 0.25, "fillmode": "overlay"},
        },
        "hovertemplate": f"%{{x}}<br>{name} %{{customdata}} {unit}<extra></extra>",
    }


def _total(calls: pd.DataFrame, name: str) -> float | None:
    """Add numbers up exactly, as Python's whole numbers have no limit; return `None` if none is known."""
    known = pd.to_numeric(calls[name], errors="coerce").dropna().tolist() if name in calls else []
    return sum(known) if known else None


def _axis(title: str, values: Sequence[float | None], **more: Any) -> Spec:
    """Return an axis of bars; without bars, its title says so and it has no numbers."""
    if any(value is not None and value == value for value in values):
        return _small(axis(title, rangemode="tozero", **more))
    return _small(axis(f"{title}<br>not published", range=[0, 1], showticklabels=False, **more))


def _small(made: Spec) -> Spec:
    """Return an axis with a title that is no longer than the axis, of which there are two above each other."""
    return {**made, "title": {**made["title"], "font": {"size": 10}}}


def _span(times: Any, dots: int) -> Spec:
    """Return the time range of the calls for an axis on which nothing is drawn."""
    known = times[~np.isnat(times)]
    if dots or len(known) < 2 or known.min() == known.max():
        return {}
    return {"range": [str(known.min()), str(known.max())]}


def _names(domain: list[float], anchor: str) -> Spec:
    return axis("", type="category", domain=domain, anchor=anchor, tickfont={"size": 10})


def _quantile(values: Any, share: float) -> float:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, share)) if len(known) else np.nan
