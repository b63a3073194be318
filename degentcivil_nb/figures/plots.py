"""The word `session.plot`: each method asks a question of a reader and draws the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import build as figures

if TYPE_CHECKING:
    import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

    from ..store.interfaces import RunReader
    from ..store.selection import Names


class Plots:
    """Draw the figures of one session or recording; each call draws what is known at that moment."""

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader

    def rates(self, every: str = "1s", by: str = "type", window: str | None = None) -> go.Figure:
        """Draw events a second by type (or `code`, `character_id`, `state`)."""
        return figures.rates(self._reader.rates(every, by, window), gaps=self._reader.gaps())

    def errors(self) -> go.Figure:
        """Draw errors over time, a colour a code."""
        return figures.errors(self._reader.errors(), gaps=self._reader.gaps())

    def timeline(self, character_id: Names = None) -> go.Figure:
        """Draw who was in which state when, a line a character."""
        return figures.timeline(self._reader.timeline(character_id), gaps=self._reader.gaps())

    def transitions(self) -> go.Figure:
        """Draw how often each state led to each other one."""
        return figures.transitions(self._reader.transitions())
