"""The server's history of stream messages: each once, encoded, in order, within bounds."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from ...protocol.codec import with_seq
from ...protocol.control_payloads import Gap
from ...protocol.json_text import encode
from ...protocol.messages import MessageTypes, WebSocketMessage

_COMPACT = 4096  # dropped entries before the list is shortened: one deletion for many
_OVERHEAD = 200
"""Bytes that an entry takes beside its text, roughly: the bytes object, the tuple, its slot in the list."""


class HistoryEntry(NamedTuple):
    """One message of the history.

    `head` is the last seq accounted for once this message was sent; `seq` is `None` for an ordered control message,
    which has an offset but no seq.
    """

    frame: bytes
    seq: int | None
    head: int
    type: str
    character_id: str | None
    added: float
    total_bytes: int
    """Bytes of all messages up to this one, included."""


class History:
    """The last messages of one epoch; each peer reads from an *offset*, an index that only grows.

    Seqs (from 1) count stream messages and those lost by an overflow; offsets count entries. The oldest entries are
    dropped when there are more than `max_messages`, more than `max_bytes`, or, with `max_age_s`, when they are older.
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
            raise ValueError("a history needs room for a message; max_messages and max_bytes must be at least 1")
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.max_age_s = max_age_s
        self.head = 0
        """The last seq assigned."""
        self.bytes = 0
        self._clock = clock
        self._entries: list[HistoryEntry] = []
        self._first = 0  # index in _entries of the first entry held; entries before it are deleted in blocks
        self._dropped = 0  # entries before _entries[0]
        self._base = 0  # head before the first entry held
        self._total_bytes = 0  # bytes of all messages ever

    @property
    def oldest(self) -> int:
        """Return the first seq still accounted for: `head + 1` if nothing is held."""
        return self._base + 1

    @property
    def start(self) -> int:
        """Return the offset of the first entry held."""
        return self._dropped + self._first

    @property
    def end(self) -> int:
        """Return the offset of the next entry."""
        return self._dropped + len(self._entries)

    def __len__(self) -> int:
        return len(self._entries) - self._first

    def append(self, message: bytes, type: str, character_id: str | None = None) -> int:
        """Add an encoded stream message, and return its new seq."""
        self.head = seq = self.head + 1
        self._add(with_seq(message, seq), seq, type, character_id)
        return seq

    def append_control(self, frame: bytes, type: str) -> None:
        """Add an ordered control message."""
        self._add(frame, None, type, None)

    def append_lost(self, epoch: str, count: int, reason: str = "overflow") -> None:
        """Assign `count` seqs to lost messages, and add the gap that declares them."""
        gap = Gap(epoch, self.head + 1, self.head + count, reason)
        self.head += count
        self._add(encode(WebSocketMessage(MessageTypes.GAP, gap)), None, MessageTypes.GAP, None)

    def _add(self, frame: bytes, seq: int | None, type: str, character_id: str | None) -> None:
        now = self._clock()
        self._total_bytes += len(frame)
        self._entries.append(HistoryEntry(frame, seq, self.head, type, character_id, now, self._total_bytes))
        self.bytes += len(frame) + _OVERHEAD
        while len(self) > self.max_messages or (self.bytes > self.max_bytes and len(self) > 1):
            self._evict()

    def expire(self) -> None:
        """Drop what is older than `max_age_s`; call this regularly."""
        if self.max_age_s is not None:
            oldest = self._clock() - self.max_age_s
            while len(self) and self._entries[self._first].added < oldest:
                self._evict()

    def _evict(self) -> None:
        gone = self._entries[self._first]
        self.bytes -= len(gone.frame) + _OVERHEAD
        self._base = gone.head
        self._first += 1
        # in blocks, so that dropping an entry is cheap
        if self._first >= _COMPACT and self._first * 4 >= len(self._entries):
            del self._entries[: self._first]
            self._dropped += self._first
            self._first = 0

    def entries(self, offset: int, limit: int) -> list[HistoryEntry]:
        """Return at most `limit` entries from `offset` on, which must not lie before `start`."""
        index = offset - self._dropped
        return self._entries[index : index + limit]

    def head_before(self, offset: int) -> int:
        """Return the last seq accounted for by a peer at `offset`."""
        index = offset - self._dropped
        return self._base if index <= self._first else self._entries[index - 1].head

    def bytes_after(self, offset: int) -> int:
        """Return the bytes of all messages from `offset` on, including those dropped since."""
        if offset >= self.end:
            return 0
        entry = self._entries[max(offset - self._dropped, self._first)]
        return self._total_bytes - entry.total_bytes + len(entry.frame)

    def offset_after(self, seq: int) -> int:
        """Return the offset for a peer that has accounted for `seq` and everything before it.

        Control messages that followed `seq` directly are sent again: it is unknown whether they arrived, and repeating
        a state does no harm.
        """
        if seq < self._base:
            raise ValueError(f"seq {seq} lies before the history, which begins after {self._base}")
        index = bisect_left(self._entries, seq, lo=self._first, key=lambda entry: entry.head)
        advanced = index < len(self._entries) and self._entries[index].head == seq > (
            self._base if index == self._first else self._entries[index - 1].head
        )
        return self._dropped + index + advanced
