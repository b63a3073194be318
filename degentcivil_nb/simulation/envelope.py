"""The envelope of everything published now: the tick, the model's own time, and the command that changes the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from ..protocol.messages import Links
from .model_clock import ModelClock

INSIDE: Final[ContextVar[bool]] = ContextVar("degentcivil_inside_checkpoint", default=False)
"""Whether this thread, or this task, is inside a command's handler."""


class Envelope:
    """The tick and the links of what is published now."""

    def __init__(self) -> None:
        self.tick = 0
        """The tick of events published now: after a checkpoint, the following one."""
        self.links: Links | None = None
        """The links of everything published now: the model's own clock, and the command whose handler is running."""
        self._links_lock = threading.Lock()
        self._handlers = 0
        self.misused: Callable[[str, str], None] = _say_nothing
        """Told the kind of a wrong use, and what is wrong, each time."""
        self.after_end: Callable[[], None] = _say_nothing
        """Called at each checkpoint after the end."""
        self._model_clock = ModelClock(lambda kind, text: self.misused(kind, text))  # noqa: PLW0108 — set later

    def handles_command(self) -> bool:
        """Return whether this thread, or this task, is inside a command's handler."""
        return INSIDE.get()

    def _read(self, tick: Any, reached: int | None) -> int:
        """Take the tick of a checkpoint, or the model's own time; return the counted tick."""
        number = self._model_clock.read(tick, reached)
        sim_time = self._model_clock.time
        # without a model's time the handlers set the links, and without handlers there are none
        if sim_time is not None:
            with self._links_lock:
                self._mark(sim_time)
        return number

    @contextmanager
    def _marking(self) -> Iterator[None]:
        """Mark everything published inside as an intervention, here and on the thread of `anytime` commands."""
        self._count_handlers(1)
        try:
            yield
        finally:
            self._count_handlers(-1)

    def _count_handlers(self, change: int) -> None:
        with self._links_lock:
            self._handlers += change
            self._mark(self._model_clock.time)

    def _mark(self, sim_time: float | None) -> None:
        if self._handlers:
            self.links = Links(sim_time, intervention={})
        else:
            self.links = None if sim_time is None else Links(sim_time)


def _say_nothing(*said: str) -> None:
    """Do nothing, since there is no handler."""
