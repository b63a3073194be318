"""A recording as a tape: its messages and when they are due, and the town as it was wherever the tape stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Raw

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.message import ORDERED_CONTROL, MessageTypes, RawMessage, Snapshot, SnapshotCharacter
from ..server.present import Present
from ..store.event_store import EventStore
from ..store.long_store import snapshot_characters
from ..store.schema import LATEST_S
from ..store.segment_reader import SegmentFolder

NEAR_S: Final = 86_400.0
"""How far a sender's clock may be from the receiver's to be believed: a wild one must not hold the tape up."""
_PIECE: Final = 4_096


class Item(NamedTuple):
    """Hold one message and its moment, in seconds since 1970."""

    message: RawMessage
    moment: float


class Scene:
    """Know what has been told so far: the town, the tick, the moment."""

    def __init__(self, present: Present) -> None:
        self.present = present
        self.tick: int | None = None
        self.moment = -math.inf
        self._parts: list[SnapshotCharacter] = []

    def note(self, item: Item) -> None:
        """Take note of tick and moment."""
        if item.message.tick is not None:
            self.tick = item.message.tick
        self.moment = max(self.moment, item.moment)

    def snapshot(self, message: RawMessage) -> bool:
        """Take a part of a recorded snapshot; true with the last one, which makes the town another."""
        try:
            part = decode(Snapshot, message.data)
        except WebSocketError:
            return False
        if part.part == 0:
            self._parts = []
        self._parts += part.characters
        if part.last:
            self.present.restore(self._parts)
            self._parts = []
        return part.last

    def branch(self) -> Scene:
        """Give another scene that begins as this one is."""
        scene = Scene(Present())
        scene.become(self)
        return scene

    def become(self, other: Scene) -> None:
        """Be as another scene is."""
        self.present.restore(other.present.characters())
        self.tick, self.moment = other.tick, other.moment


class Tape:
    """Read a recording in order. One thread at a time; `FileNotFoundError` where there is none."""

    def __init__(self, path: Path) -> None:
        self.folder = SegmentFolder(path)
        stats = [segment.stats for segment in self.folder.segments]
        ticks = [item.tick for item in stats if item.tick is not None]
        times = [item.time for item in stats if item.time is not None]
        self.last_tick = max((high for _, high in ticks), default=None)
        self.last_time = max((high for _, high in times), default=None)
        self.closed = False
        """Set from another thread, it ends a `wind` at once."""
        self._items: Iterator[Item] = self._read()

    def _read(self) -> Iterator[Item]:
        for entry in self.folder.entries():
            for message in entry.messages:
                yield Item(message, _moment(message.timestamp, entry.received))

    def read(self, count: int) -> list[Item]:
        """Give the next `count` items, fewer at the end."""
        return list(islice(self._items, count))

    def wind(
        self, scene: Scene, passed: Callable[[Item], bool], ahead: Iterable[Item] | None
    ) -> tuple[int, list[Item]]:
        """Go on to the first item that is `passed`, noting in `scene` what is on the way.

        `ahead` is what was read and not told yet; with `None` the tape is wound back to its beginning first. Gives how
        many events were on the way, and what to tell next.
        """
        items = self._items = self._read() if ahead is None else chain(ahead, self._items)
        town = EventStore(max_rows=_PIECE)  # takes thousands at a time, where telling them would take each by itself
        snapshot = Snapshot(0, characters=list(scene.present.characters()))
        town.append([RawMessage(MessageTypes.SNAPSHOT, Raw(encode(snapshot)))], 0.0)
        skipped = 0
        rest: list[Item] = []
        while not rest and not self.closed and (piece := list(islice(items, _PIECE))):
            stop = next((place for place, item in enumerate(piece) if passed(item)), len(piece))
            piece, rest = piece[:stop], piece[stop:]
            for item in piece:
                scene.note(item)
            if piece:
                town.append([item.message for item in piece], piece[0].moment)
            skipped += sum(item.message.type not in ORDERED_CONTROL for item in piece)
        scene.present.restore(snapshot_characters(town.present_columns()))
        return skipped, rest


def _moment(sent: float | None, received: float) -> float:
    if sent is not None and 0 <= sent < LATEST_S and abs(sent - received) <= NEAR_S:
        return sent
    return received if 0 <= received < LATEST_S else 0.0


class Playhead:
    """Say which recorded moment it is: it moves `speed` times as fast as `clock` (seconds) while it is running."""

    def __init__(self, speed: float, clock: Callable[[], float]) -> None:
        self._speed = speed
        self._clock = clock
        self._at: float | None = None
        self._since: float | None = None

    @property
    def moment(self) -> float | None:
        """Give the recorded moment; `None` before the first."""
        if self._at is None or self._since is None:
            return self._at
        return self._at + (self._clock() - self._since) * self._speed

    def place(self, moment: float | None) -> None:
        """Be at another moment, without more or less movement than before."""
        self._at = moment
        if self._since is not None:
            self._since = self._clock()

    def run(self) -> None:
        """Begin to move."""
        if self._since is None:
            self._since = self._clock()

    def stop(self) -> None:
        """Stand still."""
        self._at, self._since = self.moment, None

    def set_speed(self, speed: float) -> None:
        """Move faster or slower from here on."""
        self.place(self.moment)
        self._speed = speed

    def wait_s(self, moment: float) -> float:
        """Give the seconds until a moment is due, at the present speed; the first moment asked about is due now."""
        now = self.moment
        if now is None:
            self.place(moment)
            return 0.0
        return (moment - now) / self._speed
