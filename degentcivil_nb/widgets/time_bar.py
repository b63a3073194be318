"""The time bar: the whole run as a strip, on which the cursor of all panels is moved."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, cast

import numpy as np
import pandas as pd

from ..analysis.stops import stop_table
from ..analysis.unknown_names import warn_unknown_keys
from ..pages.parts import Section
from ..pages.sections import whole_run
from ..protocol.messages import MessageTypes
from .cells import shorten
from .cursor import Cursor
from .findings_panel import FindingsNow
from .interfaces import PanelReader
from .panel import Panel, Update
from .refresh import Refresher
from .search import Search

if TYPE_CHECKING:
    from ..store.interfaces import RunStore

BUCKETS: Final = 600
"""The most bars of the strip."""
WIDTHS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400)
MARKS: Final = 500
"""The most marks of a kind; the strip says so if there are more."""
PERIOD_S: Final = 0.5
HINTED_S: Final = 5.0
"""How often names that never occurred are looked for again: it reads many payloads."""
JUMPS: Final = ("match", "error", "stop", "gap", "bookmark", "finding")
SPAN_S: Final = 1_000_000_000


class Hint(NamedTuple):
    """What is said of the names of a search, and of which search, up to which row, and when."""

    asks: int = -1
    end: int = 0
    at: float = -np.inf
    text: str = ""


class TimeBar(Panel):
    """The whole run as a strip: events and errors by time, gaps, stops, hits of the search, and the cursor."""

    title: ClassVar[str] = "time bar"
    script: ClassVar[str] = "timebar"
    follows_cursor: ClassVar[bool] = False

    def __init__(
        self,
        reader: PanelReader,
        refresher: Refresher,
        *,
        cursor: Cursor | None = None,
        search: Search | None = None,
        run: Any = None,
        findings: FindingsNow | None = None,
        **kwargs: Any,
    ) -> None:
        self.at = cursor or Cursor(reader)
        super().__init__(refresher, cursor=self.at, **kwargs)
        self._reader = reader
        self._search = search or Search(reader)
        self._run = run
        self._findings = findings or FindingsNow(run)
        self._drawn_at = -np.inf
        self._said = ""
        self._hinted = Hint()
        self._told: Any = None
        self._stops: tuple[int, pd.DataFrame] = (-1, pd.DataFrame())

    def version(self) -> Any:
        """See `Panel`."""
        return self._reader.version, self._search.version, self._said, self._hint()

    def refresh(self, now: float) -> int:
        """See `Panel`; drawn twice a second, and at once when the search found more; the page moves the cursor."""
        moved = (self._search.version, self._said)
        if not self.flow.wants_full and moved == self._told and now - self._drawn_at < PERIOD_S:
            return 0
        self._drawn_at, self._told = now, moved
        return super().refresh(now)

    def snapshot(self) -> Update:
        """See `Panel`."""
        reader = self._reader
        self._search.resume()
        held = reader.next_row - reader.first_row
        body: dict[str, Any] = {"search": self._search.status(), "said": self._said, "held": held, "hint": self._hint()}
        body["live"] = self._run is None or hasattr(self._run, "break_when")  # a recording has an end, and no present
        if not held:
            return Update({**body, "first": None})
        oldest, newest = reader.moment_of(reader.first_row), reader.moment_of(reader.next_row - 1)
        first, last = oldest.time / SPAN_S, newest.time / SPAN_S
        width = next((each for each in WIDTHS_S if (last - first) / each <= BUCKETS), WIDTHS_S[-1])
        counts = reader.rates(f"{width}s", "type")
        starts = [_seconds(start) for start in counts.index]
        errors = counts[MessageTypes.ERROR].tolist() if MessageTypes.ERROR in counts else []
        if len(counts):
            first, last = min(first, starts[0]), max(last, starts[-1])
        return Update(
            {
                **body,
                "first": first,
                "last": last,
                "ticks": [oldest.tick, newest.tick],
                "width": width,
                "starts": starts,
                "counts": counts.sum(axis=1).tolist(),
                "errors": errors,
                "marks": self._marks(),
            }
        )

    def _hint(self) -> str:
        """Return which names of a search without a hit never occurred, as `events(where=…)` warns of them."""
        search, store = self._search, cast("RunStore", self._reader)
        if not search.active or search.busy or len(search.rows) or not hasattr(store, "payload_keys"):
            return ""
        last, now, end = self._hinted, self._drawn_at, store.next_row
        may_have_come = bool(last.text) and end != last.end and now - last.at >= HINTED_S
        if last.asks != search.asks or may_have_come:
            said: list[str] = []
            warn_unknown_keys(store, search.text, [], warn=said.append)
            self._hinted = Hint(search.asks, end, now, shorten("; ".join(said), 300))
        return self._hinted.text

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        return [whole_run(self._reader, None if self.at.moment is None else self.at.moment.time)]

    def received(self, content: Any) -> None:
        """Move by a tick, jump to a mark, or search."""
        if not isinstance(content, dict):
            return
        self._said = ""
        if isinstance(text := content.get("search"), str):
            self._search.ask(text[:2_000], self.refresh_soon)
        elif (by := content.get("step")) in (1, -1):
            self._step(int(by))
        elif content.get("jump") in (1, 0, -1) and content.get("to") in JUMPS:
            self._jump(int(content["jump"]), str(content["to"]))

    def _step(self, by: int) -> None:
        reader, at = self._reader, self.at.moment
        if reader.next_row <= reader.first_row:
            return
        last = reader.moment_of(reader.next_row - 1)
        here = at or last
        if here.tick is None or last.tick is None:
            row = here.row + by
        elif by > 0:
            if here.tick >= last.tick:
                self.at.back_to_live()
                return
            row = reader.row_at(tick=here.tick + 1) or here.row
        else:
            found = reader.row_at(tick=here.tick - 1)
            row = reader.first_row if found is None else found
        if row >= reader.next_row:
            self.at.back_to_live()
        else:
            self.at.at(row=max(reader.first_row, row))

    def _jump(self, by: int, to: str) -> None:
        rows = self._rows(to)
        here = self._reader.next_row if self.at.moment is None else self.at.moment.row
        if by == 0:  # the first one
            here, by = self._reader.first_row - 1, 1
        place = bisect_left(rows, here) - 1 if by < 0 else bisect_right(rows, here)
        if not 0 <= place < len(rows):
            self._said = f"no {'earlier' if by < 0 else 'later'} {to}"
            return
        self.at.at(row=int(rows[place]))

    def _rows(self, to: str) -> Sequence[int]:
        first, stop = self._reader.first_row, self._reader.next_row
        if to == "match":
            found: list[int] = self._search.rows.tolist()
            return found
        if to == "error":
            return self._reader.rows_of((MessageTypes.ERROR,))
        rows: list[int] = []
        if to == "gap":
            rows = self._reader.gaps()["row"].tolist() if len(self._reader.gaps()) else []
        elif to == "stop":
            rows = self._stop_table()["matched"].dropna().tolist() if len(self._stop_table()) else []
        else:
            rows = [row for row, _ in self._noted(to)]
        return sorted({min(int(row), stop - 1) for row in rows if first <= int(row) <= stop})

    def _stop_table(self) -> pd.DataFrame:
        controls = len(self._reader.control_rows(0, self._reader.next_row + 1))
        if self._stops[0] != controls:
            self._stops = (controls, stop_table(self._reader))
        return self._stops[1]

    def _noted(self, kind: str) -> list[tuple[int, str]]:
        """List bookmarks or findings with their first rows, if the run has any."""
        ask = getattr(self._run, f"{kind}s", None)
        if kind == "finding":
            self._findings.look(self._reader.version, self.refresh_soon)
            table = self._findings.table
        else:
            table = None if ask is None else ask()
        found: list[tuple[int, str]] = []
        if table is None:
            return found
        for note in table.reset_index().to_dict("records"):
            rows = note.get("rows", note.get("row"))
            first = rows[0] if isinstance(rows, list) and rows else rows
            if isinstance(first, int | np.integer) and not isinstance(first, bool):
                found.append((int(first), str(note.get("text", kind))))
        return found

    def _marks(self) -> dict[str, Any]:
        """Return the marks of the strip by kind, each mark with its time in seconds and a text, and the number of
        marks.
        """
        marks: dict[str, Any] = {}
        gaps = self._reader.gaps()
        if len(gaps):
            times = gaps["time"].astype("int64") / 1e9 if gaps["time"].dt.unit == "ns" else gaps["time"].map(_seconds)
            marks["gap"] = [len(gaps), [[t, shorten(str(r), 200)] for t, r in zip(times, gaps["reason"], strict=True)]]
        stops = self._stop_table()
        if len(stops):
            texts = [
                f"stopped by {name} at tick {tick}" for name, tick in zip(stops["name"], stops["stopped"], strict=True)
            ]
            marks["stop"] = [
                len(stops),
                [[_seconds(t), shorten(x, 200)] for t, x in zip(stops["time"], texts, strict=True)],
            ]
        for kind in ("bookmark", "finding"):
            noted = [(row, text) for row, text in self._noted(kind) if row >= self._reader.first_row]
            if noted:
                marks[kind] = [len(noted), [[self._time(row), shorten(text, 200)] for row, text in noted[-MARKS:]]]
        hits = self._search.rows
        if len(hits):
            few = hits[:: max(1, len(hits) // MARKS)][:MARKS]
            times = self._reader.frame_of(few.tolist())["time"]
            marks["match"] = [len(hits), [[_seconds(time), ""] for time in times]]
        return {kind: [count, found[-MARKS:]] for kind, (count, found) in marks.items()}

    def _time(self, row: int) -> float:
        return self._reader.moment_of(min(row, self._reader.next_row - 1)).time / 1e9


def _seconds(time: Any) -> float:
    return float(pd.Timestamp(time).timestamp())
