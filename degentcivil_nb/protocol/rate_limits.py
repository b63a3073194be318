"""Rate limits: an exact sliding window for each peer, in constant memory, dropped when idle."""

from __future__ import annotations

import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable

from .errors import WebSocketError


class SlidingWindow:
    """A limit of `limit` admissions in any `seconds`: exact for every half-open interval of that length.

    It stores the times of the last `limit` admissions (8 bytes each). A refusal does not count.
    """

    __slots__ = ("_limit", "_next", "_seconds", "_times")

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._times = array("d")
        self._next = 0

    def wait(self, now: float) -> float:
        """Return the seconds until the next admission; 0.0 if it would be admitted now."""
        if len(self._times) < self._limit:
            return 0.0
        return max(0.0, self._times[self._next] + self._seconds - now)

    def admit(self, now: float) -> None:
        """Record an admission."""
        if len(self._times) < self._limit:
            self._times.append(now)
        else:
            self._times[self._next] = now
            self._next = (self._next + 1) % self._limit

    def idle(self, now: float) -> bool:
        """Return whether dropping this window would change nothing."""
        return not self._times or self._times[self._next - 1] + self._seconds <= now


class RateLimiter:
    """Limits of `max_messages` for each client and `max_per_address` for each address in any `window_seconds`.

    A refusal does not count, and states how long to wait. Clients that were silent for a window are dropped; beyond
    `max_tracked` clients within one window, so is the least recently admitted one.
    """

    def __init__(
        self,
        max_messages: int = 100,
        window_seconds: float = 60,
        *,
        max_per_address: int | None = None,
        max_tracked: int = 20_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, limit in (("max_messages", max_messages), ("max_per_address", max_per_address)):
            if limit is not None and limit < 1:
                raise ValueError(f"{name} must be a number of messages of at least 1, not {limit!r:.80}")
        if not window_seconds > 0:
            raise ValueError(f"window_seconds must be a number of seconds above 0, not {window_seconds!r:.80}")
        self.max_messages = max_messages
        self.max_per_address = max_per_address
        self.window_seconds = window_seconds
        self._clock = clock
        self._clients = _Windows(max_messages, window_seconds, max_tracked)
        self._addresses = _Windows(max_per_address or max_messages, window_seconds, max_tracked)

    async def check_rate_limit(self, client_id: Hashable, address: str | None = None) -> None:
        """Admit one message; raise `WebSocketError` 1003 with `retry_after_s` in its details beyond the limit."""
        self.check(client_id, address)

    def check(self, client_id: Hashable, address: str | None = None) -> None:
        """Admit one message as `check_rate_limit` does, without awaiting."""
        wait = self.take(client_id, address)
        if wait > 0:
            own = self._clients[client_id].wait(self._clock()) > 0
            most = f"{self.max_messages}" if own else f"{self.max_per_address} of one address"
            raise WebSocketError(
                WebSocketError.RATE_LIMIT,
                f"too many messages: at most {most} in {self.window_seconds:g} s; wait for {wait:.3g} s",
                details={"retry_after_s": wait},
            )

    def take(self, client_id: Hashable, address: str | None = None) -> float:
        """Admit one message and return 0.0, or refuse it and return the seconds to wait."""
        now = self._clock()
        windows = [self._clients.of(client_id, now)]
        if address is not None and self.max_per_address is not None:
            windows.append(self._addresses.of(address, now))
        wait = max(window.wait(now) for window in windows)
        if wait <= 0:
            for window in windows:
                window.admit(now)
        return wait

    def __len__(self) -> int:
        """Count the clients that have a window."""
        return len(self._clients)


class _Windows(OrderedDict[Hashable, SlidingWindow]):
    """Windows by key, the most recently used last."""

    def __init__(self, limit: int, seconds: float, max_tracked: int) -> None:
        super().__init__()
        self._limit = limit
        self._seconds = seconds
        self._max_tracked = max_tracked

    def of(self, key: Hashable, now: float) -> SlidingWindow:
        """Return the window of a key, and drop at most two of the oldest if they are idle or there are too many."""
        window = self.get(key)
        if window is None:
            window = self[key] = SlidingWindow(self._limit, self._seconds)
        self.move_to_end(key)
        for _ in range(2):  # at most one is added, so removing two is enough, and no call is slow
            oldest = next(iter(self))
            if oldest == key or not (self[oldest].idle(now) or len(self) > self._max_tracked):
                break
            del self[oldest]
        return window
