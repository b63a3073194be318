"""The live figures of the dashboard: rates, errors, stays and language model calls of the last minutes."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import pandas as pd

from ..analysis.answers import usual_kinds, with_malformed
from ..figures import llm_calls as figure_llm
from ..figures import over_time as figure_specs
from ..figures.parts import Spec, footnoted, times_of
from ..store.error_names import NamesOfCodes
from ..store.llm import LLM_TYPES
from ..store.schema import SECOND
from .interfaces import PanelReader
from .live_figure import SOON_S, LiveFigure
from .refresh import Refresher
from .running_rates import WINDOW_S, counted_until, counts_now, counts_of, errors_of

ERRORS_EVERY_S: Final = 5
CALLS: Final = 2_000


def windowed(spec: Spec, reader: PanelReader, at: pd.Timestamp | None) -> Spec:
    """Say that the figure is of the last minutes, where the run up to the moment is longer than that."""
    if not spec["data"] or reader.next_row <= reader.first_row:
        return spec
    end = reader.moment_of(reader.next_row - 1).time if at is None else at.value
    is_long = end - reader.moment_of(reader.first_row).time > WINDOW_S * SECOND
    return footnoted(spec, f"only the last {WINDOW_S // 60} minutes are drawn" if is_long else "")


class FigurePanel(LiveFigure):
    """A live figure of a run, which a subclass defines in `spec`: of the last minutes before the moment shown."""

    def __init__(self, reader: PanelReader, refresher: Refresher, **kwargs: Any) -> None:
        self._reader = reader
        self._names = NamesOfCodes()
        super().__init__(self.spec, self.version_drawn, refresher, **kwargs)

    def version_drawn(self) -> Any:
        """Return what changes whenever the figure has to be drawn again."""
        return self._reader.version

    def spec(self) -> Spec:
        """Return the figure as plain data."""
        raise NotImplementedError

    @property
    def at(self) -> pd.Timestamp | None:
        """Return the time of the moment shown; `None` for now."""
        return None if self.moment is None else pd.Timestamp(self.moment.time, unit="ns", tz="UTC")

    def gaps_since(self, start: Any) -> pd.DataFrame:
        """List the gaps declared from a time on, up to the moment shown; others would stretch the axis."""
        gaps, at = self._reader.gaps(), self.at
        if start is None or not len(gaps):
            return gaps
        near: pd.DataFrame = gaps[gaps["time"] >= start]
        return near if at is None else near[near["time"] <= at]


class RatesPanel(FigurePanel):
    """Events per second by type, for the last ten minutes."""

    title: ClassVar[str] = "rates"
    period_s = SOON_S

    def spec(self) -> Spec:
        """See `FigurePanel`."""
        at = self.at
        counts, until = counts_now(self._reader, 1) if at is None else (counts_of(self._reader, 1, "type", at), None)
        gaps = self.gaps_since(counts.index[0] if len(counts) else None)
        return windowed(figure_specs.rates(counts, gaps, every="1s", until=until), self._reader, at)

    def version_drawn(self) -> Any:
        """See `FigurePanel`: the line goes on while no event comes."""
        return self._reader.version, counted_until(self._reader, 1)


class ErrorsPanel(FigurePanel):
    """Errors by code, for the last ten minutes."""

    title: ClassVar[str] = "errors over time"

    def spec(self) -> Spec:
        """See `FigurePanel`."""
        counts, known = errors_of(self._reader, ERRORS_EVERY_S, self.moment)
        if not counts.to_numpy().any():
            return figure_specs.error_counts(pd.DataFrame())
        gaps, names = self.gaps_since(counts.index[0]), self._names.read(self._reader)
        spec = figure_specs.error_counts(counts, gaps, times_of(known), every=f"{ERRORS_EVERY_S}s", names=names)
        return windowed(spec, self._reader, self.at)


class LlmPanel(FigurePanel):
    """The last calls of language models by type of prompt."""

    title: ClassVar[str] = "language models"
    period_s = 2.0

    def spec(self) -> Spec:
        """See `FigurePanel`."""
        if self.moment is None:
            calls = self._reader.llm_calls(last=CALLS)
            total = int(self._reader.llm_totals()["calls"].sum()) if len(calls) == CALLS else 0
        else:
            rows = self._reader.rows_of(LLM_TYPES, 0, self.moment.row + 1)
            calls, total = self._reader.calls_of(rows[-CALLS:]), len(rows)
        calls = with_malformed(calls, usual_kinds(calls)) if len(calls) else calls
        spec = figure_llm.llm(calls, self.gaps_since(calls["time"].min() if len(calls) else None))
        if total > len(calls):  # how many calls are drawn, of how many in the whole run (issue 16)
            first = spec["layout"]["annotations"][0]
            first["text"] = f"the last {len(calls):,} of {total:,} calls are drawn: {first['text']}"
        return spec
