"""Messages put together: by how many they are and how long they wait, and never lost on the way."""

from __future__ import annotations

import time
from collections.abc import Callable

from .errors import WebSocketError
from .messages import MessageTypes, WebSocketMessage


class BatchTiming:
    """Decide when what waits should go, knowing only how much waits and what time it is.

    What waits goes when there are `max_size` of it, or when its first has waited for `max_wait` seconds. With
    `adaptive`, the first after a silence of `max_wait` does not wait at all: low traffic is never delayed.
    `max_wait` may be changed at any time.
    """

    def __init__(self, max_size: int, max_wait: float, *, adaptive: bool = False) -> None:
        if max_size < 1:
            raise ValueError(f"max_size is a number of messages, at least 1, not {max_size!r}")
        if not max_wait >= 0:
            raise ValueError(f"max_wait is a number of seconds, at least 0, not {max_wait!r}")
        self.max_size = max_size
        self.max_wait = max_wait
        self.adaptive = adaptive
        self._since: float | None = None
        self._sent = float("-inf")

    def waits(self, now: float) -> None:
        """Take note that something waits; only the first after `sent` counts."""
        if self._since is None:
            self._since = now

    def sent(self, now: float) -> None:
        """Take note that all that waited has gone."""
        self._since = None
        self._sent = now

    @property
    def deadline(self) -> float | None:
        """Say when what waits should go at the latest, by the caller's clock; `None` when nothing waits."""
        if self._since is None:
            return None
        if self.adaptive:  # counted from the last that went: after a silence that is in the past
            return max(self._since, self._sent + self.max_wait)
        return self._since + self.max_wait

    @property
    def earliest(self) -> float:
        """Say when what comes from now on may go at the earliest, unless there is much of it."""
        return self._sent + self.max_wait if self.adaptive else float("-inf")

    def due(self, waiting: int, now: float) -> bool:
        """Say whether `waiting` messages should go now."""
        deadline = self.deadline
        return waiting >= self.max_size or (waiting > 0 and deadline is not None and now >= deadline)


class MessageBatcher:
    """Collect messages into `batch` messages of at most `max_size`, none of which waits longer than `max_wait` s.

    It has no timer of its own: whoever has a loop asks at `deadline`, or every now and then, by `poll`. A batch is
    returned by the call that completed it and, if there is a `sink`, given to that first. A sink that raises has
    taken nothing: its messages wait on, in order. With `adaptive`, low traffic is not delayed.
    """

    def __init__(
        self,
        max_size: int = 100,
        max_wait: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sink: Callable[[WebSocketMessage], None] | None = None,
        adaptive: bool = False,
    ) -> None:
        self.batch: list[WebSocketMessage] = []
        """What waits, oldest first."""
        self.closed = False
        self._timing = BatchTiming(max_size, max_wait, adaptive=adaptive)
        self._clock = clock
        self._sink = sink

    @property
    def max_size(self) -> int:
        """Give the number of messages that makes a batch full."""
        return self._timing.max_size

    @property
    def max_wait(self) -> float:
        """Give the longest time, in seconds, that a message waits."""
        return self._timing.max_wait

    @property
    def deadline(self) -> float | None:
        """Say when the batch should go at the latest, by the clock that was handed in; `None` when it is empty."""
        return self._timing.deadline

    def due(self, now: float | None = None) -> bool:
        """Say whether the batch should go now."""
        return self._timing.due(len(self.batch), self._clock() if now is None else now)

    def add(self, message: WebSocketMessage, now: float | None = None) -> WebSocketMessage | None:
        """Add a message, and return the batch when it is due with it; `WebSocketError` 1004 once closed."""
        if self.closed:
            raise WebSocketError(WebSocketError.SERVER_ERROR, "the batcher is closed", retryable=False)
        now = self._clock() if now is None else now
        self.batch.append(message)
        self._timing.waits(now)
        return self.poll(now)

    def poll(self, now: float | None = None) -> WebSocketMessage | None:
        """Return the batch if it is due, as a `batch` message."""
        now = self._clock() if now is None else now
        return self._take(now) if self.due(now) else None

    def close(self) -> WebSocketMessage | None:
        """Take no more messages, and return those that waited."""
        self.closed = True
        return self._take(self._clock())

    async def add_message(self, message: WebSocketMessage) -> WebSocketMessage | None:
        """Add a message, and return the batch when it is due with it."""
        return self.add(message)

    async def flush(self) -> WebSocketMessage | None:
        """Return what waits as a `batch` message, or `None` when nothing does."""
        return self._take(self._clock())

    def _take(self, now: float) -> WebSocketMessage | None:
        if not self.batch:
            return None
        batch = WebSocketMessage(MessageTypes.BATCH, list(self.batch))
        if self._sink is not None:
            self._sink(batch)
        del self.batch[: len(batch.data)]  # in place: the sink may have added more, and callers may hold the list
        self._timing.sent(now)
        if self.batch:
            self._timing.waits(now)
        return batch
