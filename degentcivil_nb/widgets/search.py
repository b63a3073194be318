"""The search of a dashboard: a condition over everything held, judged on a thread of its own, newest events first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from ..expressions.conditions import compile_condition
from .interfaces import PanelReader

CHUNK: Final = 20_000
"""How many rows are judged at a time, so that first hits appear soon and a new search need not wait."""
TOLD_S: Final = 0.25
"""How often hits are drawn while a search goes on; the first ones at once."""
Numbers = npt.NDArray[np.int64]
NOTHING: Final[Numbers] = np.zeros(0, np.int64)


class Search:
    """The hits of one condition. `version` grows with every change; any thread may read."""

    chunk: ClassVar[int] = CHUNK

    def __init__(self, reader: PanelReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._catching = threading.Lock()  # panels on two threads must not judge the same rows twice
        self._judged = range(0)  # the rows that were judged
        self.text = ""
        self.problem = ""
        self.rows = NOTHING
        self.busy = False
        self.version = 0

    # --- what a subclass searches for -------------------------------------------------------------------------

    def judge(self, text: str, start: int, stop: int) -> Numbers:
        """Return the ascending rows that are hits, from `start` to before `stop`."""
        return self._reader.rows_where(text, start, stop)

    def problem_with(self, text: str) -> str:
        """Return one line on what is wrong with a text; an empty one if nothing is."""
        return problem_of(text)

    # --- the search -------------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Return whether there is a condition that can be judged."""
        return bool(self.text) and not self.problem

    def ask(self, text: str, told: Callable[[], None]) -> None:
        """Search for a condition from now on; an empty one ends the search. `told` is called as hits come."""
        text = text.strip()
        with self._lock:
            if text == self.text:
                return
            self.text, self.rows, self.problem = text, NOTHING, self.problem_with(text)
            stop = self._reader.next_row
            self._judged = range(stop, stop)
            self.busy = self.active
            self.version += 1
        if self.busy:
            threading.Thread(target=self._run, args=(text, told), name="degentcivil-search", daemon=True).start()

    def catch_up(self) -> None:
        """Judge the rows stored since; called on the thread that draws the hits."""
        with self._catching:
            self._catch_up()

    def _catch_up(self) -> None:
        text, judged, stop = self.text, self._judged, self._reader.next_row
        if not self.active or stop <= judged.stop:
            return
        start = max(
            judged.stop, stop - 10 * self.chunk
        )  # the search does not wait for a flood; the count says how many rows were judged
        try:
            found = self.judge(text, start, stop)
        except ValueError as error:
            self._fail(text, error)
            return
        with self._lock:
            if text == self.text:
                self.rows = np.concatenate([self.rows, found])
                self._judged = range(self._judged.start, stop)
                self.version += bool(len(found))

    def within(self, numbers: Any) -> Any:
        """Return those of some ascending rows that are hits."""
        if isinstance(numbers, range):
            low, high = np.searchsorted(self.rows, [numbers.start, numbers.stop])
            return self.rows[low:high]
        return np.intersect1d(np.asarray(numbers), self.rows, assume_unique=True)

    def status(self) -> dict[str, Any]:
        """Return the search as the page shows it."""
        judged = self._judged
        held = max(0, self._reader.next_row - self._reader.first_row)
        return {
            "text": self.text, "problem": self.problem, "hits": len(self.rows), "busy": self.busy,
            "judged": min(held, judged.stop - judged.start), "held": held,
        }  # fmt: skip

    def _run(self, text: str, told: Callable[[], None]) -> None:
        stop, told_at, any_told = self._judged.start, time.monotonic(), False
        try:
            while stop > self._reader.first_row and self.text == text:
                start = max(self._reader.first_row, stop - self.chunk)
                found = self.judge(text, start, stop)
                due = time.monotonic() - told_at >= TOLD_S or (len(found) > 0 and not any_told)
                with self._lock:
                    if self.text != text:
                        return
                    self.rows = np.concatenate([found, self.rows]) if len(found) else self.rows
                    self._judged = range(start, self._judged.stop)
                    self.version += due
                stop = start
                if due:
                    told_at, any_told = time.monotonic(), any_told or len(self.rows) > 0
                    told()
        except Exception as error:  # noqa: BLE001 — shown beside the box; a thread must not die unseen
            self._fail(text, error)
        with self._lock:
            if self.text == text:
                self.busy = False
                self.version += 1
        told()

    def _fail(self, text: str, error: Exception) -> None:
        with self._lock:
            if self.text == text:
                self.problem, self.rows = str(error).split("\n")[0], NOTHING
                self.version += 1


def problem_of(text: str) -> str:
    """Return one line on what is wrong with a condition; an empty text if nothing is."""
    if not text:
        return ""
    try:
        compile_condition(text)
    except ValueError as error:
        return str(error).split("\n")[0]
    return ""
