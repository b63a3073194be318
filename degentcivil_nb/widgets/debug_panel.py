"""The debugger's panel: breakpoints made, switched and removed, where they stopped the run, and watches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import pandas as pd

from ..pages.parts import Section
from ..pages.sections import stops_of
from .cells import cell_text, records, shorten
from .panel import Panel, Update
from .refresh import Refresher

STOPS: Final = 100
SHOWN: Final = ("name", "condition", "owner", "enabled", "verified", "problem", "hits", "log", "last_tick")


class DebugPanel(Panel):
    """Breakpoints of all notebooks, the stops so far, and watches; breakpoints are made and changed here."""

    title: ClassVar[str] = "debug"
    script: ClassVar[str] = "debug"
    follows_cursor: ClassVar[bool] = False

    def __init__(self, run: Any, version: Callable[[], int], refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._run = run
        self._version = version
        self._said: dict[str, Any] = {"text": "", "failed": False}
        self._busy = False
        self._changed = 0
        self._told: dict[str, Any] | None = None

    def version(self) -> Any:
        """See `Panel`."""
        return self._version(), self._changed

    def snapshot(self) -> Update:
        """See `Panel`."""
        return Update(self._state())

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        return [stops_of(self._run, 30)]

    def changes(self) -> Update | None:
        """See `Panel`."""
        before, state = self._told, self._state()
        return None if state == before else Update(state)

    def _state(self) -> dict[str, Any]:
        table, stops = self._run.breakpoints(), self._run.stops()
        stopped = self._run.stopped() if hasattr(self._run, "stopped") else None
        watches = self._run.watches() if hasattr(self._run, "watches") else pd.DataFrame()
        self._told = {
            "breakpoints": [[cell_text(row.get(name)) for name in SHOWN] for row in table.to_dict("records")],
            "stops": [
                [
                    None if pd.isna(stop.time) else float(stop.time.timestamp()), cell_text(stop.stopped),
                    cell_text(stop.name), cell_text(stop.character_id),
                    None if pd.isna(stop.matched) else int(stop.matched),
                ]
                for stop in records(stops.tail(STOPS).iloc[::-1])
            ],
            "all_stops": len(stops),
            "watches": [[str(row[0]), *map(cell_text, row[1:])] for row in watches.tail(50).itertuples(name=None)],
            "watch_columns": [str(name) for name in watches.columns],
            "stopped": "" if stopped is None else str(stopped),
            "can": hasattr(self._run, "break_when"),
            "said": self._said,
            "busy": self._busy,
        }  # fmt: skip
        return self._told

    def received(self, content: Any) -> None:
        """Make, switch or remove a breakpoint, on a thread of its own since the answer takes time."""
        if not isinstance(content, dict) or not hasattr(self._run, "break_when") or self._busy:
            return
        text, name = content.get("break"), content.get("name")
        if isinstance(text, str):
            hits = content.get("hits")
            often = hits if isinstance(hits, int) and not isinstance(hits, bool) and hits > 0 else 1
            self._do(lambda: self._run.break_when(text[:2_000], hits=often, once=content.get("once") is True))
        elif isinstance(name, str) and isinstance(content.get("enable"), bool):
            self._do(lambda: self._run._breakpoints.enable(name, content["enable"]))
        elif isinstance(name, str) and content.get("remove") is True:
            self._do(lambda: self._run._breakpoints.remove(name))

    def _do(self, work: Callable[[], Any]) -> None:
        def run() -> None:
            try:
                work()
                self._said = {"text": "", "failed": False}
            except Exception as error:  # noqa: BLE001 — the user pressed a button and sees any failure
                self._said = {"text": shorten(str(error) or type(error).__name__, 1_000), "failed": True}
            self._busy = False
            self._changed += 1
            self.refresh_soon()

        self._busy = True
        threading.Thread(target=run, name="degentcivil-breakpoints", daemon=True).start()
