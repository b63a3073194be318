"""The table of errors, of the simulation and of the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pandas as pd

from ..protocol.messages import MessageTypes
from ..store.error_names import error_names
from .growing_table import LogPanel
from .packing import Kind


class ErrorsTable(LogPanel):
    """A thousand errors at a time of all that are held, with the names of their codes."""

    title: ClassVar[str] = "errors"
    reads_much: ClassVar[bool] = True
    kinds: ClassVar[Sequence[str] | None] = (MessageTypes.ERROR,)
    empty: ClassVar[str] = (
        "No errors. Errors that the simulation reports, and messages that could not be read, appear here."
    )
    columns: ClassVar[dict[str, Kind]] = {
        "time": "time",
        "tick": "number",
        "code": "text",
        "name": "text",
        "character_id": "text",
        "message": "text",
    }

    def frame(self, rows: Sequence[int]) -> pd.DataFrame:
        """See `LogPanel`."""
        frame = self._reader.frame_of(rows)
        return frame.assign(name=pd.Series(error_names(self._reader, frame), index=frame.index, dtype=object))
