"""Messages about watches and control of a run: each client declares its whole set; all see all."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from .breakpoints import BreakpointRows
from .control_payloads import ClientInfo
from .messages import MessageTypes

MOST_NAME: Final = 4_200
MOST_EXPRESSION: Final = 4_000
"""The most characters of each."""


class WatchSpec(Struct, frozen=True, omit_defaults=True):
    """One watch of a client's set: an expression whose value is published after each tick.

    With a `character_id`, names refer to that character; without one, an expression about characters has a value for
    each.
    """

    name: Annotated[str, Meta(min_length=1, max_length=MOST_NAME)]
    expression: Annotated[str, Meta(max_length=MOST_EXPRESSION)]
    character_id: Annotated[str, Meta(max_length=200)] | None = None


class WatchRow(Struct, frozen=True, omit_defaults=True):
    """The state of one watch: what was declared, by whom, and what is wrong with it, if anything is."""

    name: str
    expression: str
    owner: ClientInfo
    character_id: str | None = None
    verified: bool = True
    problem: str | None = None
    at: int | None = None
    """The position in the expression of the character that is wrong, from 0."""


class WatchRows(Struct, frozen=True):
    """The watches of all clients."""

    watches: list[WatchRow]


class ControlWord(Struct, frozen=True, omit_defaults=True):
    """The client that alone may change the run (`None`: every debugger may), and the client that asks for that."""

    holder: ClientInfo | None
    asker: ClientInfo | None = None
    answer_within_s: float | None = None
    """How many seconds the asking client waits at most."""


LISTS: Final[dict[str, Any]] = {
    MessageTypes.BREAKPOINTS: BreakpointRows,
    MessageTypes.WATCHES: WatchRows,
    MessageTypes.CONTROL: ControlWord,
}
"""Control messages each of which replaces the one before, so that new clients are sent the last one."""
