"""The index of a recording: the characters at the beginning of each segment, and everything that is counted.

It is built in one pass when a recording is first opened and kept in a file beside the segments (`index_file.py`), so
that the next pass continues where the last one ended. It is not built while recording: processing every message a
second time would cost more than the writing itself.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

import numpy as np
from msgspec import Raw

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import ORDERED_CONTROL, MessageTypes, RawMessage
from ..store.schema import LATEST_S, NEAR_S, Ints
from .arrow_messages import RecordedMessage
from .index_file import MEANING, Head, IndexFile, IndexWriter, Piece, SummaryLine, packed, unpacked
from .segment_reader import Segment, SegmentFolder
from .whole_run import HELD_ROWS, IndexState, WholeRun

logger = logging.getLogger("degentcivil_nb.recordings")

WORTH_KEEPING: Final = 65_536
"""How many new messages must have been read before the index is written."""
UNUSABLE: Final = (ValueError, OSError, KeyError, IndexError, TypeError, OverflowError, WebSocketError)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SegmentSummary:
    """What a segment contains, and the state of the run before it."""

    number: int
    """The index of its segment."""
    segment: Segment
    first_row: int
    next_row: int
    errors: int
    """Errors in the segment."""
    events: int
    """Stream messages before the segment."""
    tick: int | None
    """The last tick before the segment."""
    moment: float
    """The latest moment (`moment_of`) before the segment, in seconds since 1970."""
    top: float
    """The latest moment up to the segment's end."""
    epoch: str | None
    """The epoch of the characters at its beginning."""


def moment_of(sent: float | None, received: float, before: float | None = None) -> float:
    """Return when a message is due in seconds since 1970: when it was sent, or received if the sender's time is
    unusable.

    `before` is the latest moment so far of a stream with its own clock, else `None`. In such a stream a message without
    a time is due with the ones before it, and any sender's time is accepted.
    """
    good = sent is not None and 0 <= sent < LATEST_S
    if before is not None:
        return sent if sent is not None and good else before
    if sent is not None and good and abs(sent - received) <= NEAR_S:
        return sent
    return received if 0 <= received < LATEST_S else 0.0


def _latest(entry: RecordedMessage, before: float | None) -> float:
    sent = np.array([message.timestamp for message in entry.messages], np.float64)
    with np.errstate(invalid="ignore"):
        good = (sent >= 0) & (sent < LATEST_S)
        if before is None:
            good &= abs(sent - entry.received) <= NEAR_S
    latest = float(sent[good].max()) if good.any() else 0.0
    return latest if good.all() else max(latest, moment_of(None, entry.received, before))


def own_clock(begins: float | None, latest: float) -> float | None:
    """Return what `moment_of` takes as `before`; `begins` is `SegmentFolder.clock_begins`."""
    return None if begins is None else latest if latest > -math.inf else begins


