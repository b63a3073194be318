"""Commands that need no checkpoint: they run at once, on one worker thread of the probe."""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Final

from .request import Request

log = logging.getLogger("degentcivil_nb.simulation")

JOIN_S: Final = 1.0
"""How long closing waits for a running command; its daemon thread is left behind after that."""


class AnytimeWorker:
    """The thread for commands offered with `anytime=True`; it starts with the first of them.

    Their author guarantees that they may race the model. `inside` is set there, so that a checkpoint does nothing.
    What a handler publishes is marked as an intervention within `marking()`.
    """

    def __init__(self, inside: ContextVar[bool], marking: Callable[[], AbstractContextManager[None]]) -> None:
        self._inside = inside
        self._marking = marking
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, request: Request) -> None:
        """Queue a request."""
        self._requests.put(request)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="degentcivil-anytime", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop the thread after the queued requests, which the caller has to claim and refuse."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._requests.put(None)
            if thread is not threading.current_thread():
                thread.join(JOIN_S)

    def _run(self) -> None:
        self._inside.set(True)
        while (request := self._requests.get()) is not None:
            if not request.claim():
                continue
            try:
                with self._marking():
                    if inspect.iscoroutinefunction(request.command.function):
                        asyncio.run(request.run_async())
                    else:
                        request.run()
            except BaseException:  # the thread's last resort: an interrupt in a handler was answered as its failure
                log.exception("%s was ended by an interrupt", request.command.name)
