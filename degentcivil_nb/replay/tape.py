"""A recording as a tape: its messages and when they are due, and the characters at any point."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, islice
from numbers import Real
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Raw

from ..protocol.commands import wrong_argument
from ..protocol.control_payloads import Snapshot, SnapshotCharacter
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import ORDERED_CONTROL, MessageTypes, RawMessage
from ..recordings.index import SegmentSummary, moment_of, own_clock
from ..recordings.manifest import span_of
from ..recordings.segment_reader import SegmentFolder
from ..recordings.whole_run import snapshot_characters
from ..server.stream.snapshot import SnapshotBuilder
from ..store.arguments import moment_ns
from ..store.event_store import EventStore
from ..store.schema import SECOND, to_ns
from .seek_index import SeekIndex, SeekTarget, TapeItem

MAX_SPEED: Final = 1e6
LONGEST_SILENCE_S: Final = 3.0
"""The default longest silence: long enough to notice, short enough not to look like a replay that hangs."""
CLOCK_JUMP_S: Final = 60.0
"""From this many seconds on a recorded clock was set back; smaller differences are two senders out of step."""
_PIECE: Final = 4_096


class ReplayState:
    """The state at a point of a replay: characters, tick and moment."""

    def __init__(self, present: SnapshotBuilder) -> None:
        self.present = present
        self.tick: int | None = None
        self.moment = -math.inf
        self._parts: list[SnapshotCharacter] = []

    def note(self, item: TapeItem) -> None:
        """Update tick and moment."""
        if item.message.tick is not None:
            self.tick = item.message.tick
        self.moment = max(self.moment, item.moment)

    def snapshot(self, message: RawMessage) -> bool:
        """Add a part of a recorded snapshot; return True with the last one, which replaces the characters."""
        try:
            part = decode(Snapshot, message.data)
        except WebSocketError:
            return False
        if part.part == 0:
            self._parts = []
        self._parts += part.characters
        self.present.tell_places(part.places)
        if part.last:
            self.present.restore(self._parts)
            self._parts = []
        return part.last

    def branch(self) -> ReplayState:
        """Return a copy."""
        state = ReplayState(SnapshotBuilder())
        state.become(self)
        return state

    def become(self, other: ReplayState) -> None:
        """Copy another state into this one."""
        self.present.restore(other.present.characters())
        self.present.tell_places(other.present.places())
        self.tick, self.moment = other.tick, other.moment


class Tape:
    """A recording read in order. Used by one thread at a time; `FileNotFoundError` if there is none."""

    def __init__(self, path: Path) -> None:
        self.folder = SegmentFolder(path)
        stats = [segment.stats for segment in self.folder.segments]
        ticks = [item.tick for item in stats if item.tick is not None]
        span = span_of(stats)
        self.last_tick = max((high for _, high in ticks), default=None)
        self.last_time = None if span is None else span[1]
        self.seek_index = SeekIndex(self.folder)
        self._events = 0  # that were read
        self._items = self._read()

    @property
    def events_read(self) -> int:
        """Return the number of events read so far."""
        return self._events

    def require_tick(self, tick: int) -> None:
        """Refuse a tick beyond the recording."""
        if self.last_tick is None:
            raise wrong_argument("tick", "this recording has no ticks")
        if tick > self.last_tick:
            raise wrong_argument("tick", f"the recording ends at tick {self.last_tick}")

    def require_time(self, moment: float) -> None:
        """Refuse a time beyond the recording."""
        if self.last_time is None:
            raise wrong_argument("time", "this recording has no times")
        if moment > self.last_time + 1e-6:  # tables show times in whole microseconds
            raise wrong_argument("time", f"the recording ends at {_date(self.last_time)} ({self.last_time:.15g} s)")

    def close(self) -> None:
        """Stop reading on another thread."""
        self.seek_index.closed = True

    def _read(self, start: int = 0, latest: float = -math.inf) -> Iterator[TapeItem]:
        """Read from the message of index `start` on; `latest` is the latest moment before it."""
        before = own_clock(self.folder.clock_begins, latest)
        for entry in self.folder.entries(start=start):
            for message in entry.messages:
                moment = moment_of(message.timestamp, entry.received, before)
                yield TapeItem(message, moment, entry.epoch)
                before = None if before is None else max(before, moment)

    def read(self, count: int) -> list[TapeItem]:
        """Return the next `count` items, fewer at the end."""
        items = list(islice(self._items, count))
        self._events += _events_of(items)
        return items

    def begin_at(self, target: SeekTarget, back: bool) -> SegmentSummary | None:
        """Return where `advance` should start: at a segment, or with `None` at the current point.

        Raises `LookupError` if that is known only after reading further.
        """
        summary = self.seek_index.summary(target)
        if summary is None and (back or not self.seek_index.is_near(target, self._events)):
            raise LookupError("the recording was not read that far")
        return summary if summary is not None and (back or summary.events > self._events) else None

    def advance(
        self, state: ReplayState, target: SeekTarget, ahead: list[TapeItem], summary: SegmentSummary | None
    ) -> SeekResult:
        """Read up to the first item that passes the target, and apply the items on the way to `state`.

        `ahead` are the items that were read and not published yet; `summary` is what `begin_at` returned.
        """
        town = EventStore(max_rows=_PIECE)  # thousands at a time, unlike publishing, which goes one by one
        told = self._events - _events_of(ahead)
        if summary is None:
            snapshot = Snapshot(0, characters=list(state.present.characters()))
            town.append([RawMessage(MessageTypes.SNAPSHOT, Raw(encode(snapshot)))], 0.0)
            self._items = chain(ahead, self._items)
            self._events = told
        else:
            town.append(self.seek_index.index.town(summary), 0.0, summary.epoch)
            state.tick, state.moment = summary.tick, summary.moment
            self._items = self._read(summary.segment.stats.ordinal, summary.moment)
            self._events = summary.events
        rest: list[TapeItem] = []
        while not rest and not self.seek_index.closed and (piece := list(islice(self._items, _PIECE))):
            stop = next((place for place, item in enumerate(piece) if target.is_passed_by(item)), len(piece))
            piece, rest = piece[:stop], piece[stop:]
            for item in piece:
                state.note(item)
            for epoch, group in groupby(piece, attrgetter("epoch")):
                items = list(group)
                town.append([item.message for item in items], items[0].moment, epoch)
            self._events += _events_of(piece)
        skipped = self._events - told
        self._events += _events_of(rest)
        state.present.restore(snapshot_characters(town.present_columns()))
        state.present.tell_places(town.parts.places.told())
        return SeekResult(skipped, rest)


def seconds_of(time: str | float | None, now: float) -> float:
    """Convert a time as text, in seconds since 1970, or relative to `now` (`"-30s"`); anything else is refused."""
    try:
        return moment_ns(time, to_ns(now)) / SECOND
    except ValueError as error:
        raise wrong_argument("time", str(error)) from error


def span(seconds: float) -> str:
    """Format a duration: `45 s`, `8:00:00`, `400 days, 0:00:00`."""
    return f"{seconds:.3g} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _date(seconds: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat(sep=" ", timespec="milliseconds")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


class SeekResult(NamedTuple):
    """How many events were skipped, and the items to publish next."""

    skipped: int
    rest: list[TapeItem]


def _events_of(items: Iterable[TapeItem]) -> int:
    return sum([item.message.type not in ORDERED_CONTROL for item in items])


class Playhead:
    """The recorded moment that a replay is at; it advances `speed` times as fast as `clock` (seconds) while it runs.

    A silence longer than `longest_s` (seconds) is shortened to that; `None` shortens none. If the recorded clock was
    set back, playback continues from the new time; a jump ahead is treated as a silence.
    """

    def __init__(self, speed: float, clock: Callable[[], float], longest_s: float | None = None) -> None:
        if not (_is_number(speed) and 0 < speed <= MAX_SPEED):
            raise ValueError(f"speed is a number above 0 and up to {MAX_SPEED:,.0f}, not {speed!r:.80}")
        if longest_s is not None and not (_is_number(longest_s) and longest_s > 0):
            raise ValueError(f"longest_silence_s is a number of seconds above 0, or None, not {longest_s!r:.80}")
        self._speed = float(speed)
        self._clock = clock
        self._longest_s = math.inf if longest_s is None else float(longest_s)
        self._at: float | None = None
        self._since: float | None = None
        self._last = self._furthest = -math.inf
        self.left_out_s = 0.0
        """Seconds of recorded silence left out so far."""

    @property
    def speed(self) -> float:
        """Return the speed as a factor of the recorded one."""
        return self._speed

    @property
    def moment(self) -> float | None:
        """Return the recorded moment; `None` before the first."""
        if self._at is None or self._since is None:
            return self._at
        return self._at + (self._clock() - self._since) * self._speed

    def set_moment(self, moment: float | None) -> None:
        """Move to another moment, and keep running or stopped as before."""
        self._last = self._furthest = -math.inf if moment is None else moment
        self._move_to(moment)

    def _move_to(self, moment: float | None) -> None:
        self._at = moment
        if self._since is not None:
            self._since = self._clock()

    def run(self) -> None:
        """Start."""
        if self._since is None:
            self._since = self._clock()

    def stop(self) -> None:
        """Stop."""
        self._at, self._since = self.moment, None

    def set_speed(self, speed: float) -> None:
        """Change the speed from here on."""
        self._move_to(self.moment)
        self._speed = speed

    def wait_s(self, moment: float) -> float:
        """Return the seconds until the next message is due, which is of that moment; the first one is due now."""
        now = self.moment
        if now is None or moment < self._last - CLOCK_JUMP_S:
            self._move_to(moment)
            now = moment
        elif moment - now > CLOCK_JUMP_S and moment > self._furthest - CLOCK_JUMP_S:  # where it was before it went back
            now = max(now, min(self._furthest, moment))
            self._move_to(now)
        ahead = moment - now
        longest = self._longest_s * self._speed
        if ahead > max(longest, self._longest_s):
            self.left_out_s += ahead - longest
            self._move_to(moment - longest)
            ahead = longest
        if ahead <= 0:
            self._last, self._furthest = moment, max(self._furthest, moment)
        return ahead / self._speed
