"""The questions that sessions and recordings answer alike, and access to figures and panels."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from ..expressions.conditions import compile_condition
from ..protocol.messages import MessageTypes
from ..store.arguments import LongTime, Moment, Names, moment_ns, name_of, names_of
from ..store.characters import json_column
from ..store.unknown import STANDARD_KEYS, STANDARD_TYPES, warn_unknown
from .kinds import attribute_table, chosen, kind_table, new_errors
from .stops import breakpoint_table, matching_rows, stop_table

if TYPE_CHECKING:
    from ..figures.plots import Plots
    from ..store.interfaces import RunStore

SCANNED: Final = 10_000
"""How many of the newest events are searched for a name before a condition's name counts as unknown."""


class Reader:
    """The questions about a run, answered by one store; every returned frame belongs to the caller."""

    _store: RunStore

    def __len__(self) -> int:
        """Return the number of events held."""
        return len(self._store)

    def __bool__(self) -> bool:
        """Return True, even without events."""
        return True

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
        """List events: one row for each stream message.

        Parameters
        ----------
        type : str or list-like of str, optional
            Only events of these types.
        character_id : str, int or list-like of them, optional
            Only events of these characters.
        event_type : str or list-like of str, optional
            Only `event_notification`s of these kinds.
        since, until : datetime, str, number or timedelta, optional
            Only events from `since` on and before `until`. A time (naive is UTC), its text, seconds since 1970, or how
            long before the newest event, such as a timedelta, ``"10 min ago"`` or ``"-30s"``.
        last : int, optional
            Only so many of the newest that the other filters leave.
        where : str, optional
            A condition over the columns and the payload's keys, such as ``"new_state == 'MOVE' and tick > 10"``.
        payload : bool
            Add the columns `payload` and `data`.

        Returns
        -------
        pandas.DataFrame
            Indexed by `row` (int64), the store's own number of an event, which is never reused. `epoch`, `time_source`,
            `type`, `character_id`, `state`, `location`, `event_type` and `message` are category, `seq` and `tick`
            Int64, `code` Int16, `time` (the sender's clock) and `received` datetime64[ns, UTC]. With `payload` two more
            (object): `payload`, decoded as it was sent, and `data`, the inner value of an `event_notification`, `None`
            for other types.

        Raises
        ------
        ValueError
            If a condition, a moment or a name cannot be understood.

        Warns
        -----
        UserWarning
            If a name was never seen; the answer is what there is, which is nothing.

        Examples
        --------
        >>> session.events("error", last=2)["code"].to_list()
        [2002, 2001]
        >>> moves = session.events(where="new_state == 'MOVE' and tick <= 10")
        >>> moves["type"].unique().tolist()
        ['state_change']
        """
        asked = {"type": names_of(type), "character_id": names_of(character_id), "event_type": names_of(event_type)}
        found = self._store.events(
            asked["type"],
            character_id=asked["character_id"],
            event_type=asked["event_type"],
            since=since,
            until=until,
            last=last,
            where=where,
            payload=payload,
        )
        warn_unknown_names(self._store, asked)
        if where is not None:
            warn_unknown_keys(self._store, where, found.index[:16].tolist())
        return found

    def payload(self, row: int) -> Any:
        """Return the payload of an event as it was sent; `KeyError` for a row that is not held.

        Parameters
        ----------
        row : int
            The event's number in the index of `events()`.

        Returns
        -------
        any
            Decoded JSON: mostly a dict.

        Raises
        ------
        KeyError
            If the row is not held.

        Examples
        --------
        >>> first = session.events("state_change").index[0]
        >>> session.payload(first)["new_state"]
        'IDLE'
        """
        return self._store.payload(row)

    def characters(self, at: Moment = None, *, row: int | None = None, tick: int | None = None) -> pd.DataFrame:
        """Return the characters now, or at a time, after a row, or at a tick: one row for each character.

        Parameters
        ----------
        at : datetime, str, number or timedelta, optional
            As of this moment; read as in `events`.
        row : int, optional
            After this event.
        tick : int, optional
            At the end of this tick. Give at most one of the three.

        Returns
        -------
        pandas.DataFrame
            One row for each character, indexed by `character_id` (str): `state` and `location` (category), a column for
            each attribute that was told, `since` (when the state began) and `last_seen` (datetime64[ns, UTC]).

        Raises
        ------
        ValueError
            If more than one of the three is given, or the events do not reach back so far.

        Examples
        --------
        >>> session.characters(tick=0).loc["emma", ["state", "location"]].to_list()
        ['IDLE', 'Home 1']
        """
        return self._store.characters(at, row=row, tick=tick)

    def timeline(self, character_id: Names = None) -> pd.DataFrame:
        """List the stays: `character_id`, `state`, `location`, `start`, `end`, `duration`; a stay ends at a gap.

        A stay ends where the next one begins. At a gap nobody knows when, so `end` is missing, as it is for a stay that
        goes on.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only stays of these characters.

        Returns
        -------
        pandas.DataFrame
            One row for each stay, in the order in which they began: `character_id`, `state`, `location` (category),
            `start`, `end` (datetime64[ns, UTC]) and `duration` (timedelta64[ns]).

        Warns
        -----
        UserWarning
            If a character was never seen.

        Examples
        --------
        >>> session.timeline("emma")["state"].head(3).to_list()
        ['IDLE', 'PLAN', 'MOVE']
        """
        names = names_of(character_id)
        stays = self._store.timeline(names)
        warn_unknown_names(self._store, {"character_id": names})
        return stays

    def transitions(self) -> pd.DataFrame:
        """Count the changes of state: from-states as rows, to-states as columns.

        Returns
        -------
        pandas.DataFrame
            int64; the state before as index `from`, the state after as columns `to`.

        Examples
        --------
        >>> session.transitions().loc["PLAN", "MOVE"].item()
        18
        """
        return self._store.transitions()

    def rates(self, every: LongTime = "1s", by: str = "type", window: LongTime | None = None) -> pd.DataFrame:
        """Count the events held in buckets of time.

        Parameters
        ----------
        every : str, number or timedelta
            Width of a bucket: a text such as ``"5min"``, or seconds; whole seconds, at least one.
        by : {"type", "code", "character_id", "state"}
            What a column stands for.
        window : str, number or timedelta, optional
            Only the last so much of the run, such as ``"10min"``.

        Returns
        -------
        pandas.DataFrame
            int64 counts, not divided by the width; one row for each bucket, indexed by its start `time` (datetime64[ns,
            UTC]), one column for each word in the order of first appearance. Buckets without events are rows of zeros,
            unless that would be more than 100,000 rows. ``.attrs["every_s"]`` is the width in seconds.

        Raises
        ------
        ValueError
            If a width or `by` is not understood.

        Examples
        --------
        >>> counts = session.rates("1min", by="code")
        >>> counts.columns.to_list(), int(counts.to_numpy().sum())
        ([2001, 2002], 4)
        """
        return self._store.rates(every, by, window)

    def errors(
        self,
        *,
        character_id: Names = None,
        since: Moment = None,
        until: Moment = None,
        last: int | None = None,
        new_since: Moment = None,
    ) -> pd.DataFrame:
        """List what went wrong, in the simulation and on the wire.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only errors of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only errors from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only so many of the newest.
        new_since : datetime, str, number or timedelta, optional
            Only errors from this moment on whose code and message had not been there before.

        Returns
        -------
        pandas.DataFrame
            Indexed by `row`: the columns of `events()` that an error has (`epoch`, `seq`, `tick`, `time`,
            `time_source`, `received`, `character_id`, `code`, `message`), `traceback`, and `excerpt`, the beginning of
            a message that could not be read (both str).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> session.errors(last=1)["message"].to_list()
        ['the answer to PERSPA is not JSON']
        """
        names = names_of(character_id)
        found = self._store.errors()
        if new_since is not None:
            found = new_errors(found, self._moment(new_since))
        found = chosen(found, self._newest, character_id=names, since=since, until=until, last=last)
        warn_unknown_names(self._store, {"character_id": names})
        return found

    def llm_calls(
        self,
        *,
        character_id: Names = None,
        since: Moment = None,
        until: Moment = None,
        last: int | None = None,
    ) -> pd.DataFrame:
        """List the calls of language models, with their prompts and responses.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only calls of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only calls from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only so many of the newest.

        Returns
        -------
        pandas.DataFrame
            Indexed by `row`: `epoch`, `seq`, `tick`, `time`, `character_id` as in `events()`; `prompt_type`, `model`,
            `error` (str); `prompt` and `response` (str, or object where not all are texts); `prompt_tokens`,
            `completion_tokens` (Int64); `latency_s` (Float64, seconds) and `cost_usd` (Float64, US dollars).

        Raises
        ------
        ValueError
            If a moment, a name or `last` cannot be understood.

        Examples
        --------
        >>> calls = session.llm_calls(last=10)
        >>> calls["latency_s"].dtype, calls["model"].unique().tolist()
        (Float64Dtype(), ['towngpt-4-mini'])
        """
        if character_id is None and since is None and until is None:
            return self._store.llm_calls(last=last)
        names = names_of(character_id)
        found = chosen(self._store.llm_calls(), self._newest, character_id=names, since=since, until=until, last=last)
        warn_unknown_names(self._store, {"character_id": names})
        return found

    def chat(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List what characters said to others.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only what these characters said.
        since, until : datetime, str, number or timedelta, optional
            Only messages from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only so many of the newest.

        Returns
        -------
        pandas.DataFrame
            One row for each chat message, indexed by `row`: `epoch`, `seq`, `tick`, `time`, `character_id` (who speaks)
            as in `events()`; `receivers` (object: lists of ids), `content` (str, or object where not all are texts),
            `channel`, `event_id` (str) and `cause` (object: a text or a list of them).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.said("emma", ["noah"], "Good morning!", id="c1")
        ...     with dc.connect(town) as session:
        ...         session.chat()[["receivers", "content", "event_id"]].to_numpy().tolist()
        [[['noah'], 'Good morning!', 'c1']]
        """
        return self._kind(MessageTypes.CHAT_MESSAGE, character_id, since, until, last)

    def tool_calls(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List what characters did with tools.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only calls of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only calls from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only so many of the newest.

        Returns
        -------
        pandas.DataFrame
            One row for each call, indexed by `row`: `epoch`, `seq`, `tick`, `time`, `character_id` as in `events()`;
            `name`, `error`, `event_id` (str), `arguments`, `result`, `cause` (object) and `latency_s` (Float64,
            seconds).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.tool_call("emma", "search", {"query": "bread"}, ["Market"], latency_s=0.2)
        ...     with dc.connect(town) as session:
        ...         session.tool_calls()[["name", "result", "latency_s"]].to_numpy().tolist()
        [['search', ['Market'], 0.2]]
        """
        return self._kind(MessageTypes.TOOL_CALL, character_id, since, until, last)

    def thoughts(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List plans, memories and reflections.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only thoughts of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only thoughts from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only so many of the newest.

        Returns
        -------
        pandas.DataFrame
            One row for each thought, indexed by `row`: `epoch`, `seq`, `tick`, `time`, `character_id` as in `events()`;
            `kind`, `event_id` (str), `text` (str, or object where not all are texts), `evidence` (object: lists of the
            ids of what it rests on) and `cause` (object: a text or a list of them).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.thought("emma", "plan", "buy bread", evidence=["c1"])
        ...     with dc.connect(town) as session:
        ...         session.thoughts()[["kind", "text", "evidence"]].to_numpy().tolist()
        [['plan', 'buy bread', ['c1']]]
        """
        return self._kind(MessageTypes.THOUGHT, character_id, since, until, last)

    def measures(self, name: Names = None) -> pd.DataFrame:
        """List the model's own figures.

        Parameters
        ----------
        name : str or list-like of str, optional
            Only figures of these names.

        Returns
        -------
        pandas.DataFrame
            One row each time that a figure was told, indexed by `row`: `tick` (Int64), `time` (datetime64[ns, UTC]),
            `name` (str) and `value` (a number type where all are numbers).

        Raises
        ------
        ValueError
            If a name cannot be understood.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     for value in (0.25, 0.5):
        ...         town.measure("gini", value)
        ...     with dc.connect(town) as session:
        ...         session.measures("gini")["value"].to_list()
        [0.25, 0.5]
        """
        found = self._kind(MessageTypes.MEASURE, None, None, None, None)[["tick", "time", "name", "value"]]
        names = names_of(name)
        if names is not None:
            warn_unknown("measure", names, found["name"].unique().tolist())
            found = found[found["name"].isin(names).to_numpy()]
        return found.assign(value=json_column(found["value"].tolist(), found.index))

    def attribute(self, name: str, character_id: Names = None) -> pd.DataFrame:
        """List the history of one attribute.

        Parameters
        ----------
        name : str
            The attribute, as `character_update`s name it.
        character_id : str, int or list-like of them, optional
            Only of these characters.

        Returns
        -------
        pandas.DataFrame
            One row each time that the attribute was told, indexed by `row`: `tick` (Int64), `time` (datetime64[ns,
            UTC]), `character_id` (category) and `value` (a number type where all are numbers).

        Raises
        ------
        ValueError
            If a name cannot be understood.

        Examples
        --------
        >>> session.attribute("money", "emma")["value"].iloc[[0, -1]].to_list()
        [22.0, 19.0]
        """
        names = names_of(character_id)
        told = self._store.events(MessageTypes.CHARACTER_UPDATE, character_id=names, payload=True)
        found = attribute_table(told, name_of(name))
        warn_unknown_names(self._store, {"character_id": names})
        if not len(found):
            warn_unknown("attribute", [name_of(name)], self._store.characters().columns)
        return found

    def _kind(self, kind: str, character_id: Names, since: Moment, until: Moment, last: int | None) -> pd.DataFrame:
        names = names_of(character_id)
        found = self._store.events(kind, character_id=names, since=since, until=until, last=last, payload=True)
        warn_unknown_names(self._store, {"character_id": names})
        return kind_table(found, kind, self._store.links(found.index.tolist()))

    @property
    def _newest(self) -> int | None:
        """Return the time of the newest event in nanoseconds, from which durations count back."""
        newest = self._store.events(last=1)["time"].to_numpy("M8[ns]").astype(np.int64)
        return int(newest[0]) if len(newest) else None

    def _moment(self, moment: Moment) -> pd.Timestamp:
        return pd.Timestamp(moment_ns(moment, self._newest), unit="ns", tz="UTC")

    def places(self) -> pd.DataFrame:
        """List the places of the town that were seen.

        Returns
        -------
        pandas.DataFrame
            One row for each place: what was told of it, such as `id`, `name`, `description`, `instruction`, `jobs`
            (lists), `x`, `y`, and `row` (int64), the event that told it last. Empty if the simulation tells of no
            places.

        Examples
        --------
        >>> session.places()["name"].head(3).to_list()
        ['Cafe', 'Park', 'Gallery']
        """
        return self._store.places()

    def gaps(self) -> pd.DataFrame:
        """List all missing ranges: `epoch`, `from_seq`, `to_seq` (NA if unknown), `reason`, `time`.

        Returns
        -------
        pandas.DataFrame
            One row for each gap: `epoch`, `reason` (str), `from_seq` and `to_seq` (Int64, both included, NA where
            unknown), `time` (datetime64[ns, UTC], that of the last event before it), `row` (int64, the event that it
            stands before) and `at_least` (Int64, the last position known to be missing where `to_seq` is unknown).

        Examples
        --------
        >>> len(session.gaps())
        0
        """
        return self._store.gaps()

    def breakpoints(self) -> pd.DataFrame:
        """List the breakpoints of all notebooks, as the simulation said last.

        Returns
        -------
        DataFrame
            `name`, `condition`, `owner`, `enabled`, `verified`, `problem`, `hits` (matches so far), `stops_at` (from
            which match on it stops), `once`, `log`, `last_tick`, `last_character_id`.

        Examples
        --------
        >>> len(recording.breakpoints())
        0
        """
        return breakpoint_table(self._store.breakpoints)

    def stops(self) -> pd.DataFrame:
        """List where breakpoints stopped the run.

        Returns
        -------
        DataFrame
            One row each breakpoint that was met: `stopped` (the tick), `time`, `name`, `condition`, `character_id`,
            `matched` (the row of the event that met it; NA at a checkpoint), `tick` (of that event).

        Examples
        --------
        >>> len(recording.stops())
        0
        """
        return stop_table(self._store)

    def matches(self, condition: str) -> pd.DataFrame:
        """Find where a breakpoint with this condition would have matched, going through all events in order.

        Unlike `events(where=…)` it knows the attributes of each character as of that moment, `changed(name)`,
        `entered(state)`, `left(state)` and what is judged at checkpoints; there the last event before it is given.

        Parameters
        ----------
        condition : str
            As for `session.break_when`.

        Returns
        -------
        DataFrame
            Those events, with the columns of `events()`.

        Raises
        ------
        ValueError
            For a mistake in the condition, at which it points.

        Examples
        --------
        >>> moved = session.matches("entered('MOVE')")
        >>> set(moved["state"]) <= {"MOVE"}
        True
        """
        rows = matching_rows(self._store, condition)
        frame = self._store.events()
        return frame.loc[frame.index.isin(rows)]

    @cached_property
    def plot(self) -> Plots:
        """Return the plotly figures of this run.

        Returns
        -------
        Plots
            Each of its methods gives a figure as of the moment of the call.

        Examples
        --------
        >>> type(session.plot.transitions()).__name__
        'Figure'
        """
        from ..figures.plots import Plots  # plotly is imported when first used

        return Plots(self)

    def sql(self, query: str) -> pd.DataFrame:
        """Answer one SELECT over this run.

        The tables are `events`, `characters`, `timeline`, `errors`, `llm_calls`, `places` and `gaps`, with the columns
        of the methods of these names. `events` has `payload` and `data` too, as JSON text. Times are UTC.

        Parameters
        ----------
        query : str
            One SELECT in DuckDB's SQL.

        Returns
        -------
        pandas.DataFrame
            One row for each row of the answer.

        Raises
        ------
        ValueError
            If the query cannot be answered, with DuckDB's own words and the names of the tables.
        ImportError
            If DuckDB is missing; the message says how to get it.

        Examples
        --------
        >>> session.sql("select code, count(*) as n from errors group by code order by code")
           code  n
        0  2001  3
        1  2002  1
        """
        from .sql import query as run  # DuckDB is imported when first used

        return run(self, query)


NAMED: Final = {"type": "event of type", "character_id": "character", "event_type": "event_type"}


def warn_unknown_names(store: RunStore, asked: dict[str, list[str] | None]) -> None:
    """Warn of names that never occurred in a store's column, with similar names."""
    for column, names in asked.items():
        if names:
            more = STANDARD_TYPES if column == "type" else ()
            warn_unknown(NAMED[column], names, store.words[column], *more)


def warn_unknown_keys(store: RunStore, where: str, matched: list[int]) -> None:
    """Warn of names in a condition that are neither columns nor keys of any searched payload."""
    known = STANDARD_KEYS | store.names.said | store.names.known
    missing = compile_condition(where).names - known
    if not missing:
        return
    payloads = [store.payload(row) for row in matched]
    keys = {key for payload in payloads if isinstance(payload, dict) for key in payload}
    if not missing <= keys:
        keys |= store.payload_keys(SCANNED)
        warn_unknown("column or key of a payload", sorted(missing), known | keys)
