"""Frames cut from the history, built once for all peers at the same offset."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import NamedTuple

from websockets.frames import Frame, Opcode

from ...protocol.codec import encode_batch
from ...protocol.control_payloads import Resume
from ...protocol.messages import NEWER_CONTROL, ORDERED_CONTROL, MessageTypes
from .history import History, HistoryEntry

_CHUNK = 2_000
"""The most entries of a frame, so that replay fills neither a turn of the loop nor a peer's buffer."""
_FRAME_BYTES = 1 << 18
"""The size of a frame, roughly: larger ones save nothing, and delay the loop and the reader."""
_CACHED = 16  # frames: peers that lag a little differently share most of them
_WRAPPING = 128
"""Bytes that a batch adds around its messages, `covers` included."""


class Chunk(NamedTuple):
    """A frame, the offset behind it, the head it leads to, and its number of messages.

    `wire` is the frame as sent over an uncompressed connection: a server does not mask, so it is the same for all.
    """

    frame: bytes
    wire: bytes
    offset: int
    head: int
    messages: int


def understood(resume: Resume) -> frozenset[str]:
    """Return the ordered control types that a client understands."""
    return ORDERED_CONTROL - NEWER_CONTROL | (NEWER_CONTROL & frozenset(resume.capabilities))


class Filter(NamedTuple):
    """A choice of stream messages by type and by character; control messages pass if the client understands them."""

    types: frozenset[str] | None = None
    characters: frozenset[str] | None = None
    controls: frozenset[str] = ORDERED_CONTROL

    @classmethod
    def of(cls, resume: Resume) -> Filter | None:
        """Return the filter that a client requests; `None` if it wants everything."""
        if resume.types is None and resume.characters is None:
            return None
        types = None if resume.types is None else frozenset(resume.types)
        characters = None if resume.characters is None else frozenset(resume.characters)
        return cls(types, characters, understood(resume))

    @classmethod
    def older(cls, resume: Resume) -> Filter | None:
        """Return the filter of a client that wants everything but does not know all control types; such clients share
        it.

        `None` for a client that knows them all.
        """
        controls = understood(resume)
        return None if controls == ORDERED_CONTROL else _passing(controls)

    def passes(self, entry: HistoryEntry) -> bool:
        """Return whether an entry passes the filter."""
        if entry.type in ORDERED_CONTROL:
            return entry.type in self.controls
        return (self.types is None or entry.type in self.types) and (
            self.characters is None or entry.character_id in self.characters
        )


@lru_cache(maxsize=64)
def _passing(controls: frozenset[str]) -> Filter:
    return Filter(controls=controls)


class Frames:
    """Frames of the history, of at most `max_bytes` each, with a cache of the last few."""

    def __init__(self, history: History, max_bytes: int) -> None:
        self._history = history
        self._room = min(max_bytes, _FRAME_BYTES) - _WRAPPING
        self._cache: OrderedDict[tuple[int, int, Filter | None], Chunk] = OrderedDict()
        self._last: tuple[int, int, Filter | None, Chunk] | None = None

    def after(self, offset: int, filter: Filter | None = None) -> Chunk:
        """Return the next frame for a peer at `offset`, which must lie in the history and before its end."""
        end = self._history.end
        last = self._last  # most peers are at the same offset, and this is called for each of them
        if last is not None and last[0] == offset and last[1] == end and last[2] is filter:
            return last[3]
        key = (offset, min(end, offset + _CHUNK), filter)
        chunk = self._cache.get(key)
        if chunk is None:
            chunk = self._cache[key] = self._cut(offset, filter)
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        self._last = (offset, end, filter, chunk)
        return chunk

    def _cut(self, offset: int, filter: Filter | None) -> Chunk:
        entries = self._history.entries(offset, _CHUNK)
        chosen: list[bytes] = []
        passed = 0
        room = self._room
        for entry in entries:
            if filter is not None and entry.type == MessageTypes.GAP and passed:
                break  # `covers` means filtered, a gap means lost: never both in one frame
            if filter is None or filter.passes(entry):
                room -= len(entry.frame) + 1
                if room < 0 and chosen:
                    break
                chosen.append(entry.frame)
            passed += 1
            if filter is not None and entry.type == MessageTypes.GAP:
                break
        head = entries[passed - 1].head
        behind = offset + passed
        first = self._history.head_before(offset) + 1
        if filter is None or entries[0].type == MessageTypes.GAP or head < first:
            frame = chosen[0] if len(chosen) == 1 else encode_batch(chosen)
        else:
            frame = encode_batch(chosen, (first, head))
        return Chunk(frame, Frame(Opcode.TEXT, frame).serialize(mask=False), behind, head, len(chosen))
