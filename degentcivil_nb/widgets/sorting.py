"""The rows that come first when a table is sorted by a column: of all its rows, of which a page has only a thousand."""

from __future__ import annotations

import re
import threading
import time
import unicodedata
from collections.abc import Callable
from typing import Any, ClassVar, Final, Protocol

import numpy as np

from .interfaces import PanelReader
from .packing import Kind, Values
from .search import NOTHING, Numbers, Search

PLAIN: Final = frozenset(("time", "tick", "type", "character_id", "state", "location", "event_type", "code"))
"""Columns that need no payload, so that many rows are looked at in a moment."""
RESTS: Final = 4
"""How many times as long as looking at all rows takes is waited before they are looked at once more."""
NUMBER: Final = re.compile(r"[0-9]+")
OTHERS: Final = "\t\n\v\f\r _-–—,;:!¡?¿.·'\"«»()[]{}§¶@*/\\&#%•`´^¯¨¸°©®→+±÷×<=>¬|¦~¤¢$£¥€"
"""Signs that are neither digits nor letters, in the order of the Unicode collation as browsers have it."""
ALIKE: Final = {
    "ø": "o",
    "æ": "ae",
    "đ": "d",
    "ł": "l",
    "ħ": "h",
    "œ": "oe",
    "ð": "d",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
"""Signs that sort as others do, though they are not made of them."""
MOST_SIGNS: Final = 20_000


class SortedRows(Protocol):
    """The rows of a table, and their values in one column."""

    columns: ClassVar[dict[str, Kind]]

    @property
    def end(self) -> int:
        """Return the row up to which `numbers` knows what belongs to the table."""

    def numbers(self, start: int, stop: int | None) -> Any:
        """Return the ascending numbers of its rows, from `start` to before `stop`."""

    def values(self, name: str, rows: Any) -> tuple[Numbers, Values]:
        """Return the values of a column for some rows, and the rows that are still held."""


class Sorting(Search):
    """The rows that come first by one column; `rows` has them in the order of the run.

    Twice as many as are shown are kept, since a run drops its oldest rows: all rows are looked at once more when fewer
    than `most` of those that are left are sure to come first.
    """

    def __init__(self, reader: PanelReader, table: SortedRows, most: int) -> None:
        super().__init__(reader)
        self._table = table
        self._most = most
        self._kept = 2 * most
        self._values: dict[int, Any] = {}  # of the rows that come first so far
        self._full = False  # whether there were more rows than are kept
        self._sure = self._kept  # how many of the rows kept come before any that was not kept
        self._first = NOTHING, NOTHING  # all rows kept, and the first ones of them
        self._took_s = 0.0
        self.by: tuple[str, int] | None = None
        """The column and the direction, 1 or −1."""

    @property
    def end(self) -> int:
        """See `Search`: rows that nobody knows yet to belong to the table are left for later."""
        return self._table.end

    @property
    def first(self) -> Numbers:
        """Return the `most` rows that come first, of those that were looked at."""
        with self._lock:
            rows, first = self._first
            return first if rows is self.rows else NOTHING  # another order is asked for

    def sort_by(self, by: tuple[str, int] | None, told: Callable[[], None]) -> None:
        """Sort by a column from now on; `None` ends it."""
        self.by, self._values, self._full, self._sure = by, {}, False, self._kept
        self.chunk = 20_000 if by is not None and by[0] in PLAIN else 2_000
        self.ask("" if by is None else f"{by[0]} {by[1]}", told)

    def catch_up(self) -> None:
        """See `Search`; rows that are no longer held leave their places to others."""
        super().catch_up()
        with self._lock:
            if self.active and len(self.rows) and self.rows[0] < self._reader.first_row:
                self._keep([self.rows])

    def judge(self, text: str, start: int, stop: int) -> Numbers:
        """See `Search`: the rows of this piece that may be among the first ones."""
        by, known = self.by, self._values
        rows = self._table.numbers(start, stop)
        if by is None or not len(rows):
            return NOTHING
        held, values = self._table.values(by[0], rows)
        places = first_places(values, self._table.columns[by[0]], by[1], self._kept)
        known.update(zip(held[places].tolist(), values[places].tolist(), strict=True))
        found: Numbers = held[np.sort(places)]
        return found

    def problem_with(self, text: str) -> str:
        """See `Search`: any column can be sorted by."""
        return ""

    def _run(self, asked: int) -> None:
        began = time.monotonic()
        super()._run(asked)
        with self._lock:
            self._took_s = time.monotonic() - began
            if asked == self.asks:
                self._look_again_if_unsure()

    def _keep(self, parts: list[Numbers]) -> None:
        if self.by is None:
            return
        self._full = self._full or any(len(part) >= self._kept for part in parts)
        known = np.unique(np.concatenate(parts))  # rows that are looked at once more are found a second time
        first = self._reader.first_row
        if self._first[0] is self.rows and len(known) == len(self.rows) and not np.any(known[:1] < first):
            return  # as most pieces of new rows leave it
        rows = np.array([row for row in known.tolist() if row >= first and row in self._values], dtype=np.int64)
        if self._full:
            self._sure -= len(known) - len(rows)
        values = np.array([self._values[row] for row in rows.tolist()], dtype=object)
        places = first_places(values, self._table.columns[self.by[0]], self.by[1], self._kept)
        self._full = self._full or len(places) < len(rows)
        self.rows = rows[np.sort(places)]
        self._first = self.rows, rows[np.sort(places[: self._most])]
        for row in np.setdiff1d(known, self.rows, assume_unique=True).tolist():
            self._values.pop(row, None)
        self._look_again_if_unsure()

    def _look_again_if_unsure(self) -> None:
        if self.busy or not self.active or self._sure >= self._most or not self.wanted():
            return
        stop = self._judged.stop
        self._judged, self._full, self._sure, self.busy = range(stop, stop), False, self._kept, True
        self.version += 1
        again = threading.Timer(RESTS * self._took_s, self._run, (self.asks,))
        again.daemon = True
        again.start()


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


def spoken(text: str) -> str:
    """Return a key that sorts texts as a page does: other signs, numbers by their size, letters of any case or accent.

    The order of letters is that of most languages; where one language has its own, such as å behind z, the page's
    order follows the browser's, and this one does not.
    """
    return NUMBER.sub(_by_size, text.casefold().translate(SIGNS))


def _by_size(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0")
    return f"9{chr(len(digits))}{digits}"


class Signs(dict[int, str]):
    """What stands for a sign in a key: itself, unless it is no letter or one with an accent."""

    def __missing__(self, code: int) -> str:
        known = _sign(chr(code))
        if len(self) < MOST_SIGNS:
            self[code] = known
        return known


def _sign(sign: str) -> str:
    if (place := OTHERS.find(sign)) >= 0:
        return f"\x01{chr(0x100 + place)}"
    kind = unicodedata.category(sign)
    if kind == "Nd":
        return str(unicodedata.digit(sign))
    plain = ALIKE.get(sign) or unicodedata.normalize("NFKD", sign)
    if sign != "й" and plain != sign:
        return plain.translate(SIGNS)
    if kind[0] == "Z":
        return SIGNS[ord(" ")]
    if kind[0] in "PS":  # behind those of its group that have a place
        return SIGNS[ord("€" if kind == "Sc" else "•" if kind[0] == "P" else "~")] + sign
    return "" if kind in ("Cc", "Cf") or unicodedata.combining(sign) else sign


SIGNS: Final = Signs()
