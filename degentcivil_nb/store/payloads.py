"""Payloads as they arrived: bytes end to end in blocks of 65,536 rows, each of which can be dropped."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol.json_text import FOREIGN
from ..protocol.messages import MessageTypes
from .schema import BLOCK_ROWS

_LONGEST: Final = {np.dtype(width): int(np.iinfo(width).max) for width in (np.uint8, np.uint16, np.int64)}
"""The integer types for lengths, from narrow to wide, with the longest payload that fits."""

_decode = msgspec.json.Decoder().decode


def read_payload(text: bytes) -> Any:
    """Decode a payload; return one that cannot be decoded (endless digits, broken text) as text."""
    try:
        return _decode(text)
    except FOREIGN:
        return text.decode("utf-8", "backslashreplace")


def inner_value(type: str | None, payload: Any) -> Any:
    """Return `data`, the inner value of an `event_notification`; `None` for all other types."""
    return payload.get("data") if type == MessageTypes.EVENT_NOTIFICATION and isinstance(payload, dict) else None


class PayloadBlock:
    """The payloads of one block; lengths take one, two or eight bytes, as the longest one needs."""

    __slots__ = ("_data", "_pieces", "count", "lengths")

    def __init__(self) -> None:
        self._data = b""
        self._pieces: list[bytes | memoryview] = []  # not yet joined to the data
        self.lengths: npt.NDArray[Any] = np.zeros(BLOCK_ROWS, np.uint8)
        self.count = 0

    def extend(self, data: bytes | memoryview, lengths: npt.NDArray[np.int64]) -> None:
        """Append payloads, given end to end."""
        longest = int(lengths.max())
        if longest > _LONGEST[self.lengths.dtype]:
            self.lengths = self.lengths.astype(next(width for width, most in _LONGEST.items() if longest <= most))
        self._pieces.append(data)
        self.lengths[self.count : self.count + len(lengths)] = lengths
        self.count += len(lengths)

    @property
    def data(self) -> bytes:
        """Return all payloads end to end."""
        if self._pieces:
            self._data = b"".join([self._data, *self._pieces])
            self._pieces.clear()
        return self._data

    @property
    def nbytes(self) -> int:
        """Return the bytes of payloads and lengths."""
        return len(self._data) + sum(map(len, self._pieces)) + self.lengths.itemsize * self.count

    def one(self, index: int) -> bytes:
        """Copy one payload."""
        start = int(self.lengths[:index].sum(dtype=np.int64))
        return self.data[start : start + int(self.lengths[index])]


class Payloads:
    """Payloads by row; written and read under the store's lock."""

    def __init__(self) -> None:
        self._blocks: dict[int, PayloadBlock] = {}
        self._next_row = 0
        self._first_row = 0
        self.nbytes = 0
        """Bytes of the payloads held."""

    def begin(self, row: int) -> None:
        """Set the row of the first payload."""
        self._first_row = self._next_row = row
        number, within = divmod(row, BLOCK_ROWS)
        if within:
            self._blocks[number] = PayloadBlock()
            self._blocks[number].count = within  # of no length

    def extend(self, data: bytes | memoryview, lengths: npt.NDArray[np.int64]) -> None:
        """Append the payloads of the next rows, given end to end."""
        self.nbytes += len(data)
        while len(lengths):
            number, within = divmod(self._next_row, BLOCK_ROWS)
            block = self._blocks.get(number)
            if block is None:
                block = self._blocks[number] = PayloadBlock()
            count = min(BLOCK_ROWS - within, len(lengths))
            if count == len(lengths):
                block.extend(data, lengths)
            else:
                end = int(lengths[:count].sum())
                block.extend(data[:end], lengths[:count])
                data = data[end:]
            self._next_row += count
            lengths = lengths[count:]

    def evict(self, first_row: int) -> None:
        """Drop the payloads before a row; memory is freed a block at a time."""
        while self._first_row < first_row:
            number, within = divmod(self._first_row, BLOCK_ROWS)
            stop = min(BLOCK_ROWS, within + first_row - self._first_row)
            block = self._blocks[number]
            self.nbytes -= int(block.lengths[within:stop].sum(dtype=np.int64))
            self._first_row += stop - within
            if stop == BLOCK_ROWS:
                del self._blocks[number]

    def get(self, row: int) -> bytes:
        """Copy the payload of a row that is held."""
        number, within = divmod(row, BLOCK_ROWS)
        return self._blocks[number].one(within)

    def take(self, rows: Sequence[int]) -> list[bytes]:
        """Copy the payloads of ascending rows."""
        found: list[bytes] = []
        done = 0
        while done < len(rows):
            number = rows[done] // BLOCK_ROWS
            end = (number + 1) * BLOCK_ROWS
            stop = bisect_left(rows, end, done)
            block = self._blocks.get(number)
            if block is None:  # evicted since the rows were chosen
                found += [b"null"] * (stop - done)
                done = stop
                continue
            places = np.array(rows[done:stop], np.int64) - number * BLOCK_ROWS
            data, ends = block.data, np.cumsum(block.lengths[: block.count], dtype=np.int64)[places]
            starts = ends - block.lengths[places]
            found += [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
            done = stop
        return found

    @property
    def memory_bytes(self) -> int:
        """Return the bytes of all blocks, payloads and lengths."""
        return sum(block.nbytes for block in self._blocks.values())
