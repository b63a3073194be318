"""The values that names have at one message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from ..core.event_columns import of_kind
from ..core.links import IN_PAYLOADS, link_id, link_ids
from .nodes import BEFORE

LINKS: Final = frozenset(of_kind("link"))
"""The columns that are read from envelopes."""


class Linked(Protocol):
    """What an envelope says beside its type, tick and time."""

    @property
    def event_id(self) -> str | None: ...
    @property
    def cause(self) -> str | list[str] | None: ...
    @property
    def sim_time(self) -> float | None: ...


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
        "location": location,
    }
    if before is not None:
        scope["previous_state"] = before
        if state is not None:
            scope[BEFORE] = before
    for column in hidden:
        scope[column] = None
    return scope


def links_at(type: str, payload: Any, links: Linked | None) -> dict[str, Any]:
    """Return the values of the envelope's names; an id and causes may be in the payload, as in older versions."""
    found: dict[str, Any] = dict.fromkeys(LINKS)
    if links is not None:
        found |= {"event_id": links.event_id, "cause": links.cause, "sim_time": links.sim_time}
    if type in IN_PAYLOADS and isinstance(payload, dict):
        if found["event_id"] is None:
            found["event_id"] = link_id(payload.get("id"))
        if found["cause"] is None:
            found["cause"] = link_ids(payload.get("cause"))
    return found
