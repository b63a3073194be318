"""The table of errors, of the simulation and of the wire."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from ..protocol.errors import CODE_NAMES
from .growing_table import LogPanel
from .packing import Kind


class ErrorsTable(LogPanel):
    """The last thousand errors with the names of their codes."""

    title: ClassVar[str] = "errors"
    empty: ClassVar[str] = (
        "No errors. What the simulation reports, and every message that could not be read, comes here."
    )
    columns: ClassVar[dict[str, Kind]] = {
        "time": "time",
        "tick": "number",
        "code": "text",
        "name": "text",
        "character_id": "text",
        "message": "text",
    }

    def rows(self, start: int, limit: int) -> tuple[pd.DataFrame, int]:
        """See `LogPanel`."""
        frame = self._reader.errors()
        frame = frame.loc[frame.index >= start]
        shown = frame.tail(limit)
        names = [CODE_NAMES.get(code) for code in shown["code"].tolist()]
        return shown.assign(name=pd.Series(names, index=shown.index, dtype=object)), len(frame) - len(shown)
