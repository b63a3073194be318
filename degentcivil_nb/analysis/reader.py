"""The questions that a session and a recording answer alike, and the figures and panels made of the answers."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from ..expressions.conditions import compile_condition
from ..protocol.messages import MessageTypes
from ..store.arguments import LongTime, Moment, Names, moment_ns, names_of
from ..store.characters import json_column
from ..store.unknown import STANDARD_KEYS, STANDARD_TYPES, warn_unknown
from .kinds import attribute_table, chosen, kind_table, new_errors

if TYPE_CHECKING:
    from ..figures.plots import Plots
    from ..store.interfaces import RunStore

SCANNED: Final = 10_000
"""So many of the newest events are looked through for a name before a condition's is said to be unknown."""


class Reader:
    """Answer questions about a run from the columns of one store; every frame given is the caller's own."""

    _store: RunStore

    def __len__(self) -> int:
        """Count the events held."""
        return len(self._store)

    def __bool__(self) -> bool:
        """Be true however few events there are."""
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
        """List events, one row a stream message, indexed by `row`, the store's own number, which is never reused.

        `type`, `character_id` and `event_type` are one name or any list of names. `since` is inclusive and `until`
        exclusive: a time (naive is UTC), its text, seconds since 1970, or how long before the newest event, such as a
        timedelta, `"10 min ago"` or `"-30s"`. `where` is a condition over the columns and the payload's keys. With
        `payload` there are two more columns: `payload`, the decoded payload as sent, and `data`, the inner value of an
        `event_notification` (null of all else).
        Names that were never seen are answered with what there is, which is nothing, and a `UserWarning`.
        Raises `ValueError` where a condition, a moment or a name cannot be understood.
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
        """Give the payload of an event as it was sent, nothing dropped; `KeyError` for a row that is not held."""
        return self._store.payload(row)

    def characters(self, at: Moment = None, *, row: int | None = None, tick: int | None = None) -> pd.DataFrame:
        """Show the town now, or as it was at a time, after a row, or at a tick: one row a character."""
        return self._store.characters(at, row=row, tick=tick)

    def timeline(self, character_id: Names = None) -> pd.DataFrame:
        """List the stays: `character_id`, `state`, `location`, `start`, `end`, `duration`; a stay ends at a gap."""
        names = names_of(character_id)
        stays = self._store.timeline(names)
        warn_unknown_names(self._store, {"character_id": names})
        return stays

    def transitions(self) -> pd.DataFrame:
        """Count the changes of state: a row a from-state, a column a to-state."""
        return self._store.transitions()

    def rates(self, every: LongTime = "1s", by: str = "type", window: LongTime | None = None) -> pd.DataFrame:
        """Count events a bucket of at least one second: a row a bucket, a column a type, code, character or state.

        `every` and `window` are seconds, timedeltas or texts such as `"5min"`.
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

        `new_since` leaves those whose code and text had not been there before that moment; the other filters are those
        of `events`. Raises `ValueError` for a moment that cannot be understood.
        """
        found = self._store.errors()
        if new_since is not None:
            found = new_errors(found, self._moment(new_since))
        return chosen(found, self._newest, character_id=character_id, since=since, until=until, last=last)

    def llm_calls(
        self,
        *,
        character_id: Names = None,
        since: Moment = None,
        until: Moment = None,
        last: int | None = None,
    ) -> pd.DataFrame:
        """List the calls of language models, with their prompts and responses; the filters are those of `events`."""
        if character_id is None and since is None and until is None:
            return self._store.llm_calls(last=last)
        found = self._store.llm_calls()
        return chosen(found, self._newest, character_id=character_id, since=since, until=until, last=last)

    def chat(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List what characters said to others.

        Parameters
        ----------
        character_id
            Who speaks: one name or any list of names.
        since, until, last
            As in `events`.

        Returns
        -------
        DataFrame
            A row a message, indexed by `row`: `epoch`, `seq`, `tick`, `time`, `character_id`, `receivers` (lists),
            `content`, `channel`, `event_id` and `cause` (a text or a list of them).

        Raises
        ------
        ValueError
            For a moment or a name that cannot be understood.

        Examples
        --------
        >>> import degentcivil_nb as dc
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...     _ = probe.said("emma", ["noah"], "Good morning!")
        ...     with dc.connect(probe.url) as session:
        ...         _ = session.wait_for("chat_message", after=-1)
        ...         session.chat()["content"].to_list()
        ['Good morning!']
        """
        return self._kind(MessageTypes.CHAT_MESSAGE, character_id, since, until, last)

    def tool_calls(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List uses of tools: `name`, `arguments`, `result`, `latency_s` (seconds), `error`, filtered as `chat` is."""
        return self._kind(MessageTypes.TOOL_CALL, character_id, since, until, last)

    def thoughts(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List plans, memories and reflections: `kind`, `text`, `evidence` (lists of ids), filtered as `chat` is."""
        return self._kind(MessageTypes.THOUGHT, character_id, since, until, last)

    def measures(self, name: Names = None) -> pd.DataFrame:
        """List the model's own figures, or those of one name or several, indexed by `row`: `tick`, `time`, `value`."""
        found = self._kind(MessageTypes.MEASURE, None, None, None, None)[["tick", "time", "name", "value"]]
        names = names_of(name)
        found = found if names is None else found[found["name"].isin(list(names)).to_numpy()]
        return found.assign(value=json_column(found["value"].tolist(), found.index))

    def attribute(self, name: str, character_id: Names = None) -> pd.DataFrame:
        """List the history of an attribute, or that of some characters, indexed by `row`.

        Returns
        -------
        DataFrame
            A row each time that the attribute was told: `tick`, `time`, `character_id`, `value`.
        """
        told = self._store.events(MessageTypes.CHARACTER_UPDATE, character_id=names_of(character_id), payload=True)
        return attribute_table(told, name)

    def _kind(self, kind: str, character_id: Names, since: Moment, until: Moment, last: int | None) -> pd.DataFrame:
        names = names_of(character_id)
        found = self._store.events(kind, character_id=names, since=since, until=until, last=last, payload=True)
        if names is not None:
            warn_unknown_names(self._store, {"character_id": names})
        return kind_table(found, kind, self._store.links(found.index.tolist()))

    @property
    def _newest(self) -> int | None:
        """Give the time of the newest event in nanoseconds, from which lengths of time count back."""
        newest = self._store.events(last=1)["time"].to_numpy("M8[ns]").astype(np.int64)
        return int(newest[0]) if len(newest) else None

    def _moment(self, moment: Moment) -> pd.Timestamp:
        return pd.Timestamp(moment_ns(moment, self._newest), unit="ns", tz="UTC")

    def places(self) -> pd.DataFrame:
        """List the places of the town that were heard of."""
        return self._store.places()

    def gaps(self) -> pd.DataFrame:
        """List every range that is missing: `epoch`, `from_seq`, `to_seq` (NA when unknown), `reason`, `time`."""
        return self._store.gaps()

    @cached_property
    def plot(self) -> Plots:
        """Draw plotly figures of this run."""
        from ..figures.plots import Plots  # plotly is imported when first used

        return Plots(self)

    def sql(self, query: str) -> pd.DataFrame:
        """Answer one SELECT over the tables `events`, `characters`, `timeline`, `errors`, `llm_calls` and more.

        Raises `ValueError` for a query that cannot be answered.
        """
        from .sql import query as run  # DuckDB is imported when first used

        return run(self, query)


NAMED: Final = {"type": "event of type", "character_id": "character", "event_type": "event_type"}


def warn_unknown_names(store: RunStore, asked: dict[str, list[str] | None]) -> None:
    """Warn of names that a store has never seen in a column, and say which may be meant."""
    for column, names in asked.items():
        if names:
            more = STANDARD_TYPES if column == "type" else ()
            warn_unknown(NAMED[column], names, store.words[column], *more)


def warn_unknown_keys(store: RunStore, where: str, matched: list[int]) -> None:
    """Warn of names in a condition that are neither columns nor keys of any payload that was looked at."""
    known = STANDARD_KEYS | store.names.said | store.names.known
    missing = compile_condition(where).names - known
    if not missing:
        return
    payloads = [store.payload(row) for row in matched]
    keys = {key for payload in payloads if isinstance(payload, dict) for key in payload}
    if not missing <= keys:
        keys |= store.payload_keys(SCANNED)
        warn_unknown("column or key of a payload", sorted(missing), known | keys)
