"""What a simulation tells, as the payloads of the wire: made here for the probe, for commands and for tests."""

from __future__ import annotations

import traceback
from typing import Any, Final

from ..core.text_of import class_name, text_of

_TRACEBACK: Final = 20_000
"""Characters of a traceback that are kept: its end, which says what happened."""


def state_change(
    character_id: str | int, new_state: str, location: str | None, previous_state: str | None, now: float
) -> dict[str, Any]:
    """Say that a character is in a new state; `location` is always there, because the guide's clients read it."""
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
    """Say that something happened."""
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
    """Say that something went wrong, with the traceback of the exception that was it."""
    payload: dict[str, Any] = {"code": code, "message": message}
    if character_id is not None:
        payload["character_id"] = character_id
    if exception is not None:
        payload["traceback"] = traceback_text(exception)
    return payload


def traceback_text(exception: Any) -> str:
    """Give the end of an exception's traceback, or whatever text there is in its place."""
    try:
        return "".join(traceback.format_exception(exception))[-_TRACEBACK:]
    except Exception:  # noqa: BLE001 — it is no exception, or its parts cannot be shown
        return f"{class_name(type(exception))}: {text_of(exception)}"[-_TRACEBACK:]


def llm_call(character_id: str | int | None, prompt_type: str | None, **details: Any) -> dict[str, Any]:
    """Tell of a call of a language model; details that are `None` are left out."""
    payload: dict[str, Any] = {"character_id": character_id, "prompt_type": prompt_type}
    payload.update({name: value for name, value in details.items() if value is not None})
    return payload
