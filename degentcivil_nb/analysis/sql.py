"""SQL over a reader's answers: DuckDB without files, network or writing."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from ..core.names import did_you_mean
from ..protocol.messages import MessageTypes
from ..recordings.column_store import ColumnStore
from ..store.characters import json_column
from ..store.unknown import warn_user
from .event_source import CALLS, ERRORS, EventView, Kind, events_of, kind_of, quoted
from .kinds import attributes_table
from .links import links_table
from .plain_columns import plain

if TYPE_CHECKING:
    from ..store.interfaces import RunReader, RunStore

TABLES: Final = (
    *("events", "characters", "timeline", "errors", "llm_calls", "chat", "tool_calls", "thoughts", "measures"),
    *("attributes", "places", "gaps", "findings", "meetings", "links"),
)
"""The tables: each is the result of the method of its name; `attributes` has the histories of all attributes, `links`
the declared causes of all events."""
ADVICE: Final = "SQL needs DuckDB; install it with: pip install 'degentcivil-nb[sql]'"
CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # a query must not read variables of this process
}
SETTINGS: Final = ("set TimeZone = 'UTC'", "set enable_external_access = false", "set lock_configuration = true")
"""Settings in the order in which they are applied: a naive time in a query is UTC, not the machine's own zone."""
CATALOGUE: Final = re.compile(r"\b(show|information_schema|duckdb_\w+|pg_catalog|sqlite_master)\b", re.IGNORECASE)
"""Queries that list the tables."""
NO_SUM: Final = "sum(INTERVAL)"
"""The name in DuckDB's error message for a sum of durations, which it cannot add up."""
SUM: Final = (
    "create temp macro sum(x interval) as to_microseconds(cast(system.main.sum(epoch_us(x)) as bigint)), "
    "(x hugeint) as system.main.sum(x), (x double) as system.main.sum(x)"
)
_MISSING: Final = re.compile(r"^Catalog Error: Table with name (.+?) does not exist!")
_NOT_A_NUMBER: Final = re.compile(
    r"No function matches .*\b(VARCHAR|JSON)\b|Cannot (mix|compare) values of type .*\b(VARCHAR|JSON)\b"
    r"|Could not convert string .* to (U?\w*INT\d*|DOUBLE|FLOAT|DECIMAL)|Failed to cast value to numerical"
)
AS_NUMBER: Final = (
    "The query uses a text as a number. A column with numbers and texts is text in SQL, and so is the result of "
    "json_extract. Convert it: try_cast(value as double) is null where the text is not a number. The table attributes "
    "has such a column, number."
)
WIDE: Final = ("HUGEINT", "UHUGEINT")
"""Types of whole numbers that DuckDB returns as doubles, including sums."""


def query(reader: RunReader, store: RunStore, text: str) -> pd.DataFrame:
    """Answer one SELECT over the tables of a run (`TABLES`).

    Times are UTC. `events` has the columns `payload`, as it was sent, and `data`, its inner value as JSON text, for a
    query that names one of them.

    Raises `ValueError` with DuckDB's own message for an invalid query and for anything but one SELECT; `ImportError`
    states how to install DuckDB.
    """
    tables: dict[str, Callable[[], Any]] = {name: partial(table_of, reader, store, name) for name in TABLES}
    payload = names_payload(text)
    tables["events"] = lambda: EventView([(None, events_of(store, payload=payload))], payload=payload)
    for kind in kinds_in_files(text) if isinstance(store, ColumnStore) else ():
        tables[kind.question] = partial(_kind, store, kind)
    return answer(text, tables)


def _kind(store: RunStore, kind: Kind) -> EventView:
    return EventView([(None, kind_of(store, kind))], kind=kind)


def kinds_in_files(text: str) -> list[Kind]:
    """Return the tables of which a query names only what files have as columns.

    What prompts and answers say is decoded for a query that may name it, such as one with a star or a whole row.
    """
    if not isinstance(text, str) or not _mentions(text, CALLS.question) or any(_mentions(text, name) for name in TOLD):
        return [ERRORS]
    with _duckdb().connect(":memory:", config=CONFIG) as database:
        ((parsed,),) = database.execute("select json_serialize_sql(?)", [text]).fetchall()
    signs = ('"error":true', '"STAR"', '"NATURAL"', f'"column_names":["{CALLS.question}"')
    return [ERRORS] if any(sign in parsed for sign in signs) else [ERRORS, CALLS]


TOLD: Final = ("prompt", "response", "provider", "retries", "rejected", "malformed", "columns")
"""The columns of calls that are read from payloads."""


def names_payload(text: str) -> bool:
    """Return whether a query names a column of payloads."""
    return isinstance(text, str) and (_mentions(text, "payload") or _mentions(text, "data"))


