"""Payloads of the wire for what a simulation reports; used by the probe, by commands and by tests."""

from __future__ import annotations

import traceback
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from ..core.shortening import tail_of
from ..core.text_of import class_name, text_of

_TRACEBACK: Final = 20_000
"""How many characters of a traceback are kept, from its end, which contains the error."""


class StateChange(Struct, gc=False):
    """The payload of a plain state change, which is written faster than a dict.

    `location` is always present, since the guide's clients read it.
    """

    character_id: str | int
    new_state: str
    location: str | None
    timestamp: float
    previous_state: str | UnsetType = UNSET


class Event(Struct, gc=False):
    """The payload of a plain event, which is written faster than a dict."""

    event_type: str
    data: Any
    timestamp: float
    character_id: str | int | UnsetType = UNSET


def as_dict(payload: Any) -> Any:
    """Return the payload of a message as a dict if it is one of the structs above."""
    kind = payload.__class__
    if kind is StateChange:
        words = {
            "character_id": payload.character_id,
            "new_state": payload.new_state,
            "location": payload.location,
            "timestamp": payload.timestamp,
        }
        if payload.previous_state is not UNSET:
            words["previous_state"] = payload.previous_state
    elif kind is Event:
        words = {"event_type": payload.event_type, "data": payload.data, "timestamp": payload.timestamp}
        if payload.character_id is not UNSET:
            words["character_id"] = payload.character_id
    else:
        return payload
    return words


def state_change(
    character_id: str | int, new_state: str, location: str | None, previous_state: str | None, now: float
) -> dict[str, Any]:
    """Return the payload of a state change; `location` is always present, since the guide's clients read it."""
    payload = {"character_id": character_id, "new_state": new_state, "location": location, "timestamp": now}
    if previous_state is not None:
        payload["previous_state"] = previous_state
    return payload


def event(
    event_type: str,
    data: Any,
    now: float,
    character_id: str | int | None = None,
    id: str | int | None = None,
    cause: str | int | None = None,
) -> dict[str, Any]:
    """Return the payload of an event."""
    payload: dict[str, Any] = {"event_type": event_type, "data": data, "timestamp": now}
    if character_id is not None:
        payload["character_id"] = character_id
    if id is not None:
        payload["id"] = id
    if cause is not None:
        payload["cause"] = cause
    return payload


def error(
    code: int, message: str, character_id: str | int | None = None, exception: BaseException | None = None
) -> dict[str, Any]:
    """Return the payload of an error, with the traceback of its exception."""
    payload: dict[str, Any] = {"code": code, "message": message}
    if character_id is not None:
        payload["character_id"] = character_id
    if exception is not None:
        payload["traceback"] = traceback_text(exception)
    return payload


def traceback_text(exception: Any) -> str:
    """Return the end of an exception's traceback, or any text passed instead."""
    try:
        return tail_of("".join(traceback.format_exception(exception)), _TRACEBACK)
    except Exception:  # noqa: BLE001 — not an exception, or one that cannot be shown
        return tail_of(f"{class_name(type(exception))}: {text_of(exception)}", _TRACEBACK)


def llm_call(character_id: str | int | None, prompt_type: str | None, **details: Any) -> dict[str, Any]:
    """Return the payload of a language model call; details that are `None` are left out."""
    payload: dict[str, Any] = {"character_id": character_id, "prompt_type": prompt_type}
    payload.update({name: value for name, value in details.items() if value is not None})
    return payload
