"""Expressions of watches: they have a value after each tick and are not about a single event."""

from __future__ import annotations

from typing import Final

from ..core.event_columns import COLUMNS
from .conditions import Condition, compile_condition

OF_EVENTS: Final = (
    *("row", "data", "payload", "previous_state"),
    *(column.name for column in COLUMNS if not column.of_character),
)
"""Names that only an event gives a value."""


def compile_standing(text: str) -> Condition:
    """Compile an expression; `ValueError` points at a name or function that has no value after a tick."""
    condition = compile_condition(text).fresh()
    condition.refuse_moves("a watch has a value after each tick, and this is about a single event")
    for name in OF_EVENTS:
        if name in condition.names:
            raise condition.mistake(name, f"{name} belongs to a single event; a watch has a value after each tick")
    return condition