class RecordingIndex:
    """The index of a recording, read from its file or built by reading the recording; `read_until` reads more of it.

    With `verify`, the index file is used only if the segments themselves match their checksums, so that damage is found
    as early as by reading everything.
    """

    def __init__(
        self, folder: SegmentFolder, *, recall: bool = True, verify: bool = False, progress: Progress | None = None
    ) -> None:
        self._folder = folder
        self._begin()
        self._keep_at = _last_to_keep(folder.segments, folder.rows)
        if recall:
            self._load(verify, progress)

    def _begin(self) -> None:
        self.run = WholeRun()
        """The store that has followed everything read so far, once `read_until` was called."""
        self.summaries: list[SegmentSummary] = []
        """The summaries of the segments, in order; damaged segments have none."""
        self.messages = 0
        """The number of messages read, or covered by the index file."""
        self.done = False
        """Whether everything was read."""
        self._towns: list[tuple[bytes, int] | Piece] = []
        self._file: IndexFile | None = None
        self._kept = 0  # messages covered by the state that was last kept or frozen
        self._frozen: _Frozen | None = None
        self._sound = 0
        self._events = 0
        self._tick: int | None = None
        self._top = -math.inf
        self._begins = self._folder.clock_begins
        self._groups: Iterator[tuple[int, Iterator[tuple[int, RecordedMessage]]]] | None = None

    # --- reading --------------------------------------------------------------------------------------------------

    def read_until(
        self, enough: Callable[[SegmentSummary], bool] | None = None, progress: Progress | None = None
    ) -> SegmentSummary | None:
        """Read to the end, or to the first summary that is `enough`, and return it; `progress` counts messages."""
        if self._groups is None:
            self._load_state()
            start = self.summaries[-1].segment.stats if self.summaries else None
            first = 0 if start is None else start.ordinal + start.messages
            self._groups = groupby(self._folder.numbered_entries(start=first), itemgetter(0))
        for number, group in self._groups:
            if number == self._keep_at or number > self._sound:
                self._freeze()
            summary = self._summary(number, group, progress)
            self.summaries.append(summary)
            if enough is not None and enough(summary):
                self._freeze()
                self._keep()
                return summary
        self._keep()
        self.done = True
        return None

    def _summary(
        self, number: int, group: Iterator[tuple[int, RecordedMessage]], progress: Progress | None
    ) -> SegmentSummary:
        run, segment = self.run, self._folder.segments[number]
        town, epoch = run.town()
        self._towns.append(packed(town))
        first_row, errors, before = run.next_row, run.errors_so_far, self.messages
        events, tick, moment = self._events, self._tick, self._top
        for _, entry in group:
            messages = list(entry.messages)
            run.append(messages, entry.received, entry.epoch)
            self.messages += len(messages)
            self._events += sum([message.type not in ORDERED_CONTROL for message in messages])
            self._tick = next((m.tick for m in reversed(messages) if m.tick is not None), self._tick)
            self._top = max(self._top, _latest(entry, own_clock(self._begins, self._top)))
            if progress is not None:
                progress(self.messages, self._folder.messages)
        if number == self._sound and self.messages - before == segment.stats.messages:
            self._sound += 1
        errors = run.errors_so_far - errors
        return SegmentSummary(number, segment, first_row, run.next_row, errors, events, tick, moment, self._top, epoch)

    def town(self, summary: SegmentSummary) -> list[RawMessage]:
        """Return the characters at the beginning of a segment as snapshots, for a store, with the summary's epoch."""
        place = bisect_left(self.summaries, summary.number, key=lambda held: held.number)
        try:
            parts = decode(list[Raw], self._town_text(place))
        except UNUSABLE as error:
            logger.warning("the index of %s is damaged (%s); the recording is read again", self._folder.path, error)
            again = RecordingIndex(self._folder, recall=False)
            again.read_until(lambda found: found.number >= summary.number)
            self._towns[: place + 1] = again._towns[: place + 1]
            parts = decode(list[Raw], self._town_text(place))
        return [RawMessage(MessageTypes.SNAPSHOT, part) for part in parts]

    def _town_text(self, place: int) -> bytes:
        town = self._towns[place]
        return unpacked(*town) if isinstance(town, tuple) else self._kept_file.read(town)

    @property
    def complete(self) -> bool:
        """Return whether every readable segment has a summary."""
        return self.done or (bool(self.summaries) and self.summaries[-1].number == len(self._folder.segments) - 1)

    @property
    def _kept_file(self) -> IndexFile:
        assert self._file is not None  # it holds the pieces
        return self._file

    # --- the index file -----------------------------------------------------------------------------------------

    def _load(self, verify: bool, progress: Progress | None) -> None:
        """Load the summaries of the index file; its state is loaded once it is needed."""
        try:
            file = IndexFile(self._folder.path)
            head = file.head
            segments = self._folder.segments[: len(head.segments)]
            if head.segments != [segment.stats.name for segment in segments if segment.path is not None]:
                raise ValueError("it belongs to other segments")
            if not head.count <= min(len(segments), self._keep_at):
                raise ValueError("it covers no more than what must be read anyway")
            if verify and self._folder.sound_segments(head.count, progress) < head.count:
                raise ValueError("a segment is damaged")
            summaries = [_summary_of(line, segment) for line, segment in zip(head.pages, segments, strict=True)]
            if [summary.number for summary in summaries] != list(range(len(summaries))):
                raise ValueError("its summaries do not match the segments")
        except FileNotFoundError:
            return
        except UNUSABLE as error:
            logger.info("the index of %s is not used: %s", self._folder.path, error)
            return
        self.summaries, self._file, self._towns = summaries, file, [line.town for line in head.pages]
        last = segments[head.count - 1].stats
        self._kept = self.messages = last.ordinal + last.messages

    def _load_state(self) -> None:
        if self._file is None:
            return
        try:
            kept = decode(IndexState, self._file.read(self._file.head.state))
            self.run.restore(kept, self._file.arrays())
            head = self._file.head
            del (
                self.summaries[head.count :],
                self._towns[head.count :],
            )  # read again, for the last events
            if self.run.next_row != self.summaries[-1].next_row:
                raise ValueError("its state does not match its summaries")
            self._sound, self._events, self._tick, self._top = (
                head.count,
                head.events,
                head.tick,
                self.summaries[-1].top,
            )
        except UNUSABLE as error:
            logger.warning("the index of %s is damaged (%s); the recording is read again", self._folder.path, error)
            self._begin()

    def _freeze(self) -> None:
        """Copy the current state, to be written at the end of this reading."""
        if not 0 < len(self.summaries) == self._sound <= self._keep_at or self.messages - self._kept < WORTH_KEEPING:
            return
        if self.run.is_ahead:  # its two sets of characters cannot be restored as one
            return
        self._kept = self.messages
        try:
            kept, arrays = self.run.keep()
            self._frozen = _Frozen(len(self.summaries), self._events, self._tick, packed(encode(kept)), arrays)
        except WebSocketError as error:
            logger.warning("the index of %s cannot be kept: %s", self._folder.path, error)

    def _keep(self) -> None:
        """Write the frozen state to the index file, if possible."""
        frozen, self._frozen = self._frozen, None
        if frozen is None:
            return
        writer = IndexWriter()
        sealed = [summary for summary in self.summaries[: self._sound] if summary.segment.sealed]
        try:
            # characters first: their offsets stay valid for readers that have the file open when more follow
            towns = [
                writer.add(*town) if isinstance(town, tuple) else writer.copy(self._kept_file, town)
                for town in self._towns[: len(sealed)]
            ]
            head = Head(
                MEANING,
                [summary.segment.stats.name for summary in sealed],
                [_line_of(summary, town) for summary, town in zip(sealed, towns, strict=True)],
                frozen.count,
                frozen.events,
                frozen.tick,
                writer.add(*frozen.state),
                {name: writer.add_array(array) for name, array in frozen.arrays.items()},
            )
            writer.write(self._folder.path, head)
            self._file = IndexFile(self._folder.path)
        except (OSError, ValueError) as error:
            logger.info("the index of %s cannot be written: %s", self._folder.path, error)
        else:
            self._towns[: len(towns)] = towns


