"""The questions about a recording of format 2, answered from the columns of its segments and from its index.

The index has what does not grow with the number of events: the present, transitions, counts by second, gaps, places and
the town from time to time. Questions about single events read the columns that they need, of the segments that can have
what is asked for. Events that are not sealed yet are in a store in memory.
"""

from __future__ import annotations

import functools
import logging
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from ..core.escaping import visible
from ..core.progress import Progress
from ..protocol.errors import RecordingWarning
from ..protocol.messages import Links, MessageTypes
from ..store.arguments import LongTime, Moment, Names, moment_ns, names_of, whole
from ..store.characters import CharacterColumns, CharacterTable
from ..store.checkpoints import last_where
from ..store.controls import ControlRow
from ..store.counters import Seconds, Tally
from ..store.derived_state import COUNTED
from ..store.event_store import EventStore
from ..store.interfaces import RunStore
from ..store.llm import LLM_TYPES, read_calls
from ..store.moments import RowMoment, moment_of
from ..store.payloads import inner_value, read_payload
from ..store.questions import with_gaps
from ..store.rates import rate_table
from ..store.rows import part_of
from ..store.schema import SECOND, Ints, StoreStats
from ..store.selection import select
from .column_parts import Chosen, Part, Tail, can_have, each, frame_of, payloads_of, stays_of
from .column_state import SealedRun, replay_parts
from .columns import ERROR_COLUMNS
from .recorded_status import RecordedStatus
from .sealed_columns import DamagedSegment, SealedColumns
from .segment_reader import SegmentFolder

logger = logging.getLogger("degentcivil_nb.recordings")

VERIFIED_BYTES: Final = 64 << 20
"""Recordings up to this size are compared with their checksums when they are opened, larger ones when they are read."""

P = ParamSpec("P")
T = TypeVar("T")


def _noticing(question: Callable[Concatenate[ColumnStore, P], T]) -> Callable[Concatenate[ColumnStore, P], T]:
    """Answer a question from the messages, with gaps for lost ones, from when damage was found."""

    @functools.wraps(question)
    def ask(store: ColumnStore, *args: P.args, **kwargs: P.kwargs) -> T:
        if store.instead is None:
            try:
                return question(store, *args, **kwargs)
            except DamagedSegment as error:
                store.read_instead(error)
        answer: T = getattr(store.instead, question.__name__)(*args, **kwargs)
        return answer

    return ask  # type: ignore[return-value]  # a method, whose first argument has another name


