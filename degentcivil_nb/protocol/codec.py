"""Bytes to messages and back: the only code that knows the wire, and where foreign errors end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from .errors import WebSocketError
from .json_text import FOREIGN, encode, excerpt, invalid
from .mending import mend
from .messages import MessageTypes, RawMessage, Seq, Tick

MAX_MESSAGE_BYTES: Final = 1 << 20

_BATCH_HEAD: Final = b'{"type":"batch"'


class _OpenBatch(Struct, gc=False):
    """Hold a whole `batch` frame read in one go: it has the fields of a message, and good messages as its data."""

    type: str
    data: list[RawMessage]
    timestamp: float | None = None
    seq: Seq | None = None
    tick: Tick | None = None
    id: str | None = None
    covers: tuple[int, int] | None = None


_decode_raw = msgspec.json.Decoder(RawMessage).decode
_decode_batch = msgspec.json.Decoder(list[RawMessage]).decode
_decode_open = msgspec.json.Decoder(_OpenBatch).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


def with_seq(message: bytes, seq: int) -> bytes:
    """Give an encoded message that has none its `seq`."""
    return b'%b,"seq":%d}' % (message[:-1], seq)


def encode_batch(messages: Iterable[bytes], covers: tuple[int, int] | None = None) -> bytes:
    """Put encoded messages into one `batch` frame; `covers` names the range a filtered client has now been shown."""
    body = b'{"type":"batch","data":[' + b",".join(messages) + b"]"
    return body + (b"}" if covers is None else b',"covers":[%d,%d]}' % covers)


def decode_raw(frame: bytes | str) -> RawMessage:
    """Read one message and leave its payload as bytes; `WebSocketError` 1001 otherwise."""
    try:
        return _decode_raw(frame)
    except FOREIGN as error:
        raise invalid(error, frame) from error


def malformed(frame: bytes | str, error: Exception) -> RawMessage:
    """Make the `error` message (1001, the reason, the first 500 bytes) that stands in a store for a bad frame."""
    reason = invalid(error)
    data = {"code": reason.code, "message": reason.message, "excerpt": excerpt(frame)}
    return RawMessage(MessageTypes.ERROR, Raw(encode(data)))


def decode_frames(frames: Iterable[bytes | str]) -> list[RawMessage]:
    """Read frames in order with batches laid open; a bad one becomes its `error` message, and nothing is raised.

    Of a batch with `covers`, a `batch` message without data stays in front as the marker.
    """
    messages: list[RawMessage] = []
    append = messages.append
    for frame in frames:
        if frame[: len(_BATCH_HEAD)] == _BATCH_HEAD and (opened := _opened(frame)) is not None:
            messages.extend(opened)
            continue
        try:
            message = _decode_theirs(frame)
        except FOREIGN as error:
            append(malformed(frame, error))
            continue
        if message.type == "batch":
            messages.extend(_open_batch(message, frame))
        else:
            append(message)
    return messages


def _decode_theirs(frame: bytes | str | Raw) -> RawMessage:
    """Read one message, mended where the strict way fails; what is raised is about the frame as it came."""
    try:
        return _decode_raw(frame)
    except FOREIGN:
        try:
            return _decode_raw(mend(frame if isinstance(frame, str) else bytes(frame)))
        except FOREIGN:
            pass
        raise


def _opened(frame: bytes | str) -> list[RawMessage] | None:
    """Open a `batch` frame that is good throughout; `None` for one that asks for a closer look."""
    try:
        batch = _decode_open(frame)
    except FOREIGN:
        return None
    messages = batch.data
    if batch.type != MessageTypes.BATCH or MessageTypes.BATCH in [message.type for message in messages]:
        return None
    if batch.covers is not None:
        messages.insert(0, RawMessage(MessageTypes.BATCH, covers=batch.covers))
    return messages


def _open_batch(batch: RawMessage, frame: bytes | str) -> list[RawMessage]:
    opened: list[RawMessage] = []
    if batch.covers is not None:
        opened.append(RawMessage(MessageTypes.BATCH, covers=batch.covers))
    try:
        opened.extend(_decode_batch(batch.data))
    except FOREIGN as error:
        try:
            items = _decode_items(batch.data)
        except FOREIGN:
            return [*opened, malformed(frame, error)]
        # one bad message must not cost its neighbours
        for item in items:
            try:
                opened.append(_decode_theirs(item))
            except FOREIGN as bad:
                opened.append(malformed(bytes(item), bad))
    # a list, for the membership test runs in C: this is every message's way in
    if "batch" in [message.type for message in opened if message.covers is None]:
        nested = WebSocketError(WebSocketError.INVALID_MESSAGE, "a batch inside a batch")
        opened = [malformed(bytes(m.data), nested) if m.type == "batch" and m.covers is None else m for m in opened]
    return opened


def character_of(data: Any) -> str | None:
    """Find whose message this is in a decoded payload, as text; `None` where it names nobody."""
    if isinstance(data, dict):
        found = data.get("character_id")
        if isinstance(found, str):
            return found
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
    return None
