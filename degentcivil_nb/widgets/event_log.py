"""The event log: the newest events as they arrive, with the gaps between them, or those around a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from ..analysis.run_events import described
from ..protocol.messages import MessageTypes
from .cells import cell_text, payloads_of, shorten
from .growing_table import LogPanel
from .interfaces import PanelReader
from .packing import Kind


class EventsPanel(LogPanel):
    """All events held, a thousand at a time; the table follows the newest until the user scrolls up."""

    title: ClassVar[str] = "events"
    reads_much: ClassVar[bool] = True
    empty: ClassVar[str] = "No events yet. They appear as the simulation publishes them; is it running?"
    columns: ClassVar[dict[str, Kind]] = {
        "time": "time",
        "tick": "number",
        "type": "text",
        "character_id": "text",
        "message": "text",
        "state": "state",
        "location": "text",
        "event_type": "text",
        "code": "text",
    }
    labels: ClassVar[dict[str, str]] = {"message": "summary"}

    def frame(self, rows: Sequence[int]) -> pd.DataFrame:
        """See `LogPanel`: each event with what it says in words."""
        return with_summaries(self._reader, self._reader.frame_of(rows))


def with_summaries(reader: PanelReader, frame: pd.DataFrame) -> pd.DataFrame:
    """Put what each event says in words into the column `message`."""
    whos = frame["character_id"].astype(object).where(frame["character_id"].notna(), None).tolist()
    kinds, payloads = frame["type"].astype(object).tolist(), payloads_of(reader, frame.index.tolist())
    told = [summary(str(kind), who, held) for kind, who, held in zip(kinds, whos, payloads, strict=True)]
    return frame.assign(message=pd.Series(told, index=frame.index, dtype=object))


def summary(type: str, who: str | None, payload: Any) -> str:
    """Say what an event is; its character and its type, which have columns of their own, are left out."""
    if type == MessageTypes.CHARACTER_UPDATE and isinstance(payload, dict):
        told = {name: cell_text(value) for name, value in payload.items() if name not in ("character_id", "timestamp")}
        return shorten(", ".join(f"{name} {text}" for name, text in told.items() if text is not None))
    text = described(type, who, payload)
    start = f"{who or 'somebody'} " if not text.startswith(f"{who}: ") else f"{who}: "
    return shorten(text.removeprefix(start).removeprefix(f"{type}: "))
