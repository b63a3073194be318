"""Rewriting a recording of an older format in the current one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ..core.escaping import visible
from ..core.progress import Progress, following
from .folder_lock import FolderLock
from .index_file import MEANING
from .manifest import FORMAT, sync_folder
from .sealed_columns import BROKEN, are_columns, meaning_of
from .segment_reader import Segment, SegmentFolder
from .segment_writer import SegmentWriter

Compared = tuple[Any, ...]


def migrate_recording(path: str | os.PathLike[str], *, progress: Progress | None = None) -> int:
    """Rewrite a recording in the current format, compare it message by message, and put it in the place of the old one.

    Returns the number of messages; nothing is done for a recording that has all columns of this version. A recording
    that is damaged keeps what can be read of it, with gaps for the rest. Raises `FileNotFoundError` if there is no
    recording, `BlockingIOError` if it is being recorded, `FileExistsError` if an earlier attempt left its folder
    beside it, and `ValueError` if the new recording is not the same, or a later version of this package wrote the old
    one; then the old one is left as it was.
    """
    old = Path(path)
    folder = SegmentFolder(old, live=False)
    has_format = folder.manifest is not None and folder.manifest.format == FORMAT
    if has_format and not any(map(_lacks_columns, folder.segments)):
        return folder.messages
    known = len(folder.problems)
    new, before = old.with_name(f"{old.name}.migrating"), old.with_name(f"{old.name}.format-1")
    if before.exists():
        raise FileExistsError(f"{before} is in the way; move it elsewhere, or delete it")
    shutil.rmtree(new, ignore_errors=True)
    lock = FolderLock(old)
    try:
        with following(f"migrating {visible(old)}", progress) as told:
            _write(folder, new, told)
            if has_format and len(folder.problems) > known:  # of a version that this one does not read, perhaps
                raise ValueError(f"{visible(old)} is left as it was: {folder.problems[-1]}")
            messages = _compare(folder, SegmentFolder(new, live=False), told)
        old.rename(before)
        new.rename(old)
        sync_folder(old.absolute().parent)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    finally:
        lock.release()
    shutil.rmtree(before)
    return messages


def _lacks_columns(segment: Segment) -> bool:
    if segment.path is None or not segment.sealed:
        return False
    try:
        with pa.OSFile(os.fsencode(segment.path)) as source:
            schema = pq.read_schema(source)
    except BROKEN:  # damage, which a rewriting would not mend
        return False
    if meaning_of(schema.metadata or {}) > MEANING:
        raise ValueError(f"{segment.path.name} was written by a later version of this package: migrate with that one")
    return not are_columns(schema)


def _write(folder: SegmentFolder, new: Path, progress: Progress) -> None:
    manifest = folder.manifest
    writer = SegmentWriter(
        new,
        run_id=None if manifest is None else manifest.run_id,
        url=None if manifest is None else manifest.url,
        package=None if manifest is None else manifest.package,
    )
    try:
        if manifest is not None:
            writer.manifest.started = manifest.started
            writer.manifest.parameters = manifest.parameters
        for entry in folder.entries():
            writer.write([entry])
            if writer.full:
                writer.seal()
            progress(writer.messages, 2 * folder.messages)
        writer.close(finished=folder.finished)
    finally:
        writer.abandon()


def _compare(old: SegmentFolder, new: SegmentFolder, progress: Progress) -> int:
    """Compare the messages of both, and return how many there are; raise `ValueError` if they differ."""
    count = 0
    for one, other in zip_longest(_messages(old), _messages(new)):
        if one != other:
            raise ValueError(f"message {count:,} differs after the migration; the recording is left as it was")
        count += 1
        if count % 16_384 == 0:
            progress(old.messages + count, 2 * old.messages)
    return count


def _messages(folder: SegmentFolder) -> Iterator[Compared]:
    """Yield the parts of each message that a migration must keep; times as text, since NaN does not equal itself."""
    for entry in folder.entries():
        for message in entry.messages:
            times = repr((message.timestamp, entry.received))
            yield message.type, bytes(message.data), times, message.seq, message.tick, message.id, entry.epoch
