"""The questions about a recording larger than memory, answered from its index and from one segment at a time.

The index has what does not grow with the number of events: the present, transitions, counts by second, gaps, places,
and the characters at the beginning of each segment. Single events are read from the segments that may contain them,
according to their statistics.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd

from ..core.event_columns import CATEGORIES
from ..protocol.messages import Links, MessageTypes
from ..store.arguments import Moment, Names, moment_ns, names_of, not_held, whole
from ..store.controls import ControlRow
from ..store.event_store import EventStore
from ..store.llm import LLM_TYPES
from ..store.pieces import Pieces
from ..store.schema import NAT, SECOND
from ..store.table import View
from ..store.timeline import Extra, stay_table
from .index import RecordingIndex
from .long_piece import LongPiece
from .long_rows import LongRows, can_have
from .recorded_status import RecordedStatus, RunSoFar
from .segment_reader import SegmentFolder

logger = logging.getLogger("degentcivil_nb.recordings")
T = TypeVar("T")

PAGES: Final = 3
"""How many segments are in memory at a time."""


class LongStore(LongRows, RecordedStatus):
    """The answers of an `EventStore`, read from segments; results belong to the caller."""

    def __init__(self, folder: SegmentFolder, progress: Callable[[int, int], None] | None = None) -> None:
        self._folder = folder
        self._index = RecordingIndex(folder, verify=True, progress=progress)
        self._index.read_until(progress=progress)
        self._run = self._index.run
        self._summaries = [summary for summary in self._index.summaries if summary.next_row > summary.first_row]
        self._starts = [summary.first_row for summary in self._summaries]
        self._held: OrderedDict[int, EventStore] = OrderedDict()
        run = self._run  # parts that do not grow with the number of events are kept for the whole recording
        self.transitions, self.rates, self.llm_totals = run.transitions, run.rates, run.llm_totals
        self.places, self.gaps = run.places, run.gaps
        self.stats, self.attribute, self.present_columns = run.stats, run.attribute, run.present_columns
        self.rows_since, self.payload_keys = run.rows_since, run.payload_keys

    def _store(self, number: int) -> EventStore:
        """Return the events of a segment as a store, whose rows begin at 0."""
        store = self._held.get(number)
        if store is None:
            summary = self._summaries[number]
            store = EventStore(max_rows=max(1, summary.next_row - summary.first_row))
            store.names.said, store.names.known = self._run.names.said, self._run.names.known
            told, *ahead = self._index.town(summary)
            store.append([told], 0.0, summary.epoch)
            store.writer.go_on_from_snapshot(0)  # also if the segment begins with another snapshot
            store.append(ahead, 0.0, summary.epoch)
            known = len(self._folder.problems)
            for entry in self._folder.entries([summary.segment]):
                store.append(list(entry.messages), entry.received, entry.epoch)
            for problem in self._folder.problems[known:]:
                logger.warning("%s was damaged after it was opened: %s", self._folder.path, problem)
            self._held[number] = store
            if len(self._held) > PAGES:
                self._held.popitem(last=False)
        self._held.move_to_end(number)
        return store

    def _together(self, frames: list[pd.DataFrame], empty: pd.DataFrame) -> pd.DataFrame:
        """Concatenate the frames of segments, with the categories of the whole recording."""
        if not frames:
            return empty
        words = self._run.words
        for frame in frames:
            for name in CATEGORIES:
                if name in frame.columns:
                    dtype = words[name].dtype(len(words[name].words))
                    frame[name] = frame[name].cat.set_categories(dtype.categories)
        return pd.concat(frames)

    def _rows_of(self, number: int, frame: pd.DataFrame) -> pd.DataFrame:
        frame.index = pd.Index(frame.index + self._summaries[number].first_row, name="row")
        return frame

    def _moment(self, moment: Moment) -> pd.Timestamp | None:
        """Resolve a moment once for all segments, since each segment has its own newest event."""
        if moment is None:
            return None
        return pd.Timestamp(moment_ns(moment, self._run.view().newest), unit="ns", tz="UTC")

    # --- questions about single events ------------------------------------------------------------------------------

    def events(
        self,
        type: Names = None,
        *,
        character_id: Names = None,
        event_type: Names = None,
        since: Moment = None,
        until: Moment = None,
        last: int | None = None,
        where: str | None = None,
        payload: bool = False,
    ) -> pd.DataFrame:
        """List events as `EventStore.events` does, reading the segments that may contain them, newest first."""
        types, characters, kinds = names_of(type), names_of(character_id), names_of(event_type)
        after, before = self._moment(since), self._moment(until)
        frames: list[pd.DataFrame] = []
        left = None if last is None else whole(last, "`last`")
        for number in self._watched(reversed(range(len(self._summaries)))):
            if left == 0:
                break
            if not can_have(self._summaries[number], types, after, before):
                continue
            found = self._store(number).events(
                types,
                character_id=characters,
                event_type=kinds,
                since=after,
                until=before,
                last=left,
                where=where,
                payload=payload,
            )
            if len(found):
                frames.append(self._rows_of(number, found))
                left = None if left is None else left - len(found)
        return self._together(frames[::-1], EventStore(max_rows=1).events(payload=payload, where=where))

    def payload(self, row: int) -> Any:
        """Return the payload of an event as it was sent; `KeyError` for a row that does not exist."""
        row = whole(row, "a row", least=None)
        number = bisect_right(self._starts, row) - 1
        if number < 0 or row >= self._summaries[number].next_row:
            raise not_held(row, 0, self._run.next_row)
        return self._store(number).payload(row - self._summaries[number].first_row)

    def take_payloads(self, rows: Sequence[int]) -> list[bytes]:
        """Return the payloads of ascending rows."""
        found: list[bytes] = []
        for number, start in enumerate(self._starts):
            held = [row - start for row in rows if start <= row < self._summaries[number].next_row]
            if held:
                found += self._store(number).take_payloads(held)
        return found

    def links(self, rows: Sequence[int]) -> dict[int, Links]:
        """Return the links of those rows that have any."""
        found: dict[int, Links] = {}
        for number, start in enumerate(self._starts):
            held = [row - start for row in rows if start <= row < self._summaries[number].next_row]
            if held:
                found |= {row + start: links for row, links in self._store(number).links(held).items()}
        return found

    def rows_named(self, event_ids: Iterable[str]) -> dict[str, list[int]]:
        """Find the rows that have these `event_id`s, as `EventStore.rows_named` does; this reads every segment."""
        return self._rows_of_ids([*event_ids], lambda store, ids: store.rows_named(ids))

    def rows_caused(self, event_ids: Iterable[str]) -> dict[str, list[int]]:
        """Find the rows that name these ids as a cause, as `EventStore.rows_caused` does; this reads every segment."""
        return self._rows_of_ids([*event_ids], lambda store, ids: store.rows_caused(ids))

    def _rows_of_ids(
        self, event_ids: list[str], ask: Callable[[EventStore, list[str]], dict[str, list[int]]]
    ) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number in self._watched(range(len(self._starts))):
            start = self._starts[number]
            for event_id, rows in ask(self._store(number), event_ids).items():
                found.setdefault(event_id, []).extend(row + start for row in rows)
        return found

    def errors(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List the errors, as `EventStore.errors` does, newest first read."""
        names, after, before = names_of(character_id), self._moment(since), self._moment(until)
        left = None if last is None else whole(last, "`last`")
        frames: list[pd.DataFrame] = []
        for number in self._watched(reversed(range(len(self._summaries)))):
            if left == 0:
                break
            if self._summaries[number].errors and can_have(self._summaries[number], None, after, before):
                store = self._store(number)
                found = store.errors(character_id=names, since=after, until=before, last=left)
                frames.insert(0, self._rows_of(number, found))
                left = None if left is None else left - len(found)
        return self._together(frames, EventStore(max_rows=1).errors())

    def llm_calls(self, *, last: int | None = None) -> pd.DataFrame:
        """List the calls of language models, as `EventStore.llm_calls` does."""
        last = None if last is None else whole(last, "`last`")
        wanted = [number for number, summary in enumerate(self._summaries) if can_have(summary, LLM_TYPES, None, None)]
        frames: list[pd.DataFrame] = []
        for number in self._watched(reversed(wanted)):
            left = None if last is None else last - sum(map(len, frames))
            if left is not None and left <= 0:
                break
            frame = self._rows_of(number, self._store(number).llm_calls(last=left))
            if len(frame):
                frames.insert(0, frame)
        return self._together(frames, EventStore(max_rows=1).llm_calls())

    # --- questions about the town ------------------------------------------------------------------------------------

    def characters(self, at: Moment = None, *, row: int | None = None, tick: int | None = None) -> pd.DataFrame:
        """Return the characters now or at an earlier time, as `EventStore.characters` does."""
        asked = [value for value in (at, row, tick) if value is not None]
        if len(asked) > 1:
            raise ValueError("characters() takes one of at, row and tick, not several")
        if not asked:
            return self._run.characters()
        tick = None if tick is None else whole(tick, "a tick", least=None)
        at = self._moment(at)
        if row is not None:
            row = whole(row, "a row", least=None)
            number = max(0, bisect_right(self._starts, row) - 1)
            return self._store(number).characters(row=row - self._starts[number])
        for number in reversed(range(len(self._summaries))):
            stats = self._summaries[number].segment.stats
            if at is not None:
                limit = moment_ns(at)
                if stats.time is not None and stats.time[0] * SECOND <= limit + 1_000:
                    times = self._store(number).view().columns["time"]
                    if (times <= limit).any():
                        return self._store(number).characters(at)
            elif stats.tick is not None and tick is not None and stats.tick[0] <= tick:
                view = self._store(number).view()
                if ((view.columns["tick"] <= tick) & ~view.masks["tick"]).any():
                    return self._store(number).characters(tick=tick)
        return self._store(0).characters(at, tick=tick) if self._summaries else self._run.characters(at, tick=tick)

    def timeline(self, character_id: Names = None) -> pd.DataFrame:
        """List the stays, as `EventStore.timeline` does; without a character this reads every segment."""
        character_id = names_of(character_id)
        extra, gap_rows = self._run.extra()
        words = self._run.words
        names = ("character_id", "state", "location", "type")
        parts: list[dict[str, Any]] = []
        for number in self._watched(range(len(self._summaries))):
            summary, view = self._summaries[number], self._store(number).view()
            departed = view.columns["type"] == view.code("type", MessageTypes.CHARACTER_LEFT)
            listed = np.isin(
                np.arange(summary.first_row, summary.next_row), extra.rows
            )  # for the ticks of those changes
            told = np.flatnonzero((view.columns["state"] >= 0) | (view.columns["location"] >= 0) | departed | listed)
            part: dict[str, Any] = {"row": told + summary.first_row, "time": view.columns["time"][told]}
            part |= {"tick": view.columns["tick"][told], "no_tick": view.masks["tick"][told]}
            for name in names:
                known = view.dictionaries[name].words
                codes = np.array([*(words[name].get(word, -1) for word in known), -1], np.int32)
                part[name] = codes[view.columns[name][told]]
            if character_id is not None:
                wanted = [words["character_id"].get(name, -2) for name in character_id]
                mine = np.isin(part["character_id"], wanted) | listed[told]
                part = {name: values[mine] for name, values in part.items()}
            parts.append(part)
        told_rows = np.concatenate([part["row"] for part in parts]) if parts else np.zeros(0, np.int64)
        # an index for each row that matters, which keeps their order
        rows = np.unique(np.concatenate([told_rows, extra.rows, gap_rows])).astype(np.int64)
        at = np.searchsorted(rows, told_rows)
        columns: dict[str, Any] = {name: np.full(len(rows), -1, np.int32) for name in names}
        columns |= {"time": np.full(len(rows), NAT), "tick": np.zeros(len(rows), np.int64)}
        columns["no_tick"] = np.ones(len(rows), np.bool_)
        for name in (*names, "time", "tick", "no_tick"):
            if parts:
                columns[name][at] = np.concatenate([part[name] for part in parts])
        placed = np.searchsorted(rows, extra.rows)
        extra = Extra(placed, extra.characters, extra.states, extra.locations, extra.times)
        view = View(0, len(rows), columns, {"tick": columns["no_tick"]}, words, pd.DataFrame())
        return stay_table(view, extra, np.searchsorted(rows, gap_rows), character_id)

    def by_pieces(self, ask: Callable[[Pieces], T]) -> T:
        """Answer a question that looks at all events, a segment at a time."""
        extra, gap_rows = self._run.extra()
        parts = [
            LongPiece(partial(self._store, number), summary.first_row, summary.next_row, self._run.words)
            for number, summary in enumerate(self._summaries)
        ]
        return ask(Pieces(parts, self._run.words, extra, gap_rows))

    def event_dicts(self, start: int, stop: int) -> Iterator[dict[str, Any]]:
        """Yield the events from row `start` to before `stop` as dicts."""
        for number, summary in enumerate(self._summaries):
            if summary.next_row > start and summary.first_row < stop:
                for event in self._store(number).event_dicts(start - summary.first_row, stop - summary.first_row):
                    yield {**event, "row": event["row"] + summary.first_row}

    def row_of(self, epoch: str | None, seq: int) -> int | None:
        """Return the row of a position in the stream; `None` if no event has that position."""
        found = self.events(where=f"seq == {seq}")
        rows = found.index[found["epoch"] == epoch]
        return int(rows[-1]) if len(rows) else None

    def control_rows(self, start: int, stop: int) -> list[ControlRow]:
        """List the ordered control messages before the events from `start` to before `stop`."""
        return self._run.control_rows(start, stop)

    @property
    def _now(self) -> RunSoFar:
        return self._run
