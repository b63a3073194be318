"""The file with the index of a recording, so that only its first opening reads everything.

It contains nothing that does not follow from the segments; if it is unusable, the recording is read again. A head in
JSON with a checksum names the segments that were read and lists the pieces, each compressed and with a checksum of its
own.
"""

from __future__ import annotations

import os
import secrets
import stat
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, Literal

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
from msgspec import Meta, Struct

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..store.schema import Ints
from .manifest import Count, digest_of, sync_folder

INDEX_NAME: Final = "survey.cache"
MEANING: Final = 4
"""The version of indexes and columns: raised whenever an `EventStore` derives something else from the same messages.

What an older one says is not believed: such recordings are read by their messages until they are migrated.
"""
MAGIC: Final = b"degentcivil_nb survey\n"
MAX_HEAD_BYTES: Final = 64 << 20
MAX_PIECE_BYTES: Final = 1 << 30
WIDTHS: Final = ("i1", "i2", "i4", "i8")


class Piece(Struct, array_like=True, frozen=True):
    """The location of a compressed piece behind the head, and its uncompressed size."""

    offset: Count
    length: Annotated[int, Meta(ge=0, le=MAX_PIECE_BYTES)]
    size: Annotated[int, Meta(ge=0, le=MAX_PIECE_BYTES)]
    digest: str


class SummaryLine(Struct, array_like=True, frozen=True):
    """The fields of a `SegmentSummary`, and the location of the characters at its beginning."""

    number: Count
    first_row: Count
    next_row: Count
    errors: Count
    events: Count
    tick: int | None
    moment: float | None
    top: float | None
    epoch: str | None
    town: Piece


class Head(Struct):
    """The segments that an index covers, their summaries, and the location of the state after the first `count`."""

    meaning: int
    segments: list[str]
    pages: list[SummaryLine]
    count: Annotated[int, Meta(gt=0)]
    events: Count
    tick: int | None
    state: Piece
    arrays: dict[str, tuple[Literal["i1", "i2", "i4", "i8"], Piece]]


def packed(data: bytes) -> tuple[bytes, int]:
    """Compress a piece; return it with its size."""
    return bytes(pa.compress(data, codec="zstd", asbytes=True)), len(data)


def unpacked(data: bytes, size: int) -> bytes:
    """Decompress a piece; `ValueError` for anything that `packed` did not make."""
    try:
        return bytes(pa.decompress(data, decompressed_size=size, codec="zstd", asbytes=True))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"a piece cannot be read: {error}") from error


class IndexWriter:
    """The pieces of an index, written in one step."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._offset = 0

    def add(self, piece: bytes, size: int) -> Piece:
        """Add a compressed piece; return its location."""
        if max(len(piece), size) > MAX_PIECE_BYTES:
            raise ValueError("a piece is too large")
        place = Piece(self._offset, len(piece), size, digest_of(piece))
        self._pieces.append(piece)
        self._offset += len(piece)
        return place

    def copy(self, file: IndexFile, piece: Piece) -> Piece:
        """Add a piece of another file unchanged."""
        return self.add(file.packed(piece), piece.size)

    def add_array(self, array: Ints) -> tuple[Any, Piece]:
        """Add whole numbers, stored as their differences in the narrowest type."""
        steps = np.diff(array.astype(np.int64), prepend=np.int64(0))
        low, high = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
        width = next(w for w in WIDTHS if np.iinfo(w).min <= low and high <= np.iinfo(w).max)
        return width, self.add(*packed(steps.astype(f"<{width}").tobytes()))

    def write(self, folder: Path, head: Head) -> None:
        """Write the index beside the segments; `OSError` if the folder is not writable."""
        text = encode(head)
        beside = folder / f"survey-{secrets.token_hex(8)}.tmp"  # other processes may be reading the same recording
        try:
            with beside.open("xb") as file:
                file.write(MAGIC + b"%016x %b\n" % (len(text), sha256(text).hexdigest().encode()) + text)
                file.writelines(self._pieces)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(folder / INDEX_NAME)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(folder)


class IndexFile:
    """An index file. Raises `FileNotFoundError` if there is none, `ValueError` if it is invalid."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / INDEX_NAME
        with self._open() as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError("it is not an index")
            length, digest = _first_line(file)
            text = file.read(length)
        if len(text) != length or sha256(text).hexdigest() != digest:
            raise ValueError("the checksum of its head does not match")
        try:
            self.head = decode(Head, text)
        except WebSocketError as error:
            raise ValueError(error.message) from error
        if self.head.meaning != MEANING:
            raise ValueError("another version of this package wrote it")

    def _open(self) -> BinaryIO:
        if not stat.S_ISREG(self._path.lstat().st_mode):
            raise ValueError("it is not a regular file")
        return self._path.open("rb")

    def read(self, piece: Piece) -> bytes:
        """Read and decompress a piece; `ValueError` if it does not match the head, `OSError` if the disk fails."""
        return unpacked(self.packed(piece), piece.size)

    def packed(self, piece: Piece) -> bytes:
        """Read a compressed piece. The file may have been replaced by a longer one since its head was read."""
        with self._open() as file:
            file.seek(len(MAGIC))
            length, _ = _first_line(file)
            file.seek(length + piece.offset, os.SEEK_CUR)
            data = file.read(piece.length)
        if digest_of(data) != piece.digest:
            raise ValueError("the checksum of a piece does not match")
        return data

    def arrays(self) -> dict[str, Ints]:
        """Read all arrays."""
        return {name: self._array(width, piece) for name, (width, piece) in self.head.arrays.items()}

    def _array(self, width: str, piece: Piece) -> Ints:
        steps: Ints = np.frombuffer(self.read(piece), f"<{width}").astype(np.int64)
        return np.cumsum(steps, dtype=np.int64)


def _first_line(file: BinaryIO) -> tuple[int, str]:
    """Read the length of the head, and its checksum."""
    line = file.readline(100)
    try:
        length, digest = int(line[:16], 16), line[17:-1].decode("ascii")
    except ValueError:
        raise ValueError("its first line is damaged") from None
    if not 0 <= length <= MAX_HEAD_BYTES:
        raise ValueError("its head is too large")
    return length, digest
