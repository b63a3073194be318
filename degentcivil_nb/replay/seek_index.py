"""The segment with a given tick or time, so that a seek starts there and not at the beginning."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..protocol.messages import RawMessage
from ..recordings.index import RecordingIndex, SegmentSummary
from ..recordings.manifest import SegmentStats
from ..recordings.segment_reader import SegmentFolder

NEAR_EVENTS: Final = 100_000
"""The number of events that are read rather than searched for a better start."""


class TapeItem(NamedTuple):
    """A message, its moment in seconds since 1970, and the epoch of its seq."""

    message: RawMessage
    moment: float
    epoch: str | None


class SeekTarget(NamedTuple):
    """A target on a tape: the end of a tick, or just before a moment."""

    tick: int | None
    moment: float = 0.0

    def is_passed_by(self, item: TapeItem) -> bool:
        """Return whether a message comes after the target."""
        if self.tick is None:
            return item.moment >= self.moment
        return item.message.tick is not None and item.message.tick > self.tick

    def is_in(self, summary: SegmentSummary) -> bool:
        """Return whether the target is in a segment, or before it."""
        return summary.top >= self.moment if self.tick is None else self.may_be_in(summary.segment.stats)

    def may_be_in(self, stats: SegmentStats) -> bool:
        """Return whether the target may be in a segment, or before it, according to its statistics."""
        if self.tick is None:
            return stats.time is not None and stats.time[1] >= self.moment
        return stats.tick is not None and stats.tick[1] > self.tick


class SeekIndex:
    """The beginnings of the segments on a tape, and the characters there, as far as they were read."""

    def __init__(self, folder: SegmentFolder) -> None:
        self._folder = folder
        self._index: RecordingIndex | None = None
        self.closed = False
        """An event that another thread sets to stop `read_on` soon."""

    @property
    def index(self) -> RecordingIndex:
        """Return the index of the recording, created when it is first needed."""
        if self._index is None:
            self._index = RecordingIndex(self._folder)
        return self._index

    def summary(self, target: SeekTarget) -> SegmentSummary | None:
        """Return the segment to start at on the way to a target, `None` if it must be read first."""
        index = self.index
        summaries = index.summaries[:]
        place = next((place for place, summary in enumerate(summaries) if target.is_in(summary)), None)
        if place is None:
            if not index.complete or not summaries:
                return None
            place = len(summaries) - 1
        # after missing messages, the gap that declares them precedes the summary's own messages and must not be skipped
        while place and summaries[place - 1].number != summaries[place].number - 1:
            place -= 1
        return summaries[place]

    def is_near(self, target: SeekTarget, events: int) -> bool:
        """Return whether a target is near an event of that number."""
        there = next((s.stats.row for s in self._folder.segments if target.may_be_in(s.stats)), self._folder.rows)
        return there - events <= NEAR_EVENTS

    def read_on(self, target: SeekTarget) -> None:
        """Read until the location of a target is known."""
        self.index.read_until(lambda summary: self.closed or target.is_in(summary))
