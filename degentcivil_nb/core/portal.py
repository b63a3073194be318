"""A thread with its own event loop, and calls into it from code without one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

START_TIMEOUT_S: Final = 10.0
"""How long a new thread may take to start its loop, even on a loaded machine."""
CLOSE_TIMEOUT_S: Final = 10.0
"""How long running coroutines may take to end before the thread is left behind."""

_logger = logging.getLogger("degentcivil_nb.core")
_T = TypeVar("_T")


class Portal:
    """A daemon thread that runs coroutines for callers on any other thread.

    The thread and each coroutine start in an empty `contextvars.Context`, so that nothing they print or log is tied to
    the notebook cell that made the call. In a forked child a portal is closed, since its thread stayed in the parent.
    """

    def __init__(self, name: str = "degentcivil-portal") -> None:
        self._name = name
        self._pid = os.getpid()
        self._lock = threading.Lock()  # orders the last submit before the close
        self._closing = False
        started: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=contextvars.Context().run, args=(self._run, started), name=name, daemon=True
        )
        self._thread.start()
        self._loop = started.result(START_TIMEOUT_S)

    def _run(self, started: concurrent.futures.Future[asyncio.AbstractEventLoop]) -> None:
        try:
            asyncio.run(self._run_until_closed(started))
        except BaseException as error:  # the thread's last resort: raised in the constructor, or logged
            if started.done():
                _logger.error("the loop of %s ended with an error", self._name, exc_info=error)
            else:
                started.set_exception(error)

    async def _run_until_closed(self, started: concurrent.futures.Future[asyncio.AbstractEventLoop]) -> None:
        self._stop = asyncio.Event()
        started.set_result(asyncio.get_running_loop())
        await self._stop.wait()  # then `asyncio.run` cancels every task and waits for it

    @property
    def closed(self) -> bool:
        """Whether the portal accepts no more calls; always true in a forked child."""
        return self._closing or self._pid != os.getpid()

    @property
    def thread(self) -> threading.Thread:
        """The thread that runs the loop."""
        return self._thread

    def submit(self, function: Callable[..., Coroutine[Any, Any, _T]], *args: Any) -> concurrent.futures.Future[_T]:
        """Start `function(*args)` on the loop, from any thread, and return at once; `RuntimeError` when closed."""
        if self._pid != os.getpid():
            raise RuntimeError("this process was forked and the connection stayed with its parent: connect again here")
        with self._lock:
            if self._closing:
                raise RuntimeError("the connection was closed: connect again")
            # the loop's callbacks inherit the context that schedules them
            return contextvars.Context().run(asyncio.run_coroutine_threadsafe, function(*args), self._loop)

    def call(self, function: Callable[..., Coroutine[Any, Any, _T]], *args: Any, timeout: float | None = None) -> _T:
        """Run `function(*args)` on the loop, wait for its end, and return its result or raise its error.

        Raises `TimeoutError` after `timeout` seconds and `RuntimeError` when the portal is closed, or when called on
        the portal's own thread, which would deadlock. When the wait ends early, the coroutine is cancelled.
        """
        self._refuse_own_thread("call() would wait for its own thread; await the coroutine, or use submit()")
        future = self.submit(function, *args)
        try:
            return future.result(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        except concurrent.futures.CancelledError:
            raise RuntimeError("the connection was closed while this call waited") from None
        except TimeoutError:
            if future.done() and not future.cancelled():
                raise  # the coroutine's own
            raise TimeoutError(f"no answer within {timeout:g} s") from None
        finally:
            future.cancel()

    def close(self, timeout: float = CLOSE_TIMEOUT_S) -> None:
        """Cancel running coroutines, stop the loop and join the thread; a second call, or one in a forked child, does
        nothing.
        """
        if self._pid != os.getpid():
            return
        self._refuse_own_thread("close() would wait for its own thread; call it from another one")
        with self._lock:
            if not self._closing:
                self._closing = True
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout)
        if self._thread.is_alive():
            _logger.warning("%s did not end within %g s; it is left behind as a daemon", self._name, timeout)

    def _refuse_own_thread(self, advice: str) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError(advice)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
