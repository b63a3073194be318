"""The one shared history: every message once, encoded, in order, within bounds."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from ...protocol.codec import with_seq
from ...protocol.json_text import encode
from ...protocol.messages import Gap, MessageTypes, WebSocketMessage

_COMPACT = 4096
_OVERHEAD = 200
"""Bytes that an entry costs beside its text, roughly: the bytes object, the tuple, its slot in the list."""


class HistoryEntry(NamedTuple):
    """Hold one message of the history.

    `head` is the last position accounted for once this message has been passed on; `seq` is `None` for an
    ordered control message, which has a place in the order but no position.
    """

    frame: bytes
    seq: int | None
    head: int
    type: str
    character_id: str | None
    added: float
    offset: int
    """Bytes of all messages up to here, this one included."""


class History:
    """Keep the last messages of one epoch; each peer is a *place* in it, an index that only grows.

    Positions (`seq`, from 1) count stream messages and those an overflow lost; places count entries. The
    oldest go first when there are more than `max_messages`, more than `max_bytes`, or, with `max_age_s`,
    when they are older than that.
    """

    def __init__(
        self,
        max_messages: int = 100_000,
        max_bytes: int = 64_000_000,
        max_age_s: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_messages < 1 or max_bytes < 1:
            raise ValueError("a history holds at least one message and one byte; give max_messages and max_bytes ≥ 1")
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.max_age_s = max_age_s
        self.head = 0
        """The last position assigned."""
        self.bytes = 0
        self._clock = clock
        self._entries: list[HistoryEntry] = []
        self._first = 0  # index in _entries of the first entry held; what lies before it is let go in pieces
        self._dropped = 0  # places before _entries[0]
        self._base = 0  # head before the first entry held
        self._offset = 0  # bytes of all messages ever

    @property
    def oldest(self) -> int:
        """Give the first position still accounted for: `head + 1` when nothing is held."""
        return self._base + 1

    @property
    def start(self) -> int:
        """Give the place of the first entry held."""
        return self._dropped + self._first

    @property
    def end(self) -> int:
        """Give the place that the next entry will have."""
        return self._dropped + len(self._entries)

    def __len__(self) -> int:
        return len(self._entries) - self._first

    def append(self, message: bytes, type: str, character_id: str | None = None) -> int:
        """Give an encoded stream message the next position, and return it."""
        self.head = seq = self.head + 1
        self._add(with_seq(message, seq), seq, type, character_id)
        return seq

    def append_control(self, frame: bytes, type: str) -> None:
        """Put an ordered control message, whole, behind what is there."""
        self._add(frame, None, type, None)

    def append_lost(self, epoch: str, count: int, reason: str = "overflow") -> None:
        """Assign `count` positions to messages that are not there to be held, and declare them."""
        gap = Gap(epoch, self.head + 1, self.head + count, reason)
        self.head += count
        self._add(encode(WebSocketMessage(MessageTypes.GAP, gap)), None, MessageTypes.GAP, None)

    def _add(self, frame: bytes, seq: int | None, type: str, character_id: str | None) -> None:
        now = self._clock()
        self._offset += len(frame)
        self._entries.append(HistoryEntry(frame, seq, self.head, type, character_id, now, self._offset))
        self.bytes += len(frame) + _OVERHEAD
        while len(self) > self.max_messages or (self.bytes > self.max_bytes and len(self) > 1):
            self._evict()

    def expire(self) -> None:
        """Let go of what is older than `max_age_s`, to be asked every now and then."""
        if self.max_age_s is not None:
            oldest = self._clock() - self.max_age_s
            while len(self) and self._entries[self._first].added < oldest:
                self._evict()

    def _evict(self) -> None:
        gone = self._entries[self._first]
        self.bytes -= len(gone.frame) + _OVERHEAD
        self._base = gone.head
        self._first += 1
        # whole pieces, so that letting go costs nothing an entry
        if self._first >= _COMPACT and self._first * 4 >= len(self._entries):
            del self._entries[: self._first]
            self._dropped += self._first
            self._first = 0

    def entries(self, place: int, limit: int) -> list[HistoryEntry]:
        """Give at most `limit` entries from `place` on, which must not lie before `start`."""
        index = place - self._dropped
        return self._entries[index : index + limit]

    def head_before(self, place: int) -> int:
        """Give the position accounted for by whoever stands at `place`."""
        index = place - self._dropped
        return self._base if index <= self._first else self._entries[index - 1].head

    def bytes_after(self, place: int) -> int:
        """Give the bytes of all messages from `place` on, those let go meanwhile included."""
        if place >= self.end:
            return 0
        entry = self._entries[max(place - self._dropped, self._first)]
        return self._offset - entry.offset + len(entry.frame)

    def place_after(self, seq: int) -> int:
        """Find the place of whoever has accounted for `seq` and everything before it.

        Control messages that followed `seq` directly come again: whether they arrived nobody knows, and
        a state said twice does no harm.
        """
        if seq < self._base:
            raise ValueError(f"position {seq} lies before the history, which begins after {self._base}")
        index = bisect_left(self._entries, seq, lo=self._first, key=lambda entry: entry.head)
        advanced = index < len(self._entries) and self._entries[index].head == seq > (
            self._base if index == self._first else self._entries[index - 1].head
        )
        return self._dropped + index + advanced
