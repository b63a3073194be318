"""Files of extracts: what questions need of each sealed segment, kept beside the segments.

A file `NAME.extract` has a record for each segment (`extract_record.py`). It contains nothing that does not follow from
the segments. What is missing, damaged or of another version or segment is made anew.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..protocol.errors import WebSocketError
from ..store.call_extract import CALLS
from ..store.change_extract import CHANGES
from ..store.chat_extract import CHAT
from ..store.error_extract import ERRORS
from ..store.pieces import Extract, Extracted, Piece
from ..store.silence_extract import SILENCES
from ..store.sum_extract import KINDS, SUMS
from ..store.tick_extract import TICKS
from .extract_record import EXTRACT, read_extract, record_of
from .framing import HEADER_BYTES, Record, read_head, read_record
from .index_file import INDEX_NAME, MAX_PIECE_BYTES
from .manifest import SegmentStats
from .summaries import SUMMARIES_NAME

logger = logging.getLogger("degentcivil_nb.recordings")

EXTRACTS: Final = (CALLS, CHANGES, CHAT, ERRORS, KINDS, SILENCES, SUMS, TICKS)
"""The extracts that are kept."""
SUFFIX: Final = ".extract"
OF_THE_RUN: Final = frozenset({"character_id", "state", "location"})
"""The words of an extract that its segment has told the run, too."""
HELD_BYTES: Final = 128 << 20
"""So much of what was made and could not be written is held for the next question."""


def file_name(extract: Extract) -> str:
    """Return the name of the file of an extract."""
    return f"{extract.name}{SUFFIX}"


def is_derived(path: Path) -> bool:
    """Return whether a file of a recording can be made again from the others."""
    return path.name in (INDEX_NAME, SUMMARIES_NAME) or path.suffix == SUFFIX


def is_empty(extract: Extract, stats: SegmentStats) -> bool:
    """Return whether a segment is known to have nothing for an extract."""
    return extract.types is not None and stats.types is not None and not any(map(stats.types.get, extract.types))


def append_record(folder: Path, extract: Extract, record: bytes) -> int:
    """Write a record at the end of the file of an extract, and return its bytes.

    It need not be on the disk at once: what a crash leaves of it is made again.
    """
    with _open(folder / file_name(extract), os.O_WRONLY | os.O_APPEND | os.O_CREAT) as file:
        file.write(record)
    return len(record)


def _open(path: Path, flags: int) -> BinaryIO:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise FileExistsError(f"{path.name} is not a file")
    return os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0), 0o644), "ab" if flags & os.O_APPEND else "rb")


class ExtractFiles:
    """The extracts of a recording's sealed segments: read from files, or made and kept.

    Nothing is written while somebody records (`live`), or into a folder that cannot be written to.
    """

    def __init__(self, folder: Path, *, live: bool) -> None:
        self._folder = folder
        self._live = live
        self._lock = threading.Lock()
        self._files: dict[str, _Kept] = {}

    def of(
        self, extract: Extract, stats: SegmentStats, piece: Piece, words: Mapping[str, Mapping[Any, int]]
    ) -> Extracted:
        """Return the extract of a segment; one from a file may have no words that the run lacks."""
        if is_empty(extract, stats):
            return extract.empty()
        with self._lock:
            kept = self._files.get(extract.name)
            if kept is None:
                kept = self._files[extract.name] = _Kept(self._folder / file_name(extract))
        found = kept.read(extract, stats)
        if found is None or not all(
            words[name].keys() >= set(found.words[name]) for name in OF_THE_RUN & extract.coded
        ):
            found = extract.make(piece)
            try:
                kept.add(stats, record_of(extract, stats, found))
            except WebSocketError as error:  # a text that JSON cannot hold
                logger.info("the extract %s of %s is not kept: %s", extract.name, stats.name, error)
        return found

    def keep(self) -> None:
        """Write what was made since."""
        if not self._live:
            for kept in [*self._files.values()]:
                kept.write()


class _Kept:
    """The file of one extract: where in it the record of each segment is, and what is to be added."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._places = _places(path)
        self._made: dict[int, bytes] = {}
        self._unwritten = 0

    def read(self, extract: Extract, stats: SegmentStats) -> Extracted | None:
        """Read the extract of a segment; `None` if there is none that can be used."""
        for record in (self._held(stats.number), self._stored(stats.number)):
            if record is not None:
                try:
                    return read_extract(extract, stats, record)
                except ValueError as error:
                    logger.debug("%s of segment %d is not used: %s", self._path, stats.number, error)
        return None

    def _held(self, number: int) -> Record | None:
        data = self._made.get(number)
        return None if data is None else read_record(memoryview(data))

    def _stored(self, number: int) -> Record | None:
        place = self._places.get(number)
        if place is None:
            return None
        try:
            with _open(self._path, os.O_RDONLY) as file:
                file.seek(place[0])
                record = read_record(memoryview(file.read(place[1])))
        except OSError:
            return None
        return record if record is not None and record.segment == number else None

    def add(self, stats: SegmentStats, record: bytes) -> None:
        """Take the record of a segment."""
        with self._lock:
            if sum(map(len, self._made.values())) + len(record) <= HELD_BYTES:
                self._made[stats.number] = record
                self._unwritten += 1

    def write(self) -> None:
        """Write the file anew, in one step, with what was made; other processes may do the same."""
        with self._lock:
            if not self._unwritten:
                return
            self._unwritten = 0  # a folder that refuses is not asked again for the same
            beside = self._path.with_name(f"{self._path.name}-{secrets.token_hex(8)}.tmp")
            try:
                with beside.open("xb") as file:
                    file.writelines(self._whole())
                beside.replace(self._path)
            except OSError as error:
                with suppress(OSError):  # a file system that is read-only says so of a missing file, too
                    beside.unlink(missing_ok=True)
                logger.info("%s cannot be written: %s", self._path, error)
                return
            self._places = _places(self._path)
            self._made.clear()

    def _whole(self) -> Iterable[bytes]:
        """Give the records of the file as it is now, and those that were made."""
        places = _places(self._path)
        for number in sorted({*places, *self._made}):
            made = self._made.get(number)
            if made is not None:
                yield made
                continue
            with _open(self._path, os.O_RDONLY) as file:
                file.seek(places[number][0])
                yield file.read(places[number][1])


def _places(path: Path) -> dict[int, tuple[int, int]]:
    """Return where the record of each segment is, up to the first damage: what comes behind is made again."""
    found: dict[int, tuple[int, int]] = {}
    try:
        with _open(path, os.O_RDONLY) as file:
            size, offset = os.fstat(file.fileno()).st_size, 0
            while offset + HEADER_BYTES <= size:
                file.seek(offset)
                head = read_head(file.read(HEADER_BYTES))
                longest = min(MAX_PIECE_BYTES, size - offset - HEADER_BYTES)
                if head is None or head.kind != EXTRACT or head.length > longest:
                    break
                found[head.segment] = (offset, HEADER_BYTES + head.length)
                offset += HEADER_BYTES + head.length
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.info("%s is not read: %s", path, error)
    return found
