"""Encoding and decoding of messages. Errors of the JSON library do not leave this module."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol, TypeVar, cast

import msgspec
from msgspec import Raw, Struct

from .errors import WebSocketError
from .json_text import FOREIGN, encode, excerpt, invalid
from .messages import MessageTypes, PlainMessage, RawMessage, Seq, Tick
from .repairing import repair
from .salvaging import salvage

MAX_MESSAGE_BYTES: Final = 1 << 20
"""The largest message in bytes, as JSON; the WebSocket library's own default for incoming messages."""
_BATCH_HEAD: Final = b'{"type":"batch"'


class _OpenBatch(Struct, gc=False):
    """A `batch` frame decoded in one step: the fields of a message, with a list of valid messages as its data."""

    type: str
    data: list[RawMessage]
    timestamp: float | None = None
    seq: Seq | None = None
    tick: Tick | None = None
    id: str | None = None
    covers: tuple[int, int] | None = None


class _OpenPlainBatch(_OpenBatch, gc=False):
    """The same with messages of which none has links."""

    data: list[PlainMessage]  # type: ignore[assignment]


_T_co = TypeVar("_T_co", covariant=True)


class _Decode(Protocol[_T_co]):
    def __call__(self, frame: bytes | str | Raw, /) -> _T_co: ...


# a plain message has all attributes of a RawMessage; any key that it does not have is an error, and then the other
# decoder is taken: no key is overlooked, however it is escaped
_decode_plain = cast("_Decode[RawMessage]", msgspec.json.Decoder(PlainMessage).decode)
_decode_raw = msgspec.json.Decoder(RawMessage).decode
_decode_batch = msgspec.json.Decoder(list[RawMessage]).decode
_open_plain = cast("_Decode[_OpenBatch]", msgspec.json.Decoder(_OpenPlainBatch).decode)
_open_raw = msgspec.json.Decoder(_OpenBatch).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


def with_seq(message: bytes, seq: int) -> bytes:
    """Add `seq` to an encoded message that has none."""
    return b'%b,"seq":%d}' % (message[:-1], seq)


def encode_batch(messages: Iterable[bytes], covers: tuple[int, int] | None = None) -> bytes:
    """Join encoded messages into one `batch` frame; `covers` is the range of seqs that passed a client's filter."""
    body = b'{"type":"batch","data":[' + b",".join(messages) + b"]"
    return body + (b"}" if covers is None else b',"covers":[%d,%d]}' % covers)


def decode_raw(frame: bytes | str) -> RawMessage:
    """Decode one message, leaving its payload as bytes; raise `WebSocketError` 1001 if that fails."""
    try:
        return _decode_raw(frame)
    except FOREIGN as error:
        raise invalid(error, frame) from error


def malformed(frame: bytes | str, error: Exception) -> RawMessage:
    """Return the `error` message (1001, the reason, the first 500 bytes) that a store keeps for an invalid frame."""
    reason = invalid(error)
    data = {"code": reason.code, "message": reason.message, "excerpt": excerpt(frame)}
    return RawMessage(MessageTypes.ERROR, Raw(encode(data)))


def decode_frames(frames: Iterable[bytes | str]) -> list[RawMessage]:
    """Decode frames in order, with batches unpacked; an invalid frame becomes an `error` message, and nothing is
    raised.

    A batch with `covers` leaves a `batch` message without data in front of its messages as a marker.
    """
    messages: list[RawMessage] = []
    append = messages.append
    decode, decode_batch = _decode_plain, _open_plain
    batches = True  # whether it is worth to look for a batch, which takes a tenth of the time of decoding a message
    for frame in frames:
        if batches and frame[: len(_BATCH_HEAD)] == _BATCH_HEAD:
            opened = _unpack_valid_batch(frame, decode_batch)
            if opened is None:
                decode_batch = _open_raw
                opened = _unpack_valid_batch(frame, decode_batch)
            if opened is not None:
                messages.extend(opened)
                continue
        try:
            message = decode(frame)
        except FOREIGN:
            found = _decode_item(frame)
            decode = _decode_raw  # a stream with links has more of them
        else:
            if message.type != "batch":  # what most are: no list is made for it
                append(message)
                batches = False
                continue
            found = [message]
            batches = True
        for message in found:
            if message.type == "batch":
                messages.extend(_unpack_batch(message, frame))
            else:
                append(message)
    return messages


def _decode_item(item: bytes | str | Raw) -> list[RawMessage]:
    """Decode one message, as it is or repaired."""
    try:
        return [_decode_raw(item)]
    except FOREIGN as error:
        return _decode_repaired(item, error)


def _decode_repaired(frame: bytes | str | Raw, error: Exception) -> list[RawMessage]:
    """Decode an invalid message: repaired, else without its invalid keys, with an `error` message for each key.

    If that fails too, the result is an `error` message that shows the frame as it was received.
    """
    text = frame if isinstance(frame, str) else bytes(frame)
    try:
        return [_decode_raw(repair(text))]
    except FOREIGN:
        try:
            return salvage(text)
        except FOREIGN:
            return [malformed(text, error)]


def _unpack_valid_batch(frame: bytes | str, decode: _Decode[_OpenBatch]) -> list[RawMessage] | None:
    """Unpack a `batch` frame that is valid throughout; return `None` for one that must be decoded item by item."""
    try:
        batch = decode(frame)
    except FOREIGN:
        return None
    messages = batch.data
    if batch.type != MessageTypes.BATCH or MessageTypes.BATCH in [message.type for message in messages]:
        return None
    if batch.covers is not None:
        messages.insert(0, RawMessage(MessageTypes.BATCH, covers=batch.covers))
    return messages


def _unpack_batch(batch: RawMessage, frame: bytes | str) -> list[RawMessage]:
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
        # one invalid message must not affect the others
        for item in items:
            opened.extend(_decode_item(item))
    # a list, since the membership test runs in C: every message passes here
    if "batch" in [message.type for message in opened if message.covers is None]:
        nested = WebSocketError(WebSocketError.INVALID_MESSAGE, "a batch must not contain a batch")
        opened = [malformed(bytes(m.data), nested) if m.type == "batch" and m.covers is None else m for m in opened]
    return opened


def character_of(data: Any) -> str | None:
    """Return the character id in a decoded payload, as text; `None` if there is none."""
    if isinstance(data, dict):
        found = data.get("character_id")
        if isinstance(found, str):
            return found
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
    return None
