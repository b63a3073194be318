"""The search of a dashboard: a condition over everything held, judged on a thread of its own, newest events first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..expressions.conditions import compile_condition
from .interfaces import PanelReader

CHUNK: Final = 20_000
"""How many rows are judged at a time, so that first hits appear soon and a new search need not wait."""
MANY: Final = 10
"""How many such pieces of new rows are judged while a panel is drawn."""
TOLD_S: Final = 0.25
"""How often hits are drawn while a search goes on; the first ones at once."""
Numbers = npt.NDArray[np.int64]
NOTHING: Final[Numbers] = np.zeros(0, np.int64)


class Search:
    """The hits of one condition. `version` grows with every change but later hits; any thread may read."""

    chunk: int = CHUNK

    def __init__(self, reader: PanelReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._catching = threading.Lock()  # panels on two threads need not judge the same rows twice
        self._judged = range(0)  # the rows that were judged
        self._told: Callable[[], None] = lambda: None
        self.wanted: Callable[[], bool] = lambda: True
        """Whether any page would show what is found; if none does, the search rests until the hits are drawn again."""
        self.asks = 0
        """How many searches were requested; what is found for an earlier one is thrown away."""
        self.text = ""
        self.problem = ""
        self.rows = NOTHING
        self.busy = False
        """Whether a thread searches."""
        self.version = 0

    # --- what a subclass searches for -------------------------------------------------------------------------

    def judge(self, text: str, start: int, stop: int) -> Numbers:
        """Return the ascending rows that are hits, from `start` to before `stop`."""
        return self._reader.rows_where(text, start, stop)

    def problem_with(self, text: str) -> str:
        """Return one line on what is wrong with a text; an empty one if nothing is."""
        return problem_of(text)

    @property
    def end(self) -> int:
        """Return the row up to which can be judged by now."""
        return self._reader.next_row

    # --- the search -------------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Return whether there is a condition that can be judged."""
        return bool(self.text) and not self.problem

    def ask(self, text: str, told: Callable[[], None]) -> None:
        """Search for a condition from now on; an empty one ends the search. `told` is called as hits come."""
        text = text.strip()
        with self._lock:
            self.asks += 1
            self.text, self.rows, self.problem, self._told = text, NOTHING, self.problem_with(text), told
            stop = self.end
            self._judged = range(stop, stop)
            self.busy = self.active
            self.version += 1
            if self.busy:
                self._begin()

    def catch_up(self) -> None:
        """Judge the rows stored since, on the thread that draws the hits; very many are left to a thread of its own."""
        with self._catching:
            with self._lock:
                asked, start, stop = self.asks, self._unjudged, self.end
                if not self.active or (start >= stop and not self._rests):
                    return
                if self._rests or stop - start > MANY * self.chunk:
                    self._go_on()
                    return
            self._search(asked, start, stop)

    def resume(self) -> None:
        """Search on, where the search rested since no page showed it."""
        with self._lock:
            if self.active and (self._rests or self.end - self._unjudged > MANY * self.chunk):
                self._go_on()

    def within(self, numbers: Any) -> Any:
        """Return those of some ascending rows that are hits."""
        rows = self.rows
        if isinstance(numbers, range):
            low, high = np.searchsorted(rows, [numbers.start, numbers.stop])
            return rows[low:high]
        return np.intersect1d(np.asarray(numbers), rows, assume_unique=True)

    def status(self) -> dict[str, Any]:
        """Return the search as the page shows it."""
        with self._lock:
            judged, first = self._judged, self._reader.first_row
            held = max(0, self._reader.next_row - first)
            return {
                "text": self.text, "problem": self.problem, "hits": len(self.rows), "busy": self.busy,
                "judged": min(held, max(0, judged.stop - max(judged.start, first))), "held": held, "asks": self.asks,
            }  # fmt: skip

    @property
    def _unjudged(self) -> int:
        """Return the first of the later rows that were not judged."""
        return max(self._judged.stop, self._reader.first_row)

    @property
    def _rests(self) -> bool:
        return not self.busy and self._judged.start > self._reader.first_row

    def _go_on(self) -> None:
        if not self.busy:
            self.busy = True
            self.version += 1
            self._begin()

    def _begin(self) -> None:
        threading.Thread(target=self._run, args=(self.asks,), name="degentcivil-search", daemon=True).start()

    def _run(self, asked: int) -> None:
        told_at, any_told = time.monotonic(), False
        while (piece := self._next(asked)) is not None:
            self._search(asked, *piece)
            if time.monotonic() - told_at >= TOLD_S or (len(self.rows) > 0 and not any_told):
                told_at, any_told = time.monotonic(), len(self.rows) > 0
                with self._lock:
                    self.version += 1
                self._told()
        self._told()

    def _next(self, asked: int) -> tuple[int, int] | None:
        """Return the rows to judge next; `None` at the end of the search."""
        with self._lock:
            if asked != self.asks or not self.active:
                return None
            first, later = self._reader.first_row, self._unjudged
            if not self.wanted():
                self.busy = False
                self.version += 1
                return None
            if self.end - later > MANY * self.chunk:
                return later, later + self.chunk
            if (stop := self._judged.start) > first:
                return max(first, stop - self.chunk), stop
            self.busy = False
            self.version += 1
            return None

    def _search(self, asked: int, start: int, stop: int) -> None:
        """Judge some rows next to those that were judged, and keep the hits if they are still wanted."""
        with self._lock:
            text = self.text
            if asked != self.asks:
                return
        try:
            found, problem = self.judge(text, start, stop), ""
        except Exception as error:  # noqa: BLE001 — shown beside the box; a thread must not die unseen
            found, problem = NOTHING, str(error).split("\n")[0] or type(error).__name__
        with self._lock:
            if asked != self.asks:
                return
            if problem:
                self.problem, self.rows, self.busy = problem, NOTHING, False
                self.version += 1
            elif start >= self._judged.stop:
                self._judged = range(self._judged.start, stop)
                self._keep([self.rows, found])
            elif stop <= self._judged.start:
                self._judged = range(start, self._judged.stop)
                self._keep([found, self.rows])

    def _keep(self, parts: list[Numbers]) -> None:
        rows = np.concatenate(parts)
        self.rows = rows[np.searchsorted(rows, self._reader.first_row) :]  # without those that are no longer held


def problem_of(text: str) -> str:
    """Return one line on what is wrong with a condition; an empty text if nothing is."""
    if not text:
        return ""
    try:
        compile_condition(text)
    except ValueError as error:
        return str(error).split("\n")[0]
    return ""
