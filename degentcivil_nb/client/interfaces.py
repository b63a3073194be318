"""What the client needs of its neighbours, in a method or two each; it imports none of them."""

from __future__ import annotations

from typing import Protocol

from ..protocol.messages import RawMessage


class Sink(Protocol):
    """Take messages in order, on the portal's thread; never raise."""

    def __call__(self, messages: list[RawMessage], received: float, epoch: str | None, /) -> None:
        """Keep `messages`, which arrived at `received` (wall clock, seconds) in the stream of `epoch`."""


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


class Silent:
    """Be a `Monitor` and a `TrafficLog` that keep nothing, where nobody asked for them."""

    enabled = False

    def update_metrics(self, name: str, value: float = 1) -> None:
        """Do nothing."""

    def observe(self, name: str, seconds: float) -> None:
        """Do nothing."""

    def record(self, direction: str, frame: bytes | str, peer: str) -> None:
        """Do nothing."""
