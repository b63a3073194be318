"""The questions about a recording of format 2, answered from the columns of its segments and from its index.

The index has what does not grow with the number of events: the present, transitions, counts by second, gaps, places and
the town from time to time. Questions about single events read the columns that they need, of the segments that can have
what is asked for. Events that are not sealed yet are in a store in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ..store.arguments import LongTime, Moment, Names, moment_ns, names_of, whole
from ..store.characters import CharacterColumns, CharacterTable
from ..store.checkpoints import last_where
from ..store.controls import ControlRow
from ..store.counters import Seconds, Tally
from ..store.derived_state import COUNTED
from ..store.moments import RowMoment, moment_of
from ..store.pieces import Pieces
from ..store.rates import rate_table
from ..store.schema import SECOND, StoreStats
from ..store.stay_pieces import stays_where
from .column_base import noticing
from .column_events import ColumnEvents
from .column_parts import Part, each, stays_of

T = TypeVar("T")


class ColumnStore(ColumnEvents):
    """The answers of an `EventStore`, read from columns and the index; results belong to the caller."""

    # --- questions about moments and the town -----------------------------------------------------------------------

    @noticing
    def characters(self, at: Moment = None, *, row: int | None = None, tick: int | None = None) -> pd.DataFrame:
        """Return the characters now or at an earlier time, as `EventStore.characters` does."""
        asked = [value for value in (at, row, tick) if value is not None]
        if len(asked) > 1:
            raise ValueError("characters() takes one of at, row and tick, not several")
        if not asked:
            return self._run.characters()
        if row is not None:
            stop = min(whole(row, "a row", least=None) + 1, self.next_row)
        else:
            last = self._last_row(at, None if tick is None else whole(tick, "a tick", least=None))
            stop = 0 if last is None else last + 1
        if stop < 0:
            raise ValueError("the events of that time are no longer held; characters() reaches back to row 0")
        return self._town(stop).columns().frame()

    @noticing
    def past_columns(self, row: int) -> CharacterColumns:
        """Return the characters as they were after a row."""
        return self._town(min(row + 1, self.next_row)).columns()

    def _last_row(self, at: Moment, tick: int | None) -> int | None:
        """Return the last row up to a time or a tick."""
        limit = moment_ns(at, self._newest) if at is not None else tick or 0
        for part in reversed(self._parts):
            stats = part.stats
            if stats is not None:
                if at is not None and stats.time is not None and stats.time[0] * SECOND > limit + 1_000:
                    continue
                if at is None and (stats.tick is None or stats.tick[0] > limit):
                    continue
            view = part.view()
            name = "time" if at is not None else "tick"
            place = last_where(view.columns[name], None if at is not None else view.masks["tick"], limit)
            if place >= 0:
                return part.first_row + place
        return None

    def _town(self, stop: int) -> CharacterTable:
        """Return the characters before an event."""
        tail = self._run.first_row
        if stop > tail:
            return self._run.questions.as_it_was(self._run.view(), stop)
        return self._sealed.town_at(stop)

    @noticing
    def row_at(self, *, tick: int | None = None, at: Moment = None) -> int | None:
        """Return the last row up to a tick or a time, as `EventStore.row_at` does."""
        return self._last_row(None if tick is not None else at, tick)

    @noticing
    def moment_of(self, row: int) -> RowMoment:
        """Return the tick and time of a row, as `EventStore.moment_of` does."""
        part = self._part(row)
        found = moment_of(part.view(), row)
        number = self._parts.index(part)
        while found.tick is None and number:
            number -= 1
            earlier = self._parts[number]
            if earlier.stats is None or earlier.stats.tick is not None:
                found = found._replace(tick=moment_of(earlier.view(), earlier.next_row - 1).tick)
        return found

    @noticing
    def timeline(self, character_id: Names = None) -> pd.DataFrame:
        """List the stays, as `EventStore.timeline` does."""
        names = names_of(character_id)
        if names is None:
            return self.by_pieces(stays_where)
        extra, gap_rows = self._run.extra()
        found = stays_of(self._parts, extra, gap_rows, self._run.words, names)
        self._sealed.extracts.keep()
        return found

    @noticing
    def by_pieces(self, ask: Callable[[Pieces], T]) -> T:
        """Answer a question that looks at all events, a segment at a time."""
        extra, gap_rows = self._run.extra()
        answer = ask(Pieces(self._parts, self._run.words, extra, gap_rows))
        self._sealed.extracts.keep()
        return answer

    @noticing
    def transitions(self) -> pd.DataFrame:
        """Count the changes of state."""
        return self._run.transitions()

    @noticing
    def rates(
        self, every: LongTime = "1s", by: str = "type", window: LongTime | None = None, *, now: int | None = None
    ) -> pd.DataFrame:
        """Count the events in buckets of time, as `EventStore.rates` does."""
        if not isinstance(by, str) or by not in COUNTED:
            raise ValueError(f"cannot count rates by {by!r:.80}; it must be one of {', '.join(COUNTED)}")
        derived = self._run.parts.derived
        derived.catch_up()
        tally = self._character_tally() if by == "character_id" else derived.tallies[by]
        words = derived.codes if by == "code" else self._run.words[by]
        if now is None and self._newest is not None:
            now = self._newest // SECOND
        return rate_table(tally.freeze(), words, every, by, window, now)

    def _character_tally(self) -> Tally:
        """Count the events by character, which the index does not have."""
        if self._by_character is None:
            tally = Tally()

            def read(part: Part) -> tuple[Any, Any]:
                columns = part.view().columns
                return columns["time"], columns["character_id"]

            for times, codes in each(self._parts, read):
                tally.add(Seconds(times), codes.astype(np.int64))
            self._by_character = tally
        return self._by_character

    @noticing
    def llm_totals(self) -> pd.DataFrame:
        """Add up the calls of language models by model."""
        return self._run.llm_totals()

    @noticing
    def places(self) -> pd.DataFrame:
        """List the places of the town."""
        return self._run.places()

    @noticing
    def gaps(self) -> pd.DataFrame:
        """List all missing ranges."""
        return self._run.gaps()

    @noticing
    def control_rows(self, start: int, stop: int) -> list[ControlRow]:
        """List the ordered control messages before the events from `start` to before `stop`."""
        return self._run.control_rows(start, stop)

    @noticing
    def present_columns(self, since_version: int = 0) -> CharacterColumns:
        """Return the characters that changed since a version of the present."""
        return self._run.present_columns(since_version)

    @noticing
    def attribute(self, character: str, name: str) -> Any:
        """Return an attribute of a character now; `None` if it is unknown."""
        return self._run.attribute(character, name)

    @noticing
    def stats(self) -> StoreStats:
        """Return how much the recording has."""
        stats = self._run.stats()
        size = sum(part.stats.data_bytes for part in self._sealed.parts)
        return replace(stats, rows=self.next_row, first_row=0, evicted=0, payload_bytes=stats.payload_bytes + size)
