"""The parts of a page as plain data: tables, pictures and remarks. Their texts are escaped when a page is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

import numpy as np
import pandas as pd

from ..core.escaping import visible, visible_lines
from ..protocol.json_text import encode

CELL: Final = 160
"""The most characters of a cell."""
NAMES: Final = frozenset({"row", "code", "seq", "from_seq", "to_seq", "matched"})
"""Columns whose numbers are names to copy, and are written without separators."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of plain texts, with the number of rows of which it shows some."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: int
    """How many rows there are in all; the page says so if not all are shown."""
    what: str = "row"
    """The noun for a row, in the singular."""
    numbers: frozenset[str] = frozenset()
    """The columns of numbers, which are aligned to the right."""
    which: str = ""
    """Which of all rows are shown, such as `newest`."""
    marked: int | None = None
    """The index of the row that the page is about."""
    states: frozenset[str] = frozenset()
    """The columns of states, which are drawn with their colour."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Our own drawing in SVG, already escaped, and a description in words."""

    svg: str
    alt: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text of many lines, such as a prompt, under a title; it can be folded."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence about what is shown."""

    text: str


Part = Table | Picture | Text | Remark


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page with a heading."""

    title: str
    parts: Sequence[Part] = field(default_factory=tuple)


def one_line(value: Any, cap: int = CELL) -> str:
    """Return a value as HTML text of one line; an ellipsis marks a cut."""
    text = cell(value)
    return escape(visible(text if len(text) <= cap else f"{text[: cap - 1]}…"))


def lines(text: str) -> str:
    """Return a text of many lines as HTML text."""
    return escape(visible_lines(text))


def cell(value: Any) -> str:
    """Return a value as plain text; nothing for a missing one."""
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, pd.Timestamp):
        return stamp(value)
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if 1e-7 <= abs(value) < 1e-3:  # what a call costs
            return np.format_float_positional(value, 6, unique=False, fractional=False, trim="-")
        return f"{value:,.0f}" if value.is_integer() and abs(value) < 1 << 53 else f"{value:,.6g}"
    if isinstance(value, Mapping | list | tuple):
        return encode(value).decode("utf-8", "backslashreplace")
    return str(value)


def stamp(time: pd.Timestamp) -> str:
    """Return a time in UTC to the millisecond."""
    return f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03d}"


def table_of(
    frame: pd.DataFrame, columns: Iterable[str], total: int, what: str, *, which: str = "", marked: int | None = None
) -> Table:
    """Make a table of some columns of a frame; its index becomes the column `row` if that is among `columns`."""
    wanted = [name for name in columns if name in frame or name == frame.index.name]
    texts = [
        [number(value) if name in NAMES else cell(value) for value in _values(frame, name).tolist()] for name in wanted
    ]
    numbers = frozenset(name for name in wanted if _is_number(_values(frame, name)))
    rows = [list(row) for row in zip(*texts, strict=True)]
    return Table(wanted, rows, total, what, numbers, which, marked, frozenset({"state"}))


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a frame one by one, each with its columns and `Index` as attributes."""
    yield from frame.itertuples()


def _values(frame: pd.DataFrame, name: str) -> Any:
    return frame.index if name == frame.index.name else frame[name]


def number(value: Any) -> str:
    """Return a number that is a name, such as a row or a code, without separators."""
    text = cell(value)
    return text.replace(",", "") if not isinstance(value, str) else text


def _is_number(values: Any) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
