"""The event log: the newest events as they arrive, with the gaps between them."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from .growing_table import LogPanel
from .packing import Kind


class EventsPanel(LogPanel):
    """The last thousand events; it follows the newest until the user scrolls up."""

    title: ClassVar[str] = "events"
    empty: ClassVar[str] = "No events yet. They appear as the simulation publishes them; is it running?"
    columns: ClassVar[dict[str, Kind]] = {
        "time": "time",
        "tick": "number",
        "type": "text",
        "character_id": "text",
        "state": "state",
        "location": "text",
        "event_type": "text",
        "message": "text",
        "code": "text",
    }

    def rows(self, start: int, limit: int) -> tuple[pd.DataFrame, int]:
        """See `LogPanel`."""
        frame = self._reader.rows_since(start, limit)
        return frame, int(frame.index[0]) - start if len(frame) else 0
