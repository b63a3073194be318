"""A bounded table that grows at its end: new rows are sent as they arrive, the oldest are dropped."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd

from ..core.counting import counted
from .cells import column_of
from .interfaces import PanelReader
from .packing import Column, ColumnPacker, Kind, Values
from .panel import Update
from .refresh import Refresher
from .table import TablePanel, pack_rows

KEPT: Final = 1_000
"""The most rows on the page."""
BURST: Final = 150
"""The most rows of one update: more than anyone can read are counted instead."""


class LogPanel(TablePanel):
    """A panel of stored rows, newest last; a row states how many were left out."""

    columns: ClassVar[dict[str, Kind]] = {}
    """The columns and their kinds."""
    follows: ClassVar[bool] = True

    def __init__(self, reader: PanelReader, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._reader = reader
        self._from = 0
        self._count = 0

    def rows(self, start: int, limit: int) -> tuple[pd.DataFrame, int]:
        """Return the newest `limit` rows from row `start` on, indexed by row, and how many before them are left out."""
        raise NotImplementedError

    def content_version(self) -> Any:
        """See `TablePanel`."""
        return self._reader.version

    def whole(self) -> Update:
        """See `TablePanel`."""
        frame, _ = self.rows(0, KEPT)
        columns = [Column(name, kind) for name, kind in self.columns.items()]
        update = self._add(frame, 0)
        body = {"columns": [column._asdict() for column in columns], "empty": self.empty, "follow": True}
        return Update({**body, "tones": "type", **update.body}, update.buffers)

    def parts(self) -> Update | None:
        """See `TablePanel`."""
        frame, skipped = self.rows(self._from, BURST)
        return self._add(frame, skipped) if len(frame) else None

    def detail(self, key: str) -> tuple[str, Any]:
        """Return the payload of a row."""
        if key.startswith("gap"):
            return key, "Messages are missing here. session.gaps() lists every range that is missing, and why."
        if not key.isdigit():
            return key, "These rows came faster than a log can show. session.events() has all of them."
        return f"row {key}", self._reader.payload(int(key))

    def _add(self, frame: pd.DataFrame, skipped: int) -> Update:
        if len(frame):
            self._from = int(frame.index[-1]) + 1
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
        return Update({"add": pack_rows(columns, keys, values, packer), "keep": KEPT}, [packer.buffer()])

    def _cells(self, frame: pd.DataFrame, name: str, kind: Kind) -> Values:
        if name not in frame:
            return np.full(len(frame), np.nan) if kind in ("number", "time") else np.full(len(frame), None, object)
        return column_of(frame[name], None if kind in ("number", "time") else kind)[1]

    def _skip(self, values: Values, name: str, kind: Kind, skipped: int) -> Values:
        if kind in ("number", "time"):
            return np.concatenate(([np.nan], values))
        text = {
            "type": "left out",
            "message": f"{counted(skipped, 'row')} came too fast to be shown here; none is lost",
        }
        first = np.array([text.get(name)], dtype=object)
        return np.concatenate((first, values))
