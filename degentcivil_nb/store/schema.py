"""What an event's columns are, how times are read, and what the store says of itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

CATEGORIES: Final = ("epoch", "time_source", "type", "character_id", "state", "location", "event_type", "message")
EVENT_COLUMNS: Final = (
    "epoch",
    "seq",
    "tick",
    "time",
    "time_source",
    "received",
    "type",
    "character_id",
    "state",
    "location",
    "event_type",
    "code",
    "message",
)
BLOCK_ROWS: Final = 65_536
"""Rows of a sealed piece: pieces start at multiples of it."""
SECOND: Final = 1_000_000_000
NAT: Final = np.iinfo(np.int64).min
NOWHERE: Final[Mask] = np.zeros((), np.bool_)
"""The mask that is true in no row, of however many."""
LATEST_S: Final = 9_214_646_400.0
"""The year 2262, where nanoseconds in 64 bits end."""
NEAR_S: Final = 86_400.0
"""How far a sender's clock may be from the receiver's to be taken for the same clock."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Say how much a store holds; counts but `rows` and `characters` are since it began."""

    rows: int
    first_row: int
    next_row: int
    evicted: int
    memory_bytes: int
    payload_bytes: int
    characters: int
    errors: int
    malformed: int
    gaps: int
    missing: int | None
    """Positions declared missing; `None` where a gap has no known end."""


def to_ns(seconds: float | None) -> int:
    """Give a wall clock time in nanoseconds, rounded to microseconds; `NAT` for what is no time."""
    if seconds is None or not 0 <= seconds < LATEST_S:
        return NAT
    return round(seconds * 1_000_000) * 1_000


def times_of(timestamps: Sequence[Any], received_ns: int) -> tuple[Ints, Mask]:
    """Read senders' timestamps; where one is missing or absurd, receipt stands in (and the mask is true).

    Where none is, the mask is `NOWHERE`.
    """
    try:
        seconds = np.array(timestamps, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):  # a message made in Python may carry anything
        seconds = np.array([_seconds(value) for value in timestamps])
    if seconds.min() >= 0 and seconds.max() < LATEST_S:  # neither holds where any is not a number
        return np.rint(seconds * 1_000_000).astype(np.int64) * 1_000, NOWHERE
    with np.errstate(invalid="ignore"):
        good = (seconds >= 0) & (seconds < LATEST_S)
    absurd = ~good
    if absurd.any():
        seconds[absurd] = 0
    times = np.rint(seconds * 1_000_000).astype(np.int64) * 1_000
    times[absurd] = received_ns
    return times, absurd


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def timestamps(nanoseconds: Ints) -> pd.DatetimeIndex:
    """Make UTC times of nanoseconds, the caller's own."""
    return pd.DatetimeIndex(nanoseconds.astype("M8[ns]")).tz_localize("UTC")
