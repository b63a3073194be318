"""What the server needs of its neighbours, in a method or two each; it imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..protocol.messages import Command, CommandResult, CommandSpec, WebSocketMessage


class Monitor(Protocol):
    """Count what happens and sample how long it takes."""

    def update_metrics(self, name: str, value: float = 1) -> None:
        """Add `value` to the counter `name`."""

    def observe(self, name: str, seconds: float) -> None:
        """Take one sample of a duration."""


class TrafficLog(Protocol):
    """Record frames while it is enabled."""

    @property
    def enabled(self) -> bool:
        """Say whether frames are wanted now."""

    def record(self, direction: str, frame: bytes | str, peer: str) -> None:
        """Keep a frame that was `"sent"` to or `"received"` from a peer."""


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


class Silent:
    """Be a `Monitor` that keeps nothing, where nobody asked for one."""

    def update_metrics(self, name: str, value: float = 1) -> None:
        """Do nothing."""

    def observe(self, name: str, seconds: float) -> None:
        """Do nothing."""
