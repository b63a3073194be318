"""What all calls of models have cost so far: two numbers that are kept whether or not anybody asks."""

from __future__ import annotations

import threading


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

    @property
    def both(self) -> tuple[float, int]:
        """Give cost and calls as of one moment."""
        with self._lock:
            return self._cost, self._calls
