"""What all calls of models have cost so far: two numbers that are kept whether or not anybody asks."""

from __future__ import annotations

import threading
from typing import Any

from ..protocol.messages import MessageTypes


class Totals:
    """The cost in US dollars and the number of all calls told of, from any thread."""

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
        """Count a message of a stream, if it tells of a call."""
        if type == MessageTypes.LLM_CALL and isinstance(payload, dict):
            cost = payload.get("cost_usd")
            self.add(cost if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None)

    @property
    def both(self) -> tuple[float, int]:
        """Give cost and calls as of one moment."""
        with self._lock:
            return self._cost, self._calls
