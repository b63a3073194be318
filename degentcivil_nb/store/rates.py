"""Rates: counts by second summed into buckets, as a wide table."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from .arguments import LongTime, bucket_s
from .columns import Dictionary
from .counters import counts_of
from .schema import SECOND, Ints, timestamps

MAX_EMPTY_ROWS: Final = 100_000  # buckets up to which empty ones are included
MAX_CELLS: Final = 50_000_000  # of a table: 400 MB of counts


def rate_table(
    frozen: tuple[list[Ints], list[Ints]],
    words: Dictionary,
    every: LongTime,
    by: str,
    window: LongTime | None,
    now: int | None,
) -> pd.DataFrame:
    """Return the wide table of counts: a row for each bucket, a column for each word, in order of appearance.

    `now` is the second from which `window` counts back, usually that of the newest event.
    """
    width = bucket_s(every, "a bucket")
    seconds, codes, counts = counts_of(frozen)
    if window is not None and now is not None:
        recent = (seconds > now - bucket_s(window, "a window")) & (seconds <= now)
        seconds, codes, counts = seconds[recent], codes[recent], counts[recent]
    if not len(codes):
        return _frame(np.empty((0, 0), np.int64), np.empty(0, np.int64), [], by, width)
    buckets = seconds // width
    first, last = int(buckets.min()), int(buckets.max())
    if last - first < MAX_EMPTY_ROWS:
        starts, places = np.arange(first, last + 1), buckets - first
    else:
        starts, places = np.unique(buckets, return_inverse=True)
    columns = int(codes.max()) + 1
    if len(starts) * columns > MAX_CELLS:
        raise ValueError(
            f"{len(starts):,} buckets by {columns:,} columns are too many for a table; "
            "pass a `window` or a wider `every`"
        )
    cells = np.bincount(places * columns + codes, weights=counts, minlength=len(starts) * columns)
    table = np.rint(cells).astype(np.int64).reshape(len(starts), columns)
    # evicted events were subtracted: drop their columns, and their buckets at both ends
    used = np.flatnonzero(table.any(axis=0))
    filled = np.flatnonzero(table.any(axis=1))
    if not len(filled):
        return _frame(np.empty((0, 0), np.int64), np.empty(0, np.int64), [], by, width)
    rows = slice(filled[0], filled[-1] + 1) if last - first < MAX_EMPTY_ROWS else filled
    names = [words.words[code] for code in used.tolist()]
    return _frame(table[rows][:, used], starts[rows] * width, names, by, width)


def _frame(table: Ints, seconds: Ints, names: list[str], by: str, width: int) -> pd.DataFrame:
    columns: Any
    if by == "code":
        columns = pd.Index([int(name) for name in names], dtype="int64", name=by)
    else:
        columns = pd.Index(names, dtype="str", name=by)
    index = timestamps(seconds * SECOND)
    index.name = "time"
    frame = pd.DataFrame(table, index=index, columns=columns)
    frame.attrs["every_s"] = width  # the index alone does not show it, since empty buckets may be left out
    return frame
