"""Counters and durations of the connections, in constant memory and cheap enough to be always on."""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

GUIDE_COUNTERS: Final = ("total_connections", "active_connections", "messages_sent", "messages_received", "errors")
BYTES: Final = ("bytes_sent", "bytes_received")
LEVELS: Final = frozenset({"active_connections"})
"""Counters that rise and fall; all others only grow."""
_SAMPLES: Final = 512  # of each duration: 26 of them lie above the 95th percentile
_RATE_S: Final = 5  # seconds that a rate is averaged over


class _Samples:
    """The last 512 samples of a duration, and the count and sum of all."""

    __slots__ = ("count", "last", "total")

    def __init__(self) -> None:
        self.last = array("d")
        self.count = 0
        self.total = 0.0

    def add(self, seconds: float) -> None:
        if self.count < _SAMPLES:
            self.last.append(seconds)
        else:
            self.last[self.count % _SAMPLES] = seconds
        self.count += 1
        self.total += seconds

    def quantile(self, share: float) -> float | None:
        ordered = sorted(self.last)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


class ConnectionMonitor:
    """Counters of messages, bytes, connections and errors, and samples of durations; usable from any thread.

    The totals of each second are kept for `history_s` seconds. `clock` is monotonic and `wall` is wall clock, in
    seconds.
    """

    def __init__(
        self,
        *,
        history_s: int = 3600,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.metrics: dict[str, float] = dict.fromkeys((*GUIDE_COUNTERS, *BYTES), 0)
        """The current counters."""
        self._clock = clock
        self._wall = wall
        self._started = clock()
        self._second = int(self._started)
        self._totals: deque[tuple[int, dict[str, float]]] = deque(maxlen=history_s)
        self._samples: dict[str, _Samples] = {}
        self._lock = threading.Lock()

    def update_metrics(self, name: str, value: float = 1) -> None:
        """Add `value` to the counter `name`, which starts at 0."""
        now = self._clock()
        with self._lock:
            metrics = self.metrics
            if now >= self._second + 1:
                self._totals.append((self._second, metrics.copy()))
                self._second = int(now)
            metrics[name] = metrics.get(name, 0) + value

    def observe(self, name: str, seconds: float) -> None:
        """Add a sample of the duration `name`: `latency` is that of a ping, `command` that of an answer."""
        with self._lock:
            samples = self._samples.get(name)
            if samples is None:
                samples = self._samples[name] = _Samples()
            samples.add(seconds)

    def get_metrics(self) -> dict[str, float | None]:
        """Return all counters and the numbers derived from them.

        `messages_per_s` is the mean of both directions over the last five whole seconds, `latency_p50_s` and
        `latency_p95_s` are of the last 512 samples (`None` without any), and `uptime_s` is this monitor's age.
        """
        now = self._clock()
        with self._lock:
            found: dict[str, float | None] = {**self.metrics}
            found["messages_per_s"] = self._rate(int(now))
            for name, samples in {"latency": _Samples(), **self._samples}.items():
                found[f"{name}_p50_s"] = samples.quantile(0.50)
                found[f"{name}_p95_s"] = samples.quantile(0.95)
        found["uptime_s"] = now - self._started
        return found

    def durations(self) -> dict[str, tuple[int, float]]:
        """Return the count and the sum in seconds of each observed duration."""
        with self._lock:
            return {name: (samples.count, samples.total) for name, samples in self._samples.items()}

    def history(self, seconds: int = 300) -> pd.DataFrame:
        """Return the last whole seconds, one a row, indexed by `time` (UTC): what was added to each counter.

        For `active_connections` it is the number at the second's end.
        """
        import pandas as pd  # imported here: most servers never call this and run without pandas

        now = int(self._clock())
        with self._lock:
            totals = [*self._totals, (self._second, self.metrics.copy())]
            first = max(int(self._started), now - seconds, totals[0][0])
        span = range(first, now)
        frame = pd.DataFrame.from_records([found for _, found in totals], index=[second for second, _ in totals])
        frame = frame.fillna(0).reindex(range(min(totals[0][0], first) - 1, now)).ffill().fillna(0)
        levels = [name for name in frame if name in LEVELS]
        rates = frame.drop(columns=levels).diff().join(frame[levels])[list(frame)].loc[list(span)]
        offset = self._wall() - self._clock()
        rates.index = pd.to_datetime([second + offset for second in span], unit="s", utc=True).rename("time")
        return rates

    def _rate(self, now: int) -> float:
        start = max(now - _RATE_S, int(self._started))
        if now <= start:
            return 0.0
        totals = [*self._totals, (self._second, self.metrics)]
        return (_messages(totals, now - 1) - _messages(totals, start - 1)) / (now - start)


def _messages(totals: list[tuple[int, dict[str, float]]], second: int) -> float:
    """Return the number of messages up to the end of a second."""
    for ended, found in reversed(totals):
        if ended <= second:
            return found["messages_sent"] + found["messages_received"]
    return 0.0