@dataclass(frozen=True, slots=True)
class _Frozen:
    count: int
    events: int
    tick: int | None
    state: tuple[bytes, int]
    arrays: dict[str, Ints]


def _last_to_keep(segments: list[Segment], rows: int) -> int:
    """Return after how many segments the state is kept: the last events are read again, for the store to hold."""
    expected = 0
    for count, segment in enumerate(segments):
        stats = segment.stats
        if not segment.sealed or segment.path is None or stats.ordinal != expected:
            return count
        if rows - stats.row - stats.rows < HELD_ROWS:
            return count
        expected += stats.messages
    return len(segments)


def _line_of(summary: SegmentSummary, town: Piece) -> SummaryLine:
    moment, top = (None if time == -math.inf else time for time in (summary.moment, summary.top))
    rows = (summary.first_row, summary.next_row)
    return SummaryLine(
        summary.number, *rows, summary.errors, summary.events, summary.tick, moment, top, summary.epoch, town
    )


def _summary_of(line: SummaryLine, segment: Segment) -> SegmentSummary:
    moment, top = (-math.inf if time is None else time for time in (line.moment, line.top))
    rows = (line.first_row, line.next_row)
    return SegmentSummary(line.number, segment, *rows, line.errors, line.events, line.tick, moment, top, line.epoch)
