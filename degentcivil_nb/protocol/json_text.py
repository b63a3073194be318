"""JSON with every foreign error translated: what the library complains of comes out as `WebSocketError` 1001."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from ..core.plain import plain
from .errors import WebSocketError

EXCERPT_BYTES: Final = 500
FOREIGN: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError)
"""Whatever msgspec may raise at input that it does not like."""

_T = TypeVar("_T")


def _encode_foreign(value: Any) -> Any:
    """Give the JSON form of numpy numbers and arrays and of anything with `tolist` or `item`."""
    for name in ("tolist", "item"):
        convert = getattr(value, name, None)
        if callable(convert):
            return convert()
    raise NotImplementedError(f"{type(value).__qualname__} has no JSON form; give plain numbers, text, lists and dicts")


_encode = msgspec.json.Encoder(enc_hook=_encode_foreign).encode

encode_quick = msgspec.json.Encoder(enc_hook=plain).encode
"""Write JSON bytes and convert what JSON does not have; it raises what the library raises at surrogates and cycles."""


def encode(value: Any) -> bytes:
    """Write a message, or any payload, as JSON bytes; `WebSocketError` 1001 says what has no JSON form."""
    try:
        return _encode(value)
    except (*FOREIGN, NotImplementedError) as error:
        raise unencodable(error) from error


def unencodable(error: Exception) -> WebSocketError:
    """Translate an encoder's complaint into `WebSocketError` 1001."""
    if isinstance(error, WebSocketError):
        return error
    if isinstance(error, RecursionError):
        return WebSocketError(WebSocketError.INVALID_MESSAGE, "the data is nested too deeply, or in itself")
    return WebSocketError(WebSocketError.INVALID_MESSAGE, f"cannot be written as JSON: {error}")


def invalid(error: Exception, frame: bytes | str = b"") -> WebSocketError:
    """Translate a decoder's complaint into `WebSocketError` 1001 with the start of what was sent."""
    if isinstance(error, WebSocketError):
        return error
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error) or type(error).__name__
    return WebSocketError(
        WebSocketError.INVALID_MESSAGE,
        f"not a valid message: {reason}",
        details={"excerpt": excerpt(frame)} if frame else None,
    )


def excerpt(frame: bytes | str) -> str:
    """Give the first 500 bytes as text, whatever they are."""
    if isinstance(frame, str):
        return frame[:EXCERPT_BYTES]
    return bytes(frame[:EXCERPT_BYTES]).decode("utf-8", "backslashreplace")


def decode(type: type[_T], data: msgspec.Raw | bytes | str) -> _T:
    """Read JSON as `type` (one of the structs of `message.py`, or `Any`); `WebSocketError` 1001 names the field."""
    try:
        return msgspec.json.decode(data, type=type)
    except FOREIGN as error:
        raise invalid(error, data if isinstance(data, str) else bytes(data)) from error
