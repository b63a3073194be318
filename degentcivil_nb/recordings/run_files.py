"""The files of many runs' recordings, on this machine or in object storage, and what they contain."""

from __future__ import annotations

import os
import shutil
import stat
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.fs as pafs  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ..core.escaping import visible
from ..protocol.errors import RecordingWarning, WebSocketError
from ..protocol.json_text import decode
from .framing import BATCH, Damage, Record, read_records
from .manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    OPEN_NAME,
    SEALED_NAME,
    STATS_KEY,
    Manifest,
    SegmentStats,
    digest_of,
    parse_manifest,
    span_of,
)
from .segment_bytes import MAX_SEGMENT_BYTES, read_batch
from .segment_files import with_senders_times

ATTEMPTS: Final = 5
"""How often a run is read again if its segments are sealed while it is read."""


class Found(NamedTuple):
    """A file of a recording, as it was listed."""

    path: str
    name: str
    size: int


@dataclass(slots=True)
class Sealed:
    """The path of a sealed segment, and its statistics."""

    path: str
    digest: str
    stats: SegmentStats


@dataclass(slots=True)
class RunFiles:
    """The facts of a run that are known without reading its events."""

    name: str
    path: str
    manifest: Manifest | None = None
    sealed: list[Sealed] = field(default_factory=list)
    tail: list[pa.RecordBatch] = field(default_factory=list)
    tail_stats: list[SegmentStats] = field(default_factory=list)
    bytes: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def stats(self) -> list[SegmentStats]:
        """Return the statistics of all segments, in order."""
        return sorted([*(one.stats for one in self.sealed), *self.tail_stats], key=lambda stats: stats.number)

    @property
    def key(self) -> tuple[Any, ...]:
        """Return a value that changes whenever the run has more events."""
        return (self.path, *(one.digest for one in self.sealed), sum(stats.messages for stats in self.tail_stats))


UNFINISHED_RUN: Final = "it was not finished, or is being recorded"


def local(folder: str | os.PathLike[str]) -> tuple[pafs.FileSystem, str]:
    """Return this machine's file system, and a folder in its notation."""
    return pafs.LocalFileSystem(), os.path.abspath(os.fsdecode(folder)).replace(os.sep, "/")  # noqa: PTH100 — keeps links


def find_runs(filesystem: pafs.FileSystem, folder: str, *, deep: bool = True) -> list[RunFiles]:
    """Find the recordings in a folder (with `deep`, also in its subfolders), in the order of their names.

    Raises `FileNotFoundError` if there is no such folder. Damage is listed in each run's `problems`.
    """
    runs: dict[str, list[Found]] = defaultdict(list)
    for file in _files(filesystem, folder, deep):
        runs[file.path.rpartition("/")[0]].append(file)
    root = folder.rstrip("/")
    return [_read_again(filesystem, path, _name(path, root), runs[path]) for path in sorted(runs)]


def _files(filesystem: pafs.FileSystem, folder: str, deep: bool) -> list[Found]:
    """List the files of recordings in a folder; what cannot be listed inside it is skipped with a warning."""
    if isinstance(filesystem, pafs.LocalFileSystem):
        found = _local_files(folder, deep)
    else:
        infos = filesystem.get_file_info(pafs.FileSelector(folder, recursive=deep))
        found = (Found(info.path, info.base_name, info.size) for info in infos if info.type == pafs.FileType.File)
    return [file for file in found if _is_ours(file.name)]


def _local_files(folder: str, deep: bool) -> Iterator[Found]:
    """List local files, whose names need not be UTF-8: Arrow fails for a whole folder with one that is not."""
    if not os.path.isdir(folder):  # noqa: PTH112 — a name of any bytes
        raise FileNotFoundError(f"there is no folder {folder}; open_runs opens a folder of recordings")
    left, seen = [folder], set()
    while left:
        here = left.pop()
        try:
            entries = list(os.scandir(here))
        except OSError as error:
            if here == folder:
                raise
            warnings.warn(f"{visible(here)} cannot be read and is left out: {error}", RecordingWarning, stacklevel=5)
            continue
        for entry in entries:
            path = f"{here.rstrip('/')}/{entry.name}"
            try:
                about = entry.stat()
            except OSError:  # deleted meanwhile, or a broken link
                continue
            if stat.S_ISREG(about.st_mode):
                yield Found(path, entry.name, about.st_size)
            elif deep and stat.S_ISDIR(about.st_mode) and (about.st_dev, about.st_ino) not in seen:
                seen.add((about.st_dev, about.st_ino))  # a link may lead to a parent
                left.append(path)


def is_readable_name(path: str) -> bool:
    """Return whether Arrow can open a path, which must be UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_again(filesystem: pafs.FileSystem, path: str, name: str, files: list[Found]) -> RunFiles:
    """Read a run, again if it has problems and its files have changed meanwhile."""
    for _ in range(ATTEMPTS):
        run = _read(filesystem, path, name, files)
        if run.problems in ([], [UNFINISHED_RUN]):
            break
        now = _files(filesystem, path, deep=False)
        if {file.name for file in now} == {file.name for file in files}:
            break
        files = now
    return run


def _name(path: str, root: str) -> str:
    """Return a run's name: its folder below the root, or the root itself."""
    below = path[len(root) + 1 :] if root else path
    return below or path.rpartition("/")[2]


def _is_ours(name: str) -> bool:
    return name == MANIFEST or SEALED_NAME.fullmatch(name) is not None or OPEN_NAME.fullmatch(name) is not None


