"""What the server needs of its neighbours, in a method or two each; it imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..protocol.messages import Command, CommandResult, CommandSpec, WebSocketMessage


class CommandHandler(Protocol):
    """Carry out commands, on whatever thread they belong to."""

    def specs(self) -> list[CommandSpec]:
        """List the commands on offer."""

    def submit(self, id: str, command: Command, role: str, reply: Callable[[CommandResult], None]) -> None:
        """Take a command at once; call `reply` exactly once, from any thread, after its effect."""

    def withdraw(self, id: str, reason: str) -> None:
        """Refuse a command (1104) with this reason if it was not begun; do nothing otherwise."""


class Requester(Protocol):
    """Be the peer that asks: what a dispatcher knows of it."""

    @property
    def name(self) -> str:
        """Say what the log calls it."""

    @property
    def role(self) -> str:
        """Say what it may do now: a role can change while its bearer is connected."""

    def reply(self, message: WebSocketMessage) -> None:
        """Send an answer to this peer alone; on the server's loop only, and it never waits."""
