"""One thing to wait for, on a thread or in a coroutine, woken from anywhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial


class Wakeup:
    """Wake all who wait whenever something changed.

    Whoever waits first reads `version`, then looks whether it has to wait, and waits for another version: so no
    change in between is missed.
    """

    def __init__(self) -> None:
        self.version = 0
        self._condition = threading.Condition()
        self._listeners: set[Callable[[], None]] = set()

    def notify(self) -> None:
        """Say that something changed."""
        with self._condition:
            self.version += 1
            self._condition.notify_all()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def wait(self, version: int, seconds: float) -> None:
        """Block this thread until there is another version, or `seconds` have passed."""
        with self._condition:
            self._condition.wait_for(lambda: self.version != version, seconds)

    async def wait_async(self, version: int, seconds: float) -> None:
        """Wait in a coroutine for the same."""
        changed = asyncio.Event()
        listener = partial(_call_on, asyncio.get_running_loop(), changed.set)
        with self._condition:
            if self.version != version:
                return
            self._listeners.add(listener)
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
        except TimeoutError:
            return
        finally:
            with self._condition:
                self._listeners.discard(listener)


def _call_on(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:  # the loop was closed, and whoever waited on it is gone
        return
