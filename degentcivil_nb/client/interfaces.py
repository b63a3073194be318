"""What the client needs of its neighbours, in a method or two each; it imports none of them."""

from __future__ import annotations

from typing import Protocol

from ..protocol.messages import RawMessage


class Sink(Protocol):
    """Take messages in order, on the portal's thread; never raise."""

    def __call__(self, messages: list[RawMessage], received: float, epoch: str | None, /) -> None:
        """Keep `messages`, which arrived at `received` (wall clock, seconds) in the stream of `epoch`."""
