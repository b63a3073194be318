"""The connection panel: numbers, problems and journal, and a button to reconnect."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from ..core.counting import counted
from ..pages.parts import Remark, Section, Table, cell
from .cells import shorten
from .headline import plain
from .interfaces import PanelStatus
from .panel import Panel, Update
from .refresh import Refresher

LABELS: Final = {
    "connection": "connection",
    "dialect": "dialect",
    "circuit": "circuit",
    "run_state": "run",
    "tick": "tick",
    "epoch": "epoch",
    "head": "head (last seq)",
    "uptime_s": "up for",
    "reconnects": "reconnects",
    "messages_per_s": "messages",
    "messages_received": "messages received",
    "messages_sent": "messages sent",
    "bytes_received": "received",
    "bytes_sent": "sent",
    "latency_p50_s": "latency, median",
    "latency_p95_s": "latency, 95 %",
    "lag_s": "lag",
    "checkpoint_age_s": "since the last checkpoint",
    "message_age_s": "since the last event",
    "gaps": "gaps",
    "missing": "events missing",
    "duplicates": "duplicates dropped",
    "errors": "errors",
    "queue_depth": "queue",
    "evicted": "evicted",
    "memory_bytes": "memory of the store",
    "recording": "recording",
}
JOURNAL: Final = 100
LISTED: Final = 10
"""The most lines of a static view."""


class ConnectionPanel(Panel):
    """The state of the connection, with a button that closes the circuit breaker and connects again."""

    title: ClassVar[str] = "connection"
    script: ClassVar[str] = "connection"
    follows_cursor: ClassVar[bool] = False

    def __init__(self, status: PanelStatus, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._status = status
        self._shown: dict[str, Any] = {}
        self._attempt: dict[str, str] = {"state": "", "text": ""}

    def snapshot(self) -> Update:
        """See `Panel`."""
        self._shown = self._state()
        return Update(self._shown)

    def changes(self) -> Update | None:
        """See `Panel`."""
        state = self._state()
        if state == self._shown:
            return None
        self._shown = state
        return Update(state)

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        state = self._state()
        rows = [[cell(label), cell(value)] for _, label, value in state["rows"] if cell(value)]
        newest = state["journal"][-LISTED:]
        few = f"the last {len(newest):,} of {counted(state['lines'], 'line')} of what happened:"
        told = Table(("figure", "value"), rows, len(rows), "figure")
        return [
            Section(
                self.title,
                [
                    told,
                    *map(Remark, state["health"]),
                    *([Remark(few)] if len(newest) < state["lines"] else []),
                    *(Remark(line) for _, line in newest),
                ],
            )
        ]

    def received(self, content: Any) -> None:
        """Reconnect, on a thread of its own since that may take long."""
        if isinstance(content, dict) and content.get("reconnect") and self._attempt["state"] != "sent":
            self._attempt = {"state": "sent", "text": "connecting …"}
            threading.Thread(target=self._reconnect, name="degentcivil-reconnect", daemon=True).start()

    def _reconnect(self) -> None:
        try:
            self._status.reconnect()
        except Exception as error:  # noqa: BLE001 — the user pressed a button and sees any failure
            self._attempt = {"state": "error", "text": shorten(str(error) or type(error).__name__, 500)}
        else:
            self._attempt = {"state": "done", "text": "connected"}
        self.refresh_soon()

    def _state(self) -> dict[str, Any]:
        metrics = self._status.metrics()
        written = self._status.journal_lines()
        lines = list(self._status.journal())  # after their number: it may have grown meanwhile
        rows = [[name, label, plain(metrics.get(name))] for name, label in LABELS.items() if name in metrics.index]
        return {
            "rows": rows,
            "health": [shorten(reason, 300) for reason in self._status.health()],
            "journal": [[time, shorten(line, 300)] for time, line in lines[-JOURNAL:]],
            "lines": max(written, len(lines)),
            "attempt": self._attempt,
            "can_reconnect": metrics.get("connection") != "recording",
        }
