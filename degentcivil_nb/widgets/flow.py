"""Flow control of one panel: who watches it, what each has drawn, and whether the next update may go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

OVERDUE_S: Final = 0.5
"""An acknowledgement that takes longer means that the page is gone or that the kernel cannot hear it."""


@dataclass
class Flow:
    """Count updates out and acknowledgements in; pure, the clock handed in.

    A client is one page that has the panel on view. The next update goes when every client has drawn the last one,
    so that a slow page gets fewer updates and each with the newest state.
    """

    number: int = 0
    wants_full: bool = True
    sent_at: float = 0.0
    due: float = 0.0
    """When the panel may be looked at again: later for one that takes long."""
    drawn: dict[str, int] = field(default_factory=dict)

    @property
    def watched(self) -> bool:
        """Say whether anybody looks."""
        return bool(self.drawn)

    def show(self, client: str) -> None:
        """Note that a page shows the panel, and needs all of it."""
        self.drawn[client] = self.number
        self.wants_full = True

    def hide(self, client: str) -> None:
        """Note that a page shows it no longer."""
        self.drawn.pop(client, None)

    def acknowledge(self, client: str, number: int) -> None:
        """Note that a page has drawn an update; one that had been given up is back, and whole."""
        self.drawn[client] = min(number, self.number)

    def ask_full(self, client: str) -> None:
        """Note that a page saw a hole between two updates."""
        self.show(client)

    def ready(self) -> bool:
        """Say whether everybody who watches has drawn the last update."""
        return self.watched and all(number >= self.number for number in self.drawn.values())

    def overdue(self, now: float) -> bool:
        """Say whether an acknowledgement is late."""
        return self.watched and not self.ready() and now - self.sent_at >= OVERDUE_S

    def give_up_late(self) -> None:
        """Take those who have not acknowledged for gone."""
        self.drawn = {client: number for client, number in self.drawn.items() if number >= self.number}

    def sent(self, now: float) -> int:
        """Count an update that is about to go and give its number."""
        self.number += 1
        self.sent_at = now
        self.wants_full = False
        return self.number
