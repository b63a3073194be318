"""The questions about single events of a recording of format 2: the columns that they need are read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from ..core.event_columns import EVENT_COLUMNS, NOT_OF_ERRORS
from ..protocol.messages import Links, MessageTypes
from ..store.arguments import Moment, Names, names_of, whole
from ..store.errors import error_details
from ..store.event_store import EventStore
from ..store.llm import LLM_TYPES, NUMBERS, REST, TEXTS, call_columns, decode_rest, read_calls
from ..store.payloads import inner_value, read_payload
from ..store.plain_cells import plain_cells
from ..store.questions import with_gaps
from ..store.rows import part_of
from ..store.schema import Ints
from ..store.selection import select
from .column_base import ColumnParts, noticing
from .column_parts import Chosen, Part, each, payloads_of
from .columns import CALL_COLUMNS, ERROR_COLUMNS
from .sealed_columns import FEW, DamagedSegment, SealedColumns

ERROR_FRAME: Final = (*(name for name in EVENT_COLUMNS if name not in NOT_OF_ERRORS),)
BYTES: Final = pa.large_binary()
KNOWN_ROWS: Final = 2_000_000
"""The numbers of rows of some types are held up to so many, which are 16 MB."""
CALL_FRAME: Final = ("epoch", "seq", "tick", "time", "type", "character_id", "event_id", "cause")


class ColumnEvents(ColumnParts):
    """The answers of an `EventStore` about single events, read from columns."""

    # --- questions about single events ------------------------------------------------------------------------------

    @noticing
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
        chosen = self._select(words, since, until, last, where)
        frame = self._frame(chosen)
        if payload:
            payloads = [read_payload(data) for data in payloads_of(chosen)]
            data = map(inner_value, frame["type"].tolist(), payloads)
            frame["payload"] = pd.Series(payloads, frame.index, dtype="object")
            frame["data"] = pd.Series(list(data), frame.index, dtype="object")
        return frame

    def _select(
        self,
        words: dict[str, list[str] | None],
        since: Moment = None,
        until: Moment = None,
        last: int | None = None,
        where: str | None = None,
    ) -> list[Chosen]:
        """Return the events that pass filters; where only the newest are wanted, the parts are read from the end."""
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
        if where is not None and not parts:  # a mistake in the condition is reported all the same
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
        return [one for one in chosen if len(one[1])]

    @noticing
    def payload(self, row: int) -> Any:
        """Return the payload of an event as it was sent; `KeyError` for a row that does not exist."""
        row = whole(row, "a row", least=None)
        part = self._part(row)
        return read_payload(part.payloads(np.array([row - part.first_row]))[0])

    @noticing
    def payload_keys(self, newest: int) -> set[str]:
        """Return the keys in the payloads of the `newest` events."""
        chosen = self._chosen(np.arange(max(0, self.next_row - newest), self.next_row))
        payloads = map(read_payload, payloads_of(chosen))
        return {key for payload in payloads if isinstance(payload, dict) for key in payload}

    @noticing
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

    @noticing
    def rows_named(self, event_ids: Iterable[str]) -> dict[str, list[int]]:
        """Find the rows that have these `event_id`s, as `EventStore.rows_named` does."""
        return self._rows_with("event_id", event_ids)

    @noticing
    def rows_caused(self, event_ids: Iterable[str]) -> dict[str, list[int]]:
        """Find the rows that name these ids as a cause, as `EventStore.rows_caused` does."""
        return self._rows_with("cause", event_ids)

    def _rows_with(self, name: str, event_ids: Iterable[str]) -> dict[str, list[int]]:
        words = dict.fromkeys(event_ids)
        found: dict[str, list[int]] = {word: [] for word in words}
        for rows in each(self._parts, lambda part: part.rows_with(name, words)):
            for word, some in rows.items():
                found[word] += some
        return {word: rows for word, rows in found.items() if rows}

    @noticing
    def take_payloads(self, rows: Sequence[int]) -> list[bytes]:
        """Return the payloads of ascending rows."""
        return payloads_of(self._chosen(np.asarray(rows, np.int64)))

    def payload_array(self, rows: Ints) -> pa.Array:
        """Return the payloads of ascending rows as an array of bytes."""
        if self.instead is None:
            try:
                return pa.concat_arrays([pa.array([], BYTES), *map(_payload_array, self._chosen(rows))])
            except DamagedSegment as error:
                self.read_instead(error)
        return pa.array(self.take_payloads(rows.tolist()), BYTES)

    @noticing
    def errors(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List the errors, as `EventStore.errors` does."""
        words = {"type": [str(MessageTypes.ERROR)], "character_id": names_of(character_id)}
        chosen = self._select(words, since, until, last)
        table = self._frame(chosen, ERROR_FRAME)
        for name, texts in zip(ERROR_COLUMNS, self._error_texts(chosen), strict=True):
            table[name] = pd.array(texts, dtype="str")
        return table

    def _error_texts(self, chosen: Sequence[Chosen]) -> list[pa.ChunkedArray]:
        """Return the texts that errors have besides the columns of events."""

        def read(one: Chosen) -> list[pa.Array]:
            part, places = one
            if isinstance(part, SealedColumns):
                return [*part.values_at([*ERROR_COLUMNS], places).values()]
            columns = part.columns_at(("code",), places)
            codes = [
                None if no else code for code, no in zip(columns["code"].tolist(), columns["code missing"], strict=True)
            ]
            return [pa.array(texts, pa.string()) for texts in error_details(codes, part.payloads(places))]

        found = each(chosen, read)
        return [
            pa.chunked_array([arrays[place] for arrays in found], pa.string()) for place in range(len(ERROR_COLUMNS))
        ]

    def _of_type(self, parts: Sequence[Any], *types: str) -> list[Any]:
        """Return the events of types in parts."""
        codes = [self._run.words["type"].get(type, -2) for type in types]

        def choose(part: Part) -> Chosen:
            return part, np.flatnonzero(np.isin(part.view().columns["type"], codes))

        return [one for one in each(parts, choose) if len(one[1])]

    @noticing
    def llm_calls(self, *, last: int | None = None) -> pd.DataFrame:
        """List the calls of language models, as `EventStore.llm_calls` does."""
        last = None if last is None else whole(last, "`last`")
        return self._calls(self._select({"type": [*LLM_TYPES]}, last=last))

    def _calls(self, chosen: Sequence[Chosen]) -> pd.DataFrame:
        frame = self._frame(chosen, CALL_FRAME)
        types = frame.pop("type")
        in_columns = all(isinstance(part, SealedColumns) for part, _ in chosen)
        # reading more columns of a segment pays off if many of its calls are asked for
        is_many = len(types) > FEW * len(chosen) and in_columns and (types == MessageTypes.LLM_CALL).all()
        calls = _many_calls(chosen) if is_many else None
        if calls is None:
            calls = read_calls(types.tolist(), payloads_of(chosen))
        links = {name: frame[name] for name in ("event_id", "cause")}
        return frame[["epoch", "seq", "tick", "time", "character_id"]].assign(**calls, **links)

    @noticing
    def event_dicts(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return the events from row `start` to before `stop` as dicts, as `EventStore.event_dicts` does."""
        chosen = self._chosen(np.arange(max(0, start), min(stop, self.next_row)))
        if not chosen:
            return []
        frame = self._frame(chosen)
        columns: dict[str, list[Any]] = {"row": frame.index.to_list()}
        columns |= {str(name): plain_cells(frame[name]) for name in frame.columns}
        columns["payload"] = [read_payload(data) for data in payloads_of(chosen)]
        columns["data"] = list(map(inner_value, columns["type"], columns["payload"]))
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    @noticing
    def rows_since(self, row: int, limit: int) -> pd.DataFrame:
        """Return the newest events from a row on, with the gaps before them, as `EventStore.rows_since` does."""
        first = max(row, self.next_row - limit, 0)
        frame = self._frame(self._chosen(np.arange(first, self.next_row)))
        gaps = [gap for gap in self._run.parts.controls.gaps if first <= gap.row < self.next_row]
        return with_gaps(frame, gaps) if len(frame) else frame

    @noticing
    def row_of(self, epoch: str | None, seq: int) -> int | None:
        """Return the row of a position in the stream; `None` if no event has that position."""
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

    @noticing
    def rows_of(self, types: Sequence[str] | None, start: int = 0, stop: int | None = None) -> Sequence[int]:
        """Return the numbers of the rows of some types, as `EventStore.rows_of` does."""
        start, end = max(0, start), self.next_row if stop is None else min(stop, self.next_row)
        if types is None:
            return range(start, max(start, end))
        known = self._known_rows.get((*types,))
        if known is None:
            parts = [part for part in self._that_can_have(types) if part.next_row > start and part.first_row < end]
            rows = [places + part.first_row for part, places in self._of_type(parts, *types)]
            known = np.concatenate([np.zeros(0, np.int64), *rows])
            if start == 0 and end == self.next_row and len(known) <= KNOWN_ROWS:
                known.flags.writeable = False
                self._known_rows[*types,] = known  # a panel asks at each place of the cursor
        first, last = np.searchsorted(known, (start, end))
        return known[first:last]  # type: ignore[return-value]  # an array reads as a sequence

    @noticing
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

    @noticing
    def frame_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the events of ascending row numbers, as `EventStore.frame_of` does."""
        return self._frame(self._held(rows))

    @noticing
    def calls_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the calls of language models of ascending row numbers."""
        return self._calls(self._held(rows))


def _many_calls(chosen: Sequence[Chosen]) -> dict[str, Any] | None:
    """Return the columns of calls, of which only what no column has is decoded, a part at a time.

    Returns `None` if a payload has to be repaired first.
    """
    found = each(chosen, lambda one: (_call_values(*one), decode_rest(one[0].payloads(one[1]))))
    decoded = [some for _, some in found if some is not None]
    if len(decoded) < len(found):
        return None
    columns = {name: pa.chunked_array([values[name] for values, _ in found]) for name in CALL_COLUMNS}
    numbers = {name: columns[name].cast(pa.float64()).fill_null(math.nan).to_numpy() for name in NUMBERS}
    rest = {name: [*chain.from_iterable(some[name] for some in decoded)] for name in REST}
    return call_columns({name: columns[name] for name in TEXTS}, numbers, rest)


def _call_values(part: Part, places: Any) -> dict[str, pa.Array]:
    return part.values_at([*CALL_COLUMNS], places)  # type: ignore[union-attr]  # asked of sealed segments


def _payload_array(chosen: Chosen) -> pa.Array:
    part, places = chosen
    return part.payload_array(places) if isinstance(part, SealedColumns) else pa.array(part.payloads(places), BYTES)


def _covers(span: tuple[int, int] | None, seq: int) -> bool:
    return span is not None and span[0] <= seq <= span[1]
