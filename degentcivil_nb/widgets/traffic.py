"""The traffic panel: the frames in both directions."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from .growing_table import LogPanel
from .interfaces import PanelReader, PanelTraffic
from .packing import Kind
from .refresh import Refresher


class TrafficPanel(LogPanel):
    """The last thousand frames in both directions, without tokens; it follows the newest."""

    title: ClassVar[str] = "traffic"
    empty: ClassVar[str] = "No frames yet. They appear while session.traffic.enabled is True."
    columns: ClassVar[dict[str, Kind]] = {
        "time": "time",
        "direction": "state",
        "peer": "text",
        "type": "text",
        "bytes": "number",
        "text": "text",
    }

    def __init__(self, traffic: PanelTraffic, reader: PanelReader, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(reader, refresher, **kwargs)
        self._traffic = traffic

    def content_version(self) -> Any:
        """See `TablePanel`."""
        return self._traffic.statistics().recorded

    def rows(self, start: int, limit: int) -> tuple[pd.DataFrame, int]:
        """See `LogPanel`."""
        frame = self._traffic.frames(last=limit)
        frame = frame.loc[frame.index >= start]
        skipped = int(frame.index[0]) - max(start, 1) if len(frame) else 0
        return frame, skipped

    def detail(self, key: str) -> tuple[str, Any]:
        """Return a whole frame; `KeyError` if it is no longer held."""
        if not key.isdigit():
            return key, "These frames came faster than a log can show. session.traffic.frames() has what is held."
        row = self._traffic.frames().loc[int(key)]
        title, text = f"{row['direction']} {row['type']}, {row['bytes']:,} bytes", str(row["text"])
        try:
            return title, decode(Any, text)
        except WebSocketError:  # not JSON, or cut
            return title, text
