"""Reading a recording: its segments, what is damaged, and the messages in order with gaps where some are lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from ..store.schema import NEAR_S
from .arrow_messages import SCHEMA, WORD, RecordedMessage, from_batch, sent_times, without_null_words
from .folder_lock import is_being_written
from .framing import BATCH, Damage, Record, read_records
from .lost_messages import gap_entries, last_position
from .manifest import MANIFEST, OPEN_NAME, SEALED_NAME, STATS_KEY, Manifest, SegmentStats, digest_of, read_manifest

MAX_SEGMENT_BYTES: Final = 4 << 30
HASHING: Final = 2
"""Segments that are compared with their checksums at a time."""
LOOKS: Final = 5
"""So often a folder is looked at in which the open segment is sealed at that very moment."""


class _Sealed(OSError):
    """Say that the writer has sealed a segment since the folder was listed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Say what is wrong with a recording, and where."""

    where: str
    """The file."""
    what: str
    missing: int | None = None
    """Messages that are lost by it; `None` where nobody knows how many."""

    def __str__(self) -> str:
        one = self.missing == 1
        lost = "" if self.missing is None else f"; {self.missing:,} message{' is' if one else 's are'} missing"
        return f"{self.where}: {self.what}{lost}"


@dataclass(slots=True)
class Segment:
    """Hold what is known of one segment; `path` is `None` for one that is gone."""

    stats: SegmentStats
    path: Path | None
    sealed: bool
    batches: list[tuple[int, pa.RecordBatch]] = field(default_factory=list)
    """Of an open segment, what could be read, and the place of its first message."""
    cut: bool = False
    """True where an open segment ends in bytes that could not be read."""


class SegmentFolder:
    """Look into the folder of a recording; `problems` grows when reading finds damage.

    `live` says that the open segment may be in the middle of being written. Raises `FileNotFoundError` where there is
    no recording. Names in the manifest are never followed: only files that are called as ours are, and that lie in the
    folder itself, are looked at.
    """

    def __init__(self, path: Path, *, live: bool | None = None) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.manifest: Manifest | None
        self.segments: list[Segment]
        self.live = is_being_written(path) if live is None else live
        self._look()
        self.finished = self.manifest is not None and self.manifest.closed
        self.live = self.live and not self.finished  # a writer that begins or ends holds the lock of a finished one
        if not self.finished and not self.live:
            self._note_unfinished()

    @property
    def messages(self) -> int:
        """Count the messages up to the end, lost ones included."""
        return max((segment.stats.ordinal + segment.stats.messages for segment in self.segments), default=0)

    @property
    def rows(self) -> int:
        """Count the events up to the end, lost ones included."""
        return max((segment.stats.row + segment.stats.rows for segment in self.segments), default=0)

    @property
    def position(self) -> tuple[str, int] | None:
        """Give epoch and `seq` of the last position accounted for."""
        return next((s.stats.position for s in reversed(self.segments) if s.stats.position is not None), None)

    @cached_property
    def clock_begins(self) -> float | None:
        """Give the first time of a stream that has a clock of its own; `None` where it is the receiver's.

        Told from the first segment whose senders say when: there half of all times are more than a day off.
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
        """Read when messages were sent and received, without asking whether anything else is sound."""
        columns = ["timestamp", "received"]
        if not segment.sealed or segment.path is None:
            return [batch.select(columns) for _, batch in segment.batches]
        try:
            with pa.OSFile(os.fsencode(segment.path)) as file:
                batches: list[pa.RecordBatch] = pq.ParquetFile(file).read(columns=columns).to_batches()
        except (OSError, ValueError, pa.ArrowException):  # whoever reads all of it says what is wrong
            return []
        return [batch.select(columns) for batch in batches if batch.schema.field("timestamp").type == pa.float64()]

    def _look(self) -> None:
        for left in reversed(range(LOOKS)):
            try:
                self.manifest = self._manifest()
                self.segments = self._segments()
                return
            except _Sealed:  # what was open has another name by now
                self.problems.clear()
                if not left:
                    raise

    def _manifest(self) -> Manifest | None:
        if not self.path.is_dir() or not any(map(_is_ours, self.path.iterdir())):
            raise FileNotFoundError(
                f"{self.path} is no recording (a folder with a manifest); open_runs opens a folder of recordings"
            )
        try:
            return read_manifest(self.path)
        except FileNotFoundError:
            self.problems.append(Problem("manifest.json", "there is none; what the segments say of themselves is used"))
        except (ValueError, OSError) as error:
            self.problems.append(Problem("manifest.json", f"damaged: {error}; what the segments say is used"))
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
            if stats is None:  # its writer ended between sealing and saying so
                stats = self._own_stats(path, int(name[1]), name[2])
            if stats is not None and stats.digest == name[2]:
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
                self._note(stats.name, "the file is gone", stats.messages)
        return [found[number] for number in sorted(found)]

    def _note(self, where: str, what: str, missing: int | None = None) -> None:
        problem = Problem(where, what, missing)
        if problem not in self.problems:
            self.problems.append(problem)

    def _own_stats(self, path: Path, number: int, digest: str) -> SegmentStats | None:
        """Read what a sealed segment that no manifest names says of itself."""
        try:
            metadata = pq.read_schema(pa.BufferReader(_sound_bytes(path, digest))).metadata or {}
            stats = decode(SegmentStats, metadata.get(STATS_KEY, b""))
        except (ValueError, OSError, pa.ArrowException, WebSocketError) as error:
            self._note(path.name, f"damaged: {error}")
            return None
        stats.digest = digest
        return stats if stats.number == number else None

    def _open_segment(self, path: Path, number: int) -> Segment | None:
        """Read the sound records of a segment that was not sealed."""
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
            self._note(path.name, f"{what} after message {end or 0:,}; how much is missing there is not known")
        return None if stats is None else Segment(stats, path, sealed=False, batches=batches, cut=cut)

    def _note_unfinished(self) -> None:
        position = self.position
        where = self.segments[-1].stats.number if self.segments else 0
        last = f"position {position[1]:,} of epoch {position[0]}" if position else f"message {self.messages:,}"
        self._note(
            f"segment {where}",
            f"the recording was not finished: it ends with {last}, what was committed last; what came then is unknown",
        )

    def sound_segments(self, count: int, progress: Callable[[int, int], None] | None = None) -> int:
        """Compare the first `count` segments, all of them sealed, with their checksums, without reading messages.

        Gives how many there are before the first that is damaged. `progress` is told how many messages of how many
        have been looked at.
        """
        chosen = self.segments[:count]
        sound = 0
        pool = ThreadPoolExecutor(HASHING)
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
        """Give a segment's batches with the place of their first message; `ValueError` where it cannot be believed."""
        if segment.path is None:
            raise ValueError("the file is gone")
        if not segment.sealed:
            yield from segment.batches
            return
        try:
            table = _read_table(_sound_bytes(segment.path, segment.stats.digest or ""), segment.stats)
        except (OSError, pa.ArrowException) as error:
            raise ValueError(str(error)) from error
        ordinal = segment.stats.ordinal
        for batch in table.to_batches():
            yield ordinal, batch
            ordinal += batch.num_rows

    def entries(self, segments: list[Segment] | None = None, start: int = 0) -> Iterator[RecordedMessage]:
        """Give the messages from place `start` on, in order, and a gap wherever some are missing."""
        for _, entry in self.numbered_entries(segments, start):
            yield entry

    def numbered_entries(
        self, segments: list[Segment] | None = None, start: int = 0
    ) -> Iterator[tuple[int, RecordedMessage]]:
        """Give what `entries` does, each with the place of its segment among all or those that were named."""
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
                if ordinal < expected:  # said already
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


