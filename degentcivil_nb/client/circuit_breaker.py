"""The delays between attempts to connect, and the pause after many failures."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Final

from websockets.client import backoff

FIRST_DELAY_S: Final = 0.5  # a restarted server is usually back after a second or two
MAX_DELAY_S: Final = 30.0  # the longest that a user waits for a server that is back


def retry_delays() -> Iterator[float]:
    """Yield seconds to wait: the library's exponential series from half a second to half a minute, with jitter.

    Each is drawn from the upper half, so that clients disconnected at the same moment do not return at the same moment.
    """
    for delay in backoff(initial_delay=FIRST_DELAY_S, min_delay=FIRST_DELAY_S, max_delay=MAX_DELAY_S):
        yield delay * random.uniform(0.5, 1.0)


class Circuit:
    """A count of the attempts that failed in a row: open after `failures` of them, for `open_s` seconds each time."""

    def __init__(self, failures: int = 8, open_s: float = 60.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._open_s = open_s
        self._clock = clock
        self._failed = 0
        self._open_until = 0.0

    @property
    def state(self) -> str:
        """Return `closed`, `open`, or `half-open` once one attempt may be made again."""
        if self._failed < self._limit:
            return "closed"
        return "open" if self.remaining_s > 0 else "half-open"

    @property
    def remaining_s(self) -> float:
        """Return for how many seconds an open circuit allows no attempt; 0 if one is allowed."""
        return max(0.0, self._open_until - self._clock()) if self._failed >= self._limit else 0.0

    def failed(self) -> None:
        """Count a failed attempt; from the last allowed one on, each opens the circuit again."""
        self._failed += 1
        self._open_until = self._clock() + self._open_s

    def close(self) -> None:
        """Reset the failures, after a successful connection or at the user's request."""
        self._failed = 0
