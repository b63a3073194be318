"""The findings of a run in a table; they are searched on a thread of their own, since that takes long in a long run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd

from ..pages.parts import Remark, Section
from ..pages.sections import findings_of
from .cells import column_of
from .packing import Column, Kind
from .panel import Update
from .refresh import Refresher
from .still import MOST_ROWS
from .table import Cells, KeyedTable, TablePanel

EVERY_S: Final = 5.0
SHARE: Final = 0.018
"""The share of the time that is spent on the search for findings: a search may cost a little more than the last."""
COLUMNS: Final[dict[str, Kind]] = {
    "severity": "text",
    "kind": "text",
    "text": "text",  # it names the character too, and is what people look for
    "character_id": "text",
    "since_tick": "number",
    "since": "time",
    "row": "number",
}


class FindingsNow:
    """The findings of the last search. `version` grows when they change."""

    def __init__(self, run: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run if hasattr(run, "findings") else None
        self._clock = clock
        self._lock = threading.Lock()
        self.looking = False
        self._due = 0.0
        self._judged = -1
        self.table: pd.DataFrame | None = None
        self._seen: set[tuple[str, ...]] = set()
        self.problem = ""
        self.version = 0

    def findings(self) -> pd.DataFrame:
        """Return the findings of the last search; search now if there was none."""
        if self.table is not None:
            return self.table
        found: pd.DataFrame = pd.DataFrame() if self._run is None else self._run.findings()
        return found

    def unseen(self) -> set[tuple[str, ...]]:
        """Return the findings that no page has shown yet."""
        return set() if self.table is None else _named(self.table) - self._seen

    def show(self) -> pd.DataFrame | None:
        """Return what was found last, for a page, which shows it: it is new no longer."""
        if self.table is not None:
            self._seen |= _named(self.table)
        return self.table

    def look(self, judged: int, told: Callable[[], None]) -> None:
        """Search again if it is time and the run, whose version is `judged`, went on. Returns at once."""
        with self._lock:
            if self._run is None or self.looking or judged == self._judged or self._clock() < self._due:
                return
            self.looking = True
        threading.Thread(target=self._look, args=(judged, told), name="degentcivil-findings", daemon=True).start()

    def _look(self, judged: int, told: Callable[[], None]) -> None:
        started = time.thread_time()
        try:
            found = self._run.findings()  # type: ignore[union-attr]  # it is asked for only where there is one
        except Exception as error:  # noqa: BLE001 — shown in the panel; a thread must not die unseen
            self.problem = f"{type(error).__name__}: {error}"
        else:
            self.problem = ""
            if self.table is None or not found.astype(str).equals(self.table.astype(str)):
                self.table = found
        took = time.thread_time() - started
        with self._lock:
            self._judged, self.looking = judged, False
            first = self.version == 0  # it makes what later ones keep, and says little of what those take
            self._due = self._clock() + (EVERY_S if first else max(EVERY_S, took / SHARE))
            self.version += 1
        told()


class FindingsPanel(TablePanel):
    """What is wrong in the whole run, the severest first; a click shows the moment of a finding's first row."""

    title: ClassVar[str] = "findings"
    follows_cursor: ClassVar[bool] = False
    empty: ClassVar[str] = (
        "Nothing was found: no character is stuck, silent or goes in circles, and no message is missing."
    )

    def __init__(self, findings: FindingsNow, version: Callable[[], int], refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._findings = findings
        self._run_version = version
        self._table = KeyedTable()
        self._drawn = -1

    def content_version(self) -> Any:
        """See `TablePanel`."""
        self._findings.look(self._run_version(), self.refresh_soon)
        return self._findings.version

    def whole(self) -> Update:
        """See `TablePanel`."""
        self._drawn = self._findings.version
        if self._findings.problem:
            raise RuntimeError(self._findings.problem)
        found = self._findings.show()
        frame = pd.DataFrame({name: [] for name in (*COLUMNS, "rows")}) if found is None else found
        columns = [Column(name, kind, "first row" if name == "row" else "") for name, kind in COLUMNS.items()]
        keys = [str(number) for number in range(len(frame))]
        empty = "Looking …" if found is None else self.empty
        return self._table.whole(columns, keys, _cells(frame), empty=empty, picks="evidence", tones="severity")

    def parts(self) -> Update | None:
        """See `TablePanel`."""
        return self.whole() if self._drawn != self._findings.version else None

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        if self._findings.table is None and self._run_version() > MOST_ROWS:
            return [
                Section(
                    self.title, [Remark("Not searched yet, since the run is long. session.findings() searches it.")]
                )
            ]
        return [findings_of(self._findings.findings(), 30)]

    def detail(self, key: str) -> tuple[str, Any]:
        """Return a finding with its evidence."""
        found = self._findings.table
        if found is None or not key.isdigit() or int(key) >= len(found):
            raise KeyError(key)
        row = found.iloc[int(key)]
        return f"{row['kind']}, {row['severity']}", {"text": row["text"], "rows": row["rows"]}

    def row_of(self, key: str) -> int | None:
        """See `TablePanel`: the first row of the finding's evidence."""
        return next(iter(self.evidence(key)), None)

    def evidence(self, key: str) -> list[int]:
        """See `TablePanel`."""
        found = self._findings.table
        rows = found["rows"].iloc[int(key)] if found is not None and key.isdigit() and int(key) < len(found) else []
        return [int(row) for row in rows] if isinstance(rows, list) else []


def _named(found: pd.DataFrame) -> set[tuple[str, ...]]:
    """Return what a finding is known by, whose text changes while it goes on."""
    names = [name for name in ("kind", "character_id", "since_tick", "since") if name in found]
    return {tuple(map(str, values)) for values in found[names].itertuples(index=False)}


def _cells(frame: pd.DataFrame) -> Cells:
    cells: Cells = {}
    for name, kind in COLUMNS.items():
        if name == "row":
            firsts = [rows[0] if isinstance(rows, list) and rows else np.nan for rows in frame["rows"]]
            cells[name] = np.array(firsts, dtype=np.float64)
        elif not len(frame):
            cells[name] = np.zeros(0) if kind in ("number", "time") else np.zeros(0, dtype=object)
        else:
            cells[name] = column_of(frame[name], None if kind in ("number", "time") else kind)[1]
    return cells
