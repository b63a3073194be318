"""Batching of messages by count and by waiting time."""

from __future__ import annotations

import time
from collections.abc import Callable

from .errors import WebSocketError
from .messages import MessageTypes, WebSocketMessage


class BatchTiming:
    """The times at which waiting messages are due, computed from their number and the clock alone.

    They are due when there are `max_size` of them, or when the first has waited for `max_wait` seconds. With
    `adaptive`, the first message after a silence of `max_wait` does not wait at all, so low traffic is never delayed.
    `max_wait` may be changed at any time.
    """

    def __init__(self, max_size: int, max_wait: float, *, adaptive: bool = False) -> None:
        if max_size < 1:
            raise ValueError(f"max_size must be a number of messages of at least 1, not {max_size!r:.80}")
        if not max_wait >= 0:
            raise ValueError(f"max_wait must be a number of seconds of at least 0, not {max_wait!r:.80}")
        self.max_size = max_size
        self.max_wait = max_wait
        self.adaptive = adaptive
        self._since: float | None = None
        self._sent = float("-inf")

    def waits(self, now: float) -> None:
        """Record that a message waits; only the first one after `sent` counts."""
        if self._since is None:
            self._since = now

    def sent(self, now: float) -> None:
        """Record that all waiting messages were sent."""
        self._since = None
        self._sent = now

    @property
    def deadline(self) -> float | None:
        """Return when the waiting messages are due at the latest, by the caller's clock; `None` when there are none."""
        if self._since is None:
            return None
        if self.adaptive:  # counted from the last batch: after a silence that lies in the past
            return max(self._since, self._sent + self.max_wait)
        return self._since + self.max_wait

    @property
    def earliest(self) -> float:
        """Return the earliest time at which new messages are due, unless there are `max_size` of them."""
        return self._sent + self.max_wait if self.adaptive else float("-inf")

    def due(self, waiting: int, now: float) -> bool:
        """Return whether `waiting` messages should be sent now."""
        deadline = self.deadline
        return waiting >= self.max_size or (waiting > 0 and deadline is not None and now >= deadline)


class MessageBatcher:
    """A batcher that collects messages into `batch` messages of at most `max_size`, delayed by `max_wait` s at most.

    It has no timer: the caller calls `poll` at `deadline`, or regularly. A batch is returned by the call that completed
    it and, if there is a `sink`, passed to that first. If the sink raises, its messages keep waiting, in order. With
    `adaptive`, low traffic is not delayed.
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
        """The waiting messages, oldest first."""
        self.closed = False
        self._timing = BatchTiming(max_size, max_wait, adaptive=adaptive)
        self._clock = clock
        self._sink = sink

    @property
    def max_size(self) -> int:
        """Return the number of messages at which a batch is full."""
        return self._timing.max_size

    @property
    def max_wait(self) -> float:
        """Return the longest time, in seconds, that a message waits."""
        return self._timing.max_wait

    @property
    def deadline(self) -> float | None:
        """Return when the batch is due at the latest, by the batcher's clock; `None` when it is empty."""
        return self._timing.deadline

    def due(self, now: float | None = None) -> bool:
        """Return whether the batch should be sent now."""
        return self._timing.due(len(self.batch), self._clock() if now is None else now)

    def add(self, message: WebSocketMessage, now: float | None = None) -> WebSocketMessage | None:
        """Add a message, and return the batch if it is due; `WebSocketError` 1004 once closed."""
        if self.closed:
            raise WebSocketError(WebSocketError.SERVER_ERROR, "the batcher is closed", retryable=False)
        now = self._clock() if now is None else now
        self.batch.append(message)
        self._timing.waits(now)
        return self.poll(now)

    def poll(self, now: float | None = None) -> WebSocketMessage | None:
        """Return the batch as a `batch` message if it is due."""
        now = self._clock() if now is None else now
        return self._take(now) if self.due(now) else None

    def close(self) -> WebSocketMessage | None:
        """Accept no more messages, and return the waiting ones."""
        self.closed = True
        return self._take(self._clock())

    async def add_message(self, message: WebSocketMessage) -> WebSocketMessage | None:
        """Add a message, and return the batch if it is due."""
        return self.add(message)

    async def flush(self) -> WebSocketMessage | None:
        """Return the waiting messages as a `batch` message, or `None` if there are none."""
        return self._take(self._clock())

    def _take(self, now: float) -> WebSocketMessage | None:
        if not self.batch:
            return None
        batch = WebSocketMessage(MessageTypes.BATCH, list(self.batch))
        if self._sink is not None:
            self._sink(batch)
        del self.batch[: len(batch.data)]  # in place: the sink may have added messages, and callers may keep the list
        self._timing.sent(now)
        if self.batch:
            self._timing.waits(now)
        return batch
