"""Writing a recording: batches to the open segment, and each full segment sealed as Parquet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from ..protocol.json_text import encode
from ..store.schema import BLOCK_ROWS
from .arrow_messages import SCHEMA, RecordedMessage, with_links
from .folder_lock import FolderLock
from .framing import BATCH, END, Record, write_record
from .manifest import (
    FORMAT,
    LOCK,
    MANIFEST,
    OPEN_NAME,
    UNFINISHED,
    Manifest,
    SegmentStats,
    digest_of,
    read_manifest,
    write_manifest,
    write_whole,
)
from .packed_messages import Packed, to_batch
from .segment_files import columns_file, messages_file
from .segment_following import SegmentFollowing
from .segment_reader import SegmentFolder

SEGMENT_BYTES: Final = 64 << 20  # bytes of payloads at which a segment is sealed


class _NumberedBatch(NamedTuple):
    batch: pa.RecordBatch
    ordinal: int
    row: int


class SegmentWriter:
    """A writer of entries to the recording in a folder, which is created, or continued if there is one.

    Once `commit` has returned, what was written survives the end of the process at any moment. Raises `OSError` if the
    disk fails; then nothing of that call counts as written, and it can be repeated. `BlockingIOError` if another writer
    uses the folder, and `ValueError` for a folder with other files. If the folder or its files were deleted
    (`is_in_place`), `rewrite` writes the open segment again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        run_id: str | None = None,
        url: str | None = None,
        package: str | None = None,
        segment_messages: int = BLOCK_ROWS,
        segment_bytes: int = SEGMENT_BYTES,
        format: int = FORMAT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self._segment_messages = segment_messages
        self._segment_bytes = segment_bytes
        _refuse_foreign(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        self._lock_identity = _identity(folder / LOCK)
        self._file: BinaryIO | None = None
        self._is_doubtful = False
        """Whether the disk refused to keep what it had accepted: the state of the open segment is unknown."""
        self._batches: list[_NumberedBatch] = []
        self._records = self._flushed = 0
        self._offset = 0
        self._ordinal = self._row = 0
        self.bytes_written = 0
        self.position: tuple[str, int] | None = None
        """Epoch and `seq` of the last position accounted for."""
        self._following: SegmentFollowing | None = None
        self.manifest = Manifest(format, run_id=run_id, url=url, started=clock(), package=package)
        try:
            for beside in folder.glob("*.tmp"):  # left by a writer that was killed
                beside.unlink()
            self.existed = self._take_over()
            write_manifest(folder, self.manifest)
        except BaseException:
            self._lock.release()
            raise

    def _take_over(self) -> bool:
        """Continue an existing recording: sealed segments stay, an open one is sealed, with gaps for damage."""
        try:
            held = SegmentFolder(self.folder, live=True)
        except FileNotFoundError:
            if self.manifest.format == FORMAT:
                self._following = SegmentFollowing(self.folder)
            self._begin_segment(0)
            return False
        if held.manifest is not None:
            self.manifest = held.manifest
            self.manifest.closed = False
        if self.manifest.format == FORMAT:
            self._following = SegmentFollowing.going_on(held)
        self.manifest.segments = [segment.stats for segment in held.segments if segment.sealed]
        self._ordinal, self._row = held.messages, held.rows
        self.position = held.position
        for segment in held.segments:
            if not segment.sealed:
                self._ordinal, self._row = segment.stats.ordinal, segment.stats.row
                self._begin_segment(segment.stats.number)
                self.write(list(held.entries([segment])))
                self._seal()
        self._begin_segment(1 + max((segment.stats.number for segment in held.segments), default=-1))
        return bool(held.messages)

    def _begin_segment(self, number: int) -> None:
        self._number = number
        self._batches, self._records, self._flushed, self._offset = [], 0, 0, 0
        self._stats = SegmentStats(number, self._ordinal, self._row)
        if self._following is not None:
            self._following.begin_segment(self._row)

    @property
    def messages(self) -> int:
        """Return the number of messages written, including those of earlier writers."""
        return self._ordinal

    @property
    def rows(self) -> int:
        """Return the number of events written, including those of earlier writers."""
        return self._row

    def write(self, parts: Sequence[RecordedMessage | Packed]) -> None:
        """Append entries, packed or not; they reach the file with `flush`, and are safe after `commit`."""
        parts = [part for part in parts if not isinstance(part, RecordedMessage) or part.messages]
        if parts:
            self._add_batch(to_batch(parts, self._row))
            if self._following is not None:
                self._following.append(parts, self._batches[-1].batch, self._row)

    def _add_batch(self, batch: pa.RecordBatch) -> None:
        self._batches.append(_NumberedBatch(batch, self._ordinal, self._row))
        self._stats.add(batch)
        self._ordinal += batch.num_rows
        self._row += batch.num_rows - batch.column("row").null_count
        self.position = self._stats.position or self.position

    @property
    def full(self) -> bool:
        """Return whether the open segment must be sealed."""
        return self._stats.messages >= self._segment_messages or self._stats.data_bytes >= self._segment_bytes

    @property
    def _open_path(self) -> Path:
        return self.folder / f"segment-{self._number:06d}.open"

    def flush(self) -> None:
        """Write what is not in the file yet, one record for each batch."""
        for batch, ordinal, row in self._batches[self._flushed :]:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as stream:
                stream.write_batch(batch)
            payload = memoryview(sink.getvalue())
            self._append(Record(BATCH, self._number, self._records, ordinal, row, batch.num_rows, payload))
            self._flushed += 1

    def _append(self, record: Record) -> None:
        file = self._file
        if file is None:
            self._open_path.unlink(missing_ok=True)  # remove whatever has the file's name now, such as a link
            file = self._file = self._open_path.open("xb", buffering=0)
            self._offset = 0
        try:
            written = sum(_write_all(file, piece) for piece in write_record(record))
        except OSError:
            file.seek(self._offset)
            file.truncate()
            raise
        self._offset += written
        self.bytes_written += written
        self._records += 1

    def commit(self) -> None:
        """Write everything to disk."""
        self.flush()
        if self._file is None:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError:  # the system may have dropped what it could not write, and report success the next time
            self._is_doubtful = True
            raise

    def is_in_place(self) -> bool:
        """Return whether the files are where they were written: a folder can be deleted or moved meanwhile."""
        if self._is_doubtful or _identity(self.folder / LOCK) != self._lock_identity:
            return False
        return self._file is None or _identity(self._open_path) == _identity(self._file.fileno())

    def rewrite(self) -> int:
        """Write the open segment again, to a new folder if the old one is gone, and lock that.

        Returns how many messages of earlier segments are lost; readers report them as missing. Raises `OSError` if that
        fails, and `BlockingIOError` or `FileExistsError` if another recording is there now.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if _identity(self.folder / LOCK) != self._lock_identity:
            self._refuse_other()
            lock = FolderLock(self.folder)
            self._lock.release()
            self._lock, self._lock_identity = lock, _identity(self.folder / LOCK)
        if self._file is not None:
            self._file.close()
            self._file = None
        self._records = self._flushed = self._offset = 0
        write_manifest(self.folder, self.manifest)
        self._is_doubtful = False
        self.commit()
        lost = [stats.messages for stats in self.manifest.segments if not (self.folder / stats.name).exists()]
        if lost and self._following is not None:
            self._following.give_up_index()
        return sum(lost)

    def _refuse_other(self) -> None:
        try:
            other = read_manifest(self.folder)
        except (FileNotFoundError, ValueError):
            return
        if (other.started, other.run_id) != (self.manifest.started, self.manifest.run_id):
            raise FileExistsError(f"{self.folder} now contains another recording")

    def seal(self, *, last: bool = False, hurried: bool = False) -> None:
        """Convert the open segment to Parquet and begin the next; everything written is then safe.

        After the `last` one the index has the characters at the end. A `hurried` one gets no extracts, which the first
        question makes.
        """
        if not self._batches:
            return
        if self._flushed:  # a segment that filled up at once needs no open file
            self.flush()
            self._append(Record(END, self._number, self._records, self._ordinal, self._row, 0, b""))
        self._seal(last, hurried)
        self._begin_segment(self._number + 1)

    def _seal(self, last: bool = False, hurried: bool = False) -> None:
        stats = self._stats
        stats.digest = None  # left by an attempt that failed on the disk
        batches = [batch for batch, _, _ in self._batches]
        if any(batch.schema != SCHEMA for batch in batches):
            batches = [*map(with_links, batches)]
        table = pa.Table.from_batches(batches).unify_dictionaries()
        following = self._following
        columns = None if following is None else following.columns(table)
        data = messages_file(table, encode(stats)) if columns is None else columns_file(columns, encode(stats))
        stats.digest = digest_of(data)
        write_whole(self.folder / stats.name, data)
        self.bytes_written += len(data)
        if columns is not None and following is not None:
            self.bytes_written += 0 if hurried else following.write_extracts(stats)
            self.bytes_written += following.write_summary(stats, last=last)
        if stats not in self.manifest.segments[-1:]:
            self.manifest.segments.append(stats)
        write_manifest(self.folder, self.manifest)
        if self._file is not None:
            self._file.close()
            self._file = None
        self._open_path.unlink(missing_ok=True)

    def close(self, *, finished: bool = True) -> None:
        """Seal the rest and mark the recording as finished."""
        if self._batches:
            self.seal(last=True)
        elif self._following is not None:
            self.bytes_written += self._following.write_town(self._number)
        self.manifest.closed = finished
        write_manifest(self.folder, self.manifest)
        self.abandon()

    def abandon(self) -> None:
        """Release everything as it is, as the end of the process would."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.release()


def _write_all(file: BinaryIO, piece: bytes | memoryview) -> int:
    view: Any = memoryview(piece)
    while len(view):
        view = view[file.write(view) or 0 :]
    return len(piece)


def _identity(file: Path | int) -> tuple[int, int] | None:
    """Return a value that distinguishes a file from others of the same name; `None` if there is none."""
    try:
        found = file.stat() if isinstance(file, Path) else os.fstat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; a recording needs a folder of its own")
    names = [path.name for path in folder.iterdir()]
    ours = [name for name in names if name in (LOCK, MANIFEST, UNFINISHED) or OPEN_NAME.fullmatch(name)]
    if names and not ours:
        raise ValueError(f"{folder} contains other files; a recording needs an empty folder or a new name")
