"""How far the server's clock is off, and how late its messages come."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW: Final = 60
"""Heartbeats looked back on: long enough for an undelayed one, short enough to follow a clock that drifts."""
SMOOTHING: Final = 0.2


class PeerClock:
    """Take the least delay of late as the clocks' offset, and what exceeds it as lag.

    Neither can be told from the other by one-way times alone; half the round trip is taken off as the way itself.
    """

    def __init__(self) -> None:
        self._delays: deque[float] = deque(maxlen=WINDOW)
        self.lag_s: float | None = None
        """Smoothed seconds that heartbeats come later than the fastest of them; `None` before the first."""
        self.offset_s: float | None = None
        """Seconds to add to the server's clock to get ours; `None` before the first heartbeat."""

    def sample(self, sent: float, received: float, round_trip_s: float) -> None:
        """Take one heartbeat: `sent` by the server's clock, `received` by ours, both wall clock in seconds."""
        delay = received - sent
        if not abs(delay) < 1e9:
            return  # not a clock: a number from the wire
        self._delays.append(delay)
        least = min(self._delays)
        self.offset_s = least - round_trip_s / 2
        late = delay - least + round_trip_s / 2
        self.lag_s = late if self.lag_s is None else self.lag_s + SMOOTHING * (late - self.lag_s)

    def forget(self) -> None:
        """Start anew: another connection may lead to another clock."""
        self._delays.clear()
        self.lag_s = None
