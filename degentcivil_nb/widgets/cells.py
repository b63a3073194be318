"""Conversion of a frame's columns to cells: a kind and plain values, every text capped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from ..store.payloads import read_payload
from .interfaces import PanelReader
from .packing import EXACT, Kind, Values, number_values

CAP: Final = 160
"""The most characters of a cell; a click shows the whole text."""
DETAIL_CAP: Final = 200_000
NO_TIME_NS: Final = np.iinfo(np.int64).min
"""NaT as a number."""


def column_of(series: pd.Series, kind: Kind | None = None) -> tuple[Kind, Values]:
    """Convert a column of a frame; without `kind`, the kind follows from the column's type."""
    dtype = series.dtype
    if isinstance(dtype, pd.DatetimeTZDtype) or getattr(dtype, "kind", "") == "M":
        return "time", seconds(series)
    if kind is None and pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype):
        return "number", _numbers(series)
    values = np.empty(len(series), dtype=object)
    values[:] = [cell_text(value) for value in series.array]
    return kind or "text", values


def _numbers(series: pd.Series) -> Values:
    """Return numbers as floats; whole numbers too large for a float stay ints."""
    known = series.dropna() if pd.api.types.is_integer_dtype(series.dtype) else series.iloc[:0]
    if len(known) and max(-int(known.min()), int(known.max())) > EXACT:
        return number_values([None if pd.isna(value) else int(value) for value in series.array])
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def seconds(series: pd.Series) -> Values:
    """Return times as seconds since the epoch, NaN where there is none."""
    naive = series.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(series.dtype, "tz", None) else series
    nanoseconds = naive.to_numpy(dtype="datetime64[ns]")
    return seconds_of(nanoseconds.astype(np.int64))


def seconds_of(nanoseconds: Values) -> Values:
    """Convert times in nanoseconds since 1970 to seconds, NaN where there is none."""
    given: Values = np.where(nanoseconds == NO_TIME_NS, np.nan, nanoseconds / 1e9)
    return given


def cell_text(value: Any) -> str | None:
    """Return a value as the text of a cell, capped; `None` for a missing value."""
    if isinstance(value, str):
        return shorten(value)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a code in a column with missing values
    if isinstance(value, Mapping | list | tuple):
        return shorten(_json(value))
    return shorten(str(value))


def shorten(text: str, cap: int = CAP) -> str:
    """Cut a text that is too long, with an ellipsis at the end."""
    return text if len(text) <= cap else text[:cap] + "…"


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a frame one by one, each with its columns and `Index` as attributes."""
    yield from frame.itertuples()


def payloads_of(reader: PanelReader, rows: Sequence[int]) -> list[Any]:
    """Read the payloads of ascending rows at once; `None` for one that is no longer held."""
    return [read_payload(text) for text in reader.take_payloads(rows)]


def detail_text(value: Any) -> str:
    """Return a payload as indented text; characters beyond the cap are counted."""
    text = value if isinstance(value, str) else _json(value, indent=True)
    if len(text) > DETAIL_CAP:
        return f"{text[:DETAIL_CAP]}\n… and {len(text) - DETAIL_CAP:,} more characters: see session.payload()"
    return text


def _json(value: Any, *, indent: bool = False) -> str:
    try:
        data = msgspec.json.encode(value, enc_hook=str)
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError):
        return str(value)
    return (msgspec.json.format(data) if indent else data).decode()
