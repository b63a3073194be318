"""The events, errors and calls of runs for SQL: files of columns as they are, and tables of what is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from ..core.event_columns import EVENT_COLUMNS, NOT_OF_ERRORS
from ..protocol.messages import MessageTypes
from ..recordings.column_store import ColumnStore
from ..recordings.columns import CALL_COLUMNS, COLUMNS, ERROR_COLUMNS, PAYLOAD, PAYLOAD_OF
from ..store.llm import LLM_TYPES
from .plain_columns import plain

if TYPE_CHECKING:
    from ..store.interfaces import RunStore

NAMES: Final = ("row", *EVENT_COLUMNS)
"""The columns of `events` in SQL besides `payload` and `data`."""
DATA: Final = (
    "case when type = 'event_notification' "
    "then nullif(cast(try(json_extract(payload, '$.data')) as varchar), 'null') end as data"
)
"""The inner value of an event notification as JSON text."""


@dataclass(frozen=True, slots=True)
class EventSource:
    """The events of a run: the files that contain events, and a table of all others."""

    files: tuple[str, ...]
    table: pa.Table


def events_of(store: RunStore, *, payload: bool) -> EventSource:
    """Return the events of a store; with `payload`, payloads as they were sent."""
    if isinstance(store, ColumnStore):
        files = store.verified_files()
        if files is not None:
            return EventSource(tuple(files), _table(store, store.first_unsealed_row, payload))
    return EventSource((), _table(store, store.first_row, payload))


class Kind(NamedTuple):
    """A table whose rows are events of some types, with columns that files have."""

    question: str
    types: tuple[str, ...]
    columns: tuple[str, ...]


ERRORS: Final = Kind(
    "errors",
    (MessageTypes.ERROR,),
    (*(name for name in NAMES if name not in NOT_OF_ERRORS), *ERROR_COLUMNS),
)
CALLS: Final = Kind(
    "llm_calls",
    LLM_TYPES,
    ("row", "epoch", "seq", "tick", "time", "character_id", *CALL_COLUMNS, "event_id", "cause"),
)
"""Calls without what only their payloads say, such as prompts."""


def kind_of(store: RunStore, kind: Kind) -> EventSource:
    """Return the events of some types, with the columns of their question."""
    files = store.verified_files() if isinstance(store, ColumnStore) else None
    ask = getattr(store.unsealed if isinstance(store, ColumnStore) and files is not None else store, kind.question)
    table = pa.Table.from_pandas(plain(ask().reset_index()), preserve_index=False)
    columns = {name: _column(table.column(name), COLUMNS.field(name).type) for name in kind.columns}
    return EventSource(tuple(files or ()), pa.table(columns))


def _table(store: Any, start: int, payload: bool) -> pa.Table:
    """Return the events of a store from a row on."""
    frame = store.events() if start <= store.first_row else store.events(last=max(0, store.next_row - start))
    texts = None
    if payload:
        texts = [data.decode("utf-8", "backslashreplace") for data in store.take_payloads(frame.index.tolist())]
    table = pa.Table.from_pandas(plain(frame.reset_index()), preserve_index=False)
    columns = {name: _column(table.column(name), COLUMNS.field(name).type) for name in NAMES}
    if texts is not None:
        columns[PAYLOAD] = pa.array(texts, pa.string())
    return pa.table(columns)


def _column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column if pa.types.is_dictionary(column.type) else column.cast(kind, safe=False)


class EventView:
    """The table `events` of one run or of several, with payloads or without, or one of events of a kind."""

    def __init__(
        self,
        sources: Sequence[tuple[str | None, EventSource]],
        *,
        payload: bool = False,
        runs: bool = False,
        kind: Kind | None = None,
    ) -> None:
        self._sources = sources
        self._names = NAMES if kind is None else kind.columns
        self._types = () if kind is None else kind.types
        self._payload = payload
        self._runs = runs

    @property
    def files(self) -> list[str]:
        """Return the files that the view reads."""
        return [file for _, source in self._sources for file in source.files]

    def create(self, database: Any, name: str) -> None:
        """Create the view in DuckDB."""
        parts: list[str] = []
        for number, (run, source) in enumerate(self._sources):
            if source.files:
                files = ", ".join(map(quoted, source.files))
                parts.append(self._select(f"read_parquet([{files}])", run, files=True))
            if source.table.num_rows or (not parts and number == len(self._sources) - 1):
                database.register(f"_{name}_{number}", source.table)
                parts.append(self._select(f"_{name}_{number}", run))
        if not parts:
            database.register(f"_{name}", self._nothing())
            parts.append(self._select(f"_{name}", ""))
        chosen = f"*, {DATA}" if self._payload else "*"
        database.execute(" ".join(["create temp view", name, "as select", chosen, "from (", _all(parts), ")"]))

    def _select(self, source: str, run: str | None, *, files: bool = False) -> str:
        columns = [f"{quoted(run or '')} as run"] if self._runs else []
        columns += [f'"{name}"' for name in self._names]
        if self._payload:
            parts = ", ".join((PAYLOAD, *PAYLOAD_OF)) if files else PAYLOAD
            columns.append(f"coalesce({parts}) as payload")
        chosen = "where row is not null" if files else ""
        if files and self._types:
            chosen += f" and type in ({', '.join(map(quoted, self._types))})"
        return " ".join(["select", ", ".join(columns), "from", source, chosen])

    def _nothing(self) -> pa.Table:
        names = (*self._names, *([PAYLOAD] if self._payload else []))
        return pa.schema([COLUMNS.field(name) for name in names]).empty_table()


def _all(parts: Sequence[str]) -> str:
    return " union all ".join(parts)


def quoted(text: str) -> str:
    """Return a text as SQL."""
    return "'" + text.replace("'", "''") + "'"
