"""Conditions of breakpoints: about what a simulation knows when it publishes a message, or at a checkpoint."""

from __future__ import annotations

from typing import Final

from .conditions import Condition, compile_condition
from .standing import OF_EVENTS

UNKNOWN_YET: Final = ("row", "seq", "epoch", "received", "time_source")
"""Columns of the notebook's events whose values are unknown before a message is sent."""


def compile_breakable(text: str, *, at_checkpoint: bool = False) -> Condition:
    """Compile a breakpoint's condition; `ValueError` points at a name that has no value when it is evaluated."""
    condition = compile_condition(text).fresh()
    check_breakable(condition, at_checkpoint=at_checkpoint or condition.at_checkpoint)
    return condition


def check_breakable(condition: Condition, *, at_checkpoint: bool) -> None:
    """Raise `ValueError` for a name that has no value at a message, or at a checkpoint."""
    for name in UNKNOWN_YET:
        if name in condition.names:
            raise condition.mistake(name, f"{name} is known only when the event is sent, too late for a breakpoint")
    if "intervention" in condition.names:
        message = "intervention is always null here: breakpoints do not look at what a command publishes"
        raise condition.mistake("intervention", message)
    for name in OF_EVENTS if at_checkpoint else ():
        if name in condition.names:
            message = f"{name} belongs to a single event, and this condition is evaluated at checkpoints"
            raise condition.mistake(name, message)