class ColumnStore(RecordedStatus):
    """The answers of an `EventStore`, read from columns; results belong to the caller.

    `read_messages` makes the store that answers instead once a segment turns out to be damaged. Raises `NotInColumns`
    for a recording that has no columns or no index, and `DamagedSegment` for damage that is found at once.
    """

    def __init__(
        self, folder: SegmentFolder, read_messages: Callable[[], RunStore], progress: Progress | None = None
    ) -> None:
        self._folder = folder
        self._read_messages = read_messages
        self.instead: RunStore | None = None
        self._sealed = sealed = SealedRun(folder, progress)
        self._run = sealed.run
        if sum(part.size for part in sealed.parts) <= VERIFIED_BYTES:
            each(sealed.parts, SealedColumns.verify)
        for entry in folder.entries(start=sealed.messages):
            self._run.append(list(entry.messages), entry.received, entry.epoch)
        self._parts: list[Part] = [part for part in sealed.parts if len(part)]
        if self._run.next_row > self._run.first_row:
            self._parts.append(Tail(self._run))
        self._starts = [part.first_row for part in self._parts]
        errors = [0, *(summary.state.errors for summary in sealed.summaries)]
        self._errors = dict(zip((part.first_row for part in sealed.parts), np.diff(errors).tolist(), strict=True))
        self._by_character: Tally | None = None

    def read_instead(self, error: DamagedSegment) -> None:
        """Read the messages from now on: a segment was damaged after the recording was opened."""
        said = f"{visible(str(self._folder.path))} was damaged after it was opened: {error}"
        logger.warning("%s", said)
        self.instead = self._read_messages()
        warnings.warn(f"{said}. Its events are missing from now on", RecordingWarning, stacklevel=5)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _part(self, row: int) -> Part:
        """Return the part that has an event; `KeyError` if none has."""
        number = bisect_right(self._starts, row) - 1
        if number < 0 or row >= self._parts[number].next_row:
            raise KeyError(row)
        return self._parts[number]

    def _that_can_have(self, types: Sequence[str] | None, since: Any = None, until: Any = None) -> list[Part]:
        return [
            part for part in self._parts if can_have(part, self._errors.get(part.first_row, 1), types, since, until)
        ]

    def _moment(self, moment: Moment) -> pd.Timestamp | None:
        """Resolve a moment once for all parts, since each has a newest event of its own."""
        if moment is None:
            return None
        return pd.Timestamp(moment_ns(moment, self._newest), unit="ns", tz="UTC")

    @property
    def _newest(self) -> int | None:
        return self._parts[-1].view().newest if self._parts else None

    def _chosen(self, rows: Any) -> list[Chosen]:
        """Return ascending rows by part."""
        ends = np.searchsorted(rows, [part.next_row for part in self._parts]).tolist()
        starts = [0, *ends][: len(ends)]
        pairs = zip(self._parts, starts, ends, strict=True)
        return [(part, rows[start:end] - part.first_row) for part, start, end in pairs if end > start]

    def _frame(self, chosen: Sequence[Chosen]) -> pd.DataFrame:
        return frame_of(chosen, self._run.words, self._run.parts.derived.codes)

    # --- questions about single events ------------------------------------------------------------------------------

    @_noticing
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
        """List events as `EventStore.events` does."""
        words = {"type": names_of(type), "character_id": names_of(character_id), "event_type": names_of(event_type)}
        after, before = self._moment(since), self._moment(until)
        last = None if last is None else whole(last, "`last`")
        unsaid = self._run.names.unsaid

        def choose(part: Part, left: int | None = last) -> Chosen:
            view = part.view()
            found = select(
                view,
                words,
                since=after,
                until=before,
                where=where,
                last=left,
                payloads=lambda rows: part.payloads(np.asarray(rows, np.int64) - part.first_row),
                attributes=unsaid,
            )
            return part, np.arange(view.next_row - view.first_row)[found] if isinstance(found, slice) else found

        parts = self._that_can_have(words["type"], after, before)
        if where is not None and not parts:  # a mistake in it is told all the same
            EventStore(max_rows=1).events(where=where)
        if last is None:
            chosen = each(parts, choose)
        else:
            chosen = []
            for part in reversed(parts):
                left = last - sum(len(places) for _, places in chosen)
                if left <= 0:
                    break
                chosen.insert(0, choose(part, left))
        chosen = [one for one in chosen if len(one[1])]
        frame = self._frame(chosen)
        if payload:
            payloads = [read_payload(data) for data in payloads_of(chosen)]
            data = map(inner_value, frame["type"].tolist(), payloads)
            frame["payload"] = pd.Series(payloads, frame.index, dtype="object")
            frame["data"] = pd.Series(list(data), frame.index, dtype="object")
        return frame

    @_noticing
    def payload(self, row: int) -> Any:
        """Return the payload of an event as it was sent; `KeyError` for a row that does not exist."""
        row = whole(row, "a row", least=None)
        part = self._part(row)
        return read_payload(part.payloads(np.array([row - part.first_row]))[0])

    @_noticing
    def payload_keys(self, newest: int) -> set[str]:
        """Return the keys in the payloads of so many of the newest events."""
        chosen = self._chosen(np.arange(max(0, self.next_row - newest), self.next_row))
        payloads = map(read_payload, payloads_of(chosen))
        return {key for payload in payloads if isinstance(payload, dict) for key in payload}

    @_noticing
    def links(self, rows: Sequence[int]) -> dict[int, Links]:
        """Return the links of those rows that have any, as `EventStore.links` does."""
        found: dict[int, Links] = {}
        for part, places in self._chosen(np.unique(np.array([*rows], np.int64))):
            held = part.links(places)
            pairs = zip(held["sim_time"].tolist(), held["sim_time missing"].tolist(), strict=True)
            times = [None if missing else time for time, missing in pairs]
            cells = zip(times, held["event_id"], held["cause"], held["intervention"], strict=True)
            for place, links in zip(places.tolist(), map(Links, *zip(*cells, strict=True)), strict=True):
                if links != Links():
                    found[place + part.first_row] = links
        return found

    @_noticing
    def rows_named(self, event_ids: Iterable[str]) -> dict[str, list[int]]:
        """Find the rows that have these `event_id`s, as `EventStore.rows_named` does."""
        return self._rows_with("event_id", event_ids)

    @_noticing
    def rows_caused(self, event_ids: Iterable[str]) -> dict[str, list[int]]:
        """Find the rows that name these as a cause, as `EventStore.rows_caused` does."""
        return self._rows_with("cause", event_ids)

    def _rows_with(self, name: str, event_ids: Iterable[str]) -> dict[str, list[int]]:
        words = [*event_ids]
        found: dict[str, list[int]] = {word: [] for word in words}
        for rows in each(self._parts, lambda part: part.rows_with(name, words)):
            for word, some in rows.items():
                found[word] += some
        return {word: rows for word, rows in found.items() if rows}

    @_noticing
    def take_payloads(self, rows: Sequence[int]) -> list[bytes]:
        """Return the payloads of ascending rows."""
        return payloads_of(self._chosen(np.asarray(rows, np.int64)))

    def verified_files(self) -> list[str] | None:
        """Return the paths of the sealed segments, which match their checksums; `None` once one did not."""
        if self.instead is None:
            try:
                each(self._sealed.parts, SealedColumns.verify)
            except DamagedSegment as error:
                self.read_instead(error)
        return None if self.instead is not None else [str(part.path) for part in self._sealed.parts if len(part)]

    @property
    def first_unsealed_row(self) -> int:
        """The row of the first event that is in no file."""
        return self._run.first_row

    @_noticing
    def errors(self) -> pd.DataFrame:
        """List the errors, as `EventStore.errors` does."""
        parts = [part for part in self._that_can_have((MessageTypes.ERROR,)) if isinstance(part, SealedColumns)]
        chosen = self._of_type(parts, MessageTypes.ERROR)
        texts = each(chosen, lambda one: [one[0].texts(name, one[1]) for name in ERROR_COLUMNS])
        table = self._frame(chosen).drop(columns=["state", "location", "event_type", "type"])
        for place, name in enumerate(ERROR_COLUMNS):
            table[name] = pd.array([text for found in texts for text in found[place]], dtype="str")
        return self._with_tail(table, self._run.errors())

    def _of_type(self, parts: Sequence[Any], *types: str) -> list[Any]:
        """Return the events of types in parts."""
        codes = [self._run.words["type"].get(type, -2) for type in types]

        def choose(part: Part) -> Chosen:
            return part, np.flatnonzero(np.isin(part.view().columns["type"], codes))

        return [one for one in each(parts, choose) if len(one[1])]

    def _with_tail(self, table: pd.DataFrame, tail: pd.DataFrame) -> pd.DataFrame:
        """Return a table of sealed events, and behind it that of the others."""
        if not len(tail):
            return table
        for name in tail.columns:
            if isinstance(tail[name].dtype, pd.CategoricalDtype):
                words = self._run.words[name]
                tail[name] = tail[name].cat.set_categories(words.dtype(len(words.words)).categories)
                table[name] = table[name].cat.set_categories(words.dtype(len(words.words)).categories)
        return pd.concat([table, tail])

    @_noticing
    def llm_calls(self, *, last: int | None = None) -> pd.DataFrame:
        """List the calls of language models, as `EventStore.llm_calls` does."""
        last = None if last is None else whole(last, "`last`")
        chosen: list[Chosen] = self._of_type(self._that_can_have(LLM_TYPES), *LLM_TYPES)
        if last is not None:
            chosen = _newest_of(chosen, last)
        return self._calls(chosen)

    def _calls(self, chosen: Sequence[Chosen]) -> pd.DataFrame:
        frame = self._frame(chosen)
        calls = read_calls(frame["type"].tolist(), payloads_of(chosen))
        links = {name: frame[name] for name in ("event_id", "cause")}
        return frame[["epoch", "seq", "tick", "time", "character_id"]].assign(**calls, **links)

    @_noticing
    def event_dicts(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return the events from row `start` to before `stop` as dicts, as `EventStore.event_dicts` does."""
        chosen = self._chosen(np.arange(max(0, start), min(stop, self.next_row)))
        if not chosen:
            return []
        frame = self._frame(chosen)
        columns: dict[str, list[Any]] = {"row": frame.index.to_list()}
        for name in frame.columns:
            values = frame[name].astype("object")
            columns[name] = values.where(values.notna(), None).to_list()
        columns["payload"] = [read_payload(data) for data in payloads_of(chosen)]
        columns["data"] = list(map(inner_value, columns["type"], columns["payload"]))
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    @_noticing
    def rows_since(self, row: int, limit: int) -> pd.DataFrame:
        """Return the newest events from a row on, with the gaps before them, as `EventStore.rows_since` does."""
        first = max(row, self.next_row - limit, 0)
        frame = self._frame(self._chosen(np.arange(first, self.next_row)))
        gaps = [gap for gap in self._run.parts.controls.gaps if first <= gap.row < self.next_row]
        return with_gaps(frame, gaps) if len(frame) else frame

    @_noticing
    def row_of(self, epoch: str | None, seq: int) -> int | None:
        """Give the row of a position in the stream; `None` if there is no event of it."""
        code = self._run.words["epoch"].get(epoch, -2) if epoch is not None else -1
        for part in reversed(self._parts):
            if part.stats is not None and epoch is not None and not _covers(part.stats.seq.get(epoch), seq):
                continue
            view = part.view()
            at = (view.columns["seq"] == seq) & ~view.masks["seq"]
            at &= view.columns["epoch"] == code
            if at.any():
                return int(np.flatnonzero(at)[-1]) + part.first_row
        return None

    # --- questions by row -------------------------------------------------------------------------------------------

    @_noticing
    def rows_of(self, types: Sequence[str] | None, start: int = 0, stop: int | None = None) -> Sequence[int]:
        """Return the numbers of the rows of some types, as `EventStore.rows_of` does."""
        start, end = max(0, start), self.next_row if stop is None else min(stop, self.next_row)
        if types is None:
            return range(start, max(start, end))
        parts = [part for part in self._that_can_have(types) if part.next_row > start and part.first_row < end]
        rows = [places + part.first_row for part, places in self._of_type(parts, *types)]
        found: Any = np.concatenate([np.zeros(0, np.int64), *rows])
        return found[(found >= start) & (found < end)]  # type: ignore[no-any-return]  # an array reads as a sequence

    @_noticing
    def rows_where(self, where: str, start: int, stop: int) -> Ints:
        """Return the numbers of the rows that meet a condition, as `EventStore.rows_where` does."""
        found = [EventStore(max_rows=1).rows_where(where, 0, 0)]
        for part, places in self._chosen(np.arange(max(0, start), min(stop, self.next_row))):
            view = part_of(part.view(), part.first_row + int(places[0]), part.first_row + int(places[-1]) + 1)
            chosen = select(
                view, {}, since=None, until=None, where=where, last=None,
                payloads=self._take, attributes=self._run.names.unsaid,
            )  # fmt: skip
            found.append(np.arange(view.first_row, view.next_row)[chosen])
        return np.concatenate(found)

    def _take(self, rows: Sequence[int]) -> list[bytes]:
        return payloads_of(self._chosen(np.asarray(rows, np.int64)))

    def _held(self, rows: Sequence[int]) -> list[Chosen]:
        numbers = np.asarray(rows, np.int64)
        return self._chosen(numbers[(numbers >= 0) & (numbers < self.next_row)])

    @_noticing
    def frame_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the events of ascending row numbers, as `EventStore.frame_of` does."""
        return self._frame(self._held(rows))

    @_noticing
    def calls_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the calls of language models of ascending row numbers."""
        return self._calls(self._held(rows))

    @_noticing
    def past_columns(self, row: int) -> CharacterColumns:
        """Return the characters as they were after a row."""
        return self._town(min(row + 1, self.next_row)).columns()

    # --- questions about moments and the town -----------------------------------------------------------------------

    @_noticing
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
        start, present = self._sealed.town_before(stop)
        replay_parts(present, self._sealed.parts, start, stop, self._run)
        return present

    @_noticing
    def row_at(self, *, tick: int | None = None, at: Moment = None) -> int | None:
        """Return the last row up to a tick or a time, as `EventStore.row_at` does."""
        return self._last_row(None if tick is not None else at, tick)

    @_noticing
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

    @_noticing
    def timeline(self, character_id: Names = None) -> pd.DataFrame:
        """List the stays, as `EventStore.timeline` does."""
        extra, gap_rows = self._run.extra()
        return stays_of(self._parts, extra, gap_rows, self._run.words, names_of(character_id))

    @_noticing
    def transitions(self) -> pd.DataFrame:
        """Count the changes of state."""
        return self._run.transitions()

    @_noticing
    def rates(self, every: LongTime = "1s", by: str = "type", window: LongTime | None = None) -> pd.DataFrame:
        """Count the events in buckets of time, as `EventStore.rates` does."""
        if not isinstance(by, str) or by not in COUNTED:
            raise ValueError(f"rates by {by!r}? It must be one of {', '.join(COUNTED)}")
        derived = self._run.parts.derived
        derived.catch_up()
        tally = self._character_tally() if by == "character_id" else derived.tallies[by]
        words = derived.codes if by == "code" else self._run.words[by]
        newest = self._newest
        return rate_table(tally.freeze(), words, every, by, window, None if newest is None else newest // SECOND)

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

    @_noticing
    def llm_totals(self) -> pd.DataFrame:
        """Add up the calls of language models by model."""
        return self._run.llm_totals()

    @_noticing
    def places(self) -> pd.DataFrame:
        """List the places of the town."""
        return self._run.places()

    @_noticing
    def gaps(self) -> pd.DataFrame:
        """List all missing ranges."""
        return self._run.gaps()

    @_noticing
    def control_rows(self, start: int, stop: int) -> list[ControlRow]:
        """List the ordered control messages before the events from `start` to before `stop`."""
        return self._run.control_rows(start, stop)

    @_noticing
    def present_columns(self, since_version: int = 0) -> CharacterColumns:
        """Return the characters that changed since a version of the present."""
        return self._run.present_columns(since_version)

    @_noticing
    def attribute(self, character: str, name: str) -> Any:
        """Return an attribute of a character now; `None` if it is unknown."""
        return self._run.attribute(character, name)

    @_noticing
    def stats(self) -> StoreStats:
        """Return how much the recording has."""
        stats = self._run.stats()
        size = sum(part.stats.data_bytes for part in self._sealed.parts)
        return replace(stats, rows=self.next_row, first_row=0, evicted=0, payload_bytes=stats.payload_bytes + size)

    @property
    def _now(self) -> RunStore:
        return self._run if self.instead is None else self.instead


def _covers(span: tuple[int, int] | None, seq: int) -> bool:
    return span is not None and span[0] <= seq <= span[1]


def _newest_of(chosen: list[Chosen], count: int) -> list[Chosen]:
    """Return the newest of chosen events, at most so many."""
    kept: list[Chosen] = []
    for part, places in reversed(chosen):
        if count <= 0:
            break
        kept.insert(0, (part, places[-count:]))
        count -= len(places)
    return kept
