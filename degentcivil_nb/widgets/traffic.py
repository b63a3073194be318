"""The traffic panel: the frames in both directions."""

from __future__ import annotations

from collections.abc import Sequence
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
    follows_cursor: ClassVar[bool] = False
    filters_all: ClassVar[bool] = False
    picks: ClassVar[str] = ""
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

    def own(self, start: int = 0, stop: int | None = None) -> Any:
        """See `LogPanel`: the numbers of the frames held."""
        held = self._traffic.frames().index.to_numpy()
        return held[(held >= start) & (True if stop is None else held < stop)]

    def frame(self, rows: Sequence[int]) -> pd.DataFrame:
        """See `LogPanel`."""
        frames = self._traffic.frames()
        return frames.loc[frames.index.isin(rows)]

    def _with_gaps(self, frame: pd.DataFrame, rows: Any) -> pd.DataFrame:
        return frame  # frames have no gaps

    def detail(self, key: str) -> tuple[str, Any]:
        """Return a whole frame; `KeyError` if it is no longer held."""
        if not key.isdigit():
            return key, "These frames came faster than a log can show. session.traffic.frames() has all that are held."
        row = self._traffic.frames().loc[int(key)]
        title, text = f"{row['direction']} {row['type']}, {row['bytes']:,} bytes", str(row["text"])
        try:
            return title, decode(Any, text)
        except WebSocketError:  # not JSON, or cut
            return title, text
