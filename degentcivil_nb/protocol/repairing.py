"""Repair of JSON from other senders, tried only after strict decoding has failed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from .errors import WebSocketError
from .json_text import FOREIGN, decode

BOM: Final = b"\xef\xbb\xbf"

# a string (closed or not, so that each byte is read once), or a number that JSON does not have
_TOKENS: Final = re.compile(
    rb'"(?>[^"\\]+|\\.)*+(?:"|\\?\Z)|((?<![\w.])[-+]?(?:nan|inf(?:inity)?)(?!\w))', re.IGNORECASE | re.DOTALL
)
_T = TypeVar("_T")


def repair(text: bytes | str) -> bytes:
    """Rewrite a JSON object without a BOM, with null for NaN and infinities, and with times and counts as numbers.

    Python writes NaN, JavaScript and pandas write times as ISO text, and pandas turns 5 into 5.0 in a column with gaps.
    Raises what `json_text.FOREIGN` lists, or `WebSocketError`, if the result is not an object either.
    """
    raw = text.encode() if isinstance(text, str) else bytes(text)
    sound = _TOKENS.sub(lambda token: b"null" if token[1] else token[0], raw.removeprefix(BOM))
    fields = msgspec.json.decode(sound, type=dict[str, Raw])
    written = [
        b"%b:%b" % (msgspec.json.encode(key), _REPAIRED[key](value) if key in _REPAIRED else bytes(value))
        for key, value in fields.items()
    ]
    return b"{%b}" % b",".join(written)


def decode_repaired(type: type[_T], data: Raw | bytes | str) -> _T:
    """Decode JSON as `json_text.decode` does, repaired if that fails; the error raised is the one of the first try."""
    try:
        return decode(type, data)
    except WebSocketError as error:
        try:
            return decode(type, repair(data if isinstance(data, str) else bytes(data)))
        except (WebSocketError, *FOREIGN):
            raise error from None


def _time(value: Raw) -> bytes:
    """Convert ISO text to seconds since the Unix epoch; a time without a zone is UTC."""
    moment = msgspec.json.decode(value)
    if not isinstance(moment, str):
        return bytes(value)
    try:
        seconds = float(moment)
    except ValueError:
        try:
            then = datetime.fromisoformat(moment)
        except ValueError:
            return bytes(value)
        seconds = (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
    return msgspec.json.encode(seconds)


def _count(value: Raw) -> bytes:
    number: Any = msgspec.json.decode(value)
    return b"%d" % number if isinstance(number, float) and number.is_integer() else bytes(value)


def _text(value: Raw) -> bytes:
    number = msgspec.json.decode(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return msgspec.json.encode(str(number)) if type(number) is int else bytes(value)


_REPAIRED: Final[dict[str, Callable[[Raw], bytes]]] = {
    "timestamp": _time,
    "id": _text,
    "character_id": _text,
    **dict.fromkeys(("tick", "seq", "head", "clients", "code", "prompt_tokens", "completion_tokens"), _count),
}
"""The keys of envelopes and payloads whose values other senders write in another form."""
