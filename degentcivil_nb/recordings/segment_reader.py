"""Reading a recording: its segments, their damage, and the messages in order with gaps for lost ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from ..store.schema import NEAR_S
from .arrow_messages import SCHEMAS, RecordedMessage, from_batch, sent_times
from .column_messages import CLOCKS, message_columns, to_clocks
from .folder_lock import is_being_written
from .framing import BATCH, Damage, Record, read_records
from .lost_messages import gap_entries, last_position
from .manifest import MANIFEST, OPEN_NAME, SEALED_NAME, STATS_KEY, Manifest, SegmentStats, read_manifest
from .segment_bytes import MAX_SEGMENT_BYTES, read_batch, read_table, sound_bytes
from .segment_files import with_senders_times

VERIFYING_THREADS: Final = 2
"""How many segments are verified at a time."""
ATTEMPTS: Final = 5
"""How often a folder is read again if its open segment is sealed while it is read."""


class _Sealed(OSError):
    """The signal that the writer sealed a segment after the folder was listed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a recording, and where."""

    where: str
    """The file."""
    what: str
    missing: int | None = None
    """How many messages the problem costs; `None` if unknown."""

    def __str__(self) -> str:
        one = self.missing == 1
        lost = "" if self.missing is None else f"; {self.missing:,} message{' is' if one else 's are'} missing"
        return f"{self.where}: {self.what}{lost}"


@dataclass(slots=True)
class Segment:
    """A segment as far as it is known; `path` is `None` if its file is missing."""

    stats: SegmentStats
    path: Path | None
    sealed: bool
    batches: list[tuple[int, pa.RecordBatch]] = field(default_factory=list)
    """The readable batches of an open segment, with the index of their first message."""
    cut: bool = False
    """Whether an open segment ends in bytes that could not be read."""


class SegmentFolder:
    """The folder of a recording; `problems` grows when reading finds damage.

    `live` means that the open segment may be in the middle of being written. Raises `FileNotFoundError` if there is no
    recording. Names in the manifest are never followed: only files in the folder itself, with names of our own form,
    are read.
    """

    def __init__(self, path: Path, *, live: bool | None = None) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.manifest: Manifest | None
        self.segments: list[Segment]
        self.live = is_being_written(path) if live is None else live
        self._read_folder()
        self.finished = self.manifest is not None and self.manifest.closed
        self.live = self.live and not self.finished  # a writer that starts or ends locks finished ones too
        if not self.finished and not self.live:
            self._note_unfinished()

    @property
    def messages(self) -> int:
        """Return the number of messages up to the end, including lost ones."""
        return max((segment.stats.ordinal + segment.stats.messages for segment in self.segments), default=0)

    @property
    def rows(self) -> int:
        """Return the number of events up to the end, including lost ones."""
        return max((segment.stats.row + segment.stats.rows for segment in self.segments), default=0)

    @property
    def position(self) -> tuple[str, int] | None:
        """Return epoch and `seq` of the last position accounted for."""
        return next((s.stats.position for s in reversed(self.segments) if s.stats.position is not None), None)

    @cached_property
    def clock_begins(self) -> float | None:
        """Return the first time of a stream that has its own clock; `None` if it uses the receiver's.

        The first segment with senders' times decides: the clock is its own if half of the times are more than a day
        off.
        """
        for segment in self.segments:
            for clocks in self._clocks(segment):
                sent, received = sent_times(clocks), clocks.column("received").to_numpy(zero_copy_only=False)
                known = np.isfinite(sent) & np.isfinite(received)
                if known.any():
                    is_own = np.median(np.abs(sent - received)[known]) > NEAR_S
                    return float(sent[known][0]) if is_own else None
        return None

    def _clocks(self, segment: Segment) -> list[pa.RecordBatch]:
        """Read when messages were sent and received, without verifying anything else."""
        columns = ["timestamp", "received"]
        if not segment.sealed or segment.path is None:
            return [batch.select(columns) for _, batch in segment.batches]
        try:
            with pa.OSFile(os.fsencode(segment.path)) as source:
                file = pq.ParquetFile(source)
                if message_columns(file.schema_arrow) is not None:
                    batches: list[pa.RecordBatch] = to_clocks(file.read(columns=list(CLOCKS))).to_batches()
                elif file.schema_arrow.remove_metadata() in SCHEMAS:
                    batches = file.read(columns=columns).to_batches()
                else:
                    batches = []
        except (OSError, ValueError, pa.ArrowException):  # reported when the segment is read
            return []
        return [batch.select(columns) for batch in batches]

    def _read_folder(self) -> None:
        for left in reversed(range(ATTEMPTS)):
            try:
                self.manifest = self._manifest()
                self.segments = self._segments()
                return
            except _Sealed:  # the open segment was renamed meanwhile
                self.problems.clear()
                if not left:
                    raise

    def _manifest(self) -> Manifest | None:
        if not self.path.is_dir() or not any(map(_is_ours, self.path.iterdir())):
            raise FileNotFoundError(
                f"{self.path} is not a recording (a folder with a manifest); open_runs opens a folder of recordings"
            )
        try:
            return read_manifest(self.path)
        except FileNotFoundError:
            self.problems.append(Problem("manifest.json", "missing; the segments' own statistics are used"))
        except (ValueError, OSError) as error:
            self.problems.append(Problem("manifest.json", f"damaged: {error}; the segments' own statistics are used"))
        return None

    def _segments(self) -> list[Segment]:
        found: dict[int, Segment] = {}
        listed = {stats.number: stats for stats in self.manifest.segments} if self.manifest is not None else {}
        paths = sorted(path for path in self.path.iterdir() if not path.is_symlink())
        for path in paths:
            name = SEALED_NAME.fullmatch(path.name)
            if name is None:
                continue
            stats = listed.get(int(name[1]))
            if stats is None:  # its writer ended between sealing the segment and listing it
                stats = self._own_stats(path, int(name[1]), name[2])
            if stats is not None and stats.digest == name[2]:
                stats = with_senders_times(stats, self.manifest, partial(_sound_file, path, name[2]))
                found[stats.number] = Segment(stats, path, sealed=True)
        for path in paths:
            name = OPEN_NAME.fullmatch(path.name)
            if name is not None and int(name[1]) not in found:
                opened = self._open_segment(path, int(name[1]))
                if opened is not None:
                    found[opened.stats.number] = opened
        for number, stats in listed.items():
            if number not in found:
                found[number] = Segment(stats, None, sealed=True)
                self._note(stats.name, "the file is missing", stats.messages)
        return [found[number] for number in sorted(found)]

    def _note(self, where: str, what: str, missing: int | None = None) -> None:
        problem = Problem(where, what, missing)
        if problem not in self.problems:
            self.problems.append(problem)

    def _own_stats(self, path: Path, number: int, digest: str) -> SegmentStats | None:
        """Read the statistics inside a sealed segment that no manifest lists."""
        try:
            metadata = pq.read_schema(_sound_file(path, digest)).metadata or {}
            stats = decode(SegmentStats, metadata.get(STATS_KEY, b""))
        except (ValueError, OSError, pa.ArrowException, WebSocketError) as error:
            self._note(path.name, f"damaged: {error}")
            return None
        stats.digest = digest
        return stats if stats.number == number else None

    def _open_segment(self, path: Path, number: int) -> Segment | None:
        """Read the valid records of an unsealed segment."""
        try:
            size = path.stat().st_size
            content = b"" if size > MAX_SEGMENT_BYTES else path.read_bytes()
        except FileNotFoundError as error:
            raise _Sealed(str(error)) from error
        if size > MAX_SEGMENT_BYTES:
            self._note(path.name, "too large to be a segment")
            return None
        batches: list[tuple[int, pa.RecordBatch]] = []
        stats: SegmentStats | None = None
        end, damaged, torn = None, 0, False
        for found in read_records(memoryview(content)):
            batch = None
            if isinstance(found, Record) and found.segment == number:
                if end is not None and found.ordinal > end and damaged:
                    self._note(path.name, f"{damaged:,} bytes are damaged after message {end:,}", found.ordinal - end)
                elif damaged:
                    self._note(path.name, f"{damaged:,} bytes are damaged before message {found.ordinal:,}")
                damaged = 0
                if found.kind != BATCH:
                    continue
                batch = read_batch(found)
            if batch is None or not isinstance(found, Record):
                if isinstance(found, Damage) and found.torn:
                    torn = True
                damaged += found.length if isinstance(found, Damage) else len(found.payload)
                continue
            if stats is None:
                stats = SegmentStats(number, found.ordinal, found.row)
            stats.add(batch)
            stats.rows = found.row + batch.num_rows - batch.column("row").null_count - stats.row
            end = found.ordinal + batch.num_rows
            stats.messages = end - stats.ordinal
            batches.append((found.ordinal, batch))
        cut = bool(damaged) and not (torn and self.live)
        if cut:
            what = "the file ends within a record" if torn else f"{damaged:,} bytes are damaged"
            self._note(path.name, f"{what} after message {end or 0:,}; how much is missing is unknown")
        return None if stats is None else Segment(stats, path, sealed=False, batches=batches, cut=cut)

    def _note_unfinished(self) -> None:
        position = self.position
        where = self.segments[-1].stats.number if self.segments else 0
        last = f"position {position[1]:,} of epoch {position[0]}" if position else f"message {self.messages:,}"
        self._note(
            f"segment {where}",
            f"the recording was not finished: it ends with {last}, the last that was committed",
        )

    def sound_segments(self, count: int, progress: Callable[[int, int], None] | None = None) -> int:
        """Verify the checksums of the first `count` segments, all sealed, without decoding messages.

        Returns how many come before the first damaged one. `progress` is called with the number of messages verified.
        """
        chosen = self.segments[:count]
        sound = 0
        pool = ThreadPoolExecutor(VERIFYING_THREADS)
        try:
            for segment, right in zip(chosen, pool.map(_is_sound, chosen), strict=True):
                if not right:
                    break
                sound += 1
                if progress is not None:
                    progress(segment.stats.ordinal + segment.stats.messages, self.messages)
        finally:
            pool.shutdown(cancel_futures=True)
        return sound

    # --- the messages ----------------------------------------------------------------------------------------------

    def read(self, segment: Segment) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield a segment's batches with the index of their first message; `ValueError` if it is damaged."""
        if segment.path is None:
            raise ValueError("the file is missing")
        if not segment.sealed:
            yield from segment.batches
            return
        try:
            table = read_table(sound_bytes(segment.path, segment.stats.digest or ""), segment.stats)
        except (OSError, pa.ArrowException) as error:
            raise ValueError(str(error)) from error
        ordinal = segment.stats.ordinal
        for batch in table.to_batches():
            yield ordinal, batch
            ordinal += batch.num_rows

    def entries(self, segments: list[Segment] | None = None, start: int = 0) -> Iterator[RecordedMessage]:
        """Yield the messages from index `start` on, in order, with a gap wherever some are missing."""
        for _, entry in self.numbered_entries(segments, start):
            yield entry

    def numbered_entries(
        self, segments: list[Segment] | None = None, start: int = 0
    ) -> Iterator[tuple[int, RecordedMessage]]:
        """Yield the entries, each with the index of its segment among those read."""
        chosen = self.segments if segments is None else segments
        expected = chosen[0].stats.ordinal if segments and chosen else 0
        last: tuple[str, int] | None = None
        lost: list[SegmentStats] = []
        received = 0.0
        for number, segment in enumerate(chosen):
            stats = segment.stats
            if stats.ordinal + stats.messages <= start:
                expected, last = stats.ordinal + stats.messages, stats.position or last
                continue
            try:
                batches = list(self.read(segment))
            except ValueError as error:
                if segment.path is not None:
                    self._note(segment.path.name, f"damaged: {error}", stats.messages)
                lost.append(stats)
                continue
            before: pa.RecordBatch | None = None
            for ordinal, batch in batches:
                if ordinal < expected:  # yielded already
                    batch = batch.slice(min(expected - ordinal, batch.num_rows))
                    ordinal = expected
                elif ordinal > expected:
                    at = float(batch.column("received")[0].as_py())
                    for entry in gap_entries(last_position(before) or last, lost, batch, at):
                        yield number, entry
                lost.clear()
                skipped = min(max(0, start - ordinal), batch.num_rows)
                for entry in from_batch(batch.slice(skipped)):
                    yield number, entry
                    received = entry.received
                expected, before = ordinal + batch.num_rows, batch
            last = stats.position or last
            if segment.cut and segment is chosen[-1] and segments is None:
                for entry in gap_entries(last, lost, None, received):
                    yield number, entry
        if lost:
            for entry in gap_entries(last, lost, None, received or (lost[0].time or (0.0, 0.0))[0]):
                yield len(chosen) - 1, entry


def _sound_file(path: Path, digest: str) -> pa.BufferReader:
    return pa.BufferReader(sound_bytes(path, digest))


def _is_ours(path: Path) -> bool:
    name = path.name
    return name == MANIFEST or SEALED_NAME.fullmatch(name) is not None or OPEN_NAME.fullmatch(name) is not None


def _is_sound(segment: Segment) -> bool:
    try:
        return segment.path is not None and sound_bytes(segment.path, segment.stats.digest or "").size > 0
    except (OSError, ValueError):  # reported when the segment is read
        return False
