"""Messages from the simulation's thread to the history: encoded and appended; the server's loop polls for them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ...core.calling_line import calling_line
from ...core.logs import SAID_ONCE
from ...core.plain import key_text, plain
from ...core.shortening import head_of, shortened
from ...core.text_of import clean, text_of
from ...monitoring.interfaces import Monitor
from ...protocol.control_payloads import RunState
from ...protocol.debugging import LISTS
from ...protocol.errors import WebSocketError
from ...protocol.json_text import decode, encode, encode_quick, excerpt, unencodable
from ...protocol.messages import CONTROL, STANDARD_TYPES, Links, MessageTypes, WebSocketMessage
from .history import History
from .receipts import Matched, Publish, Receipt
from .snapshot import SnapshotBuilder

log = logging.getLogger("degentcivil_nb.server")

_NAME: Final = 200
_REASON: Final = 2_000
"""How many characters of a name and of a reason are sent."""
_KINDS: Final = 1_000
"""How many kinds of failure are remembered, so that each is logged once."""
_OF_THE_RUN: Final = frozenset({MessageTypes.RUN_STATE, *LISTS})
"""The control types that a simulation itself publishes, and that are never lost."""
_USUAL: Final = 1_000
"""How many types of messages are remembered as allowed, which is looked up at each publish."""
_WRAPPING: Final = 160
"""Bytes of `max_message_bytes` reserved for the seq, and for the batch around a message."""


class _Plain(msgspec.Struct, gc=False, omit_defaults=True):
    """A `WebSocketMessage` with the keys that most messages have: it is made and written faster."""

    type: str
    data: Any
    timestamp: float
    tick: int | None = None


class StreamPublisher:
    """A queue that takes messages from any thread without a lock, a wait or a wake-up; the loop gives them their seq.

    It holds at most `max_queued` messages, and `max_queued_bytes` of those that are longer than their share of it; any
    more are lost, counted, and declared as a `gap` of reason `overflow` in their place. Nothing is ever raised into the
    simulation.
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
        """Messages replaced by an `error` 1005, because they have no JSON form or one of the server's own types."""
        self.converted = 0
        """Messages that the encoder could not write as they were."""
        self.lists: dict[str, bytes] = {}
        """The last published list of each type that has one (breakpoints, watches, control), for new clients."""
        self._history = history
        self._present = present
        self._epoch = epoch
        self._monitor = monitor
        self._max_payload = max_message_bytes - _WRAPPING
        self._max_queued = max_queued
        self._max_queued_bytes = max_queued_bytes
        self._clock = clock
        self._queue: deque[tuple[str, bytes, int, Receipt | None]] = deque()
        self._usual = {*STANDARD_TYPES}
        self._short = min(self._max_payload, max_queued_bytes // max_queued)  # so many of these always have room
        self._queued_bytes = 0  # approximate, since threads race for it; reset whenever the queue is empty
        self._declared = 0  # how many of `overflowed` have their gap
        self._failure_lock = threading.Lock()  # count only for failures
        self._logged_kinds: set[tuple[str, str]] = set()
        self.publish = self._quick()
        """Encode and append a message, from any thread; nothing is raised. A `receipt` gets the message's seq.

        A value that JSON lacks is converted, and one that is too long is shortened. If a message still cannot be
        published, it is replaced by an `error` 1005.
        """

    def _quick(self) -> Publish:
        """Return `publish`: a function without a look-up of attributes, which were a tenth of the time of a call."""
        usual, queue, append, clock = self._usual, self._queue, self._queue.append, self._clock
        short, most, encode_now, plain_message = self._short, self._max_queued, encode_quick, _Plain

        def publish(
            type: str,
            data: Any,
            tick: int | None = None,
            timestamp: float | None = None,
            receipt: Receipt | None = None,
            links: Links | None = None,
        ) -> None:
            try:
                if timestamp is None:
                    timestamp = clock()
                if links is None:
                    message = encode_now(plain_message(type, data, timestamp, tick))
                else:
                    message = encode_now(WebSocketMessage(type, data, timestamp, None, tick, None, *links))
                if len(message) <= short and type in usual and len(queue) < most:  # what most are
                    append((type, message, self.overflowed, receipt))
                else:
                    self._publish_unusual(type, data, tick, timestamp, receipt, links, message)
            except Exception:  # noqa: BLE001 — the simulation must not notice any failure, ours or its payload's
                self._publish_converted(type, data, timestamp, tick, receipt, links)

        return publish

    def _publish_unusual(
        self,
        type: str,
        data: Any,
        tick: int | None,
        timestamp: float,
        receipt: Receipt | None,
        links: Links | None,
        message: bytes,
    ) -> None:
        """Append a message of a new type, a long one, or one for which there may be no room."""
        if len(message) > self._max_payload or type in CONTROL or not isinstance(type, str) or not type:
            message = self._encode_converted(type, data, timestamp, tick, links)
        elif len(self._usual) < _USUAL:
            self._usual.add(type)
        self._append_if_room(type, message, receipt)

    def _append_if_room(self, type: str, message: bytes, receipt: Receipt | None) -> None:
        if len(self._queue) >= self._max_queued or self._queued_bytes > self._max_queued_bytes:
            self._overflow(type, message, receipt)
        else:
            self._append(type, message, receipt)

    def _overflow(self, type: str, message: bytes, receipt: Receipt | None = None) -> None:
        """Lose a message, but never a state of the run: these are rare and small, and a client may wait for one."""
        if type in _OF_THE_RUN:
            self._append(type, message, receipt)
            return
        with self._failure_lock:
            self.overflowed += 1
        self._monitor.update_metrics("overflowed")

    def _append(self, type: str, message: bytes, receipt: Receipt | None = None) -> None:
        if len(message) > self._short:
            self._queued_bytes += len(message)
        self._queue.append((type, message, self.overflowed, receipt))

    def _publish_converted(
        self,
        type: Any,
        data: Any,
        timestamp: float | None,
        tick: int | None,
        receipt: Receipt | None,
        links: Links | None,
    ) -> None:
        """Publish a message that the encoder refused: its payload converted, or an `error` 1005 with the reason."""
        try:
            try:
                name = clean(type) if isinstance(type, str) else plain(type)
                message = self._encode_converted(name, data, timestamp, tick, links)
                self.converted += 1
            except Exception as final:  # noqa: BLE001 — whatever it is, it is published as an error
                name, message = (
                    MessageTypes.ERROR,
                    self._count_failure(type, data, timestamp, tick, unencodable(final)),
                )
            self._append_if_room(name, message, receipt)
        except Exception:  # the boundary to the simulation
            log.exception("a message of type %.80r could not be published, and neither could the error", type)

    def _encode_converted(
        self, type: str, data: Any, timestamp: float | None, tick: int | None, links: Links | None
    ) -> bytes:
        """Encode a message whose payload has to be converted or shortened; `WebSocketError` for a type not allowed."""
        if not isinstance(type, str) or not type:
            raise WebSocketError(WebSocketError.INVALID_MESSAGE, "a message's type must be a text that is not empty")
        if type in CONTROL:
            if type not in _OF_THE_RUN:
                raise _not_published(type)
            return encode(WebSocketMessage(type, data, timestamp, None, tick, None, *(links or ())))
        data = plain(data)
        links = links and Links(*(shortened(plain(part), _REASON) for part in links))
        message = encode(WebSocketMessage(type, data, timestamp, None, tick, None, *(links or ())))
        excess = len(message) - self._max_payload
        if excess > 0:
            data = _fitting(data, len(encode(data)) - excess)
            message = encode(WebSocketMessage(type, data, timestamp, None, tick, None, *(links or ())))
            if len(message) > self._max_payload:
                raise WebSocketError(WebSocketError.INVALID_MESSAGE, "is too long, even without its payload")
        return message

    def drain(self, limit: int | None = None) -> int:
        """Give queued messages (at most `limit`) their seq, on the loop; return how many there were."""
        queue = self._queue
        # messages that arrive meanwhile wait: a flood must not occupy the loop forever
        count = len(queue) if limit is None else min(limit, len(queue))
        for _ in range(count):
            type, message, lost_before, receipt = queue.popleft()
            self._declare(lost_before)
            if type == MessageTypes.RUN_STATE:
                self._enter_run_state(message, receipt)
            elif type in LISTS:
                self._enter_list(type, message)
            else:
                seq = self._history.append(message, type, self._present.apply(type, message))
                if receipt is not None:
                    receipt.seq = seq
            if len(message) > self._short:
                self._queued_bytes -= len(message)
        if not queue:
            self._queued_bytes = 0
            self._declare(self.overflowed)
        return count

    def enter(self, message: WebSocketMessage) -> int:
        """Append one message behind everything queued, on the loop, and return its seq.

        Raises `WebSocketError` 1001 for the server's own types.
        """
        if message.type in CONTROL:
            raise _not_published(message.type)
        data = message.data
        links = Links(message.sim_time, message.event_id, message.cause, message.intervention)
        if isinstance(data, msgspec.Raw):  # from a recording: JSON already, and sent unchanged
            encoded = encode(msgspec.structs.replace(message, seq=None))
            if len(encoded) > self._max_payload:
                encoded = self._encode_converted(
                    message.type, decode(Any, data), message.timestamp, message.tick, links
                )
        else:
            encoded = self._encode_converted(message.type, data, message.timestamp, message.tick, links)
        self.drain()
        return self._history.append(encoded, message.type, self._present.apply(message.type, encoded))

    @property
    def published(self) -> int:
        """Return the number of published messages: each has a seq, as a message, as an `error` 1005 or within a gap."""
        return self._history.head + self.depth + self.overflowed - self._declared

    @property
    def depth(self) -> int:
        """Return the number of messages that wait for the loop."""
        return len(self._queue)

    def _enter_run_state(self, encoded: bytes, matched: Receipt | None) -> None:
        """Set the position after which the run's state changed, which only the loop knows."""
        message = WebSocketMessage.from_json(encoded)
        try:
            state = msgspec.convert(message.data, RunState)
        except msgspec.ValidationError as error:
            stand_in = self._count_failure(message.type, None, message.timestamp, message.tick, unencodable(error))
            self._history.append(stand_in, MessageTypes.ERROR)
            return
        if isinstance(matched, Matched):
            state = matched.fill(state)
        data = msgspec.structs.replace(state, head=self._history.head)
        self._history.append_control(encode(msgspec.structs.replace(message, data=data)), message.type)

    def _enter_list(self, type: str, encoded: bytes) -> None:
        """Keep a list for new clients, if the message is a valid one: any code may publish a message of that type."""
        message = WebSocketMessage.from_json(encoded)
        try:
            msgspec.convert(message.data, LISTS[type])
        except msgspec.ValidationError as error:
            stand_in = self._count_failure(
                message.type, message.data, message.timestamp, message.tick, unencodable(error)
            )
            self._history.append(stand_in, MessageTypes.ERROR)
            return
        self.lists[type] = encoded
        self._history.append_control(encoded, message.type)

    def _declare(self, lost: int) -> None:
        if lost > self._declared:
            self._history.append_lost(self._epoch, lost - self._declared)
            self._declared = lost

    def _count_failure(
        self, type: Any, data: Any, timestamp: float | None, tick: int | None, error: WebSocketError
    ) -> bytes:
        """Count a failed message, log each kind once, and return the `error` that replaces it."""
        name = text_of(type)[:_NAME]
        with self._failure_lock:
            self.unencodable += 1
            kind = (name, error.message)
            known = kind in self._logged_kinds or len(self._logged_kinds) >= _KINDS
            if not known:
                self._logged_kinds.add(kind)
        if not known:
            self._monitor.update_metrics("errors")
            log.warning(
                "a message of type %.80r could not be published: %.500s%s", name, error, calling_line(), extra=SAID_ONCE
            )
        payload = {
            "code": WebSocketError.UNENCODABLE,
            "message": head_of(f"{name} could not be encoded: {error}", _REASON),
        }
        payload |= {"type": name}
        character = _whose(data)
        if character is not None:
            payload["character_id"] = key_text(character)[:_NAME]
        return encode(WebSocketMessage(MessageTypes.ERROR, payload, timestamp or self._clock(), None, tick))


def _whose(data: Any) -> Any:
    character = data.get("character_id") if isinstance(data, dict) else None
    if isinstance(data, msgspec.Struct):
        character = getattr(data, "character_id", None)
    return None if character is msgspec.UNSET else plain(character)


def _fitting(data: Any, room: int) -> Any:
    """Shorten plain data; of anything but a mapping only the beginning is kept, as text."""
    if isinstance(data, dict):
        return shortened(data, room)
    payload = encode(data)
    return {"truncated": True, "bytes": len(payload), "head": excerpt(payload)}


def _not_published(type: str) -> WebSocketError:
    return WebSocketError(WebSocketError.INVALID_MESSAGE, f"{type} is reserved for the server; use another type")
