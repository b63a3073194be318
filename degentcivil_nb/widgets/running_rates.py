"""Events by bucket for live figures: complete buckets, and the last second until now while the run goes on."""

from __future__ import annotations

import time
from typing import Final

import numpy as np
import pandas as pd

from ..store.schema import SECOND, timestamps
from .interfaces import PanelReader

WINDOW_S: Final = 600
STEP: Final = SECOND // 20
"""The moments at which a line may end, in nanoseconds apart. They do not depend on the events: a second that always
ended with an event would count one burst too many of a run that ticks a little faster than once a second."""
ARRIVING: Final = SECOND // 10
"""Silence up to this long is the distance between two frames of a steady run, not the run's."""
FIRST_ROWS: Final = 16_384


def counts_of(reader: PanelReader, every_s: int, by: str, at: pd.Timestamp | None) -> pd.DataFrame:
    """Count events in buckets for the ten minutes before a moment, `None` for now; the moment's own bucket, which is
    not over, is left out.
    """
    if at is None:
        return reader.rates(f"{every_s}s", by, f"{WINDOW_S}s")
    stop = int(at.value // SECOND) // every_s * every_s  # where the moment's own bucket begins
    counts = reader.rates(f"{every_s}s", by, f"{WINDOW_S}s", now=stop - 1)
    if not len(counts):
        return counts
    # the run has begun before the window, and goes on after the moment: buckets without events are known to have none
    began = reader.moment_of(reader.first_row).time // SECOND // every_s * every_s
    first = min(max(began, stop - WINDOW_S), int(counts.index[0].timestamp()))
    seconds = np.arange(first, stop, every_s)
    return counts.reindex(timestamps(seconds * SECOND), fill_value=0)


def counted_until(reader: PanelReader, every_s: int) -> int | None:
    """Return until when a run that goes on is counted, by the clock of its events; `None` for a run that rests.

    A run rests once nothing has arrived for two buckets. Until then, the time since the newest event arrived is added
    to that event's own time, whatever the difference of the two clocks is.
    """
    if reader.next_row <= reader.first_row:
        return None
    newest = reader.frame_of([reader.next_row - 1])
    if not len(newest):
        return None
    silent = time.time_ns() - newest["received"].iloc[0].value
    if abs(silent) >= 2 * every_s * SECOND:
        return None
    now: int = newest["time"].iloc[0].value + max(0, silent - ARRIVING)
    return now // STEP * STEP


def counts_now(reader: PanelReader, every_s: int) -> tuple[pd.DataFrame, pd.Timestamp | None]:
    """Count events by type for the last ten minutes, and return until when the last row counts.

    While the run goes on, the last row is no bucket but counts the time of one up to that moment, so that it is as
    complete as all others. `None` for the moment: all rows are buckets.
    """
    end, width = counted_until(reader, every_s), every_s * SECOND
    if end is None:
        return counts_of(reader, every_s, "type", None), None
    at = pd.Timestamp(end, unit="ns", tz="UTC")
    counts = counts_of(reader, every_s, "type", at)
    begun = end // width * width
    if begun == end:  # the last bucket is the time up to now
        return counts, at
    last = _types_between(reader, end - width, end)
    names = [*counts.columns, *(name for name in last if name not in counts.columns)]
    rows = [*counts.reindex(columns=names, fill_value=0).to_numpy(), [last.get(name, 0) for name in names]]
    index = timestamps(np.append(counts.index.to_numpy("datetime64[ns]").astype(np.int64), begun))
    return pd.DataFrame(rows, index=index, columns=pd.Index(names, dtype="str", name="type")), at


def _types_between(reader: PanelReader, start: int, stop: int) -> dict[str, int]:
    """Count the newest events by type from a time to before another."""
    last, size = reader.next_row, FIRST_ROWS
    while True:
        first = max(reader.first_row, last - size)
        frame = reader.frame_of(range(first, last))
        times = frame["time"].to_numpy("datetime64[ns]").astype(np.int64)
        # events of several clocks do not come in the order of their times: half of what was read is beside the point
        if first <= reader.first_row or bool((times[: size // 2] < start).all()):
            break
        size *= 4
    found = frame["type"][(times >= start) & (times < stop)].value_counts()
    return {str(name): int(count) for name, count in found.items() if count}
