"""The same tables in SQL: DuckDB over a reader's own answers, without files, network or writing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

if TYPE_CHECKING:
    from .reader import Reader

TABLES: Final = ("events", "characters", "timeline", "errors", "llm_calls", "places", "gaps")
ADVICE: Final = "pip install 'degentcivil-nb[sql]' brings DuckDB, which answers SQL"
CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",  # a query must not read files, whoever wrote it
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # nor variables of this process
    "lock_configuration": "true",
}


def query(reader: Reader, text: str) -> pd.DataFrame:
    """Answer one SELECT over `events`, `characters`, `timeline`, `errors`, `llm_calls`, `places` and `gaps`.

    Raises `ValueError` with DuckDB's own words for a query that cannot be answered, and for anything but one SELECT;
    `ImportError` says how to get DuckDB.
    """
    duckdb = _duckdb()
    with duckdb.connect(":memory:", config=CONFIG) as database:
        try:
            statements = database.extract_statements(text)
            if len(statements) != 1 or statements[0].type not in (
                duckdb.StatementType.SELECT,
                duckdb.StatementType.EXPLAIN,
            ):
                raise ValueError("sql() takes one SELECT; the store is not written through it")
            for name in TABLES:
                if re.search(rf"\b{name}\b", text, re.IGNORECASE):
                    database.register(name, plain(_table(reader, name)))
            answer: pd.DataFrame = database.sql(text).df()
            return answer
        except duckdb.Error as error:
            raise ValueError(f"{error}\nThe tables are {', '.join(TABLES)}.") from error


def _table(reader: Reader, name: str) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(reader, name)()
    return frame if name == "gaps" else frame.reset_index()


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Write mixed values of a column as JSON text, since SQL wants one type a column."""
    for name in [name for name, kind in frame.dtypes.items() if pd.api.types.is_object_dtype(kind)]:
        if pd.api.types.infer_dtype(frame[name], skipna=True) not in ("string", "floating", "integer", "boolean"):
            frame[name] = frame[name].map(_text, na_action="ignore").astype("str")
    return frame


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _duckdb() -> Any:
    try:
        import duckdb  # heavy, and an extra
    except ImportError as error:
        raise ImportError(ADVICE) from error
    return duckdb
