"""Protocols of what the server calls in other packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..protocol.command_payloads import Command, CommandResult, CommandSpec
from ..protocol.control_payloads import ClientInfo
from ..protocol.messages import WebSocketMessage


class CommandHandler(Protocol):
    """An executor of commands, on whatever thread they need."""

    def specs(self) -> list[CommandSpec]:
        """List the offered commands."""

    def submit(self, id: str, command: Command, role: str, reply: Callable[[CommandResult], None]) -> None:
        """Accept a command without waiting; call `reply` exactly once, from any thread, after its effect.

        The dispatcher has checked that there is such a command, and that the role may run it.
        """

    def withdraw(self, id: str, reason: str) -> None:
        """Refuse a command (1104) with this reason if it has not begun; else do nothing."""


class Requester(Protocol):
    """A peer as the dispatcher sees it."""

    @property
    def name(self) -> str:
        """Return the peer's name in the log."""

    @property
    def client(self) -> ClientInfo | None:
        """Return the client's identity, which outlives its connections, if the client has sent one."""

    @property
    def role(self) -> str:
        """Return the peer's current role, which can change while it is connected."""

    def reply(self, message: WebSocketMessage) -> None:
        """Send an answer to this peer alone; only on the server's loop, without waiting."""
