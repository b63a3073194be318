"""The thread that calls checkpoints: it must not wait for a checkpoint itself, and may have ended."""

from __future__ import annotations

import asyncio
import threading


class Owner:
    """The thread, or the event loop, that calls the checkpoint; unknown if several do."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._several = False

    def arrive(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Record that this thread called the checkpoint, in a coroutine of `loop` if it is given."""
        thread = threading.current_thread()
        if thread is self._thread and loop is self._loop:
            return
        # cells of a notebook, with and without `await`, are one thread, and so are several `asyncio.run`
        self._several = self._several or self._thread not in (None, thread)
        self._thread, self._loop = thread, loop

    @property
    def is_here(self) -> bool:
        """Return whether the calling thread is the one that calls checkpoints."""
        return not self._several and self._thread is threading.current_thread()

    @property
    def has_ended(self) -> bool:
        """Return whether no thread can call the checkpoint any more, as far as is known."""
        if self._thread is None or self._several:
            return False
        return not self._thread.is_alive() or (self._loop is not None and self._loop.is_closed())

    def __str__(self) -> str:
        name = "" if self._thread is None else f" {self._thread.name!r}"
        return f"the event loop of the thread{name}" if self._loop is not None else f"the thread{name}"
