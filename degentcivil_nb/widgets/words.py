"""The words that a table is filtered by, looked for in all of its rows, of which a page has only a thousand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from .interfaces import PanelReader
from .packing import Kind, Values
from .search import NOTHING, Numbers, Search

NAMED: Final = re.compile(r"([^:]+):(.*)", re.DOTALL)


class Rows(Protocol):
    """The rows of a table, as its page has them."""

    columns: ClassVar[dict[str, Kind]]
    labels: ClassVar[dict[str, str]]

    def own(self, start: int, stop: int | None) -> Any:
        """Return the ascending numbers of its rows, from `start` to before `stop`."""

    def cells(self, rows: Any) -> Mapping[str, Values]:
        """Return the cells of some rows by column."""


class Words(Search):
    """The rows of a table that contain some words: as the filter of its page judges the rows that the page has."""

    chunk: int = 2_000  # a row may have to be put into words first

    def __init__(self, reader: PanelReader, table: Rows) -> None:
        super().__init__(reader)
        self._table = table
        self._zone = "UTC"

    def look_for(self, text: str, zone: Any, told: Callable[[], None]) -> None:
        """Look for words from now on; none ends it. `zone` names the time zone in which the page shows times."""
        if isinstance(zone, str):
            self._zone = zone
        self.ask(" ".join(text.lower().split()), told)

    def judge(self, text: str, start: int, stop: int) -> Numbers:
        """See `Search`."""
        rows = self._table.own(start, stop)
        if not len(rows):
            return NOTHING
        cells = self._table.cells(rows)
        held = len(next(iter(cells.values())))
        rows = np.asarray(rows, dtype=np.int64)[len(rows) - held :]  # the oldest may have been dropped meanwhile
        mask = np.ones(held, dtype=bool)
        for word in text.split():
            mask &= self._has(word, cells, held)
        return rows[mask]

    def problem_with(self, text: str) -> str:
        """See `Search`: any words can be looked for."""
        return ""

    def _has(self, word: str, cells: Mapping[str, Values], size: int) -> Values:
        """Return which rows have a word in any column or, if it is written `column:word`, in that one."""
        columns, labels = self._table.columns, self._table.labels
        named = NAMED.fullmatch(word)
        one = [] if named is None else [n for n in columns if named[1] in (n.lower(), labels.get(n, "").lower())]
        sought = word if named is None or not one else named[2]
        mask: Values = np.zeros(size, dtype=bool)
        for name in one or columns:
            mask |= self._in_column(sought, columns[name], cells[name])
        return mask

    def _in_column(self, sought: str, kind: Kind, values: Values) -> Values:
        if kind in ("text", "state"):
            return np.array([value is not None and sought in value.lower() for value in values], dtype=bool)
        if not any(character.isdigit() for character in sought) and sought:
            return np.zeros(len(values), dtype=bool)
        if kind == "number":
            texts = [number_texts(value) for value in values]
            return np.array([any(sought in text for text in each) for each in texts], dtype=bool)
        return np.array([sought in text for text in clock_texts(values, self._zone)], dtype=bool)


def number_texts(value: Any) -> tuple[str, ...]:
    """Return a number as it may be written, with separators and without them."""
    if value is None or value != value:
        return ()
    if float(value).is_integer():
        return str(int(value)), f"{int(value):,}"
    return str(value), f"{value:,.3f}".rstrip("0").rstrip(".")


def clock_texts(values: Values, zone: str) -> list[str]:
    """Return times as a page shows them: date and time of day to the millisecond."""
    try:
        where = ZoneInfo(zone)
    except (ValueError, OSError, KeyError):  # not a zone that this machine knows
        where = ZoneInfo("UTC")
    times = pd.to_datetime(pd.Series(np.round(values * 1_000)), unit="ms", utc=True).dt.tz_convert(where)
    whole, rest = times.dt.strftime("%Y-%m-%d %H:%M:%S"), times.dt.microsecond // 1_000
    return ["" if pd.isna(text) else f"{text}.{int(ms):03}" for text, ms in zip(whole, rest, strict=True)]
