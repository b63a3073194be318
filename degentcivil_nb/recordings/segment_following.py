"""The parts of a format 2 recording beside the messages: the columns of each segment, and the index."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from ..store.ingested import Ingested
from ..store.pieces import StorePiece
from ..store.schema import NAT, to_ns
from .arrow_messages import RecordedMessage, from_batch, payloads_of
from .column_state import NotInColumns, SealedRun
from .columns import to_columns
from .extract_files import EXTRACTS, append_record, is_empty
from .extract_record import record_of
from .follower import Follower
from .manifest import SegmentStats
from .packed_messages import Packed
from .sealed_columns import DamagedSegment
from .segment_reader import SegmentFolder
from .summaries import append_records, records_of, town_record

logger = logging.getLogger("degentcivil_nb.recordings")


class _Run(NamedTuple):
    """Messages in a row that are followed at once."""

    size: int
    taken: list[Ingested]
    """The columns that one store made of them all, of one epoch; empty if the messages have to be read."""
    epoch: str | None


def _runs(parts: Sequence[RecordedMessage | Packed]) -> Iterator[_Run]:
    """Yield the messages of parts in stretches that are followed at once."""

    def of(part: RecordedMessage | Packed) -> tuple[int, str | None]:
        known = part.taken and all(one.lists is None for one in part.taken) and to_ns(_received(part)) != NAT
        return (id(part.taken[0].words), part.epoch) if known else (0, None)

    for (words, epoch), run in groupby(parts, of):
        several = list(run)
        taken = [one for part in several for one in part.taken] if words else []
        yield _Run(sum(part.size for part in several), taken, epoch)


def _received(part: RecordedMessage | Packed) -> float:
    return part.received if isinstance(part, RecordedMessage) else part.came[0][1]


class SegmentFollowing:
    """The columns and the index of a recording that is being written.

    A fault here must not cost a message: segments are then written without columns, and readers make these themselves.
    """

    def __init__(self, folder: Path, follower: Follower | None = None, *, has_index: bool = True) -> None:
        self._folder = folder
        self._follower = Follower() if follower is None else follower
        self._has_index = has_index
        self._failed = False

    @classmethod
    def going_on(cls, held: SegmentFolder) -> SegmentFollowing:
        """Continue a recording; without its index if that cannot be made because messages are missing."""
        try:
            return cls(held.path, Follower(SealedRun(held).run))
        except (NotInColumns, DamagedSegment) as error:
            logger.info("the recording in %s goes on without an index: %s", held.path, error)
            return cls(held.path, has_index=False)

    def give_up_index(self) -> None:
        """Stop writing summaries, since earlier ones were deleted."""
        self._has_index = False

    def begin_segment(self, row: int) -> None:
        """Begin a segment with an event; rows before it may be missing."""
        try:
            self._follower.begin_segment()
            if self._follower.next_row != row:
                self._follower = Follower.at(row)
                self._has_index = self._has_index and row == 0
            self._failed = False
        except Exception:  # a boundary: see the class
            logger.exception("the columns of %s cannot be made", self._folder)
            self._failed = True

    def append(self, parts: Sequence[RecordedMessage | Packed], batch: pa.RecordBatch, next_row: int) -> None:
        """Follow messages, given in parts and as one batch; `next_row` is the row of the event after them."""
        if self._failed:
            return
        try:
            start = 0
            for run in _runs(parts):
                some = batch.slice(start, run.size)
                if not run.taken or not self._follower.append_taken(run.taken, run.epoch, payloads_of(some)):
                    self._follower.append(from_batch(some))
                start += run.size
            if self._follower.next_row != next_row:
                raise ValueError(f"event {next_row:,} has the number {self._follower.next_row:,} in the store")
        except Exception:  # a boundary: see the class
            logger.exception("the columns of a segment of %s cannot be made", self._folder)
            self._failed = True

    def columns(self, messages: pa.Table) -> pa.Table | None:
        """Return the columns of a segment's messages; `None` if they cannot be made."""
        if not self._failed:
            try:
                return to_columns(messages, self._follower.events())
            except Exception:  # a boundary: see the class
                logger.exception("the columns of a segment of %s cannot be made", self._folder)
                self._failed = True
        self._has_index = False
        return None

    def write_summary(self, stats: SegmentStats, *, last: bool) -> int:
        """Write the summary of a sealed segment; return its bytes."""
        if not self._has_index:
            return 0
        summary = self._follower.summary(stats.number, stats.digest or "", stats.ordinal + stats.messages)
        return append_records(self._folder, records_of(summary, self._follower.towns(last=last)))

    def write_extracts(self, stats: SegmentStats) -> int:
        """Write the extracts of a sealed segment; return their bytes. Readers make those that are missing."""
        try:
            run = self._follower.run
            piece = StorePiece(run.view(), run.take_payloads)
            return sum(
                append_record(self._folder, extract, record_of(extract, stats, extract.make(piece)))
                for extract in EXTRACTS
                if not is_empty(extract, stats)
            )
        except OSError as error:  # such as a full disk
            logger.info("the extracts of a segment of %s cannot be written: %s", self._folder, error)
            return 0
        except Exception:  # a boundary: see the class
            logger.exception("the extracts of a segment of %s cannot be written", self._folder)
            return 0

    def write_town(self, number: int) -> int:
        """Write the town at the end of a recording; return its bytes."""
        towns = self._follower.towns(last=True) if self._has_index and not self._failed else []
        return append_records(self._folder, [piece for town in towns for piece in town_record(number, town)])
