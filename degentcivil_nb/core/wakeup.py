"""A change notification that threads and coroutines can wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial


class Wakeup:
    """A counter of changes that threads and coroutines can wait for.

    To miss no change, read `version`, check whether a wait is necessary, and then wait for another version.
    """

    def __init__(self) -> None:
        self.version = 0
        self._condition = threading.Condition()
        self._listeners: set[Callable[[], None]] = set()

    def notify(self) -> None:
        """Count a change and wake all waiting threads and coroutines."""
        with self._condition:
            self.version += 1
            self._condition.notify_all()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def wait(self, version: int, seconds: float) -> None:
        """Block this thread until the version differs, or until `seconds` have passed."""
        with self._condition:
            # a longer wait than the platform knows is an OverflowError
            self._condition.wait_for(lambda: self.version != version, min(seconds, threading.TIMEOUT_MAX))

    async def wait_async(self, version: int, seconds: float) -> None:
        """Wait in a coroutine until the version differs, or until `seconds` have passed."""
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
    except RuntimeError:  # the loop was closed, and its coroutines with it
        return
