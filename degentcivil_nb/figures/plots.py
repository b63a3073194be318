"""`session.plot`: each method asks a question of a run and draws the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..store.arguments import bucket_s
from . import build as figures

if TYPE_CHECKING:
    import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

    from ..store.arguments import LongTime, Names
    from ..store.interfaces import RunReader


class Plots:
    """The plotly figures of one session or recording, each as of the moment of its call."""

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader

    def rates(self, every: LongTime = "1s", by: str = "type", window: LongTime | None = None) -> go.Figure:
        """Draw how many events came each second.

        Parameters
        ----------
        every : str, number or timedelta
            Width of a bucket: a text such as ``"1s"`` or ``"5min"``, or seconds; at least one second.
        by : str
            What a line stands for: ``"type"``, ``"code"``, ``"character_id"``, ``"state"``.
        window : str, number or timedelta, optional
            Draw only the last so much of the run, such as ``"10min"``. The whole run if left out.

        Returns
        -------
        plotly.graph_objects.Figure
            Time (UTC) against events per second. Gaps are shaded.

        Raises
        ------
        ValueError
            If a width or `by` is not understood.

        Examples
        --------
        >>> figure = session.plot.rates(every="2s")
        >>> figure.layout.yaxis.title.text
        'events per second'
        """
        width = bucket_s(every, "a bucket")
        return figures.rates(self._reader.rates(width, by, window), every=width, gaps=self._reader.gaps())

    def errors(self) -> go.Figure:
        """Draw errors over time, one colour for each code.

        Returns
        -------
        plotly.graph_objects.Figure
            Time (UTC) against errors per bucket. Gaps are shaded.

        Examples
        --------
        >>> type(session.plot.errors()).__name__
        'Figure'
        """
        return figures.errors(self._reader.errors(), gaps=self._reader.gaps())

    def timeline(self, character_id: Names = None) -> go.Figure:
        """Draw who was in which state when, one line for each character.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Draw only these characters.

        Returns
        -------
        plotly.graph_objects.Figure
            Time (UTC) against characters, one bar for each stay. A stay ends at a gap.

        Examples
        --------
        >>> someone = session.characters().index[0]
        >>> type(session.plot.timeline(someone)).__name__
        'Figure'
        """
        return figures.timeline(self._reader.timeline(character_id), gaps=self._reader.gaps())

    def transitions(self) -> go.Figure:
        """Draw how often each state led to each other one.

        Returns
        -------
        plotly.graph_objects.Figure
            A heat map: the state before against the state after, the count as colour and text.

        Examples
        --------
        >>> type(session.plot.transitions()).__name__
        'Figure'
        """
        return figures.transitions(self._reader.transitions())

    def watch(self, name: str) -> go.Figure:
        """Draw the values of what was watched, as `watches()` lists them.

        Parameters
        ----------
        name : str
            The watch; see `session.watch`.

        Returns
        -------
        plotly.graph_objects.Figure
            Time (UTC) against the value, a line for each character if it is about characters. Gaps are shaded.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     _ = other.watch("total_calls", "calls")
        ...     _ = other.step(3)
        ...     len(other.plot.watch("calls").data[0].y)
        4
        """
        return figures.values(self._reader.watches(name), name, gaps=self._reader.gaps())
