"""The cost and number of all calls of models so far, which are always counted."""

from __future__ import annotations

import threading
from typing import Any

from ..protocol.messages import MessageTypes


class Totals:
    """The cost in US dollars and the number of all published calls; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cost = 0.0
        self._calls = 0

    def add(self, cost_usd: float | None) -> None:
        """Count a call."""
        with self._lock:
            self._calls += 1
            self._cost += cost_usd or 0.0

    def add_message(self, type: str, payload: Any) -> None:
        """Count a message of a stream if it is a call."""
        if type == MessageTypes.LLM_CALL and isinstance(payload, dict):
            cost = payload.get("cost_usd")
            self.add(cost if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None)

    @property
    def both(self) -> tuple[float, int]:
        """Return cost and calls as of one moment."""
        with self._lock:
            return self._cost, self._calls
