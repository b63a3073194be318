"""Payloads as they came: bytes laid end to end in blocks of 65,536 rows, so that a block can be sealed or let go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol.json_text import FOREIGN
from .schema import BLOCK_ROWS

NARROW_MAX = np.iinfo(np.uint16).max

_decode = msgspec.json.Decoder().decode


def read_payload(text: bytes) -> Any:
    """Decode a payload; one that cannot be (digits without end, broken text) is given as the text that it is."""
    try:
        return _decode(text)
    except FOREIGN:
        return text.decode("utf-8", "backslashreplace")


class PayloadBlock:
    """Hold the payloads of one block; lengths take two bytes each unless one of them is longer than that."""

    __slots__ = ("count", "data", "lengths")

    def __init__(self) -> None:
        self.data = bytearray()
        self.lengths: npt.NDArray[Any] = np.zeros(BLOCK_ROWS, np.uint16)
        self.count = 0

    def extend(self, payloads: Sequence[Any], lengths: npt.NDArray[np.int64]) -> None:
        """Append payloads (anything with the buffer protocol)."""
        if int(lengths.max()) > NARROW_MAX and self.lengths.dtype == np.uint16:
            self.lengths = self.lengths.astype(np.int64)
        self.data += b"".join(payloads)
        self.lengths[self.count : self.count + len(payloads)] = lengths
        self.count += len(payloads)

    def one(self, index: int) -> bytes:
        """Copy one payload out."""
        start = int(self.lengths[:index].sum(dtype=np.int64))
        return bytes(self.data[start : start + int(self.lengths[index])])


class Payloads:
    """Hold payloads by row; written and read under the store's lock."""

    def __init__(self) -> None:
        self._blocks: dict[int, PayloadBlock] = {}
        self._next_row = 0
        self._first_row = 0
        self.nbytes = 0
        """Bytes of the payloads held."""

    def extend(self, payloads: Sequence[Any], lengths: npt.NDArray[np.int64]) -> None:
        """Append the payloads of the next rows."""
        done = 0
        while done < len(payloads):
            number, within = divmod(self._next_row, BLOCK_ROWS)
            block = self._blocks.get(number)
            if block is None:
                block = self._blocks[number] = PayloadBlock()
            count = min(BLOCK_ROWS - within, len(payloads) - done)
            block.extend(payloads[done : done + count], lengths[done : done + count])
            self._next_row += count
            done += count
        self.nbytes += int(lengths.sum())

    def evict(self, first_row: int) -> None:
        """Let the payloads before a row go; memory is given back a block at a time."""
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
            number, within = divmod(rows[done], BLOCK_ROWS)
            end = (number + 1) * BLOCK_ROWS
            stop = done
            while stop < len(rows) and rows[stop] < end:
                stop += 1
            block = self._blocks.get(number)
            if block is None:  # it has left since the rows were chosen
                found += [b"null"] * (stop - done)
                done = stop
                continue
            ends = np.cumsum(block.lengths[: block.count], dtype=np.int64)
            for row in rows[done:stop]:
                within = row - number * BLOCK_ROWS
                found.append(bytes(block.data[int(ends[within]) - int(block.lengths[within]) : int(ends[within])]))
            done = stop
        return found

    @property
    def memory_bytes(self) -> int:
        """Count what the blocks take, payloads and lengths."""
        return sum(len(block.data) + block.lengths.itemsize * block.count for block in self._blocks.values())
