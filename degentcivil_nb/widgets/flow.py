"""Flow control of one panel: its clients, what each has drawn, and whether the next update may be sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

OVERDUE_S: Final = 0.5
"""After this many seconds without an acknowledgement, the page is gone or the kernel is busy."""


@dataclass
class Flow:
    """Counts of updates and acknowledgements; pure, with the clock passed in.

    A client is one page that shows the panel. The next update is sent when every client has drawn the last one, so that
    a slow page gets fewer updates, each with the newest state.
    """

    number: int = 0
    wants_full: bool = True
    sent_at: float = 0.0
    due: float = 0.0
    """When the panel is drawn next at the earliest: later if drawing takes long."""
    drawn: dict[str, int] = field(default_factory=dict)

    @property
    def watched(self) -> bool:
        """Return whether any page shows the panel."""
        return bool(self.drawn)

    def show(self, client: str) -> None:
        """Record that a page shows the panel and needs all of it."""
        self.drawn[client] = self.number
        self.wants_full = True

    def hide(self, client: str) -> None:
        """Record that a page no longer shows the panel."""
        self.drawn.pop(client, None)

    def acknowledge(self, client: str, number: int) -> None:
        """Record that a page has drawn an update; a page that was dropped is added again, with a full update."""
        self.drawn[client] = min(number, self.number)

    def ask_full(self, client: str) -> None:
        """Record that a page missed an update."""
        self.show(client)

    def ready(self) -> bool:
        """Return whether all pages have drawn the last update."""
        return self.watched and all(number >= self.number for number in self.drawn.values())

    def overdue(self, now: float) -> bool:
        """Return whether an acknowledgement is late."""
        return self.watched and not self.ready() and now - self.sent_at >= OVERDUE_S

    def give_up_late(self) -> None:
        """Drop the pages whose acknowledgement is late."""
        self.drawn = {client: number for client, number in self.drawn.items() if number >= self.number}

    def sent(self, now: float) -> int:
        """Count an update that is about to be sent and return its number."""
        self.number += 1
        self.sent_at = now
        self.wants_full = False
        return self.number
