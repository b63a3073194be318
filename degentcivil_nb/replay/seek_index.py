"""Where on a tape a tick or a time is, so that a seek begins at the segment that has it and not at the beginning."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..protocol.messages import RawMessage
from ..recordings.index import RecordingIndex, SegmentSummary
from ..recordings.manifest import SegmentStats
from ..recordings.segment_reader import SegmentFolder

NEAR_EVENTS: Final = 100_000
"""So far a tape is wound without a look at what lies on the way being worth it."""


class TapeItem(NamedTuple):
    """Hold one message, its moment in seconds since 1970, and the epoch that its position is of."""

    message: RawMessage
    moment: float
    epoch: str | None


class SeekTarget(NamedTuple):
    """Name a place on a tape: the end of a tick, or what comes before a moment."""

    tick: int | None
    moment: float = 0.0

    def is_passed_by(self, item: TapeItem) -> bool:
        """Say whether a message comes after the place."""
        if self.tick is None:
            return item.moment >= self.moment
        return item.message.tick is not None and item.message.tick > self.tick

    def is_in(self, page: SegmentSummary) -> bool:
        """Say whether the place is in a page, or before it."""
        return page.top >= self.moment if self.tick is None else self.may_be_in(page.segment.stats)

    def may_be_in(self, stats: SegmentStats) -> bool:
        """Say whether the place may be in a segment, or before it, as far as its statistics tell."""
        if self.tick is None:
            return stats.time is not None and stats.time[1] >= self.moment
        return stats.tick is not None and stats.tick[1] > self.tick


class SeekIndex:
    """Know where on a tape the segments begin, and how the town is there, once that was read."""

    def __init__(self, folder: SegmentFolder) -> None:
        self._folder = folder
        self._survey: RecordingIndex | None = None
        self.closed = False
        """Set from another thread, it ends `read_on` soon."""

    @property
    def survey(self) -> RecordingIndex:
        """Give what is known of the recording; made when first asked for."""
        if self._survey is None:
            self._survey = RecordingIndex(self._folder)
        return self._survey

    def page(self, goal: SeekTarget) -> SegmentSummary | None:
        """Give the page to begin at on the way to a goal, `None` where that must be read first."""
        survey = self.survey
        pages = list(survey.pages)
        place = next((place for place, page in enumerate(pages) if goal.is_in(page)), None)
        if place is None:
            if not survey.complete or not pages:
                return None
            place = len(pages) - 1
        # behind a hole the gap that declares it comes before the page's own messages, and must not be passed by
        while place and pages[place - 1].number != pages[place].number - 1:
            place -= 1
        return pages[place]

    def is_near(self, goal: SeekTarget, events: int) -> bool:
        """Say whether it is not far from behind so many events to a goal."""
        there = next((s.stats.row for s in self._folder.segments if goal.may_be_in(s.stats)), self._folder.rows)
        return there - events <= NEAR_EVENTS

    def read_on(self, goal: SeekTarget) -> None:
        """Read until it is known where a goal is."""
        self.survey.go_on(lambda page: self.closed or goal.is_in(page))
