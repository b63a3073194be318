"""`session.plot`: each method asks a question of a run and draws the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from ..core.arguments import flag
from ..protocol.messages import MessageTypes
from ..store.arguments import bucket_s, name_of
from ..store.error_names import NEWEST, CodeNames, NamesOfCodes
from . import llm_calls as figure_llm
from . import over_time, series, stays
from .parts import Spec, footnoted
from .shown import shown

if TYPE_CHECKING:
    import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

    from ..store.arguments import LongTime, Moment, Names
    from ..store.interfaces import RunReader

TOLD: Final = "It appears when a character_update names it."
LATEST: Final = 200_000
"""The number of newest events whose latencies are drawn."""


class Plots:
    """The plotly figures of one session or recording: as of the moment of the call, or live."""

    def __init__(
        self,
        reader: RunReader,
        follow: Callable[[Callable[[], Spec]], Any],
        still: Callable[[Spec], str | None] = lambda spec: None,
    ) -> None:
        self._reader = reader
        self._follow = follow
        self._still = still

    def _drawn(self, make: Callable[[], Spec], live: bool) -> go.Figure:
        return self._follow(make) if flag("live", live) else shown(make(), self._still)

    def _gaps(self, start: Any = None) -> pd.DataFrame:
        """List the gaps from a time on; earlier ones would stretch the axis."""
        gaps = self._reader.gaps()
        return gaps if start is None or pd.isna(start) or not len(gaps) else gaps[gaps["time"] >= start]

    def _newest(self) -> Any:
        newest = self._reader.events(last=1)["time"]
        return newest.iloc[0] if len(newest) else None

    def _names_of_codes(self) -> CodeNames:
        newest = self._reader.events(type=MessageTypes.ERROR, last=NEWEST, payload=True)
        known = NamesOfCodes()
        known.add(newest["code"].tolist(), newest["payload"].tolist())
        return known.names()

    def rates(
        self, every: LongTime = "1s", by: str = "type", window: LongTime | None = None, *, live: bool = False
    ) -> go.Figure:
        """Draw how many events came each second.

        Parameters
        ----------
        every : str, number or timedelta
            Width of a bucket: a text such as ``"1s"`` or ``"5min"``, or seconds; at least one second.
        by : str
            What a line stands for: ``"type"``, ``"code"``, ``"character_id"``, ``"state"``.
        window : str, number or timedelta, optional
            Only this much of the run, counted back from the newest event, such as ``"10min"``. Left out, the whole run.
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            Time (UTC) against events per second. Gaps are shaded. A live figure leaves the last bucket out, which is
            not over, and says how many events it has.

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

        def make() -> Spec:
            counts = self._reader.rates(width, by, window)
            gaps = self._gaps(counts.index[0] if len(counts) else None)
            return (
                over_time.rates_over(counts, gaps, width, self._newest())
                if live
                else over_time.rates(counts, gaps, every=width)
            )

        return self._drawn(make, live)

    def errors(self, *, live: bool = False) -> go.Figure:
        """Draw errors over time, one colour for each code.

        Parameters
        ----------
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            Time (UTC) against errors per bucket. Gaps are shaded.

        Examples
        --------
        >>> type(session.plot.errors()).__name__
        'Figure'
        """
        return self._drawn(lambda: over_time.errors(self._reader.errors(), self._gaps(), self._names_of_codes()), live)

    def timeline(self, character_id: Names = None, *, live: bool = False) -> go.Figure:
        """Draw who was in which state when, one line for each character.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Draw only these characters.
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            Time (UTC) against characters, one bar for each stay. A stay ends at a gap.

        Examples
        --------
        >>> someone = session.characters().index[0]
        >>> type(session.plot.timeline(someone)).__name__
        'Figure'
        """

        def make() -> Spec:
            return stays.timeline(self._reader.timeline(character_id), self._gaps(), now=self._newest())

        return self._drawn(make, live)

    def transitions(self, *, live: bool = False) -> go.Figure:
        """Draw how often each state led to each other one.

        Parameters
        ----------
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            A heat map: the state before against the state after, the count as colour and text.

        Examples
        --------
        >>> type(session.plot.transitions()).__name__
        'Figure'
        """
        return self._drawn(lambda: over_time.transitions(self._reader.transitions()), live)

    def latency(self, *, live: bool = False) -> go.Figure:
        """Draw how long events took from the simulation to here.

        Parameters
        ----------
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            Time (UTC) against milliseconds: the median and the 95th percentile of each bucket, of the newest 200,000
            events. The difference of two clocks can be negative.

        Examples
        --------
        >>> session.plot.latency().layout.yaxis.title.text
        'from sent to received (ms)'
        """

        def make() -> Spec:
            events = self._reader.events(last=LATEST)
            spec = over_time.latency(events, self._gaps(events["time"].min() if len(events) else None))
            held = len(self._reader)
            note = f"of the newest {LATEST:,} of {held:,} events" if held > LATEST else ""
            return footnoted(spec, note)

        return self._drawn(make, live)

    def map(
        self, at: Moment = None, *, row: int | None = None, tick: int | None = None, live: bool = False
    ) -> go.Figure:
        """Draw every character where it is, or where it was.

        Parameters
        ----------
        at : datetime, str, number or timedelta, optional
            After the last event up to this time, as `since` of `events` takes it.
        row : int, optional
            After this event.
        tick : int, optional
            After the last event up to this tick. Give at most one of the three; without them it is now.
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            The characters at their `x` and `y`, or around their place; the colour is the state.

        Raises
        ------
        ValueError
            If more than one of the three is given, or the events do not reach back so far.

        Examples
        --------
        >>> figure = session.plot.map(tick=10)
        >>> sum(len(trace.x) for trace in figure.data if trace.name != "places")
        12
        """

        def make() -> Spec:
            return stays.town_map(self._reader.characters(at, row=row, tick=tick), self._reader.places())

        return self._drawn(make, live)

    def llm(self, *, live: bool = False) -> go.Figure:
        """Draw the calls of language models: how slow, how many tokens, what cost, how many failed.

        Parameters
        ----------
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            Four parts: the latency of each call over time (UTC, s), and by type of prompt latency, tokens and the share
            that failed. The title says the totals of the calls held, and how many are drawn.

        Examples
        --------
        >>> figure = session.plot.llm()
        >>> figure.layout.yaxis.title.text
        'latency of each call (s)'
        """

        def make() -> Spec:
            calls = self._reader.llm_calls()
            return figure_llm.llm(calls, self._gaps(calls["time"].min() if len(calls) else None))

        return self._drawn(make, live)

    def attribute(self, name: str, character_id: Names = None, *, live: bool = False) -> go.Figure:
        """Draw the history of one attribute, as `attribute()` lists it.

        Parameters
        ----------
        name : str
            The attribute, as `character_update`s name it.
        character_id : str, int or list-like of them, optional
            Only of these characters.
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            Time (UTC) against the value, a line for each character.

        Raises
        ------
        ValueError
            If a name cannot be understood.

        Examples
        --------
        >>> len(session.plot.attribute("money", ["emma", "noah"]).data)
        2
        """
        title = name_of(name)

        def make() -> Spec:
            return series.values(self._reader.attribute(title, character_id), title, self._gaps(), comes=TOLD)

        return self._drawn(make, live)

    def measures(self, name: Names = None, *, live: bool = False) -> go.Figure:
        """Draw the model's measures, as `measures()` lists them.

        Parameters
        ----------
        name : str or list-like of str, optional
            Only measures of these names.
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            Time (UTC) against the value, each measure with an axis of its own.

        Raises
        ------
        ValueError
            If a name cannot be understood.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.measure("gini", 0.25)
        ...     with dc.connect(town) as other:
        ...         other.plot.measures("gini").data[0].y.tolist()
        [0.25]
        """
        return self._drawn(lambda: series.measures(self._reader.measures(name), self._gaps()), live)

    def watch(self, name: str, *, live: bool = False) -> go.Figure:
        """Draw the values of what was watched, as `watches()` lists them.

        Parameters
        ----------
        name : str
            The watch; see `session.watch`.
        live : bool
            Return a `LiveFigure` that follows the run; its ``.figure`` is the figure as it is then.

        Returns
        -------
        plotly.graph_objects.Figure or LiveFigure
            Ticks against the value, a line for each character if it is about characters; time (UTC) where ticks start
            over. Gaps are shaded. The line of a character that has not left goes on to the last tick that is drawn.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     _ = other.watch("total_calls", "calls")
        ...     _ = other.step(3)
        ...     len(other.plot.watch("calls").data[0].y)
        4
        """
        title = name_of(name)
        return self._drawn(
            lambda: series.values(
                self._reader.watches(title),
                title,
                self._gaps(),
                by_tick=True,
                present=lambda: self._reader.characters().index,
            ),
            live,
        )
