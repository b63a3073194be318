"""The chosen charts of a run, below each other over one time axis, as of now or as of the cursor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd

from ..figures import llm_calls as figure_llm
from ..figures import over_time, series
from ..figures.parts import Spec, footnoted, times_of
from ..figures.stack import stacked
from ..pages.parts import Section
from ..store.error_names import NamesOfCodes
from ..store.llm import LLM_TYPES
from .cells import payloads_of
from .characters import is_number
from .figure_panels import ERRORS_EVERY_S, windowed
from .interfaces import PanelReader
from .live_figure import PERIOD_S, SOON_S, LiveFigure
from .panel import Update
from .refresh import Refresher
from .running_rates import counted_until, counts_now, counts_of, errors_of

SECOND: Final = 1_000_000_000
CALLS: Final = 2_000
EVENTS: Final = 20_000
VALUES: Final = 5_000
"""The most values of a measure, an attribute or a watch that are drawn."""
MOST_CHARTS: Final = 8
MOST_NAMES: Final = 40
OFFER_S: Final = 5.0
BASIC: Final = ("rates", "errors", "latency", "calls")


class ChartsPanel(LiveFigure):
    """The chosen charts, stacked, over the ten minutes before the moment shown, which is marked by a line."""

    title: ClassVar[str] = "charts"
    script: ClassVar[str] = "charts"

    def __init__(self, reader: PanelReader, refresher: Refresher, *, run: Any = None, **kwargs: Any) -> None:
        self._reader = reader
        self._run = run
        self._chosen: list[str] = ["rates"]
        self.period_s = SOON_S
        self._offered: list[str] = list(BASIC)
        self._offered_at = -np.inf
        self._unoffered = 0  # names beyond the first ones
        self._told: list[str] = []
        self._asked = 0
        self._names = NamesOfCodes()
        super().__init__(self.spec, self.version_drawn, refresher, **kwargs)

    def version_drawn(self) -> Any:
        """Return what changes whenever the charts have to be drawn again; the line of rates goes on without events."""
        until = counted_until(self._reader, self._every_s()) if "rates" in self._chosen else None
        return self._reader.version, self._asked, self._whose(), until

    def _whose(self) -> str | None:
        return None if self.cursor is None else self.cursor.selection.character_id

    def past_version(self) -> Any:
        """See `Panel`."""
        return self._asked, self._whose()

    def received(self, content: Any) -> None:
        """Draw other charts."""
        super().received(content)
        chosen = content.get("charts") if isinstance(content, dict) else None
        if isinstance(chosen, list):
            known = [name for name in dict.fromkeys(map(str, chosen)) if name in self._offered]
            self._chosen = known[:MOST_CHARTS]
            self.period_s = SOON_S if self._chosen == ["rates"] else PERIOD_S  # others change as a whole
            self._asked += 1
            self._drawn_at = -np.inf
            self.flow.wants_full = True

    def snapshot(self) -> Update:
        """See `Panel`."""
        update = super().snapshot()
        return Update({**update.body, **self._choice(whole=True)}, update.buffers)

    def changes(self) -> Update | None:
        """See `Panel`."""
        update, choice = super().changes(), self._choice()
        if not choice:
            return update
        body, buffers = ({"changes": []}, []) if update is None else (update.body, update.buffers)
        return Update({**body, **choice}, buffers)

    def _choice(self, *, whole: bool = False) -> dict[str, Any]:
        """Return the charts that can be chosen and the chosen ones, if the page does not have them yet."""
        if time.monotonic() - self._offered_at > OFFER_S:
            self._offered_at = time.monotonic()
            self._unoffered = 0
            named = [*self._measures(), *self._attributes(), *self._watches(), *self._chosen]
            self._offered = list(dict.fromkeys([*BASIC, *named]))
        told = [*self._offered, "", *self._chosen]
        if told == self._told and not whole:
            return {}
        self._told = told
        return {"offered": self._offered, "chosen": self._chosen, "unoffered": self._unoffered}

    def _measures(self) -> list[str]:
        if not hasattr(self._run, "measures"):
            return []
        rows = self._reader.rows_of(("measure",))[-VALUES:]
        names = dict.fromkeys(str(_of(told, "name")) for told in payloads_of(self._reader, rows[-500:]))
        return self._some("measure", names)

    def _attributes(self) -> list[str]:
        if not hasattr(self._run, "attribute"):
            return []
        present = self._reader.present_columns().attributes
        names = dict.fromkeys(name for held in present for name, value in held.items() if is_number(value))
        return self._some("attribute", names)

    def _watches(self) -> list[str]:
        rows = self._reader.rows_of(("watch",))[-500:] if hasattr(self._run, "watches") else []
        names = dict.fromkeys(str(_of(told, "name")) for told in payloads_of(self._reader, rows))
        return self._some("watch", names)

    def _some(self, kind: str, names: Iterable[str]) -> list[str]:
        every = list(names)
        self._unoffered += max(0, len(every) - MOST_NAMES)
        return [f"{kind}: {name}" for name in every[:MOST_NAMES]]

    # --- the figure ---------------------------------------------------------------------------------------------

    def spec(self) -> Spec:
        """Return the charts as one figure of plain data."""
        moment = self.moment
        at = None if moment is None else pd.Timestamp(moment.time, unit="ns", tz="UTC")
        return stacked([self._chart(name, at) for name in self._chosen], at)

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        return super().still() if self._reader.next_row > self._reader.first_row else ()

    def _chart(self, name: str, at: pd.Timestamp | None) -> Spec:
        kind, _, what = name.partition(": ")
        until = None if at is None else at + pd.Timedelta(1, unit="us")  # the event at the moment is shown too
        make: dict[str, Callable[[], Spec]] = {
            "rates": lambda: self._rates(at),
            "errors": lambda: self._errors(at),
            "latency": lambda: self._latency(at),
            "calls": lambda: self._calls(at),
            "measure": lambda: self._values(self._run.measures(what, until=until, last=VALUES), what),
            "watch": lambda: self._values(self._run.watches(what, until=until, last=VALUES), what),
            "attribute": lambda: self._attribute(what, until),
        }
        return make[kind]()

    def _gaps(self, start: Any, at: pd.Timestamp | None) -> pd.DataFrame:
        gaps = self._reader.gaps()
        if not len(gaps) or start is None:
            return gaps.iloc[:0]
        near: pd.DataFrame = gaps[gaps["time"] >= start]
        return near if at is None else near[near["time"] <= at]

    def _every_s(self) -> int:
        """Return the width of a bucket: with few events, buckets of a second would be single spikes."""
        reader = self._reader
        if reader.next_row <= reader.first_row:
            return 1
        span = (reader.moment_of(reader.next_row - 1).time - reader.moment_of(reader.first_row).time) / SECOND
        return 1 if span < 60 or len(reader) / span >= 20 else 5

    def _rates(self, at: pd.Timestamp | None) -> Spec:
        every = self._every_s()
        counts, until = (
            counts_now(self._reader, every) if at is None else (counts_of(self._reader, every, "type", at), None)
        )
        gaps = self._gaps(counts.index[0] if len(counts) else None, at)
        spec = over_time.rates(counts, gaps, every=f"{every}s", until=until)
        left_out = at is not None and len(counts) > 0
        spec = footnoted(spec, f"the last {every} s, which are not over, are left out" if left_out else "")
        return windowed(spec, self._reader, at)

    def _errors(self, at: pd.Timestamp | None) -> Spec:
        counts, known = errors_of(self._reader, ERRORS_EVERY_S, self.moment)
        if not counts.to_numpy().any():
            return over_time.error_counts(pd.DataFrame())
        gaps, names = self._gaps(counts.index[0], at), self._names.read(self._reader)
        spec = over_time.error_counts(counts, gaps, times_of(known), every=f"{ERRORS_EVERY_S}s", names=names)
        return windowed(spec, self._reader, at)

    def _latency(self, at: pd.Timestamp | None) -> Spec:
        until = None if at is None else at + pd.Timedelta(1, unit="us")
        events = self._reader.events(last=EVENTS, until=until)
        spec = over_time.latency(events, self._gaps(events["time"].min() if len(events) else None, at))
        held = len(self._reader)
        return footnoted(spec, f"of the last {EVENTS:,} of {held:,} events" if held > EVENTS else "")

    def _calls(self, at: pd.Timestamp | None) -> Spec:
        stop = self._reader.next_row if self.moment is None else self.moment.row + 1
        rows = self._reader.rows_of(LLM_TYPES, 0, stop)
        calls = self._reader.calls_of(rows[-CALLS:])
        spec = figure_llm.latency(calls, self._gaps(calls["time"].min() if len(calls) else None, at))
        return footnoted(spec, f"the last {CALLS:,} of {len(rows):,} calls" if len(rows) > CALLS else "")

    def _attribute(self, name: str, until: pd.Timestamp | None) -> Spec:
        table = self._run.attribute(name, self._whose(), until=until, last=VALUES)
        title = name if self._whose() is None else f"{name} of {self._whose()}"
        return self._values(table, title, self._newest())  # it holds until it changes

    def _values(self, table: pd.DataFrame, title: str, until: pd.Timestamp | None = None) -> Spec:
        if "character_id" not in table:
            table = table.assign(character_id=pd.Series([None] * len(table), index=table.index, dtype=object))
        spec = series.values(
            table, title, None, comes="There is none up to the moment shown.",
            present=self._present, until=until,
        )  # fmt: skip
        few = f"the last {VALUES:,} values; earlier ones are not drawn"
        return footnoted(spec, few if len(table) >= VALUES else "")

    def _present(self) -> Sequence[str]:
        """Return who is in the town at the moment shown."""
        return self.town_of(self._reader).character_id

    def _newest(self) -> pd.Timestamp | None:
        """Return the time of the last event up to the moment shown."""
        reader, moment = self._reader, self.moment
        if moment is None and reader.next_row > reader.first_row:
            moment = reader.moment_of(reader.next_row - 1)
        return None if moment is None else pd.Timestamp(moment.time, unit="ns", tz="UTC")


def _of(payload: Any, name: str) -> Any:
    return payload.get(name, "") if isinstance(payload, dict) else ""
