"""Payloads about breakpoints: each client declares its whole set, and all clients are sent the state of all."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from .control_payloads import ClientInfo
from .messages import MOST, Seq

RUN_UNTIL: Final = "run_until"
"""The name of what `run_until` sets; several clients may use it at once."""

MOST_NAME: Final = 200
MOST_CONDITION: Final = 4_000
MOST_LOG: Final = 1_000
"""The most characters of each."""

_Name = Annotated[str, Meta(min_length=1, max_length=MOST_NAME)]


class BreakpointSpec(Struct, frozen=True, omit_defaults=True):
    """One breakpoint of a client's set, as it is declared.

    It stops the run at the match number `hits` and at each later one, or with `once` at that one only. With `log`, a
    text with `{expressions}`, it publishes that text instead and stops nothing. A breakpoint that has stopped once
    works again when it is declared with a higher `armed`.
    """

    name: _Name
    condition: Annotated[str, Meta(max_length=MOST_CONDITION)]
    hits: Annotated[int, Meta(ge=1, le=MOST)] = 1
    once: bool = False
    log: Annotated[str, Meta(max_length=MOST_LOG)] | None = None
    enabled: bool = True
    armed: int = 0
    at_checkpoint: bool = False
    """Whether it is judged at each checkpoint, whatever the condition is about."""


class BreakpointRow(Struct, frozen=True, omit_defaults=True):
    """The state of one breakpoint: what was declared, by whom, whether it works, and how often it matched."""

    name: str
    condition: str
    owner: ClientInfo
    hits: int = 1
    once: bool = False
    log: str | None = None
    enabled: bool = True
    verified: bool = True
    problem: str | None = None
    at: int | None = None
    """The position in the condition of the character that is wrong, from 0."""
    count: int = 0
    """How often it has matched."""
    last_tick: int | None = None
    last_character_id: str | None = None
    unseen: list[str] = []
    """The names in its condition that no message and no character has had since it was set: mistyped, or to come."""


class BreakpointRows(Struct, frozen=True):
    """The breakpoints of all clients."""

    breakpoints: list[BreakpointRow]


class BreakpointHit(Struct, frozen=True, omit_defaults=True):
    """A breakpoint at which the run has stopped: the tick, and the `seq` of the event that matched.

    It has none if it was judged `at_checkpoint`, or if the event was lost or has no position yet.
    """

    name: str
    condition: str
    owner: ClientInfo
    tick: int | None = None
    seq: Seq | None = None
    character_id: str | None = None
    count: int = 1
    at_checkpoint: bool | None = None
    """`None` from older versions, whose hits without a `seq` were nearly always judged at a checkpoint."""
