"""The offset of the server's clock, and the lag of its messages."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW: Final = 60
"""How many heartbeats are considered: enough for an undelayed one, few enough to follow a drifting clock."""
SMOOTHING: Final = 0.2  # the weight of the newest sample: five heartbeats, 25 s, to follow a change


class PeerClock:
    """An estimate of the clocks' offset, from the least delay in the window, and of the lag, from the excess over it.

    One-way times alone cannot separate the two; half the round trip is subtracted as the transit time.
    """

    def __init__(self) -> None:
        self._delays: deque[float] = deque(maxlen=WINDOW)
        self.lag_s: float | None = None
        """Smoothed seconds by which heartbeats are later than the fastest one; `None` before the first."""
        self.offset_s: float | None = None
        """Seconds to add to the server's clock to get ours; `None` before the first heartbeat."""

    def sample(self, sent: float, received: float, round_trip_s: float) -> None:
        """Add a heartbeat: `sent` by the server's clock, `received` by ours, both wall clock in seconds."""
        delay = received - sent
        if not abs(delay) < 1e9:
            return  # an arbitrary number from the wire
        self._delays.append(delay)
        least = min(self._delays)
        self.offset_s = least - round_trip_s / 2
        late = delay - least + round_trip_s / 2
        self.lag_s = late if self.lag_s is None else self.lag_s + SMOOTHING * (late - self.lag_s)

    def reset(self) -> None:
        """Reset the estimate: another connection may lead to another clock."""
        self._delays.clear()
        self.lag_s = None
