"""Gaps in place of messages that a recording lost, as exact as possible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
from msgspec import Raw

from ..protocol.control_payloads import Gap
from ..protocol.json_text import encode
from ..protocol.messages import MessageTypes, RawMessage
from .arrow_messages import RecordedMessage
from .manifest import SegmentStats

DAMAGED: Final = "damaged"
"""The reason of gaps where a recording lost what it once held."""


def gap_entries(
    last: tuple[str, int] | None, lost: list[SegmentStats], following: pa.RecordBatch | None, received: float
) -> Iterator[RecordedMessage]:
    """Declare what is missing between `last` and what follows, as exactly as possible."""
    gaps = [
        Gap(epoch, low if last is None or last[0] != epoch else max(low, last[1] + 1), high, DAMAGED)
        for stats in lost
        for epoch, (low, high) in stats.seq.items()
    ]
    if not gaps:
        after = _first_position(following)
        if last is None:
            gaps = [Gap(None, None, None, DAMAGED)]
        elif after is not None and after[0] == last[0] and after[1] > last[1] + 1:
            gaps = [Gap(last[0], last[1] + 1, after[1] - 1, DAMAGED)]
        else:
            gaps = [Gap(last[0], last[1] + 1, None, DAMAGED)]
    epoch = gaps[-1].epoch
    yield RecordedMessage([RawMessage(MessageTypes.GAP, Raw(encode(gap)), received) for gap in gaps], received, epoch)


def last_position(batch: pa.RecordBatch | None) -> tuple[str, int] | None:
    """Return the last position that a batch accounts for."""
    stats = SegmentStats(0, 0, 0)
    if batch is not None:
        stats.add(batch)
    return stats.position


def _first_position(batch: pa.RecordBatch | None) -> tuple[str, int] | None:
    if batch is None:
        return None
    seqs = batch.column("seq")
    if seqs.null_count == len(seqs):
        return None
    index = int(np.argmax(seqs.is_valid().to_numpy(zero_copy_only=False)))
    epoch = batch.column("epoch")[index].as_py()
    return None if epoch is None else (epoch, seqs[index].as_py())
