"""The thread that draws all live panels of a session, five times a second at most, and processes their input."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Final, Protocol

from .flow import Flow
from .interfaces import Standing

logger = logging.getLogger("degentcivil_nb.widgets")

RATE_HZ: Final = 5.0
BYTES_PER_S: Final = 200_000
SHARE: Final = 0.2
"""The largest part of the time that one panel may take; slow panels are drawn less often."""
BLOCKED_PERIOD_S: Final = 0.5
READING_S: Final = 0.3
"""A drawing that takes longer says so: at first after this time, then each second."""


class View(Protocol):
    """A panel as the refresher sees it; every method is called on the refresher's thread and does not raise."""

    flow: Flow

    def refresh(self, now: float) -> int:
        """Send one update if there is something new, and return its bytes (0: nothing new)."""

    def beat(self, now: float) -> None:
        """Send the pages a sign of life and the standing, unless an update did so lately."""

    def say_reading(self, now: float) -> None:
        """Tell the pages that the next update takes long; from another thread, while `refresh` runs."""


class MainThread:
    """A check whether the thread that runs the cells is busy."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, *, wait_s: float = 0.1) -> None:
        self._loop = loop
        self._wait_s = wait_s

    def blocked(self) -> bool:
        """Return whether the thread's event loop does not answer for a moment; without a loop the thread counts as
        free.
        """
        if self._loop is None:
            return False
        answered = threading.Event()
        try:
            self._loop.call_soon_threadsafe(answered.set)
        except RuntimeError:  # the loop is closed: the kernel is shutting down
            return False
        return not answered.wait(self._wait_s)


class Budget:
    """The bytes that all views of a session may send, with a debt of one second at most."""

    def __init__(self, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self._left = float(bytes_per_s)
        self._filled: float | None = None
        self._lock = threading.Lock()

    def open(self, now: float) -> bool:
        """Return whether a view may send."""
        with self._lock:
            since = 0.0 if self._filled is None else max(0.0, now - self._filled)
            self._filled = now if self._filled is None else max(now, self._filled)
            self._left = min(self.bytes_per_s, self._left + since * self.bytes_per_s)
            return self._left > 0

    def spend(self, size: int) -> None:
        """Count what was sent: a page's first update must not delay all others."""
        with self._lock:
            self._left = max(-self.bytes_per_s, self._left - size)


