"""Protocols of what the client calls in other packages."""

from __future__ import annotations

from typing import Protocol

from ..protocol.messages import RawMessage


class Sink(Protocol):
    """A receiver of messages in order, called on the portal's thread; it must not raise."""

    def __call__(self, messages: list[RawMessage], received: float, epoch: str | None, /) -> None:
        """Store `messages`, which arrived at `received` (wall clock, seconds) in the stream of `epoch`."""
