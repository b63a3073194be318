"""The malformed answers of a whole run, counted by character as far as calls were judged."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import Any, Final

from ..analysis.answers import JUDGED, usual_kinds, with_malformed
from ..figures.parts import column
from ..store.llm import LLM_TYPES
from .interfaces import PanelReader

PIECE: Final = 500
TURN_S: Final = 0.03
"""The time that one turn may take: a long run is judged over several."""
NOBODY: Final = "nobody named"
NAMED: Final = 12
"""The most characters that are listed."""


class MalformedCalls:
    """A count of malformed answers and of their cost, updated in short turns."""

    def __init__(self, reader: PanelReader) -> None:
        self._reader = reader
        self._lock = threading.RLock()  # a filter asks for the kinds, and a sort for the rows, on threads of their own
        self._usual: set[Any] | None = None
        self._usual_of = 0
        self.read_to = 0, 0
        """How often judging began anew, and the row up to which all calls were judged since."""
        self._rows: dict[str, list[int]] = {}
        self._costs: defaultdict[str, float] = defaultdict(float)
        self.judged = 0

    def usual_kinds(self) -> set[Any]:
        """Return the kinds of prompts that are usually answered with JSON, judged again when there are many more."""
        with self._lock:
            return self._usual_kinds()

    def _usual_kinds(self) -> set[Any]:
        rows = self._reader.rows_of(LLM_TYPES)
        if self._usual is None or not self._usual_of <= len(rows) <= 1.2 * self._usual_of + 10:
            usual = usual_kinds(self._reader.calls_of(rows[-JUDGED:]))
            if usual != self._usual:  # all calls are judged again
                self.read_to, self.judged = (self.read_to[0] + 1, 0), 0
                self._rows.clear()
                self._costs.clear()
            self._usual, self._usual_of = usual, len(rows)
        return self._usual

    def catch_up(self) -> int:
        """Judge more calls for a moment, and return how many were judged."""
        with self._lock:
            return self._catch_up()

    def _catch_up(self) -> int:
        usual, end = self.usual_kinds(), time.perf_counter() + TURN_S
        while time.perf_counter() < end:
            rows = self._reader.rows_of(LLM_TYPES, self.read_to[1])[:PIECE]
            if not len(rows):
                break
            calls = with_malformed(self._reader.calls_of(rows), usual)
            costs = column(calls, "cost_usd")
            whos = calls["character_id"].astype(object)
            malformed = calls["malformed"].tolist()
            for row, who, cost, bad in zip(calls.index.tolist(), whos, costs.tolist(), malformed, strict=True):
                if bad is True:
                    name = who if isinstance(who, str) else NOBODY
                    self._rows.setdefault(name, []).append(row)
                    self._costs[name] += 0.0 if cost != cost else cost
            self.read_to = self.read_to[0], int(rows[-1]) + 1
            self.judged += len(rows)
        return self.judged

    def told(self) -> dict[str, Any]:
        """Return the counts for the page, with the characters that have the most."""
        with self._lock:
            most = sorted(self._rows, key=lambda who: -len(self._rows[who]))[:NAMED]
            return {
                "judged": self.judged, "calls": sum(map(len, self._rows.values())), "cost": sum(self._costs.values()),
                "characters": len(self._rows), "most": [[who, len(self._rows[who]), self._costs[who]] for who in most],
            }  # fmt: skip

    def rows(self, who: str) -> list[int]:
        """Return the rows of malformed answers of a character; with an empty name, those of all."""
        with self._lock:
            return self._rows.get(who, []) if who else sorted(row for rows in self._rows.values() for row in rows)
