"""Plotly figures of a run from pandas, as pure functions. Text is drawn literally, gaps are shaded, units written."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

from ..store.error_names import CodeNames
from . import llm_calls as figure_llm
from . import over_time as figure_specs
from . import series as figure_series
from . import stays as figure_stays
from .parts import Spec


def figure_of(spec: Spec) -> go.Figure:
    """Convert a figure's plain data to a plotly figure."""
    return go.Figure(spec)


def rates(counts: pd.DataFrame, *, every: Any = None, gaps: pd.DataFrame | None = None) -> go.Figure:
    """Draw `rates()` as events per second: a line for each type (or code, character, state).

    `every` is the width of a bucket (seconds, `"1min"` or a timedelta). By default it is the width stored in the table;
    if there is none, the distance of its rows, or one second for a single row.
    """
    return figure_of(figure_specs.rates(counts, gaps, every=every))


def errors(
    errors: pd.DataFrame, *, gaps: pd.DataFrame | None = None, names: CodeNames = figure_specs.NAMELESS
) -> go.Figure:
    """Draw `errors()` as counts over time, with a colour for each code, and its names."""
    return figure_of(figure_specs.errors(errors, gaps, names))


def timeline(stays: pd.DataFrame, *, gaps: pd.DataFrame | None = None, now: Any = None) -> go.Figure:
    """Draw `timeline()`: a line for each character, a bar for each stay, a colour for each state; open ones end at
    `now`.
    """
    return figure_of(figure_stays.timeline(stays, gaps, now=now))


def transitions(counts: pd.DataFrame) -> go.Figure:
    """Draw `transitions()`, with from-states as rows and to-states as columns."""
    return figure_of(figure_specs.transitions(counts))


def latency(events: pd.DataFrame, *, gaps: pd.DataFrame | None = None) -> go.Figure:
    """Draw the time from sending to receiving of `events()` (ms): median and 95th percentile."""
    return figure_of(figure_specs.latency(events, gaps))


def map(characters: pd.DataFrame, places: pd.DataFrame | None = None) -> go.Figure:
    """Draw `characters()` among `places()`, by their `x` and `y` or by their location."""
    return figure_of(figure_stays.town_map(characters, places))


def llm(calls: pd.DataFrame, *, gaps: pd.DataFrame | None = None) -> go.Figure:
    """Draw `llm_calls()`: latency (s), tokens, cost (US$) and the share of failures, by type of prompt."""
    return figure_of(figure_llm.llm(calls, gaps))


def values(table: pd.DataFrame, title: str, *, gaps: pd.DataFrame | None = None) -> go.Figure:
    """Draw values that are published tick by tick, such as `watches()`: a line for each character."""
    return figure_of(figure_series.values(table, title, gaps, by_tick=True))
