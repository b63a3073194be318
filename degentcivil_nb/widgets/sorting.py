"""The rows that come first when a table is sorted by a column: of all its rows, of which a page has only a thousand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, Final, Protocol

import numpy as np

from .interfaces import PanelReader
from .packing import Kind, Values
from .search import NOTHING, Numbers, Search

PLAIN: Final = frozenset(("time", "tick", "type", "character_id", "state", "location", "event_type", "code"))
"""Columns that need no payload, so that many rows are looked at in a moment."""
DIGITS: Final = re.compile(r"(\d+)")


class SortedRows(Protocol):
    """The rows of a table, and their values in one column."""

    columns: ClassVar[dict[str, Kind]]

    def numbers(self, start: int, stop: int | None) -> Any:
        """Return the ascending numbers of its rows, from `start` to before `stop`."""

    def values(self, name: str, rows: Any) -> tuple[Numbers, Values]:
        """Return the values of a column for some rows, and the rows that are still held."""


class Sorting(Search):
    """The `most` rows that come first by one column; `rows` has them in the order of the run."""

    def __init__(self, reader: PanelReader, table: SortedRows, most: int) -> None:
        super().__init__(reader)
        self._table = table
        self._most = most
        self._values: dict[int, Any] = {}  # of the rows that come first so far
        self.by: tuple[str, int] | None = None
        """The column and the direction, 1 or −1."""

    def sort_by(self, by: tuple[str, int] | None, told: Callable[[], None]) -> None:
        """Sort by a column from now on; `None` ends it."""
        self.by, self._values = by, {}
        self.chunk = 20_000 if by is not None and by[0] in PLAIN else 2_000
        self.ask("" if by is None else f"{by[0]} {by[1]}", told)

    def judge(self, text: str, start: int, stop: int) -> Numbers:
        """See `Search`: the rows of this piece that may be among the first ones."""
        by, known = self.by, self._values
        rows = self._table.numbers(start, stop)
        if by is None or not len(rows):
            return NOTHING
        held, values = self._table.values(by[0], rows)
        places = first_places(values, self._table.columns[by[0]], by[1], self._most)
        known.update(zip(held[places].tolist(), values[places].tolist(), strict=True))
        found: Numbers = held[np.sort(places)]
        return found

    def problem_with(self, text: str) -> str:
        """See `Search`: any column can be sorted by."""
        return ""

    def _keep(self, parts: list[Numbers]) -> None:
        super()._keep(parts)
        if self.by is None or len(self.rows) <= self._most:
            return
        kind = self._table.columns[self.by[0]]
        values = np.array([self._values.get(row) for row in self.rows.tolist()], dtype=object)
        places = first_places(values, kind, self.by[1], self._most)
        self.rows = self.rows[np.sort(places)]


def first_places(values: Values, kind: Kind, direction: int, most: int) -> Any:
    """Return the places of the first values in a direction, missing ones last, equal ones in their order."""
    if kind in ("number", "time"):
        numbers = np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
        return np.argsort(np.where(np.isnan(numbers), np.inf, direction * numbers), kind="stable")[:most]
    missing = [place for place, value in enumerate(values) if value is None]
    known = [place for place, value in enumerate(values) if value is not None]
    keys = {text: spoken(text) for text in {values[place] for place in known}}
    known.sort(key=lambda place: keys[values[place]], reverse=direction < 0)  # equal ones stay in their order
    return np.array([*known, *missing][:most], dtype=np.int64)


def spoken(text: str) -> list[tuple[int, int, str]]:
    """Return a key by which texts are sorted as people do it: numbers in them by their size, letters of any case."""
    parts = DIGITS.split(text.casefold())
    return [(0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts if part]
