"""JSON encoding and decoding that raises only `WebSocketError` 1001."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final, TypeVar

import msgspec

from ..core.plain import plain
from .errors import WebSocketError

EXCERPT_BYTES: Final = 500  # of an invalid message: enough to recognise it
FOREIGN: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError)
"""All errors that msgspec raises for invalid input."""

_T = TypeVar("_T")


def _encode_foreign(value: Any) -> Any:
    """Convert times of pandas and numpy, numpy numbers and arrays, and anything else with `tolist` or `item`."""
    if isinstance(value, date | timedelta) or getattr(getattr(value, "dtype", None), "kind", None) in ("m", "M"):
        return plain(value)  # numpy would turn a time into a number of nanoseconds
    for name in ("tolist", "item"):
        convert = getattr(value, name, None)
        if callable(convert):
            found = convert()
            return plain(value) if type(found) is type(value) else found  # a long double gives itself
    raise NotImplementedError(f"{type(value).__qualname__} has no JSON form; give plain numbers, text, lists and dicts")


_encode = msgspec.json.Encoder(enc_hook=_encode_foreign).encode

encode_quick = msgspec.json.Encoder(enc_hook=plain).encode
"""Encode JSON and convert values that JSON lacks; raises the library's own errors for surrogates and cycles."""


def encode(value: Any) -> bytes:
    """Encode a message or payload as JSON; `WebSocketError` 1001 states what has no JSON form."""
    try:
        return _encode(value)
    except (*FOREIGN, NotImplementedError) as error:
        raise unencodable(error) from error


def unencodable(error: Exception) -> WebSocketError:
    """Translate an encoder's error into `WebSocketError` 1001."""
    if isinstance(error, WebSocketError):
        return error
    if isinstance(error, RecursionError):
        return WebSocketError(WebSocketError.INVALID_MESSAGE, "the data is nested too deeply or contains itself")
    return WebSocketError(WebSocketError.INVALID_MESSAGE, f"cannot be written as JSON: {error}")


def invalid(error: Exception, frame: bytes | str = b"") -> WebSocketError:
    """Translate a decoder's error into `WebSocketError` 1001 with the start of the input."""
    if isinstance(error, WebSocketError):
        return error
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error) or type(error).__name__
    return WebSocketError(
        WebSocketError.INVALID_MESSAGE,
        f"not a valid message: {reason}",
        details={"excerpt": excerpt(frame)} if frame else None,
    )


def excerpt(frame: bytes | str) -> str:
    """Return the first 500 bytes as text; undecodable bytes are escaped."""
    if isinstance(frame, str):
        return frame[:EXCERPT_BYTES]
    return bytes(frame[:EXCERPT_BYTES]).decode("utf-8", "backslashreplace")


def decode(type: type[_T], data: msgspec.Raw | bytes | str) -> _T:
    """Decode JSON as `type` (one of the structs of `messages.py`, or `Any`); `WebSocketError` 1001 names the field."""
    try:
        return msgspec.json.decode(data, type=type)
    except FOREIGN as error:
        raise invalid(error, data if isinstance(data, str) else bytes(data)) from error
