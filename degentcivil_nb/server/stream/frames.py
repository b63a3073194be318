"""Frames cut from the history: built once for everybody who stands at the same place."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from websockets.frames import Frame, Opcode

from ...protocol.codec import encode_batch
from ...protocol.messages import ORDERED_CONTROL, MessageTypes, Resume
from .history import History, HistoryEntry

_CHUNK = 2_000
"""Entries a frame at most: replay in pieces that neither fill a loop's turn nor a peer's buffer."""
_FRAME_BYTES = 1 << 18
"""Bytes a frame, roughly: more would save nothing, and hold up the loop and the reader."""
_KEPT = 16
_WRAPPING = 128
"""Bytes that a batch adds around its messages, `covers` included."""


class Chunk(NamedTuple):
    """Hold a frame, the place behind it, the position it leads to, and how many messages it carries.

    `wire` is the frame as it goes over an uncompressed connection: a server masks nothing, so it is the same for all.
    """

    frame: bytes
    wire: bytes
    place: int
    head: int
    messages: int


class Filter(NamedTuple):
    """Choose stream messages by type and by character; control messages always pass."""

    types: frozenset[str] | None = None
    characters: frozenset[str] | None = None

    @classmethod
    def of(cls, resume: Resume) -> Filter | None:
        """Read the filter that a client asks for; `None` where it wants everything."""
        if resume.types is None and resume.characters is None:
            return None
        types = None if resume.types is None else frozenset(resume.types)
        characters = None if resume.characters is None else frozenset(resume.characters)
        return cls(types, characters)

    def passes(self, entry: HistoryEntry) -> bool:
        """Say whether the entry is wanted."""
        if entry.type in ORDERED_CONTROL:
            return True
        return (self.types is None or entry.type in self.types) and (
            self.characters is None or entry.character_id in self.characters
        )


class Frames:
    """Cut the history into frames, never of more than `max_bytes`, and keep the last few for the next peer."""

    def __init__(self, history: History, max_bytes: int) -> None:
        self._history = history
        self._room = min(max_bytes, _FRAME_BYTES) - _WRAPPING
        self._kept: OrderedDict[tuple[int, int, Filter | None], Chunk] = OrderedDict()
        self._last: tuple[int, int, Filter | None, Chunk] | None = None

    def after(self, place: int, filter: Filter | None = None) -> Chunk:
        """Give the next frame for whoever stands at `place`, which must lie in the history and before its end."""
        end = self._history.end
        last = self._last  # most peers stand at the same place, and this is asked for each of them
        if last is not None and last[0] == place and last[1] == end and last[2] is filter:
            return last[3]
        key = (place, min(end, place + _CHUNK), filter)
        chunk = self._kept.get(key)
        if chunk is None:
            chunk = self._kept[key] = self._cut(place, filter)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._last = (place, end, filter, chunk)
        return chunk

    def _cut(self, place: int, filter: Filter | None) -> Chunk:
        entries = self._history.entries(place, _CHUNK)
        taken: list[bytes] = []
        passed = 0
        room = self._room
        for entry in entries:
            if filter is not None and entry.type == MessageTypes.GAP and passed:
                break  # what `covers` spans was filtered; what a gap names was lost: never in one frame
            if filter is None or filter.passes(entry):
                room -= len(entry.frame) + 1
                if room < 0 and taken:
                    break
                taken.append(entry.frame)
            passed += 1
            if filter is not None and entry.type == MessageTypes.GAP:
                break
        head = entries[passed - 1].head
        behind = place + passed
        first = self._history.head_before(place) + 1
        if filter is None or entries[0].type == MessageTypes.GAP or head < first:
            frame = taken[0] if len(taken) == 1 else encode_batch(taken)
        else:
            frame = encode_batch(taken, (first, head))
        return Chunk(frame, Frame(Opcode.TEXT, frame).serialize(mask=False), behind, head, len(taken))
