"""The live figures of the dashboard: rates, errors, stays and language model calls of the last minutes."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final

import pandas as pd

from ..figures import llm_calls as figure_llm
from ..figures import over_time as figure_specs
from ..figures.parts import Spec, times_of
from .interfaces import PanelReader
from .live_figure import LiveFigure
from .refresh import Refresher

WINDOW: Final = "10min"
ERRORS_EVERY: Final = "5s"
CALLS: Final = 2_000


class FigurePanel(LiveFigure):
    """A live figure of a run, which a subclass defines in `spec`."""

    def __init__(self, reader: PanelReader, refresher: Refresher, **kwargs: Any) -> None:
        self._reader = reader
        super().__init__(self.spec, lambda: reader.version, refresher, **kwargs)

    def spec(self) -> Spec:
        """Return the figure as plain data."""
        raise NotImplementedError

    def gaps_since(self, start: Any) -> pd.DataFrame:
        """List the gaps declared from a time on; older ones would stretch the axis."""
        gaps = self._reader.gaps()
        return gaps if start is None or not len(gaps) else gaps[gaps["time"] >= start]


class RatesPanel(FigurePanel):
    """Events per second by type, for the last ten minutes."""

    title: ClassVar[str] = "rates"

    def spec(self) -> Spec:
        """See `FigurePanel`."""
        counts = self._reader.rates("1s", "type", WINDOW)
        gaps, reader = self.gaps_since(counts.index[0] if len(counts) else None), self._reader
        newest = reader.moment_of(reader.next_row - 1).time if len(counts) else 0
        going = time.time() - newest / 1e9 < 2  # if a run is paused or over, its last bucket is complete
        return figure_specs.rates(counts, gaps, every="1s", until=newest if going else None)


class ErrorsPanel(FigurePanel):
    """Errors by code, for the last ten minutes."""

    title: ClassVar[str] = "errors over time"

    def spec(self) -> Spec:
        """See `FigurePanel`."""
        everything = self._reader.rates(ERRORS_EVERY, "type", WINDOW)
        counts = self._reader.rates(ERRORS_EVERY, "code", WINDOW)
        if not len(counts):
            return figure_specs.error_counts(counts)
        counts = counts.reindex(everything.index.union(counts.index), fill_value=0)
        known = times_of(everything.index[everything.sum(axis=1) > 0])
        return figure_specs.error_counts(counts, self.gaps_since(counts.index[0]), known, every=ERRORS_EVERY)


class LlmPanel(FigurePanel):
    """The last calls of language models by type of prompt."""

    title: ClassVar[str] = "language models"
    period_s: ClassVar[float] = 2.0

    def spec(self) -> Spec:
        """See `FigurePanel`."""
        calls = self._reader.llm_calls(last=CALLS)
        spec = figure_llm.llm(calls, self.gaps_since(calls["time"].min() if len(calls) else None))
        if len(calls) == CALLS:  # how many calls are drawn, of how many in the whole run (issue 16)
            total = int(self._reader.llm_totals()["calls"].sum())
            first = spec["layout"]["annotations"][0]
            first["text"] = f"the last {CALLS:,} of {total:,} calls are drawn: {first['text']}"
        return spec
