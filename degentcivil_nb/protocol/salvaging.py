"""Envelopes with invalid keys: the message is kept, and each invalid key is reported as an `error`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import msgspec
from msgspec import Raw

from .errors import WebSocketError
from .json_text import FOREIGN, encode, excerpt
from .messages import MessageTypes, RawMessage, Tick
from .repairing import repair

_SHOWN: Final = 60
"""How many characters of the invalid value, and of the type, its error shows."""
_EXPECTED: Final = {
    "timestamp": "not a time",
    "seq": "not a whole number from 1 on",
    "tick": "not a whole number from 0 on",
    "id": "not a text",
    "covers": "not a pair of numbers",
}


def salvage(frame: bytes | str) -> list[RawMessage]:
    """Read a message without the invalid keys of its envelope, followed by an `error` message for each of them.

    A number that is not a valid tick is kept as `sim_time`. Raises what `json_text.FOREIGN` lists for other
    input.
    """
    told = msgspec.json.decode(repair(frame), type=dict[str, Raw])
    read: dict[str, Any] = {}
    odd: dict[str, Any] = {}
    for field in msgspec.structs.fields(RawMessage):
        if field.name not in told:
            continue
        try:
            read[field.name] = msgspec.json.decode(told[field.name], type=field.type)
        except FOREIGN:
            if field.name not in _EXPECTED:
                raise
            odd[field.name] = msgspec.json.decode(told[field.name])
    if isinstance(odd.get("tick"), str):
        with suppress(*FOREIGN):  # a number written as text
            read["tick"] = msgspec.convert(float(odd["tick"]), type=Tick, strict=False)
            del odd["tick"]
    clock = odd.get("tick")
    if isinstance(clock, int | float) and not isinstance(clock, bool):
        read.setdefault("sim_time", clock)
    message = RawMessage(**read)
    return [message, *_faults(message, odd, excerpt(frame))]


def _faults(message: RawMessage, odd: dict[str, Any], shown: str) -> Iterator[RawMessage]:
    for key, value in odd.items():
        said = encode(value).decode()[:_SHOWN]
        kept = " and kept as `sim_time`" if key == "tick" and message.sim_time == value else ""
        text = (
            f"`{key}` of a {message.type[:_SHOWN]} is {_EXPECTED[key]}: {said}; "
            f"the key was left out{kept}; the message itself was kept"
        )
        data = {"code": WebSocketError.INVALID_MESSAGE, "message": text, "excerpt": shown}
        yield RawMessage(MessageTypes.ERROR, Raw(encode(data)))
