"""From the simulation's thread into the history: encode, append, and let the server's loop look when it likes."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ...protocol.errors import WebSocketError
from ...protocol.json_text import encode, encode_quick, excerpt, unencodable
from ...protocol.messages import CONTROL, MessageTypes, RunState, WebSocketMessage
from ..interfaces import Monitor
from .history import History
from .snapshot import SnapshotBuilder

log = logging.getLogger("degentcivil_nb.server")

_REPEAT_S: Final = 10.0
_WRAPPING: Final = 160
"""Bytes kept free of `max_message_bytes` for the position, and for the batch around a message."""


class Receipt:
    """The position that one published message was given: known once the loop has drained it, `None` if it was lost."""

    __slots__ = ("seq",)

    def __init__(self) -> None:
        self.seq: int | None = None


class StreamPublisher:
    """Take messages from any thread without a lock, a wait or a wake-up, and give them positions on the loop.

    At most `max_queued` messages and `max_queued_bytes` lie between the two; what comes on top is lost, counted, and
    declared as a `gap` of reason `overflow` in its place. Nothing is ever raised into the simulation.
    """

    def __init__(
        self,
        history: History,
        present: SnapshotBuilder,
        *,
        epoch: str,
        monitor: Monitor,
        max_message_bytes: int = 1 << 20,
        max_queued: int = 100_000,
        max_queued_bytes: int = 64_000_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.overflowed = 0
        """Messages lost because the server's loop did not keep up."""
        self.unencodable = 0
        """Messages left behind because their payload has no JSON form or their type is the server's own."""
        self._history = history
        self._present = present
        self._epoch = epoch
        self._monitor = monitor
        self._max_payload = max_message_bytes - _WRAPPING
        self._max_queued = max_queued
        self._max_queued_bytes = max_queued_bytes
        self._clock = clock
        self._queue: deque[tuple[str, bytes, int, Receipt | None]] = deque()
        self._queued_bytes = 0  # rough: threads may race for it, and it is 0 again whenever the queue is empty
        self._declared = 0  # how many of `overflowed` have their gap
        self._rare = threading.Lock()  # only for what goes wrong
        self._last_complaint = -_REPEAT_S
        self._silenced = 0

    def publish(
        self,
        type: str,
        data: Any,
        tick: int | None = None,
        timestamp: float | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        """Encode at once and append; from any thread, never raises. A `receipt` is given the message's position."""
        try:
            if timestamp is None:
                timestamp = self._clock()
            message = encode_quick(WebSocketMessage(type, data, timestamp, None, tick))
            size = len(message)
            if size > self._max_payload:
                message = self._truncated(type, data, timestamp, tick)
                size = len(message)
            if type in CONTROL or not isinstance(type, str):
                if type != MessageTypes.RUN_STATE:  # which is never lost: rare, small, and somebody may wait for it
                    raise _not_published()
            elif len(self._queue) >= self._max_queued or self._queued_bytes > self._max_queued_bytes:
                self._lose()
                return
            self._queued_bytes += size
            self._queue.append((type, message, self.overflowed, receipt))
        except Exception as error:  # noqa: BLE001 — the simulation never notices: any fault is ours, or its payload's
            self._complain(type, unencodable(error))

    def drain(self, limit: int | None = None) -> int:
        """Give what is queued (at most `limit`) its positions, on the loop; return how many messages that were."""
        queue = self._queue
        # what arrives meanwhile can wait: a flood must not hold the loop for ever
        taken = len(queue) if limit is None else min(limit, len(queue))
        for _ in range(taken):
            type, message, lost_before, receipt = queue.popleft()
            self._declare(lost_before)
            if type == MessageTypes.RUN_STATE:
                self._enter_run_state(message)
            else:
                seq = self._history.append(message, type, self._present.see(type, message))
                if receipt is not None:
                    receipt.seq = seq
            self._queued_bytes -= len(message)
        if not queue:
            self._queued_bytes = 0
            self._declare(self.overflowed)
        return taken

    def enter(self, message: WebSocketMessage) -> int:
        """Put one message behind everything queued, on the loop, and return its position.

        Raises `WebSocketError` 1001 for a payload without JSON form and for the server's own types.
        """
        if message.type in CONTROL:
            raise _not_published()
        encoded = encode(message if message.seq is None else msgspec.structs.replace(message, seq=None))
        if len(encoded) > self._max_payload:
            encoded = self._truncated(message.type, message.data, message.timestamp, message.tick)
        self.drain()
        return self._history.append(encoded, message.type, self._present.see(message.type, encoded))

    @property
    def depth(self) -> int:
        """Count the messages that wait for the loop."""
        return len(self._queue)

    def _enter_run_state(self, encoded: bytes) -> None:
        """Name the position that a change of the run's state follows: only the loop knows it."""
        message = WebSocketMessage.from_json(encoded)
        try:
            state = msgspec.convert(message.data, RunState)
        except msgspec.ValidationError as error:
            self._complain(message.type, error)
            return
        data = msgspec.structs.replace(state, head=self._history.head)
        self._history.append_control(encode(msgspec.structs.replace(message, data=data)), message.type)

    def _declare(self, lost: int) -> None:
        if lost > self._declared:
            self._history.append_lost(self._epoch, lost - self._declared)
            self._declared = lost

    def _lose(self) -> None:
        with self._rare:
            self.overflowed += 1
        self._monitor.update_metrics("overflowed")

    @staticmethod
    def _truncated(type: str, data: Any, timestamp: float | None, tick: int | None) -> bytes:
        payload = encode(data)
        stand_in = {"truncated": True, "bytes": len(payload), "head": excerpt(payload)}
        return encode(WebSocketMessage(type, stand_in, timestamp, None, tick))

    def _complain(self, type: object, error: Exception) -> None:
        """Log what could not be published, at most once in ten seconds."""
        with self._rare:
            self.unencodable += 1
            now = time.monotonic()
            if now - self._last_complaint < _REPEAT_S:
                self._silenced += 1
                return
            silenced, self._silenced, self._last_complaint = self._silenced, 0, now
        self._monitor.update_metrics("errors")
        more = f" ({silenced} more like it before)" if silenced else ""
        log.warning("a message of type %.80r was left behind: %s%s", type, error, more)


def _not_published() -> WebSocketError:
    return WebSocketError(WebSocketError.INVALID_MESSAGE, "this type is none that can be published")
