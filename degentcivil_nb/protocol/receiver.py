"""The client's half of resuming: every position is stored once, declared missing, or known to be filtered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import Raw, Struct

from .codec import malformed
from .errors import WebSocketError
from .json_text import encode
from .mending import decode_theirs
from .messages import CONTROL, Gap, Heartbeat, Hello, MessageTypes, RawMessage, Resume, Resumed
from .resume import ResumePlan, plan_resume

__all__ = ["ResumePlan", "StreamReceiver", "gap_message", "plan_resume"]

SKIPPED: Final = "skipped"
"""The reason of a gap that no server declared: positions were jumped, or lost at the tail."""

_NEEDS_HELLO: Final = frozenset(
    {
        MessageTypes.BATCH,
        MessageTypes.GAP,
        MessageTypes.RESUMED,
        MessageTypes.RUN_STATE,
        MessageTypes.SNAPSHOT,
    }
)
_S = TypeVar("_S", bound=Struct)


def gap_message(gap: Gap, timestamp: float | None = None) -> RawMessage:
    """Make the message that declares `gap`; `timestamp` says since when, where that is known."""
    return RawMessage(MessageTypes.GAP, Raw(encode(gap)), timestamp)


class StreamReceiver:
    """Account for every position of the streams that one session follows, across cuts, restarts and filters.

    For each connection: `accept` what arrives, in order; once `hello` is among it (or was given to `hello`), send
    `resume_request`; and `cut` at its end. Positions move only in `accept` and `heartbeat`, so that whatever was not
    handed on is asked for again by the next connection.
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
        self._resumed_here = False  # before that, a heartbeat's `head` says nothing of us
        self._head = 0  # the last position ever heard of in the epoch of `_position`
        self._promised = 0  # where the stream was when it was resumed
        self._anew = False  # the same epoch was found to be another
        self._left: list[RawMessage] = []  # the gap that this leaves
        self._covered_to = 0  # a filtered batch accounts for everything up to here
        self.controls: list[RawMessage] = []
        """The unsequenced messages of the last `accept`, in order, for whoever acts on them."""
        self.received = 0
        self.duplicates = 0
        self.filtered = 0
        self.missing = 0
        """Positions declared missing, where both bounds are known."""
        self.gaps = 0
        self.skipped = 0
        """Gaps that no server declared; each is a bug of the server."""
        self.violations = 0
        """Messages that contradict the protocol and were left out."""

    @property
    def position(self) -> tuple[str, int] | None:
        """Give epoch and the last position accounted for; `None` for a newcomer, until `resumed` says where it is."""
        return self._position

    @property
    def head(self) -> int:
        """Give the last position ever heard of in the epoch of `position`."""
        return max(self._head, self._position[1] if self._position else 0)

    @property
    def on_their_way(self) -> int | None:
        """Count the positions that the server had when it resumed and that have not come yet; `None` before that."""
        if not self._resumed_here or self._position is None:
            return None
        epoch, last = self._position
        return max(0, self._promised - (last if epoch == self._connected_epoch else 0))

    def resume_request(self) -> Resume:
        """Say what to ask the server for: to go on after `position`, or a newcomer's `history`."""
        if self._anew:  # a newcomer's answer begins with the town as it is, which is not the one of before
            return Resume(None, None, self._head, self._types, self._characters)
        epoch, seq = self._position or (None, None)
        return Resume(epoch, seq, self._history, self._types, self._characters)

    @property
    def epoch(self) -> str | None:
        """Give the epoch of the server at the other end, `None` until it has said `hello`."""
        return self._connected_epoch

    def cut(self) -> None:
        """Note that the connection ended: until the next `hello` nobody knows who is at the other end."""
        self._connected_epoch = None
        self._resumed_here = False
        self._covered_to = 0

    def hello(self, hello: Hello) -> None:
        """Note which epoch the server at the other end of a new connection is in."""
        if self._connected_epoch is not None:
            self.violations += 1
            return
        self._connected_epoch = hello.epoch
        if self._position is None or self._position[0] != hello.epoch:
            self._anew = False
            return
        if hello.head < self._position[1]:
            self._begins_anew(hello.epoch, self._position[1])
        self._head = max(self._head, hello.head)

    def _begins_anew(self, epoch: str, last: int) -> None:
        """Leave what the same epoch was before: whoever heads back has restarted, whatever name it goes by."""
        self._declare(Gap(epoch, last + 1, None, "restart", self._head if self._head > last else None), self._left)
        self._position, self._head, self._anew = (epoch, 0), 0, True

    def accept(self, messages: list[RawMessage]) -> list[RawMessage]:
        """Take whole frames' messages in order and return what the store is to get, in order.

        Duplicates are dropped, and skipped positions become gap messages where they were skipped. Control messages
        that the store does not keep are only in `controls`.
        """
        if self.controls:
            self.controls = []
        if not messages:
            return []
        position = self._position
        if position is not None and position[0] == self._connected_epoch:
            epoch, last = position
            end = last + len(messages)
            # one comparison in C for the ordinary case; both ends first, so that the others do not pay for it
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
        self._settle_filtered()
        return accepted

    def heartbeat(self, heartbeat: Heartbeat) -> list[RawMessage]:
        """Compare the last position put on this connection with what arrived; what is missing becomes a gap."""
        accepted: list[RawMessage] = []
        head = heartbeat.head
        if self._position is None or not self._resumed_here or heartbeat.epoch != self.epoch or head is None:
            return accepted
        self._enter(accepted)
        self._settle_filtered()
        self._skip_to(head + 1, accepted)
        self._head = max(self._head, head)
        return accepted

    # --- one message at a time, where the ordinary case does not apply ------------------------------------------

    def _sequenced(self, message: RawMessage, seq: int, accepted: list[RawMessage]) -> None:
        epoch, last = self._enter(accepted, first=seq)  # `first` stands in for a `resumed` that was forgotten
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
                accepted += self._left
                self._left.clear()
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
        elif kind in (MessageTypes.SNAPSHOT, MessageTypes.RUN_STATE):
            if self._position is not None:
                self._enter(accepted)
            accepted.append(message)
        elif kind not in CONTROL:
            accepted.append(message)  # an `error` for this client alone, or a type from the future
        self.controls.append(message)

    def _covers(self, covers: tuple[int, int] | None, accepted: list[RawMessage]) -> None:
        self._settle_filtered()
        if covers is None or not 1 <= covers[0] <= covers[1]:
            self.violations += 1
            return
        self._enter(accepted, first=covers[0])
        self._skip_to(covers[0], accepted)
        self._covered_to = covers[1]

    def _settle_filtered(self) -> None:
        """Count the end of a filtered batch, behind its last message."""
        if self._position is not None and self._covered_to > self._position[1]:
            self.filtered += self._covered_to - self._position[1]
            self._position = (self._position[0], self._covered_to)
        self._covered_to = 0

    def _resumed(self, resumed: Resumed, accepted: list[RawMessage]) -> None:
        if resumed.epoch != self._connected_epoch or resumed.start < 1:
            self.violations += 1
            return
        self._resumed_here = True
        self._promised = resumed.head
        if self._anew:
            self._anew = False
            if resumed.start > 1:
                self._declare(Gap(resumed.epoch, 1, resumed.start - 1, "window"), accepted)
                self._position = (resumed.epoch, resumed.start - 1)
        if self._position is None:
            self._position = (resumed.epoch, resumed.start - 1)
            self._head = resumed.head

    def _declared(self, gap: Gap, accepted: list[RawMessage]) -> None:
        """Take a server's gap, cut to what is not accounted for yet."""
        self._settle_filtered()
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
        """Be in the epoch of the connection, and leave a dead one whose end the server did not declare."""
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
            return decode_theirs(kind, message.data)
        except WebSocketError as error:
            self.violations += 1
            accepted.append(malformed(encode(message), error))
            return None
