"""The values that names have at one message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from .nodes import BEFORE


class Change(Protocol):
    """The payload of a plain change of state before it is written; `previous_state` may be `UNSET`."""

    character_id: str | int
    new_state: str
    location: str | None
    previous_state: Any


def scope_at(
    hidden: Iterable[str],
    type: str,
    payload: dict[str, Any],
    known: Mapping[str, Any],
    name: str | None,
    state: str | None,
    before: Any,
    location: str | None,
    tick: int | None,
    time: float | None,
) -> dict[str, Any]:
    """Return the values of names at a message; `hidden` are columns that it does not have."""
    scope = {
        **known,
        **payload,
        "type": type,
        "tick": tick,
        "time": time,
        "payload": payload,
        "character_id": name,
        "state": state,
        "location": location or None,
    }
    if before is not None:
        scope["previous_state"] = before
        if state is not None:
            scope[BEFORE] = before
    for column in hidden:
        scope[column] = None
    return scope
