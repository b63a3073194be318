"""The types of columns, the conversion of times, and the store's statistics."""

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

BLOCK_ROWS: Final = 65_536
"""Rows of a sealed block; blocks start at multiples of it."""
SECOND: Final = 1_000_000_000
NAT: Final = np.iinfo(np.int64).min
NOWHERE: Final[Mask] = np.zeros((), np.bool_)
"""A mask that is false in every row, for any number of rows."""
LATEST_S: Final = 9_214_646_400.0
"""The year 2262, the limit of nanoseconds in 64 bits."""
SHORT: Final = np.iinfo(np.int16)
NEAR_S: Final = 86_400.0
"""How far a sender's clock may be from the receiver's to count as the same clock."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How much a store holds; counts except `rows` and `characters` are since it began."""

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
    """Seqs declared missing; `None` if a gap has no known end."""


def to_ns(seconds: float | None) -> int:
    """Convert a wall clock time to nanoseconds, rounded to microseconds; `NAT` for anything else."""
    if seconds is None or not 0 <= seconds < LATEST_S:
        return NAT
    return round(seconds * 1_000_000) * 1_000


def times_of(timestamps: Sequence[Any], received_ns: int) -> tuple[Ints, Mask]:
    """Convert senders' timestamps; a missing or impossible one is replaced by the time of receipt, and masked.

    If there are none of these, the mask is `NOWHERE`.
    """
    try:
        seconds = np.array(timestamps, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):  # a message made in Python may contain any value
        seconds = np.array([_seconds(value) for value in timestamps])
    if seconds.min() >= 0 and seconds.max() < LATEST_S:  # both are false if any is NaN
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


def order_of_codes(codes: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the stable order of codes; few different ones are sorted by radix, several times as fast."""
    few = not len(codes) or (codes.max() < SHORT.max and codes.min() > SHORT.min)
    return np.argsort(codes.astype(np.int16) if few else codes, kind="stable")


def timestamps(nanoseconds: Ints) -> pd.DatetimeIndex:
    """Convert nanoseconds to UTC times that belong to the caller."""
    return pd.DatetimeIndex(nanoseconds.astype("M8[ns]")).tz_localize("UTC")
