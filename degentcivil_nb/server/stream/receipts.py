"""What a publish takes, and the positions that it gives: known once the server's loop has processed the message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from ...protocol.control_payloads import RunState
from ...protocol.messages import Links


class Receipt:
    """The seq of one published message: known once the loop has processed it, `None` if it was lost."""

    __slots__ = ("seq",)

    def __init__(self) -> None:
        self.seq: int | None = None


class Matched(Receipt):
    """The positions of the messages at which breakpoints matched, in the order of the `run_state`'s hits."""

    __slots__ = ("receipts",)

    def __init__(self, receipts: Sequence[Receipt | None] = ()) -> None:
        super().__init__()
        self.receipts = tuple(receipts)

    def fill(self, state: RunState) -> RunState:
        """Return the state with the positions that are known."""
        seqs = [None if receipt is None else receipt.seq for receipt in self.receipts]
        hits = [{**hit, "seq": seq} for hit, seq in zip(state.breakpoints, seqs, strict=True)]
        return msgspec.structs.replace(state, breakpoints=hits, seq=next(filter(None, seqs), None))


class Publish(Protocol):
    """A function that accepts a message from any thread, without waiting and without errors."""

    def __call__(
        self,
        type: str,
        data: Any,
        tick: int | None = None,
        timestamp: float | None = None,
        receipt: Receipt | None = None,
        links: Links | None = None,
    ) -> None:
        """Encode and append a message; `receipt` gets its seq."""
