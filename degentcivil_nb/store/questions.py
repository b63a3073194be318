"""The questions that a store answers: each takes references under the lock and works outside of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..protocol.messages import Links, MessageTypes
from .arguments import LongTime, Moment, Names, moment_ns, not_held, whole
from .characters import CharacterTable
from .checkpoints import last_where, replay
from .controls import ControlRow, GapRow, gap_table
from .errors import error_table
from .links import links_of, own_values
from .llm import LLM_TYPES as LLM_TYPES  # also found here
from .llm import read_calls, totals_table
from .moments import RowMoment, moment_of, row_at
from .parts import StoreParts
from .payloads import inner_value, read_payload
from .places import place_table
from .plain_cells import plain_cells
from .rates import rate_table
from .schema import SECOND
from .selection import decoded, select
from .table import View
from .timeline import Extra, stay_table
from .transitions import transition_table


class Questions:
    """The answers of a store. All frames belong to the caller: writing into them never changes the store."""

    def __init__(self, parts: StoreParts) -> None:
        self._parts = parts

    def view(self) -> View:
        """Return the rows published so far, readable without a lock."""
        while True:
            with self._parts.changed:
                view = self._parts.table.view(self._parts.links.view())
            if view.fill_links():
                return view

    def take_payloads(self, rows: Sequence[int]) -> list[bytes]:
        """Copy the payloads of ascending rows; `null` for one that was evicted."""
        with self._parts.changed:
            return self._parts.payloads.take(rows)

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
        """List events, one row a stream message, indexed by `row`.

        `since` is inclusive and `until` exclusive; `last` counts what the other filters leave. `where` is a condition
        over the columns and the payload's keys. With `payload` a column `payload` holds the decoded payloads, and
        `data` the inner values of event notifications.
        Raises `ValueError` if a condition or a time cannot be understood.
        """
        view = self.view()
        rows = select(
            view,
            {"type": type, "character_id": character_id, "event_type": event_type},
            since=since,
            until=until,
            where=where,
            last=last,
            payloads=self.take_payloads,
            attributes=self._parts.names.unsaid,
        )
        frame = view.frame.iloc[rows]
        if payload:
            payloads = decoded(frame.index.to_list(), self.take_payloads)
            data = map(inner_value, frame["type"].tolist(), payloads)
            frame["payload"] = pd.Series(payloads, frame.index, dtype="object")
            frame["data"] = pd.Series(list(data), frame.index, dtype="object")
        return own_values(frame, view.links)

    def payload_keys(self, newest: int) -> set[str]:
        """Return the keys in the payloads of the `newest` events."""
        stop = self._parts.table.next_row
        payloads = decoded(range(max(self._parts.table.first_row, stop - newest), stop), self.take_payloads)
        return {key for payload in payloads if isinstance(payload, dict) for key in payload}

    def payload(self, row: int) -> Any:
        """Return the payload of an event as it was sent; `KeyError` for a row that is not held."""
        row = whole(row, "a row", least=None)
        with self._parts.changed:
            if not self._parts.table.first_row <= row < self._parts.table.next_row:
                raise not_held(row, self._parts.table.first_row, self._parts.table.next_row)
            text = self._parts.payloads.get(row)
        return read_payload(text)

    def event_dicts(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return the events from row `start` to before `stop`, as far as held, as dicts.

        They have the columns of `events()`, and `row`, `payload` and `data`.
        """
        view = self.view()
        held = view.rows(start, stop)
        frame = view.frame.iloc[held]
        if not len(frame):
            return []
        frame = own_values(frame, view.links)
        columns: dict[str, list[Any]] = {"row": frame.index.to_list()}
        columns |= {str(name): plain_cells(frame[name]) for name in frame.columns}
        columns["payload"] = decoded(columns["row"], self.take_payloads)
        columns["data"] = list(map(inner_value, columns["type"], columns["payload"]))
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def rows_since(self, row: int, limit: int) -> pd.DataFrame:
        """Return the newest events from `row` on, at most `limit`, indexed by row, with the gaps before them.

        A gap has the row number of the event that it comes before, and the columns `epoch`, `time`, `type` and
        `message`; a gap that no event has followed is returned with the next event.
        """
        view = self.view()
        held = view.rows(max(row, view.next_row - limit), view.next_row)
        frame = view.frame.iloc[held]
        if not len(frame):
            return frame
        frame = own_values(frame, view.links)
        first = int(frame.index[0])
        with self._parts.changed:
            gaps = [gap for gap in self._parts.controls.gaps if first <= gap.row < view.next_row]
        return with_gaps(frame, gaps)

    def characters(self, at: Moment = None, *, row: int | None = None, tick: int | None = None) -> pd.DataFrame:
        """Return the characters now, or after the last event up to a time or tick, or after a row.

        Columns are `state`, `location`, the attributes, `since` and `last_seen`. Raises `ValueError` for more than one
        of the three, and for a time before the events held.
        """
        asked = [value for value in (at, row, tick) if value is not None]
        if len(asked) > 1:
            raise ValueError("characters() takes one of at, row and tick, not several")
        if not asked:
            with self._parts.changed:
                self._parts.derived.catch_up()
                now = self._parts.derived.present.columns(0)
            return now.frame()
        view = self.view()
        if at is not None:
            stop = view.first_row + last_where(view.columns["time"], None, moment_ns(at, view.newest)) + 1
        elif tick is not None:
            limit = whole(tick, "a tick", least=None)
            stop = view.first_row + last_where(view.columns["tick"], view.masks["tick"], limit) + 1
        else:
            stop = min(whole(row, "a row", least=None) + 1, view.next_row)
        return self.as_it_was(view, stop).columns().frame()

    def as_it_was(self, view: View, stop: int) -> CharacterTable:
        """Return the characters as they were before row `stop`; `ValueError` if that is no longer held."""
        with self._parts.changed:
            found = self._parts.derived.checkpoints.before(stop)
            oldest = self._parts.derived.checkpoints.first_row
        if found is None or found[0] < view.first_row:
            raise ValueError(f"the events of that time are no longer held; characters() reaches back to row {oldest}")
        start, present = found
        replay(present, view, start, stop, self._parts.ingest, self.take_payloads)
        return present

    def row_at(self, *, tick: int | None = None, at: Moment = None) -> int | None:
        """Return the last row up to a tick or a time; `None` if all rows held are later."""
        return row_at(self.view(), tick=tick, at=at)

    def moment_of(self, row: int) -> RowMoment:
        """Return the tick and time of a row; `KeyError` for a row that is not held."""
        return moment_of(self.view(), row)

    def timeline(self, character_id: Names = None) -> pd.DataFrame:
        """List the stays in the order in which they began.

        The columns are `character_id`, `state`, `location`, `start`, `end`, `duration`.

        A stay ends where the next one begins. Its end is missing (NaT) if it continues, or if a gap follows, since the
        time of the change is then unknown. A change without a location leaves the character where it was.
        """
        with self._parts.changed:
            view = self._parts.table.view()
            extra = Extra.of(self._parts.derived.transitions, self._parts.snapshot_states, view.next_row)
            gap_rows = self._parts.controls.gap_rows()
        return stay_table(view, extra, gap_rows, character_id)

    def transitions(self) -> pd.DataFrame:
        """Count the changes of state since the store began: a row a from-state, a column a to-state."""
        with self._parts.changed:
            self._parts.derived.catch_up()
            counts = self._parts.derived.transitions.counts()
        return transition_table(counts, self._parts.table.dictionaries["state"])

    def rates(
        self, every: LongTime = "1s", by: str = "type", window: LongTime | None = None, *, now: int | None = None
    ) -> pd.DataFrame:
        """Count the events held: a row for each bucket of seconds, a column for each `type`, `code` or other `by`.

        `window` (such as `"5min"`) looks back from the newest event, or from the second `now`. Buckets without events
        are rows of zeros, unless that would be more than 100,000 rows. Raises `ValueError` for a bucket below a second
        or an unknown `by`.
        """
        if not isinstance(by, str) or by not in self._parts.derived.tallies:
            raise ValueError(
                f"cannot count rates by {by!r:.80}; it must be one of {', '.join(self._parts.derived.tallies)}"
            )
        with self._parts.changed:
            self._parts.derived.catch_up()
            frozen = self._parts.derived.tallies[by].freeze()
            words = self._parts.derived.codes if by == "code" else self._parts.table.dictionaries[by]
            newest = self._parts.table.oldest(len(self._parts.table))["time"][-1:]
            if now is None and len(newest):
                now = int(newest[0]) // SECOND
        return rate_table(frozen, words, every, by, window, now)

    def links(self, rows: Sequence[int]) -> dict[int, Links]:
        """Return the links of those rows that have any."""
        with self._parts.changed:
            view = self._parts.links.view()
        return links_of(view, rows)

    def rows_named(self, event_ids: Iterable[str]) -> dict[str, list[int]]:
        """Find the rows that have these `event_id`s, ascending; an id may have no row, or several."""
        with self._parts.changed:
            ids = self._parts.links.view().ids
        return {event_id: rows for event_id in event_ids if (rows := ids.rows_of(event_id))}

    def rows_caused(self, event_ids: Iterable[str]) -> dict[str, list[int]]:
        """Find the rows that name these `event_id`s as a cause, ascending."""
        with self._parts.changed:
            causes = self._parts.links.view().causes
        return {event_id: rows for event_id in event_ids if (rows := causes.rows_of(event_id))}

    def errors(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List the errors, of the simulation and of the wire, with `traceback` and `excerpt` if present.

        The filters are those of `events`.
        """
        view = self.view()
        words: dict[str, Names] = {"type": MessageTypes.ERROR, "character_id": character_id}
        rows = select(
            view, words, since=since, until=until, where=None, last=last,
            payloads=self.take_payloads, attributes=self._parts.names.unsaid,
        )  # fmt: skip
        return error_table(own_values(view.frame.iloc[rows], view.links), self.take_payloads)

    def llm_calls(self, *, last: int | None = None) -> pd.DataFrame:
        """List the calls of language models, or the `last` of them, with prompts, responses, tokens, seconds and cost.

        Raises `ValueError` for a `last` below zero.
        """
        last = None if last is None else whole(last, "`last`")
        view = self.view()
        types = view.columns["type"]
        codes = [view.code("type", name) for name in LLM_TYPES]
        rows = np.flatnonzero((types == codes[0]) | (types == codes[1]))
        if last is not None:
            rows = rows[max(0, len(rows) - last) :]  # before the payloads are decoded: prompts are long
        frame = own_values(view.frame.iloc[rows], view.links)
        calls = read_calls(frame["type"].tolist(), self.take_payloads(frame.index.to_list()))
        result = frame[["epoch", "seq", "tick", "time", "character_id"]].copy()
        for name, values in calls.items():
            result[name] = values
        result[["event_id", "cause"]] = frame[["event_id", "cause"]]
        return result

    def llm_totals(self) -> pd.DataFrame:
        """Add up the calls since the store began: a row a model, with tokens, seconds and cost."""
        with self._parts.changed:
            totals = self._parts.llm.copy()
        return totals_table(totals)

    def places(self) -> pd.DataFrame:
        """List the places of the town that were seen."""
        with self._parts.changed:
            places = self._parts.places.copy()
        return place_table(places)

    def gaps(self) -> pd.DataFrame:
        """List all missing ranges: `epoch`, `from_seq`, `to_seq` (NA if unknown), `reason`, `time`."""
        with self._parts.changed:
            gaps = list(self._parts.controls.gaps)
        return gap_table(gaps)

    def control_rows(self, start: int, stop: int) -> list[ControlRow]:
        """List the ordered control messages before the events from `start` to before `stop`."""
        with self._parts.changed:
            return [control for control in self._parts.controls.rows if start <= control.row < stop]


def with_gaps(frame: pd.DataFrame, gaps: Sequence[GapRow]) -> pd.DataFrame:
    """Return events with the gaps before them; a gap has the row of the event that it comes before."""
    if not gaps:
        return frame
    marks = pd.DataFrame(
        {
            "epoch": [gap.gap.epoch for gap in gaps],
            "time": pd.DatetimeIndex(np.array([gap.time for gap in gaps]).astype("M8[ns]")).tz_localize("UTC"),
            "type": MessageTypes.GAP,
            "message": [_gap_text(gap.gap.start, gap.gap.end, gap.gap.reason) for gap in gaps],
        },
        index=pd.Index([gap.row for gap in gaps], name="row"),
    ).reindex(columns=frame.columns)
    plain = frame.astype(dict.fromkeys(frame.select_dtypes("category").columns, "object"))
    marks = marks.astype(plain.dtypes.to_dict())
    return pd.concat([marks, plain]).sort_index(kind="stable")


def _gap_text(start: int | None, end: int | None, reason: str) -> str:
    if start is None:
        return reason
    return f"{reason}: {start} to {'?' if end is None else end}"
