"""Tables of stored rows: the newest as they arrive, or a window around any moment, with the count of all rows."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd

from ..core.counting import counted
from ..pages.parts import Remark, Section, table_of
from .cells import column_of
from .cursor import Cursor
from .interfaces import PanelReader
from .packing import Column, ColumnPacker, Kind, Values
from .panel import Host, Update
from .refresh import Refresher
from .row_actions import RowActions
from .search import Search
from .sorting import PLAIN, Sorting
from .table import Cells, TablePanel, pack_rows
from .words import Words

KEPT: Final = 1_000
"""The most of the newest rows on the page at once; buttons show the ones before them."""
AROUND: Final = 400
"""The most rows around a moment: where the cursor is dragged, each of its places needs all of them."""
STILL: Final = 25
"""The most rows of a static view."""
BURST: Final = 150
"""The most rows of one update; more than these, which no one could read, are only counted."""
ORDERED_BYTES_PER_S: Final = 100_000
"""What a table in an order may send while the run goes on: all of it is sent anew, so it is drawn less often."""


class LogPanel(TablePanel):
    """A panel of stored rows, newest last.

    Live, the panel follows the newest rows; a row states how many came too fast to be shown. In the past, and when
    earlier rows are requested, it shows a window of the rows around that moment.
    """

    script: ClassVar[str] = "table"
    kinds: ClassVar[Sequence[str] | None] = None
    """The types of the rows shown; `None` for all, with the gaps between them."""
    columns: ClassVar[dict[str, Kind]] = {}
    """The columns and their kinds."""
    labels: ClassVar[dict[str, str]] = {}
    """What columns are called on the page, where that is not their name."""
    follows: ClassVar[bool] = True
    filters_all: ClassVar[bool] = True
    """Whether the filter looks at all rows, and not only at those that the page has."""
    picks: ClassVar[str] = "row"
    """What a click on a row selects: an event and its character (`row`), or nothing."""

    def __init__(
        self,
        reader: PanelReader,
        refresher: Refresher,
        *,
        cursor: Cursor | None = None,
        host: Host | None = None,
        place: str = "",
        search: Search | None = None,
        actions: RowActions | None = None,
    ) -> None:
        super().__init__(refresher, actions=actions, cursor=cursor, host=host, place=place)
        self._reader = reader
        self._search = search
        self._words = Words(reader, self)
        self._order = Sorting(reader, self, KEPT)
        self._words.wanted = self._order.wanted = lambda: self.flow.watched
        self._ordered_for: Any = None  # what was searched for when the order was asked for
        self._searched: Any = None
        self._page: int | None = None  # the row that the user went to without the cursor
        self._shown: Any = range(0)  # the rows of the window
        self._from = 0
        self._count = 0
        self._next_at = -math.inf  # when a table in an order may be drawn again
        self._jumps = False  # whether it is drawn for another moment than before, for which a person waits

    # --- defined by a subclass ----------------------------------------------------------------------------------

    def frame(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the columns of some rows, indexed by row."""
        return self._reader.frame_of(rows)

    def more(self) -> dict[str, Any]:
        """Return the content of an update beside the rows."""
        return {}

    def own(self, start: int = 0, stop: int | None = None) -> Any:
        """See `Rows`: whatever is searched for."""
        return self._reader.rows_of(self.kinds, start, stop)

    def cells(self, rows: Any) -> Cells:
        """See `Rows`."""
        frame = self.frame(rows)
        return {name: self._cells(frame, name, kind) for name, kind in self.columns.items()}

    def values(self, name: str, rows: Any) -> tuple[Any, Values]:
        """See `SortedRows`."""
        frame = self._reader.frame_of(rows) if name in PLAIN and name in self.columns else self.frame(rows)
        return frame.index.to_numpy(np.int64), self._cells(frame, name, self.columns[name])

    # --- the table ----------------------------------------------------------------------------------------------

    def refresh(self, now: float) -> int:
        """See `Panel`; a table in an order is not drawn as often as others, but at once when a page asks."""
        jumps = self._jumps = self.moved
        asked = jumps or self.flow.wants_full or self._told != self._asked
        if self._order.active and not asked and now < self._next_at:
            return 0
        sent = super().refresh(now)
        self._next_at = now + sent / ORDERED_BYTES_PER_S
        return sent

    def content_version(self) -> Any:
        """See `TablePanel`."""
        return self._reader.version, self._found(), self._page

    def past_version(self) -> Any:
        """See `Panel`."""
        return super().past_version(), self._found(), self._page

    def _found(self) -> Any:
        return self._narrowed_by(), self._order.version

    def _narrowed_by(self) -> Any:
        """Return a value that differs if other rows belong here, whatever their order."""
        return None if self._search is None else self._search.version, self._words.version

    def _sorted_for(self) -> Any:
        """Return a value that differs if rows that were sorted already may no longer belong here."""
        return self._narrowed_by()

    @property
    def _narrow(self) -> bool:
        return self._words.active or (self._search is not None and self._search.active)

    @property
    def _tails(self) -> bool:
        return self.moment is None and self._page is None

    @property
    def end(self) -> int:
        """See `SortedRows`."""
        return self._reader.next_row

    def numbers(self, start: int = 0, stop: int | None = None) -> Any:
        """Return the ascending numbers of all rows of this table, from a row on."""
        return self._hits(self.own(start, stop))

    def narrowed(self, rows: list[int], start: int, stop: int | None = None) -> Any:
        """Return which of some ascending rows belong here under the search and the filter, from a row on."""
        last = len(rows) if stop is None else bisect_left(rows, stop)
        return self._hits(rows[bisect_left(rows, max(start, self._reader.first_row)) : last])

    def _hits(self, rows: Any) -> Any:
        for search in (self._search, self._words):
            if search is not None and search.active:
                search.catch_up()
                rows = search.within(rows)
        return rows

    def begin_anew(self) -> None:
        """Show other rows: from their newest, as a whole."""
        self._page, self._shown, self._from = None, range(0), 0
        self.flow.wants_full = True

    def whole(self) -> Update:
        """See `TablePanel`."""
        self._order_anew()
        found = self._found()
        if self._searched != found:  # other rows may be those around the moment
            self._searched, self._shown = found, range(0)
        numbers = self.numbers()
        if self._order.active:
            self._order.catch_up()
        first = self._order.first
        if self._order.active and (len(first) or not self._order.busy):
            self._shown = first
        else:  # also until the first rows were looked at: a table that is empty for a moment loses the focus
            self._shown = numbers[-KEPT:] if self._tails else self._around(numbers)
        columns = [Column(name, kind, self.labels.get(name, ""))._asdict() for name, kind in self.columns.items()]
        body = {
            "columns": columns,
            "empty": self.empty,
            "follow": self._tails and not self._order.active,
            "tones": "type",
            "picks": self.picks,
        }
        update = self._add(self._shown, 0)
        return Update({**body, **update.body, **self._told_beside(numbers)}, update.buffers)

    def parts(self) -> Update | None:
        """See `TablePanel`."""
        if self._order.active:
            self._order.catch_up()
            same = np.array_equal(self._order.first, self._shown)
            return Update(self._told_beside(self.numbers())) if same else self.whole()
        if not self._tails:
            return None
        fresh = self.numbers(self._from)
        if not len(fresh):
            return None
        if self._narrow and not self._from:
            return self.whole()  # the first hits, which are no burst
        contiguous = self.kinds is None and not self._narrow
        dropped = int(fresh[0]) - self._from if contiguous and self._from else 0  # evicted before they could be read
        skipped, fresh = max(0, len(fresh) - BURST) + dropped, fresh[-BURST:]
        update = self._add(fresh, skipped)
        return Update({**update.body, **self._told_beside(self.numbers())}, update.buffers)

    def changes(self) -> Update | None:
        """See `Panel`: a search that found more changes a window too."""
        return self.snapshot() if self._searched != self._found() else super().changes()

    def _order_anew(self) -> None:
        """Sort again if other rows belong here than those that were sorted."""
        now = self._sorted_for()
        if self._order.by is not None and self._ordered_for != now:
            self._ordered_for = now
            self._order.sort_by(self._order.by, self.refresh_soon)

    def _sort(self, asked: Any) -> None:
        name, direction = (asked.get("name"), asked.get("direction")) if isinstance(asked, dict) else (None, None)
        known = isinstance(name, str) and name in self.columns and direction in (1, -1)
        by = (str(name), int(direction or 1)) if known else None
        self._ordered_for = self._sorted_for()
        self._order.sort_by(by, self.refresh_soon)
        self.begin_anew()

    def still(self) -> Sequence[Section]:
        """See `Panel`: of all rows, whatever a page searches for."""
        numbers, row = self.own(), self.row_shown
        stop = len(numbers) if row is None else bisect_left(numbers, row + 1)
        rows = numbers[max(0, stop - STILL) : stop]
        if not len(rows):
            return [Section(self.title, [Remark(self.empty)])]
        table = table_of(
            self.frame(rows).rename_axis("row"), ["row", *self.columns], len(numbers), "row", which="newest"
        )
        return [Section(self.title, [table])]

    def received(self, content: Any) -> None:
        """Show earlier or later rows, or the newest again; or only those that contain some words."""
        super().received(content)
        if self.filters_all and isinstance(content, dict) and isinstance(words := content.get("words"), str):
            self._words.look_for(words[:500], content.get("zone"), self.refresh_soon)
            self.begin_anew()
        if self.filters_all and isinstance(content, dict) and "sort" in content:
            self._sort(content["sort"])
        if isinstance(content, dict) and content.get("page") in ("earlier", "later", "newest"):
            self._turn(content["page"])

    def _turn(self, to: str) -> None:
        numbers = self.numbers()
        if to == "newest" or not len(numbers):
            self._page = None
        else:
            first, last = (self._shown[0], self._shown[-1]) if len(self._shown) else (0, 0)
            place = bisect_left(numbers, first if to == "earlier" else last)
            place += -AROUND // 2 if to == "earlier" else AROUND // 2
            self._page = int(numbers[min(max(place, 0), len(numbers) - 1)])
            if place + AROUND // 2 >= len(numbers) and self.moment is None:
                self._page = None
        self.flow.wants_full = True

    def _around(self, numbers: Any) -> Any:
        """Return the window around the cursor or the requested page; a window that contains the moment is kept."""
        anchor = self._page if self._page is not None else 0 if self.moment is None else self.moment.row
        shown = self._shown
        if self._page is None and len(shown) and shown[0] <= anchor <= shown[-1] and self._search is None:
            return shown
        place = bisect_left(numbers, anchor)
        start = max(0, min(place - AROUND // 2, len(numbers) - AROUND))
        return numbers[start : start + AROUND]

    def _told_beside(self, numbers: Any) -> dict[str, Any]:
        first = int(self._shown[0]) if len(self._shown) else 0
        earlier = max(0, len(numbers) - KEPT) if self._tails else bisect_left(numbers, first)
        later = 0 if self._tails else len(numbers) - earlier - len(self._shown)
        if self._order.active:
            earlier = later = 0
        searched = None if self._search is None or not self._search.active else self._search.status()
        by = self._order.by
        order = None if by is None else {"name": by[0], "direction": by[1], **self._order.status()}
        window = {
            "all": len(numbers), "earlier": earlier, "later": later, "searched": searched, "tail": self._tails,
            "words": self._words.status() if self.filters_all else None, "sorted": order,
        }  # fmt: skip
        return {"window": window, **self.more()}

    def detail(self, key: str) -> tuple[str, Any]:
        """Return the payload of a row."""
        if key.startswith("gap"):
            return key, "Messages are missing here. session.gaps() lists every missing range, and the reason."
        if not key.isdigit():
            return key, "These rows came faster than a log can show. session.events() has all of them."
        return f"row {int(key):,}", self._reader.payload(int(key))

    def row_of(self, key: str) -> int | None:
        """See `TablePanel`."""
        return int(key) if key.isdigit() else None

    def _add(self, rows: Any, skipped: int) -> Update:
        frame = self._with_gaps(self.frame(rows), rows)
        if len(rows):
            self._from = int(rows[-1]) + 1
        # a gap has the number of the row that it comes before
        types = frame["type"] if "type" in frame else [None] * len(frame)
        keys = [
            f"gap before {row}" if type == "gap" else str(row) for row, type in zip(frame.index, types, strict=True)
        ]
        values = {name: self._cells(frame, name, kind) for name, kind in self.columns.items()}
        if skipped:
            self._count += 1
            keys.insert(0, f"left out {self._count}")
            values = {name: self._skip(values[name], name, kind, skipped) for name, kind in self.columns.items()}
        packer = ColumnPacker()
        columns = [Column(name, kind) for name, kind in self.columns.items()]
        return Update(
            {"add": pack_rows(columns, keys, values, packer), "keep": max(KEPT, len(keys))}, [packer.buffer()]
        )

    def _with_gaps(self, frame: pd.DataFrame, rows: Any) -> pd.DataFrame:
        """Insert the gaps before their rows, where all rows are shown."""
        if self.kinds is not None or not len(rows) or self._narrow or self._order.active:
            return frame
        gaps = self._reader.gaps()
        if not len(gaps):
            return frame
        near = gaps[(gaps["row"] >= int(rows[0])) & (gaps["row"] <= int(rows[-1]))]
        if not len(near):
            return frame
        marks = pd.DataFrame(
            {"time": near["time"].to_numpy(), "type": "gap", "message": [gap_text(gap) for gap in near.itertuples()]},
            index=pd.Index(near["row"], name="row"),
        )
        marks["time"] = pd.to_datetime(marks["time"], utc=True)
        names = [name for name in self.columns if name in frame]
        plain = frame[names].astype({name: "object" for name in names if name not in ("time",)})
        marks = marks.reindex(columns=names).astype({name: "object" for name in names if name != "time"})
        return pd.concat([marks, plain]).sort_index(kind="stable")

    def _cells(self, frame: pd.DataFrame, name: str, kind: Kind) -> Values:
        if name not in frame:
            return np.full(len(frame), np.nan) if kind in ("number", "time") else np.full(len(frame), None, object)
        series = frame[name]
        if kind == "number" and series.dtype == object:
            series = pd.to_numeric(series, errors="coerce")
        return column_of(series, None if kind in ("number", "time") else kind)[1]

    def _skip(self, values: Values, name: str, kind: Kind, skipped: int) -> Values:
        if kind in ("number", "time"):
            return np.concatenate(([np.nan], values))
        text = {
            "type": "left out",
            "message": f"{counted(skipped, 'row')} came too fast to be shown here; session.events() has them",
        }
        first = np.array([text.get(name)], dtype=object)
        return np.concatenate((first, values))


def gap_text(gap: Any) -> str:
    """Return a sentence on a gap."""
    first, last = gap.from_seq, gap.to_seq
    span = "" if first is None or first is pd.NA else f"{first:,} to {'?' if last is pd.NA else f'{last:,}'}: "
    return f"{span}{gap.reason}"
