"""Decoding of the payloads of one message type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from ..protocol.json_text import FOREIGN
from ..protocol.repairing import repair


class PayloadReader:
    """A decoder of payloads of one type: all at once, or one by one if any is invalid."""

    def __init__(self, type: Any) -> None:
        decoder = msgspec.json.Decoder(type)
        self._one, self._many = decoder.decode, decoder.decode_lines

    def __call__(self, raws: Sequence[Raw], joined: bytes | None = None) -> tuple[list[Any], dict[int, str]]:
        """Return the decoded payloads, and the reasons by index for the invalid ones.

        `joined` are the payloads end to end, if the caller has them. Nothing has to separate them: two that are read as
        one (`1` and `2` as `12`) make the number of values too small, and then each is decoded alone.
        """
        try:
            read: list[Any] = self._many(b"".join(raws) if joined is None else joined)
            if len(read) == len(raws):
                return read, {}
        except FOREIGN:
            pass  # decoded one by one below
        read, reasons = [], {}
        for position, raw in enumerate(raws):
            try:
                read.append(self._read(raw))
            except FOREIGN as error:
                reasons[position] = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return read, reasons

    def _read(self, raw: Raw) -> Any:
        try:
            return self._one(raw)
        except FOREIGN:
            try:
                return self._one(repair(bytes(raw)))
            except FOREIGN:
                pass
            raise
