"""The event log: the newest events as they arrive, with the gaps between them, or those around a moment."""

from __future__ import annotations

from typing import ClassVar

from .growing_table import LogPanel
from .packing import Kind


class EventsPanel(LogPanel):
    """A thousand events at a time of all that are held; it follows the newest until the user scrolls up."""

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
