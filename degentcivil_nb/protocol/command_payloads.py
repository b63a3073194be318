"""Payloads of commands: the request, the answer, and the list of offered commands."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from .control_payloads import ClientInfo
from .messages import Count

NO_DEADLINE: Final = "no_deadline"
"""The capability of a server that accepts `"none"` as the deadline of a command, for no deadline at all."""
WITHDRAW: Final = "withdraw"
"""The capability of a server that lets a client withdraw a command that has not begun."""


class Command(Struct, frozen=True, omit_defaults=True):
    """A request to the simulation; the envelope's `id` connects it to its answer.

    Without `deadline_s` the server's own deadline applies; with `"none"` there is none.
    """

    name: str
    arguments: dict[str, Any] = {}
    epoch: str | None = None
    deadline_s: Annotated[float, Meta(gt=0)] | Literal["none"] | None = None
    client: ClientInfo | None = None
    """The client that sent the command; the server fills this in, whatever the client wrote."""


class ErrorInfo(Struct, frozen=True, omit_defaults=True):
    """The reason why a command failed."""

    code: int
    message: str
    details: dict[str, Any] = {}
    retryable: bool = False


class CommandResult(Struct, frozen=True, omit_defaults=True):
    """The answer to a command, sent exactly once; `head` is the last seq at which its effect may be seen."""

    ok: bool
    result: Any = None
    error: ErrorInfo | None = None
    head: Count | None = None


class CommandSpec(Struct, frozen=True, omit_defaults=True):
    """The description of a command that a server offers; `arguments` is a JSON Schema."""

    name: str
    doc: str = ""
    role: str = "debugger"
    arguments: dict[str, Any] = {}
    anytime: bool = False
    """Whether it is answered at once, on another thread than the simulation's, and not at a checkpoint."""
