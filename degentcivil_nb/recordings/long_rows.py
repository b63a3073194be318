"""The questions of a long recording that name rows, each answered by the segments that hold them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..core.progress import following_cell
from ..protocol.messages import MessageTypes
from ..store.arguments import Moment, moment_ns, not_held
from ..store.characters import CharacterColumns
from ..store.event_store import EventStore
from ..store.moments import RowMoment
from ..store.schema import SECOND, Ints
from .index import SegmentSummary
from .whole_run import WholeRun


class LongRows:
    """The answers of a `LongStore` that name rows."""

    _summaries: list[SegmentSummary]
    _starts: list[int]
    _run: WholeRun

    def _store(self, number: int) -> EventStore:
        raise NotImplementedError

    def _together(self, frames: list[pd.DataFrame], empty: pd.DataFrame) -> pd.DataFrame:
        raise NotImplementedError

    def _rows_of(self, number: int, frame: pd.DataFrame) -> pd.DataFrame:
        raise NotImplementedError

    def _moment(self, moment: Moment) -> pd.Timestamp | None:
        raise NotImplementedError

    def row_at(self, *, tick: int | None = None, at: Moment = None) -> int | None:
        """Return the last row up to a tick or a time, as `EventStore.row_at` does."""
        limit = None if at is None else moment_ns(at, self._run.view().newest)
        for number in reversed(range(len(self._summaries))):
            stats = self._summaries[number].segment.stats
            if limit is not None:
                if stats.time is None or stats.time[0] * SECOND > limit + 1_000:
                    continue
            elif stats.tick is None or (tick is not None and stats.tick[0] > tick):
                continue
            found = self._store(number).row_at(tick=tick, at=self._moment(at))
            if found is not None:
                return found + self._starts[number]
        return None

    def moment_of(self, row: int) -> RowMoment:
        """Return the tick and time of a row, as `EventStore.moment_of` does."""
        number = bisect_right(self._starts, row) - 1
        if number < 0 or row >= self._summaries[number].next_row:
            raise not_held(row, 0, self._run.next_row)
        return self._store(number).moment_of(row - self._starts[number])._replace(row=row)

    def rows_of(self, types: Sequence[str] | None, start: int = 0, stop: int | None = None) -> Sequence[int]:
        """Return the numbers of the rows of some types, as `EventStore.rows_of` does."""
        end = self._run.next_row if stop is None else min(stop, self._run.next_row)
        if types is None:
            return range(max(0, start), max(0, start, end))
        found = [np.zeros(0, np.int64)]
        for number in self._watched(self._between(start, end)):
            if can_have(self._summaries[number], types, None, None):
                first = self._starts[number]
                part = self._store(number).rows_of(types, start - first, end - first)
                found.append(np.asarray(part, np.int64) + first)
        rows: Any = np.concatenate(found)
        return rows  # type: ignore[no-any-return]  # an array reads as a sequence

    def rows_where(self, where: str, start: int, stop: int) -> Ints:
        """Return the numbers of the rows that meet a condition, as `EventStore.rows_where` does."""
        found = [EventStore(max_rows=1).rows_where(where, 0, 0)]
        for number in self._watched(self._between(start, stop)):
            first = self._starts[number]
            found.append(self._store(number).rows_where(where, start - first, stop - first) + first)
        return np.concatenate(found)

    def frame_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the events of ascending row numbers, as `EventStore.frame_of` does."""
        return self._gather(rows, lambda store, part: store.frame_of(part))

    def calls_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the calls of language models of ascending row numbers."""
        return self._gather(rows, lambda store, part: store.calls_of(part))

    def past_columns(self, row: int) -> CharacterColumns:
        """Return the characters as they were after a row."""
        number = max(0, bisect_right(self._starts, row) - 1)
        return self._store(number).past_columns(row - self._starts[number])

    def _watched(self, numbers: Iterable[int]) -> Iterator[int]:
        """Yield the numbers of segments; a cell that waits shows how many of them were read."""
        every = [*numbers]
        with following_cell("reading segments") as progress:
            for done, number in enumerate(every, 1):
                yield number
                progress(done, len(every))

    def _between(self, start: int, stop: int) -> Iterator[int]:
        return (n for n, summary in enumerate(self._summaries) if summary.next_row > start and summary.first_row < stop)

    def _gather(self, rows: Sequence[int], ask: Callable[[EventStore, Any], pd.DataFrame]) -> pd.DataFrame:
        numbers = np.asarray(rows, dtype=np.int64)
        frames = []
        for number in self._watched(self._between(int(numbers.min(initial=0)), int(numbers.max(initial=-1)) + 1)):
            summary = self._summaries[number]
            mine = numbers[(numbers >= summary.first_row) & (numbers < summary.next_row)]
            if len(mine):
                frames.append(self._rows_of(number, ask(self._store(number), mine - summary.first_row)))
        return self._together(frames, ask(EventStore(max_rows=1), []))


def can_have(
    summary: SegmentSummary, types: Collection[str] | None, since: pd.Timestamp | None, until: pd.Timestamp | None
) -> bool:
    """Return whether a segment can hold events of these types and times, according to its statistics."""
    stats = summary.segment.stats
    if stats.time is not None:
        if since is not None and stats.time[1] * SECOND < moment_ns(since) - 1_000:
            return False
        if until is not None and stats.time[0] * SECOND > moment_ns(until) + 1_000:
            return False
    if types is None or stats.types is None:
        return True
    return any(name in stats.types or (name == MessageTypes.ERROR and summary.errors) for name in types)