def _read(filesystem: pafs.FileSystem, path: str, name: str, files: Iterable[Found]) -> RunFiles:
    run = RunFiles(name, path)
    by_name = {file.name: file for file in sorted(files, key=lambda file: file.name)}
    run.bytes = sum(file.size for file in by_name.values())
    try:
        run.manifest = parse_manifest(_content(filesystem, by_name[MANIFEST], MAX_MANIFEST_BYTES))
    except KeyError:
        run.problems.append("there is no manifest")
    except (ValueError, OSError) as error:
        run.problems.append(f"the manifest is damaged: {error}")
    listed = {} if run.manifest is None else {stats.number: stats for stats in run.manifest.segments}
    for file in by_name.values():
        match = SEALED_NAME.fullmatch(file.name)
        if match is None:
            continue
        stats = listed.get(int(match[1])) or _own_stats(filesystem, file, match[2], run)
        if stats is not None and stats.digest == match[2]:
            stats = with_senders_times(stats, run.manifest, partial(_open_file, filesystem, file.path))
            run.sealed.append(Sealed(file.path, match[2], stats))
    sealed = {one.stats.number for one in run.sealed}
    for file in by_name.values():
        match = OPEN_NAME.fullmatch(file.name)
        if match is not None and int(match[1]) not in sealed:
            _read_tail(filesystem, file, int(match[1]), run)
    have = sealed | {stats.number for stats in run.tail_stats}
    run.problems += [f"{stats.name} is missing" for number, stats in listed.items() if number not in have]
    if run.manifest is not None and not run.manifest.closed:
        run.problems.append(UNFINISHED_RUN)
    return run


def _open_file(filesystem: pafs.FileSystem, path: str) -> pa.NativeFile:
    if isinstance(filesystem, pafs.LocalFileSystem):
        return pa.OSFile(os.fsencode(path))  # as bytes, since text would have to be UTF-8
    return filesystem.open_input_file(path)


def _content(filesystem: pafs.FileSystem, file: Found, limit: int) -> bytes:
    if file.size > limit:
        raise ValueError(f"{file.name} is too large for a file of this name")
    with _open_file(filesystem, file.path) as stream:
        content: bytes = stream.read()
    return content


def _own_stats(filesystem: pafs.FileSystem, file: Found, digest: str, run: RunFiles) -> SegmentStats | None:
    """Read the statistics inside a sealed segment that no manifest lists."""
    try:
        with _open_file(filesystem, file.path) as stream:
            metadata = pq.read_schema(stream).metadata or {}
        stats = decode(SegmentStats, metadata.get(STATS_KEY, b""))
    except (ValueError, OSError, pa.ArrowException, WebSocketError) as error:
        run.problems.append(f"{file.name} is damaged: {error}")
        return None
    stats.digest = digest
    return stats


def _read_tail(filesystem: pafs.FileSystem, file: Found, number: int, run: RunFiles) -> None:
    """Read the valid records of an unsealed segment."""
    try:
        content = _content(filesystem, file, MAX_SEGMENT_BYTES)
    except (ValueError, OSError) as error:
        run.problems.append(f"{file.name}: {error}")
        return
    stats: SegmentStats | None = None
    damaged = 0
    for found in read_records(memoryview(content)):
        if isinstance(found, Damage):
            damaged += found.length
        elif isinstance(found, Record) and found.segment == number and found.kind == BATCH:
            batch = read_batch(found)
            if batch is None:
                damaged += len(found.payload)
                continue
            stats = stats or SegmentStats(number, found.ordinal, found.row)
            stats.add(batch)
            run.tail.append(batch)
    if stats is not None:
        run.tail_stats.append(stats)
    if damaged:
        run.problems.append(f"{file.name}: {damaged:,} bytes are damaged")


def verify(filesystem: pafs.FileSystem, sealed: Sealed) -> str | None:
    """Compare a sealed segment with its checksum; return what is wrong, `None` if nothing is."""
    try:
        with _open_file(filesystem, sealed.path) as stream:
            size = stream.size()
            sound = size <= MAX_SEGMENT_BYTES and digest_of(stream.read()) == sealed.digest
    except OSError as error:
        return str(error)
    return None if sound else "its checksum does not match"


def copied(filesystem: pafs.FileSystem, path: str, folder: Path) -> str:
    """Copy a run from elsewhere to a folder on this machine, once, and return the folder."""
    if not folder.exists():
        beside = folder.with_suffix(".part")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        pafs.copy_files(path, str(beside), source_filesystem=filesystem, destination_filesystem=pafs.LocalFileSystem())
        beside.rename(folder)
    return str(folder)


def summary(run: RunFiles) -> dict[str, Any]:
    """Return what a run contains according to its segments; `None` is unknown, counts of types are of messages."""
    stats = run.stats
    span = span_of(stats)
    ticks = [one.tick for one in stats if one.tick is not None]
    types: dict[str, int] | None = {}
    for one in stats:
        if one.types is None or types is None:
            types = None
            break
        for name, number in one.types.items():
            types[name] = types.get(name, 0) + number
    manifest = run.manifest or Manifest()
    started, ended = (None, None) if span is None else map(_moment, span)
    return {
        "run_id": manifest.run_id,
        "parameters": manifest.parameters,
        "url": manifest.url,
        "started": started,
        "duration": None if started is None or ended is None else ended - started,
        "events": sum(one.rows for one in stats),
        "errors": None if types is None else types.get("error", 0),
        "gaps": None if types is None else types.get("gap", 0),
        "first_tick": min((low for low, _ in ticks), default=None),
        "last_tick": max((high for _, high in ticks), default=None),
        "epochs": len({epoch for one in stats for epoch in one.seq}),
        "finished": manifest.closed,
        "bytes": run.bytes,
        "types": types,
        "package": manifest.package,
    }


def _moment(seconds: float) -> pd.Timestamp:
    return pd.Timestamp(round(seconds * 1e6), unit="us", tz="UTC")