class Refresher:
    """The scheduler of the visible panels of one session, within a budget of updates and bytes.

    The thread starts when the first view is shown and ends when the last one is closed. It starts in an empty context,
    so that its messages belong to no cell. `standing` returns why the data shown is no longer current, if so. `spent`
    returns the seconds that the process has worked: a laptop that sleeps during a drawing does not make it dear.
    """

    def __init__(
        self,
        rate_hz: float = RATE_HZ,
        *,
        bytes_per_s: float = BYTES_PER_S,
        main: MainThread | None = None,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.process_time,
        standing: Callable[[], Standing | None] = lambda: None,
        about: str = "",
        budget: Budget | None = None,
    ) -> None:
        self.standing = standing
        self.about = about
        """The run that the views show, in a few words."""
        self._period = 1 / rate_hz
        self._rate_hz = rate_hz
        self._alone = budget is not None
        self._name = "degentcivil-reading" if self._alone else "degentcivil-views"
        self._budget = budget or Budget(bytes_per_s)
        self._main = main or MainThread(_running_loop())
        self._clock = clock
        self._spent = spent
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._views: list[View] = []
        # guards the thread's start and end, and the list of views; a widget that is collected as garbage meanwhile
        # closes itself on the thread that holds the lock
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._ticked = 0.0
        self._probed = (0.0, False)
        self._own: weakref.WeakSet[Refresher] = weakref.WeakSet()  # those of views with threads of their own

    # --- called from any thread ---------------------------------------------------------------------------------

    def own(self, rate_hz: float | None = None) -> Refresher:
        """Return a refresher with a thread of its own, for a view that reads much: no other view waits for it."""
        made = type(self)(
            min(rate_hz or self._rate_hz, self._rate_hz), main=self._main, clock=self._clock, spent=self._spent,
            standing=self.standing, about=self.about, budget=self._budget,
        )  # fmt: skip
        with self._lock:
            made._closed = self._closed
            self._own.add(made)
        return made

    def _all(self) -> list[Refresher]:
        with self._lock:
            return [self, *self._own]

    def add(self, view: View) -> None:
        """Draw a view from now on, whenever a page shows it."""
        with self._lock:
            self._views.append(view)

    def remove(self, view: View) -> None:
        """Stop drawing a view; the last one ends the thread."""
        with self._lock:
            if view in self._views:
                self._views.remove(view)
        self._inbox.put(None)

    def post(self, work: Callable[[], None]) -> None:
        """Run a short function on the refresher's thread, soon; it must not block."""
        with self._lock:
            if not self._views:
                return
            self._inbox.put(work)
            if self._thread is None:
                run = contextvars.Context().run
                self._thread = threading.Thread(target=run, args=(self._run,), name=self._name, daemon=True)
                self._thread.start()

    def poke(self) -> None:
        """Draw every visible view at once, from any thread, since a user has moved the cursor and waits."""
        for each in self._all():
            each.post(each._draw_now)

    def redraw(self) -> None:
        """Draw every visible view again, from any thread, since its data was read again."""
        for each in self._all():
            with each._lock:
                views = list(each._views)
            for view in views:
                view.flow.wants_full = True
        self.poke()

    def close(self) -> None:
        """Draw the last state of the visible views, stop, and return when the thread has ended. Idempotent.

        A page that requests an update later, because the user opens another tab, still gets one.
        """
        threads = []
        for each in self._all():
            with each._lock:
                each._closed = True
                each._inbox.put(None)
                threads.append(each._thread)
        until = time.monotonic() + 5
        for thread in threads:
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def now(self) -> float:
        """Return the time by which views are refreshed, in seconds."""
        return self._clock()

    @property
    def running(self) -> bool:
        """Return whether any thread is running."""
        return any(each._thread is not None for each in self._all())

    # --- the refresher's own thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._views or (self._closed and self._inbox.empty()):
                    self._thread = None
                    return
                views = sorted(
                    self._views, key=lambda view: view.flow.sent_at
                )  # the view that waited longest comes first
            watched = not self._closed and any(view.flow.watched for view in views)
            due = self._ticked + self._period - self._clock()
            try:
                work = self._inbox.get(timeout=max(0.0, due) if watched else None)
            except queue.Empty:
                pass
            else:
                if work is not None:
                    self._do(work)
                elif self._closed:
                    self._draw_last(views)
                continue  # views may have been closed or shown meanwhile
            try:
                self.tick(views, self._clock())
            except Exception:  # the last resort: a bug must not stop every panel
                logger.exception("a turn of the views failed")

    def _draw_now(self) -> None:
        with self._lock:
            views = list(self._views)
        for view in views:
            view.flow.due = 0.0
            self._do(partial(view.beat, self._clock()), "say where the cursor is")
            if view.flow.ready():
                self._refresh(view, self._clock())

    def _draw_last(self, views: list[View]) -> None:
        """Draw the final state of the visible views."""
        for view in views:
            if view.flow.watched:
                view.flow.wants_full = True  # also of a view that is not drawn again so soon
                self._refresh(view, self._clock())
                self._do(partial(view.beat, self._clock()), "say how it stands")

    def _refresh(self, view: View, now: float) -> int:
        try:
            with saying(view, self._clock) if self._alone else nullcontext():
                return view.refresh(now)
        except Exception:  # the one thread of all views must outlive each of them
            logger.exception("a view could not be brought up to date")
            return 0

    def _do(self, work: Callable[[], None], what: str = "handle its input") -> None:
        try:
            work()
        except Exception:  # the one thread of all views must outlive each of them
            logger.exception("a view failed to %s", what)

    def tick(self, views: list[View], now: float) -> None:
        """Refresh each visible view in turn."""
        self._ticked = now
        for view in views:
            self._do(partial(view.beat, now), "say how it stands")
        for view in views:
            if not self._budget.open(now):
                return
            if now < view.flow.due or not self._may_send(view.flow, now):
                continue
            began, before = self._clock(), self._spent()
            sent = self._refresh(view, now)
            cost = min(self._clock() - began, self._spent() - before)
            view.flow.due = now + max(0.9 * self._period, cost / SHARE)
            self._budget.spend(sent)

    def _may_send(self, flow: Flow, now: float) -> bool:
        if flow.ready():
            return True
        if not flow.overdue(now):
            return False
        if self._main_is_blocked(now):  # acknowledgements may wait behind the cell: continue slowly
            return now - flow.sent_at >= BLOCKED_PERIOD_S
        flow.give_up_late()
        return flow.ready()

    def _main_is_blocked(self, now: float) -> bool:
        asked, blocked = self._probed
        if now - asked >= BLOCKED_PERIOD_S / 2:
            blocked = self._main.blocked()
            self._probed = (now, blocked)
        return blocked


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop of the kernel's main thread, which runs even during a cell."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@contextmanager
def saying(view: View, clock: Callable[[], float]) -> Iterator[None]:
    """Tell the pages of a view that it is read for, if the block takes long."""
    done = threading.Event()

    def say() -> None:
        while True:
            try:
                view.say_reading(clock())
            except Exception:  # as in the thread that reads
                logger.exception("a view failed to say that it is read for")
            if done.wait(1.0):
                return

    waiter = threading.Timer(READING_S, contextvars.Context().run, args=(say,))
    waiter.daemon = True
    waiter.start()
    try:
        yield
    finally:
        waiter.cancel()
        done.set()
