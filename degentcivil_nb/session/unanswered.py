"""A bare text frame that was sent to a server without commands, as long as nothing follows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ..core.escaping import visible

logger = logging.getLogger("degentcivil_nb.session")

PATIENCE_S: Final = 15.0
"""After this many seconds without a message the session says so; a town's first call of a model takes seconds."""
_START: Final = "start"


class Unanswered:
    """The last bare text frame of a session, as long as no event has followed it.

    `events` returns how many events the store has held so far, `note` writes a line into the connection's journal.
    """

    def __init__(self, events: Callable[[], int], note: Callable[[str], None], patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        self._events = events
        self._note = note
        self._frame: str | None = None
        self._due = False
        self._before = 0

    def sent(self, frame: str) -> None:
        """Begin to wait for a message after a frame; called on the loop of the connection."""
        self._frame, self._before, self._due = frame, self._events(), False
        asyncio.get_running_loop().call_later(self.patience_s, self._look, frame)

    def sentence(self) -> str | None:
        """Return a sentence on what to check, once nothing has followed for a while; `None` otherwise."""
        if self._frame is None or not self._due or self._events() > self._before:
            return None
        shown = visible(self._frame[:40])
        if self._frame != _START:
            return f"nothing has followed {shown!r} for {self.patience_s:.0f} s"
        return (
            f"nothing has followed {shown!r} for {self.patience_s:.0f} s: as published, DegentCivil's server fails to "
            "start and says nothing, and a second 'start' does nothing; its terminal has the error, and "
            "docs/how-to/degentcivil.md says what to do"
        )

    def _look(self, frame: str) -> None:
        if frame is not self._frame:
            return
        self._due = True
        said = self.sentence()
        if said is not None:
            self._note(said)
            logger.warning("%s", said)
