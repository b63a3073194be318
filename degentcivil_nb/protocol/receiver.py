"""The client's half of resuming: each seq is stored once, declared missing, or known to be filtered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import Raw, Struct

from .codec import malformed
from .control_payloads import Gap, Heartbeat, Hello, Resume, Resumed
from .errors import WebSocketError
from .json_text import encode
from .messages import CONTROL, NEWER_CONTROL, ORDERED_CONTROL, MessageTypes, RawMessage
from .repairing import decode_repaired
from .resume import ResumePlan, plan_resume

__all__ = ["ResumePlan", "StreamReceiver", "gap_message", "plan_resume"]

SKIPPED: Final = "skipped"
"""The reason of a gap that no server declared: seqs were skipped, or lost at the end of a connection."""

_NEEDS_HELLO: Final = frozenset(
    {
        MessageTypes.BATCH,
        MessageTypes.GAP,
        MessageTypes.RESUMED,
        MessageTypes.RUN_STATE,
        MessageTypes.SNAPSHOT,
        *NEWER_CONTROL,
    }
)
_S = TypeVar("_S", bound=Struct)


def gap_message(gap: Gap, timestamp: float | None = None) -> RawMessage:
    """Return the message that declares `gap`; `timestamp` is when it began, if known."""
    return RawMessage(MessageTypes.GAP, Raw(encode(gap)), timestamp)


class StreamReceiver:
    """The account of all positions of the streams that a session follows, across cuts, restarts and filters.

    For each connection, call `accept` with what arrives, in order; send `resume_request` once `hello` has arrived; and
    call `cut` at its end. Positions advance only in `accept` and `heartbeat`, so that the next connection requests
    again whatever was not passed on.
    """

    def __init__(
        self,
        *,
        history: int = 0,
        types: Sequence[str] | None = None,
        characters: Sequence[str] | None = None,
        position: tuple[str, int] | None = None,
    ) -> None:
        self._history = history
        self._types = None if types is None else list(types)
        self._characters = None if characters is None else list(characters)
        self._position = position
        self._connected_epoch: str | None = None  # of the server at the other end now
        self._resumed_here = False  # before that, a heartbeat's `head` does not refer to this connection
        self._head = 0  # the highest seq received or announced in the epoch of `_position`
        self._resumed_head = 0  # the head of the stream when it was resumed
        self._restarted = False  # the server restarted under the same epoch
        self._restart_gap: list[RawMessage] = []  # the gap that such a restart leaves
        self._covered_to = 0  # a filtered batch accounts for everything up to here
        self.controls: list[RawMessage] = []
        """The unsequenced messages of the last `accept`, in order, for callers that act on them."""
        self.received = 0
        self.duplicates = 0
        self.filtered = 0
        self.missing = 0
        """How many seqs were declared missing in gaps with both bounds known."""
        self.gaps = 0
        self.skipped = 0
        """How many gaps no server declared; each is a bug of the server."""
        self.unheld = 0
        """How many past messages a new client requested that the server no longer held; they are in a gap."""
        self.violations = 0
        """How many messages contradicted the protocol and were ignored."""

    @property
    def position(self) -> tuple[str, int] | None:
        """Return epoch and seq of the last message accounted for; `None` for a new client before `resumed`."""
        return self._position

    @property
    def head(self) -> int:
        """Return the highest seq received or announced in the epoch of `position`."""
        return max(self._head, self._position[1] if self._position else 0)

    @property
    def on_their_way(self) -> int | None:
        """Count the messages that the server had when it resumed and that have not arrived; `None` before that."""
        if not self._resumed_here or self._position is None:
            return None
        epoch, last = self._position
        return max(0, self._resumed_head - (last if epoch == self._connected_epoch else 0))

    def resume_request(self) -> Resume:
        """Return the request to continue after `position`, or for the `history` of a new client."""
        if self._restarted:  # as a new client: the snapshot must replace the characters of the earlier run
            return Resume(None, None, self._head, self._types, self._characters)
        epoch, seq = self._position or (None, None)
        return Resume(epoch, seq, self._history, self._types, self._characters)

    @property
    def epoch(self) -> str | None:
        """Return the epoch of the connected server, `None` before its `hello`."""
        return self._connected_epoch

    def cut(self) -> None:
        """Record the end of the connection: the server's epoch is unknown until the next `hello`."""
        self._connected_epoch = None
        self._resumed_here = False
        self._covered_to = 0

    def hello(self, hello: Hello) -> None:
        """Record the epoch of the server at the other end of a new connection."""
        if self._connected_epoch is not None:
            self.violations += 1
            return
        self._connected_epoch = hello.epoch
        if self._position is None or self._position[0] != hello.epoch:
            self._restarted = False
            return
        if hello.head < self._position[1]:
            self._restart_epoch(hello.epoch, self._position[1])
        self._head = max(self._head, hello.head)

    def _restart_epoch(self, epoch: str, last: int) -> None:
        """Start over within the same epoch: a server whose head went back has restarted."""
        self._declare(
            Gap(epoch, last + 1, None, "restart", self._head if self._head > last else None), self._restart_gap
        )
        self._position, self._head, self._restarted = (epoch, 0), 0, True

    def accept(self, messages: list[RawMessage]) -> list[RawMessage]:
        """Account for the messages of whole frames, in order, and return those for the store, in order.

        Duplicates are dropped, and skipped seqs become gap messages in their place. Control messages that the store
        does not keep are only in `controls`.
        """
        if self.controls:
            self.controls = []
        if not messages:
            return []
        position = self._position
        if position is not None and position[0] == self._connected_epoch:
            epoch, last = position
            end = last + len(messages)
            # one comparison in C for the ordinary case; the last seq first, so that other cases fail fast
            if messages[-1].seq == end and [message.seq for message in messages] == list(range(last + 1, end + 1)):
                self._position = (epoch, end)
                self.received += len(messages)
                return messages
        accepted: list[RawMessage] = []
        for message in messages:
            if self._connected_epoch is None and (message.seq is not None or message.type in _NEEDS_HELLO):
                self.violations += 1
            elif message.seq is not None:
                self._sequenced(message, message.seq, accepted)
            else:
                self._control(message, accepted)
        self._count_filtered()
        return accepted

    def heartbeat(self, heartbeat: Heartbeat) -> list[RawMessage]:
        """Compare the last seq sent on this connection with what arrived; what is missing becomes a gap."""
        accepted: list[RawMessage] = []
        head = heartbeat.head
        if self._position is None or not self._resumed_here or heartbeat.epoch != self.epoch or head is None:
            return accepted
        self._enter(accepted)
        self._count_filtered()
        self._skip_to(head + 1, accepted)
        self._head = max(self._head, head)
        return accepted

    # --- one message at a time, where the ordinary case does not apply ------------------------------------------

    def _sequenced(self, message: RawMessage, seq: int, accepted: list[RawMessage]) -> None:
        epoch, last = self._enter(accepted, first=seq)  # `first` replaces a missing `resumed`
        if seq <= last:
            self.duplicates += 1
            return
        if seq > last + 1:
            if self._covered_to > last:
                covered = min(self._covered_to, seq - 1)
                self.filtered += covered - last
                self._position = (epoch, covered)
            self._skip_to(seq, accepted)
        self._position = (epoch, seq)
        self.received += 1
        accepted.append(message)

    def _control(self, message: RawMessage, accepted: list[RawMessage]) -> None:
        kind = message.type
        if kind == MessageTypes.BATCH:
            self._covers(message.covers, accepted)
            return
        if kind == MessageTypes.HELLO:
            hello = self._read(Hello, message, accepted)
            if hello is not None:
                self.hello(hello)
                accepted += self._restart_gap
                self._restart_gap.clear()
        elif kind == MessageTypes.GAP:
            gap = self._read(Gap, message, accepted)
            if gap is not None:
                self._declared(gap, accepted)
        elif kind == MessageTypes.RESUMED:
            resumed = self._read(Resumed, message, accepted)
            if resumed is not None:
                self._resumed(resumed, accepted)
        elif kind == MessageTypes.HEARTBEAT:
            heartbeat = self._read(Heartbeat, message, accepted)
            if heartbeat is not None:
                accepted.extend(self.heartbeat(heartbeat))
        elif kind in ORDERED_CONTROL:
            if self._position is not None:
                self._enter(accepted)
            accepted.append(message)
        elif kind not in CONTROL:
            accepted.append(message)  # an `error` for this client alone, or a type of a later version
        self.controls.append(message)

    def _covers(self, covers: tuple[int, int] | None, accepted: list[RawMessage]) -> None:
        self._count_filtered()
        if covers is None or not 1 <= covers[0] <= covers[1]:
            self.violations += 1
            return
        self._enter(accepted, first=covers[0])
        self._skip_to(covers[0], accepted)
        self._covered_to = covers[1]

    def _count_filtered(self) -> None:
        """Count the seqs at the end of a filtered batch, behind its last message."""
        if self._position is not None and self._covered_to > self._position[1]:
            self.filtered += self._covered_to - self._position[1]
            self._position = (self._position[0], self._covered_to)
        self._covered_to = 0

    def _resumed(self, resumed: Resumed, accepted: list[RawMessage]) -> None:
        if resumed.epoch != self._connected_epoch or resumed.start < 1:
            self.violations += 1
            return
        self._resumed_here = True
        self._resumed_head = resumed.head
        if self._restarted:
            self._restarted = False
            if resumed.start > 1:
                self._declare(Gap(resumed.epoch, 1, resumed.start - 1, "window"), accepted)
                self._position = (resumed.epoch, resumed.start - 1)
        if self._position is None:
            self._declare_unheld(resumed, accepted)
            self._position = (resumed.epoch, resumed.start - 1)
            self._head = resumed.head

    def _declare_unheld(self, resumed: Resumed, accepted: list[RawMessage]) -> None:
        """Declare what a new client requested of the past and the server no longer holds, which no server declares."""
        requested = max(1, resumed.head - self._history + 1)
        if requested < resumed.start:
            self.unheld = resumed.start - requested
            self._declare(Gap(resumed.epoch, requested, resumed.start - 1, "window"), accepted)

    def _declared(self, gap: Gap, accepted: list[RawMessage]) -> None:
        """Process a server's gap, cut to what is not accounted for yet."""
        self._count_filtered()
        if self._position is None:
            self.violations += 1
            return
        epoch, last = self._position
        if gap.epoch == epoch and epoch != self._connected_epoch:
            self._leave(gap.end, gap.reason, accepted)
            return
        if gap.epoch == self._connected_epoch:
            epoch, last = self._enter(accepted)
        if gap.epoch != epoch or gap.start is None or gap.end is None or gap.end < gap.start:
            self.violations += 1
            return
        if gap.end <= last:
            return
        self._skip_to(gap.start, accepted)
        self._declare(Gap(epoch, max(gap.start, last + 1), gap.end, gap.reason), accepted)
        self._position = (epoch, gap.end)

    def _enter(self, accepted: list[RawMessage], first: int = 1) -> tuple[str, int]:
        """Move to the connection's epoch; the end of an earlier epoch that the server did not declare becomes a gap."""
        assert self._connected_epoch is not None
        if self._position is None:
            self._position = (self._connected_epoch, first - 1)
        elif self._position[0] != self._connected_epoch:
            return self._leave(None, "restart", accepted)
        return self._position

    def _leave(self, end: int | None, reason: str, accepted: list[RawMessage]) -> tuple[str, int]:
        assert self._position is not None and self._connected_epoch is not None
        epoch, last = self._position
        if end is None:
            at_least = self._head if self._head > last else None
            self._declare(Gap(epoch, last + 1, None, reason, at_least), accepted)
        elif end > last:
            self._declare(Gap(epoch, last + 1, end, reason), accepted)
        self._head = 0
        self._position = (self._connected_epoch, 0)
        return self._position

    def _skip_to(self, seq: int, accepted: list[RawMessage]) -> None:
        assert self._position is not None
        epoch, last = self._position
        if seq > last + 1:
            self.skipped += 1
            self._declare(Gap(epoch, last + 1, seq - 1, SKIPPED), accepted)
            self._position = (epoch, seq - 1)

    def _declare(self, gap: Gap, accepted: list[RawMessage]) -> None:
        self.gaps += 1
        if gap.start is not None and gap.end is not None:
            self.missing += gap.end - gap.start + 1
        accepted.append(gap_message(gap))

    def _read(self, kind: type[_S], message: RawMessage, accepted: list[RawMessage]) -> _S | None:
        try:
            return decode_repaired(kind, message.data)
        except WebSocketError as error:
            self.violations += 1
            accepted.append(malformed(encode(message), error))
            return None
