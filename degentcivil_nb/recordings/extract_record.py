"""The record of an extract: what questions need of one sealed segment, in a few small arrays, with a checksum.

A head in JSON names the segment's digest, the versions and the arrays; behind it are the arrays, compressed together.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from msgspec import Struct

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..store.pieces import Extract, Extracted
from ..store.table import Array
from .framing import Record, write_record
from .index_file import MAX_PIECE_BYTES, MEANING, WIDTHS, packed, unpacked
from .manifest import SegmentStats

EXTRACT: Final = 5
"""The kind of the record."""
_LENGTH: Final = struct.Struct("<I")
_UNUSABLE: Final = (ValueError, WebSocketError, struct.error, TypeError, OverflowError)


class _Column(Struct, array_like=True, frozen=True):
    """An array behind the head: its name, how it is stored (whole numbers as differences), and its bytes."""

    name: str
    stored: str
    size: int


class _Head(Struct, array_like=True, frozen=True):
    digest: str
    meaning: int
    version: int
    rows: int
    columns: list[_Column]
    words: dict[str, list[str]]


def record_of(extract: Extract, stats: SegmentStats, made: Extracted) -> bytes:
    """Return the record of a segment's extract."""
    columns: list[_Column] = []
    parts: list[bytes] = []
    for name, width in extract.columns.items():
        stored, data = _stored(made.columns[name], width)
        columns.append(_Column(name, stored, len(data)))
        parts.append(data)
    head = encode(_Head(stats.digest or "", MEANING, extract.version, len(made), columns, made.words))
    data, size = packed(b"".join([_LENGTH.pack(len(head)), head, *parts]))
    return b"".join(write_record(Record(EXTRACT, stats.number, 0, size, stats.row, stats.rows, data)))


def _stored(array: Array, width: str) -> tuple[str, bytes]:
    if width not in ("i4", "i8"):
        return width, array.astype(f"<{width}" if width != "?" else "?").tobytes()
    steps = np.diff(array.astype(np.int64), prepend=np.int64(0))  # what overflows comes back when it is added up
    low, high = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
    narrow = next(one for one in WIDTHS if np.iinfo(one).min <= low and high <= np.iinfo(one).max)
    return narrow, steps.astype(f"<{narrow}").tobytes()


def read_extract(extract: Extract, stats: SegmentStats, record: Record) -> Extracted:
    """Read a record; `ValueError` unless it is the extract of this segment. Its writer may have been anyone."""
    try:
        if record.ordinal > MAX_PIECE_BYTES:
            raise ValueError("it is too large")
        data = memoryview(unpacked(bytes(record.payload), record.ordinal))
        (length,) = _LENGTH.unpack_from(data)
        head = decode(_Head, bytes(data[_LENGTH.size : _LENGTH.size + length]))
        if (head.digest, head.meaning, head.version) != (stats.digest, MEANING, extract.version):
            raise ValueError("it is of another segment or version")
        if [one.name for one in head.columns] != [*extract.columns] or set(head.words) != extract.coded:
            raise ValueError("its columns are others")
        columns: dict[str, Array] = {}
        offset = _LENGTH.size + length
        for one in head.columns:
            columns[one.name] = _read(data[offset : offset + one.size], one.stored, extract.columns[one.name])
            offset += one.size
    except _UNUSABLE as error:
        raise ValueError(f"it is no extract: {error}") from error
    if any(len(column) != head.rows for column in columns.values()):
        raise ValueError("values are missing")
    limits = {name: (-1, len(words)) for name, words in head.words.items()}
    limits |= {"place": (0, stats.rows)} if "place" in columns else {}
    if head.rows and any(
        columns[name].min() < low or columns[name].max() >= high for name, (low, high) in limits.items()
    ):
        raise ValueError("words or events are missing")
    if extract.check is not None and not extract.check(columns):
        raise ValueError("its values are none that follow from events")
    return Extracted(columns, head.words)


def _read(data: memoryview, stored: str, width: str) -> Array:
    if width in ("i4", "i8"):
        if stored not in WIDTHS:
            raise ValueError(f"{stored!r:.20} are no whole numbers")
        numbers: Array = np.cumsum(np.frombuffer(data, f"<{stored}"), dtype=np.int64).astype(width)
        return numbers
    if stored != width:
        raise ValueError("its types are others")
    values: Array = np.frombuffer(data, f"<{width}" if width != "?" else np.uint8)
    return values.astype(width)
