"""What server, client and recorder tell of their work: counters, durations and frames."""

from __future__ import annotations

from typing import Protocol


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
