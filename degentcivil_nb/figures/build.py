"""The figures of a run: pandas in, plotly out, each pure. Text is drawn as text, gaps are shaded, units written."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

from . import llm_calls as figure_llm
from . import over_time as figure_specs
from . import stays as figure_stays
from .parts import Spec


def figure_of(spec: Spec) -> go.Figure:
    """Make a plotly figure of a figure in plain data."""
    return go.Figure(spec)


def rates(counts: pd.DataFrame, *, every: Any = None, gaps: pd.DataFrame | None = None) -> go.Figure:
    """Draw what `rates()` counts as events a second: a line a type (or code, character, state).

    `every` is the width of a bucket (seconds, `"1min"` or a timedelta). Without it the width is what the table was
    asked for; only where a table does not say so, it is the distance of its rows, or one second where there is one.
    """
    return figure_of(figure_specs.rates(counts, gaps, every=every))


def errors(errors: pd.DataFrame, *, gaps: pd.DataFrame | None = None) -> go.Figure:
    """Draw what `errors()` lists as counts over time, a colour a code."""
    return figure_of(figure_specs.errors(errors, gaps))


def timeline(stays: pd.DataFrame, *, gaps: pd.DataFrame | None = None, now: Any = None) -> go.Figure:
    """Draw what `timeline()` lists: a line a character, a bar a stay, a colour a state; open stays last until `now`."""
    return figure_of(figure_stays.timeline(stays, gaps, now=now))


def transitions(counts: pd.DataFrame) -> go.Figure:
    """Draw what `transitions()` counts, a row a from-state and a column a to-state."""
    return figure_of(figure_specs.transitions(counts))


def latency(events: pd.DataFrame, *, gaps: pd.DataFrame | None = None) -> go.Figure:
    """Draw how long `events()` took from being sent to being received (ms): median and 95th percentile."""
    return figure_of(figure_specs.latency(events, gaps))


def map(characters: pd.DataFrame, places: pd.DataFrame | None = None) -> go.Figure:
    """Draw where `characters()` are, among `places()`, by their `x` and `y` or by their location."""
    return figure_of(figure_stays.town_map(characters, places))


def llm(calls: pd.DataFrame, *, gaps: pd.DataFrame | None = None) -> go.Figure:
    """Draw what `llm_calls()` lists: latency (s), tokens, cost (US$) and the share that failed, by type of prompt."""
    return figure_of(figure_llm.llm(calls, gaps))
