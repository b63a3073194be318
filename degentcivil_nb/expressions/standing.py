"""Expressions about how things stand after a tick, which no single event tells: watches."""

from __future__ import annotations

from typing import Final

from .conditions import Condition, compile_condition

OF_EVENTS: Final = (
    *("row", "seq", "epoch", "received", "time_source", "type", "event_type", "code", "message", "data", "payload"),
    *("time", "previous_state"),
)
"""Names that only an event gives a value."""


def compile_standing(text: str) -> Condition:
    """Compile an expression; `ValueError` points at what has no value after a tick."""
    condition = compile_condition(text).fresh()
    condition.refuse_moves("a watch has a value after each tick, and this is about a single event")
    for name in OF_EVENTS:
        if name in condition.names:
            raise condition.mistake(name, f"{name} belongs to a single event; a watch has a value after each tick")
    return condition
