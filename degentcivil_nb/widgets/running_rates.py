"""Events by bucket for live figures: complete buckets, and the last second until now while the run goes on."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

import numpy as np
import pandas as pd

from ..protocol.messages import MessageTypes
from ..store.moments import RowMoment
from ..store.schema import SECOND, Ints, timestamps
from .interfaces import PanelReader

WINDOW_S: Final = 600
STEP: Final = SECOND // 20
"""The moments at which a line may end, in nanoseconds apart. They do not depend on the events: a second that always
ended with an event would count one burst too many of a run that ticks a little faster than once a second."""
ARRIVING: Final = SECOND // 10
"""Silence up to this long is the distance between two frames of a steady run, not the run's."""
FIRST_ROWS: Final = 16_384
MOST_ROWS: Final = 1 << 18
RECENT: Final = 512
"""Of so many events it is looked whether their clock goes as fast as the notebook's."""


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


def errors_of(reader: PanelReader, every_s: int, moment: RowMoment | None) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """Count errors by code for the ten minutes before a moment, `None` for now, and return which buckets have events.

    Counts do not fall because a bucket is not over: the moment's own bucket has the errors up to the moment.
    """
    at = None if moment is None else pd.Timestamp(moment.time, unit="ns", tz="UTC")
    everything, counts = (counts_of(reader, every_s, by, at) for by in ("type", "code"))
    known = pd.DatetimeIndex(everything.index[everything.sum(axis=1) > 0])
    if moment is not None:
        begun = moment.time // (every_s * SECOND) * every_s * SECOND
        known = known.union(timestamps(np.array([begun])))
        last = _codes_between(reader, begun, moment)
        names = [*counts.columns, *(code for code in last if code not in counts.columns)]
        own = pd.DataFrame([[last.get(code, 0) for code in names]], timestamps(np.array([begun])), names)
        counts = pd.concat([counts.reindex(columns=names, fill_value=0), own]) if len(counts) else own
        counts.columns.name = "code"
    if len(counts.columns):
        counts = counts.reindex(everything.index.union(counts.index), fill_value=0)
    return counts, known


def _codes_between(reader: PanelReader, start: int, moment: RowMoment) -> dict[int, int]:
    """Count the errors by code from a time up to a moment."""
    rows, size = reader.rows_of((MessageTypes.ERROR,), 0, moment.row + 1), 256
    while True:
        frame = reader.frame_of(rows[max(0, len(rows) - size) :])
        times = frame["time"].to_numpy("datetime64[ns]").astype(np.int64)
        if size >= len(rows) or bool((times[: size // 2] < start).all()):
            break
        size *= 4
    return Counter(map(int, frame["code"][(times >= start) & (times <= moment.time)].dropna().tolist()))


def counted_until(reader: PanelReader, every_s: int) -> int | None:
    """Return until when a run that goes on is counted, by the clock of its events; `None` for a run that rests.

    A run rests once nothing has arrived for two buckets. Until then, the time since the newest event arrived is added
    to that event's own time, whatever the difference of the two clocks is, where they go equally fast.
    """
    if reader.next_row <= reader.first_row:
        return None
    recent = reader.frame_of(range(max(reader.first_row, reader.next_row - RECENT), reader.next_row))
    times, received = (recent[name].to_numpy("datetime64[ns]").astype(np.int64) for name in ("time", "received"))
    now = time.time_ns()
    if not len(recent) or abs(now - int(received[-1])) >= 2 * every_s * SECOND:
        return None
    last = len(times) - 1 - int(times[::-1].argmax())  # events of several clocks: the one that is ahead
    silent = now - int(received[last]) if _goes_along(times, received, last) else 0
    return int(times[last] + max(0, silent - ARRIVING)) // STEP * STEP


def _goes_along(times: Ints, received: Ints, last: int) -> bool:
    """Return whether the events' clock goes as fast as the notebook's, which it does not in a replay that is slower."""
    took, went = int(received[last] - received[0]), int(times[last] - times[0])
    return took < SECOND or 0.8 * took <= went <= 1.25 * took


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
        if first <= reader.first_row or size >= MOST_ROWS or bool((times[: size // 2] < start).all()):
            break
        size *= 4
    found = frame["type"][(times >= start) & (times < stop)].value_counts()
    return {str(name): int(count) for name, count in found.items() if count}