def answer(text: str, tables: Mapping[str, Callable[[], Any]], views: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Answer one SELECT over tables (frames, or Arrow data) and views of them, each made when it is needed.

    A view may use the tables, and views before it. Raises as `query` does.
    """
    if not isinstance(text, str):
        raise ValueError(f"a query is the text of one SELECT, not {text!r:.80}")
    duckdb = _duckdb()
    views = views or {}
    wanted = text
    for name, definition in reversed(list(views.items())):
        if _mentions(wanted, name):
            wanted += f"\n{definition}"
    with duckdb.connect(":memory:", config=CONFIG) as database:
        try:
            statements = database.extract_statements(text)
            if len(statements) != 1 or statements[0].type not in (
                duckdb.StatementType.SELECT,
                duckdb.StatementType.EXPLAIN,
            ):
                raise ValueError("sql() takes one SELECT; it cannot change anything")
            made = {name: make() for name, make in tables.items() if _mentions(wanted, name)}
            _close(database, made.values())
            for name, table in made.items():
                if isinstance(table, EventView):
                    table.create(database, name)
                else:
                    database.register(name, _arrow(_distinct(table, text)))
            for name in tables.keys() - made.keys() if CATALOGUE.search(text) else ():
                if not name.startswith("_"):
                    database.register(name, _NAMED_ONLY)  # only to be listed; its rows are not read
            for name, definition in views.items():
                if _mentions(wanted, name):
                    database.execute(f"create temp view {name} as {definition}")
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The inplace keyword")  # raised by DuckDB's conversion of times
                return _frame(_answered(database, text, duckdb.Error))
        except duckdb.Error as error:
            known = [name for name in (*tables, *views) if not name.startswith("_")]
            listed = f"the tables are {', '.join(known)}"
            missing = _MISSING.search(str(error))
            if missing is not None:  # DuckDB would suggest one of its own tables
                name = missing[1]
                raise ValueError(
                    f"there is no table {name[:80]!r}{did_you_mean(name, known) or ';'} {listed}"
                ) from error
            raise ValueError(f"{_said(str(error))}\nT{listed[1:]}.") from error


def _said(message: str) -> str:
    """Return an error message of DuckDB, with what to do if a text was used as a number."""
    said = message.partition("\n\tCandidate functions:")[0]
    lines = [line[:300] for line in said.splitlines()]  # it repeats words of the query
    return "\n".join([*([AS_NUMBER] if _NOT_A_NUMBER.search(said) else ()), *lines])


_NAMED_ONLY: Final = pd.DataFrame({"row": pd.Series([], dtype="int64")})


def _answered(database: Any, text: str, error_type: type[Exception]) -> Any:
    try:
        return database.sql(text)
    except error_type as error:
        if NO_SUM not in str(error):
            raise
        database.execute(SUM)
        return database.sql(text)


def _distinct(table: Any, text: str) -> Any:
    """Rename columns that differ only in case, which SQL ignores, and warn of a query that names one."""
    if not isinstance(table, pd.DataFrame):
        return table
    taken: set[str] = set()
    names: dict[Any, str] = {}
    for name in table.columns:
        free, number = str(name), 1
        while free.lower() in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free.lower())
        names[name] = free
    changed = {name: free for name, free in names.items() if free != name}
    for name, free in changed.items():
        if _mentions(text, re.escape(str(name))):
            warn_user(f"in SQL {name!r} is the same name as a column that differs only in case: use {free!r} here")
    return table.rename(columns=changed) if changed else table


def _close(database: Any, tables: Iterable[Any]) -> None:
    """Allow a query to read only the files of the tables."""
    files = [file for table in tables if isinstance(table, EventView) for file in table.files]
    database.execute(f"set allowed_paths = [{', '.join(map(quoted, files))}]")
    for setting in SETTINGS:
        database.execute(setting)


def _arrow(table: Any) -> Any:
    """Return a frame as Arrow data whose categories are texts for DuckDB, and not enumerations with an order."""
    return pa.Table.from_pandas(table, preserve_index=False) if isinstance(table, pd.DataFrame) else table


def _frame(answer: Any) -> pd.DataFrame:
    """Return an answer as a frame whose whole numbers are exact."""
    wide = [name for name, kind in zip(answer.columns, answer.types, strict=True) if str(kind) in WIDE]
    if wide and len(set(answer.columns)) == len(answer.columns):
        quoted = {name: '"' + name.replace('"', '""') + '"' for name in answer.columns}
        terms = (f"cast({text} as varchar) as {text}" if name in wide else text for name, text in quoted.items())
        frame: pd.DataFrame = answer.project(", ".join(terms)).df()
        for name in wide:
            frame[name] = json_column([None if pd.isna(value) else int(value) for value in frame[name].tolist()])
        return frame
    plain_frame: pd.DataFrame = answer.df()
    return plain_frame


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text, re.IGNORECASE) is not None


def table_of(reader: RunReader, store: RunStore, name: str) -> pd.DataFrame:
    """Return the answer to a question as a table for SQL."""
    if name == "attributes":
        frame = attributes_table(store.events(MessageTypes.CHARACTER_UPDATE, payload=True))
    elif name == "links":
        frame = links_table(store)
    else:
        frame = getattr(reader, name)()
    return plain(frame if frame.index.name is None else frame.reset_index())


def _duckdb() -> Any:
    try:
        import duckdb  # heavy, and an extra
    except ImportError as error:
        raise ImportError(ADVICE) from error
    return duckdb