def _is_ours(path: Path) -> bool:
    name = path.name
    return name == MANIFEST or SEALED_NAME.fullmatch(name) is not None or OPEN_NAME.fullmatch(name) is not None


def _is_sound(segment: Segment) -> bool:
    try:
        return segment.path is not None and _sound_bytes(segment.path, segment.stats.digest or "").size > 0
    except (OSError, ValueError):  # whoever reads it then says what it is
        return False


def _sound_bytes(path: Path, digest: str) -> pa.Buffer:
    """Read a file into memory of Arrow's own: its threads may let go of Python's too late, and abort the process."""
    if path.stat().st_size > MAX_SEGMENT_BYTES:
        raise ValueError("it is too large to be a segment")
    with pa.OSFile(os.fsencode(path)) as file:  # as text it would have to be UTF-8, which a folder need not be
        data = file.read_buffer()
    if digest_of(data) != digest:
        raise ValueError("its checksum is another")
    return data


def _read_table(data: pa.Buffer, stats: SegmentStats) -> pa.Table:
    """Read a sealed segment, whose checksum is right, and which somebody hostile may have written all the same."""
    file = pq.ParquetFile(pa.BufferReader(data))
    metadata = file.metadata
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if size > MAX_SEGMENT_BYTES or metadata.num_rows != stats.messages:
        raise ValueError("it is not of the size that it should have")
    if file.schema_arrow.remove_metadata() != SCHEMA:
        raise ValueError("its columns are not those of a recording")
    table = file.read()
    table.validate(full=True)
    if any(table.column(name).null_count for name in ("received", "type", "data")):
        raise ValueError("values are missing that every message has")
    return table


def _with_plain_nulls(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give a batch whose words hold no null: open segments of older recorders have an unknown epoch as a null word."""
    columns = [without_null_words(column) if column.type == WORD else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def read_batch(record: Record) -> pa.RecordBatch | None:
    """Give the messages of a sound record; `None` where they are not what a recording holds."""
    try:
        with pa.ipc.open_stream(pa.BufferReader(record.payload)) as stream:
            if stream.schema != SCHEMA:
                return None
            batch = stream.read_next_batch()
        batch.validate(full=True)
        batch = _with_plain_nulls(batch)
    except (pa.ArrowException, OSError, StopIteration):
        return None
    whole = batch.num_rows == record.count and not any(
        batch.column(name).null_count for name in ("received", "type", "data")
    )
    return batch if whole else None
