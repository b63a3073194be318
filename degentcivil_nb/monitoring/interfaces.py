"""Protocols through which server, client and recorder report counters, durations and frames."""

from __future__ import annotations

from typing import Protocol


class Monitor(Protocol):
    """A sink for counters and durations."""

    def update_metrics(self, name: str, value: float = 1) -> None:
        """Add `value` to the counter `name`."""

    def observe(self, name: str, seconds: float) -> None:
        """Add a sample of a duration."""


class TrafficLog(Protocol):
    """A record of frames that can be switched on and off."""

    @property
    def enabled(self) -> bool:
        """Return whether frames are recorded now."""

    def record(self, direction: str, frame: bytes | str, peer: str) -> None:
        """Record a frame that was `"sent"` to or `"received"` from a peer."""


class NullMonitor:
    """A `Monitor` and `TrafficLog` that discard everything."""

    enabled = False

    def update_metrics(self, name: str, value: float = 1) -> None:
        """Do nothing."""

    def observe(self, name: str, seconds: float) -> None:
        """Do nothing."""

    def record(self, direction: str, frame: bytes | str, peer: str) -> None:
        """Do nothing."""
