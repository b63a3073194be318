"""Links of events: what may be an id or a cause, and the payloads in which older versions of the wire have them."""

from __future__ import annotations

from typing import Any, Final

IN_PAYLOADS: Final = frozenset(
    {"event_notification", "llm_call", "chat_message", "tool_call", "thought", "character_left", "watch"}
)
"""Types of messages whose payload may have the event's `id` and `cause`, for an envelope that has none."""


def link_id(value: Any) -> str | None:
    """Return an id as text; `None` if the value is not an id."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def link_ids(value: Any) -> str | list[str] | None:
    """Return one id or a list of ids; `None` if the value is neither."""
    if isinstance(value, list):
        return [id for item in value if (id := link_id(item)) is not None] or None
    return link_id(value)
