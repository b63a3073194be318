"""The ticks whose checkpoints lie between two messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_MOST_TICKS: Final = 1_000
"""The most ticks without a message that are judged, besides the last one: a clock may jump."""


def ticks_ended(last: int | None, now: int | None) -> Sequence[int]:
    """List the ticks whose checkpoints lie between a message of the tick `last` and one of the tick `now`."""
    if last is None or now is None or now <= last:
        return ()
    return range(last, now) if now - last <= _MOST_TICKS else [*range(last, last + _MOST_TICKS), now - 1]
