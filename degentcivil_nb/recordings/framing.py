"""Records with a checksum each: the file format of the segment that is being written.

A record is a header (marker, kind, segment, number, index of its first message and event, count, length, digest) and a
payload. The digest covers all but itself. After damage, reading continues at the next marker, so that a damaged record
affects only itself; the indices in its neighbours show how much it held.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

MARKER: Final = b"\x89DCR\r\n\x1a\n"
BATCH: Final = 1
END: Final = 2
DIGEST_BYTES: Final = 16
_HEADER: Final = struct.Struct("<8sBIIQQIQ")
HEADER_BYTES: Final = _HEADER.size + DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class Record:
    """A valid record."""

    kind: int
    segment: int
    number: int
    """The record's index among the segment's records."""
    ordinal: int
    """The index of the record's first message in the recording."""
    row: int
    """The index of the record's first event in the recording."""
    count: int
    payload: memoryview | bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are not a valid record."""

    offset: int
    length: int
    torn: bool
    """Whether the bytes begin a record at the end of the file: an unfinished write, or a truncated file."""


class Head(NamedTuple):
    """What the header of a record says of its place."""

    kind: int
    segment: int
    length: int
    """The bytes of the payload behind it."""


def read_head(data: bytes) -> Head | None:
    """Read the header of a record, without a check of what is behind it; `None` if it is none."""
    if len(data) < _HEADER.size:
        return None
    marker, kind, segment, _, _, _, _, length = _HEADER.unpack_from(data)
    return Head(kind, segment, length) if marker == MARKER else None


def read_record(data: memoryview) -> Record | None:
    """Read the record that bytes begin with; `None` if it is damaged."""
    return _one(data, 0)[0]


def write_record(record: Record) -> list[bytes | memoryview]:
    """Return a record as pieces of bytes, to be written one after the other."""
    header = _HEADER.pack(
        MARKER,
        record.kind,
        record.segment,
        record.number,
        record.ordinal,
        record.row,
        record.count,
        len(record.payload),
    )
    return [header, _digest(header, record.payload), record.payload]


def _digest(header: bytes | memoryview, payload: bytes | memoryview) -> bytes:
    digest = sha256(header)  # sha256, for which processors have instructions
    digest.update(payload)
    return digest.digest()[:DIGEST_BYTES]


def read_records(data: memoryview) -> Iterator[Record | Damage]:
    """Yield the valid records in order, and the damage between them; every byte belongs to one of these."""
    offset, bad_from = 0, 0
    while offset < len(data):
        record, size = _one(data, offset)
        if record is None:
            offset = _next_marker(data, offset + 1)
            continue
        if bad_from < offset:
            yield Damage(bad_from, offset - bad_from, torn=False)
        yield record
        offset += size
        bad_from = offset
    if bad_from < len(data):
        yield Damage(bad_from, len(data) - bad_from, torn=_is_torn(data, bad_from))


def _one(data: memoryview, offset: int) -> tuple[Record | None, int]:
    start = offset + HEADER_BYTES
    if len(data) < start:
        return None, 0
    header = data[offset : offset + _HEADER.size]
    marker, kind, segment, number, ordinal, row, count, length = _HEADER.unpack(header)
    if marker != MARKER or length > len(data) - start:
        return None, 0
    payload = data[start : start + length]
    if data[offset + _HEADER.size : start] != _digest(header, payload):
        return None, 0
    return Record(kind, segment, number, ordinal, row, count, payload), HEADER_BYTES + length


def _next_marker(data: memoryview, offset: int) -> int:
    step = 1 << 20
    while offset < len(data):
        found = bytes(data[offset : offset + step + len(MARKER)]).find(MARKER)
        if found >= 0:
            return offset + found
        offset += step
    return len(data)


def _is_torn(data: memoryview, offset: int) -> bool:
    head = bytes(data[offset : offset + _HEADER.size])
    if len(head) < _HEADER.size:
        return MARKER.startswith(head[: len(MARKER)])
    marker, *_, length = _HEADER.unpack(head)
    return bool(marker == MARKER and length > len(data) - offset - HEADER_BYTES)
