"""How long to wait before trying again, and when to stop trying for a while."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import pybreaker
from websockets.client import backoff

from ..protocol.errors import ConnectFailed

FIRST_DELAY_S: Final = 0.5
MAX_DELAY_S: Final = 30.0


def retry_delays() -> Iterator[float]:
    """Yield seconds to wait: the library's exponential series from half a second to half a minute, with jitter.

    Each is drawn from the upper half, so that clients cut at the same moment do not come back at the same moment.
    """
    for delay in backoff(initial_delay=FIRST_DELAY_S, min_delay=FIRST_DELAY_S, max_delay=MAX_DELAY_S):
        yield delay * random.uniform(0.5, 1.0)


class Circuit:
    """Open after `failures` attempts in a row have failed, and let one attempt through every `open_s` seconds."""

    def __init__(self, failures: int = 8, open_s: float = 60.0) -> None:
        self.open_s = open_s
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures, reset_timeout=open_s, throw_new_error_on_trip=False, name="connection"
        )

    @property
    def state(self) -> str:
        """Give `closed`, `open` or `half-open`."""
        return self._breaker.current_state

    def succeeded(self) -> None:
        """Count a connection that became ready."""
        if self.state == pybreaker.STATE_OPEN:
            self.probe()
        self._breaker.call(lambda: None)

    def failed(self, error: ConnectFailed) -> None:
        """Count an attempt that failed."""

        def fail() -> None:
            raise error

        if self.state != pybreaker.STATE_OPEN:
            try:
                self._breaker.call(fail)
            except ConnectFailed:
                return

    def probe(self) -> None:
        """Let one attempt through an open circuit."""
        if self.state == pybreaker.STATE_OPEN:
            self._breaker.half_open()

    def close(self) -> None:
        """Close the circuit by hand, and forget the failures."""
        self._breaker.close()
        self._breaker.call(lambda: None)
