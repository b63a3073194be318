"""The questions that a session and a recording answer alike, and the figures and panels made of the answers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from ..figures.plots import Plots
    from ..store.event_store import EventStore

Names = str | int | Collection[str | int] | None
Moment = datetime | pd.Timestamp | str | float | None


class Reader:
    """Answer questions about a run from the columns of one store; every frame given is the caller's own."""

    _store: EventStore

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

        `since` is inclusive and `until` exclusive; a naive time is UTC. `where` is a condition over the columns and
        the payload's keys. With `payload` a further column `data` holds the decoded payloads.
        Raises `ValueError` where a condition or a name cannot be understood.
        """
        return self._store.events(
            type,
            character_id=character_id,
            event_type=event_type,
            since=since,
            until=until,
            last=last,
            where=where,
            payload=payload,
        )

    def payload(self, row: int) -> Any:
        """Give the payload of an event as it was sent, nothing dropped; `KeyError` for a row that is not held."""
        return self._store.payload(row)

    def characters(self, at: Moment = None, *, row: int | None = None, tick: int | None = None) -> pd.DataFrame:
        """Show the town now, or as it was at a time, after a row, or at a tick: one row a character."""
        return self._store.characters(at, row=row, tick=tick)

    def timeline(self, character_id: Names = None) -> pd.DataFrame:
        """List the stays: `character_id`, `state`, `location`, `start`, `end`, `duration`; a stay ends at a gap."""
        return self._store.timeline(character_id)

    def transitions(self) -> pd.DataFrame:
        """Count the changes of state: a row a from-state, a column a to-state."""
        return self._store.transitions()

    def rates(self, every: str = "1s", by: str = "type", window: str | None = None) -> pd.DataFrame:
        """Count events a bucket of at least one second: a row a bucket, a column a type, code, character or state."""
        return self._store.rates(every, by, window)

    def errors(self) -> pd.DataFrame:
        """List what went wrong, in the simulation and on the wire."""
        return self._store.errors()

    def llm_calls(self, *, last: int | None = None) -> pd.DataFrame:
        """List the calls of language models, or the `last` of them, with their prompts and responses."""
        return self._store.llm_calls(last=last)

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
