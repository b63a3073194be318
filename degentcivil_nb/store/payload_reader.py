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

    def __call__(self, raws: Sequence[Raw]) -> tuple[list[Any], dict[int, str]]:
        """Return the decoded payloads, and the reasons by index for the invalid ones."""
        try:
            read: list[Any] = self._many(b"\n".join(raws))
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
