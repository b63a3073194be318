"""The pace of a run: the least time between two ticks."""

from __future__ import annotations

import math
from collections.abc import Callable


class Pace:
    """The least duration of a checkpoint. Without `tick_s` (seconds a tick, at speed 1) there is none."""

    def __init__(self, tick_s: float | None, clock: Callable[[], float]) -> None:
        if tick_s is not None and not 0 < tick_s < math.inf:
            raise ValueError(f"tick_s is a number of seconds above 0, not {tick_s!r:.80}; leave it out for no limit")
        self.tick_s = tick_s
        self.interval = tick_s or 0.0
        """The least seconds of a tick now; 0 without a pace."""
        self.factor: float | None = None if tick_s is None else 1.0
        """The speed as a factor of speed 1; `None` without a pace."""
        self._clock = clock
        self._left = -math.inf  # when the last checkpoint ended, or should have

    def set_factor(self, factor: float) -> None:
        """Run at `factor` times speed 1; a run without `tick_s` has no speed to change."""
        self.interval = (self.tick_s or 0.0) / factor
        self.factor = factor

    def remaining(self) -> float:
        """Return the seconds until the next tick may begin; 0 or less if it may now."""
        return self._left + self.interval - self._clock()

    def leave(self, now: float) -> None:
        """Record that the next tick begins, by the clock."""
        due = self._left + self.interval
        self._left = due if now - due < self.interval else now  # no drift, and no catching up after a pause
