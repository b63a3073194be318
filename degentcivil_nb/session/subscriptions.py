"""Callbacks: a thread of the session follows the store and calls the user's functions in order."""

from __future__ import annotations

import contextvars
import inspect
import logging
import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..store.event_store import EventStore

logger = logging.getLogger("degentcivil_nb.session")

Callback = Callable[[dict[str, Any]], object]
CHUNK_ROWS = 256
CLOSING_POLL_S = 0.2


class Subscription:
    """A callback's handle, as `Session.on` gives it.

    Attributes
    ----------
    dropped : int
        Events that the callback missed: they left the store, or it fell more than 10,000 events behind.
    errors : int
        Exceptions that the callback raised. The first one is logged.
    last_error : BaseException or None
        The newest of them.
    """

    def __init__(
        self, types: Collection[str] | None, callback: Callback, remove: Callable[[Subscription], None]
    ) -> None:
        self._types = types
        self._callback = callback
        self._remove = remove
        self.dropped = 0
        """Events that were evicted, or exceeded the allowance, before the callback could receive them."""
        self.errors = 0
        """Exceptions that the callback raised."""
        self.last_error: BaseException | None = None

    def remove(self) -> None:
        """Stop the callbacks; a call that is running is the last one.

        Examples
        --------
        >>> handle = session.on("error", print)
        >>> handle.remove()
        >>> handle
        <Subscription to error: 0 dropped, 0 errors>
        """
        self._remove(self)

    def miss(self, events: int) -> None:
        """Count events that the callback misses, and log the first of them."""
        if not self.dropped:
            logger.warning(
                "a callback on %s is too slow: it misses %d events; the handle's `dropped` counts all that it misses",
                self._words,
                events,
            )
        self.dropped += events

    def wants(self, event: dict[str, Any]) -> bool:
        """Return whether the callback subscribed to this event's type."""
        return self._types is None or event["type"] in self._types

    def call(self, event: dict[str, Any]) -> None:
        """Run the callback; an exception is counted and logged, and stops nothing."""
        try:
            self._callback(event)
        except Exception as error:
            if not self.errors:  # logged before it is counted, so that the count implies the record
                logger.exception("a callback on %s raised; later exceptions of it are only counted", self._words)
            self.last_error = error
            self.errors += 1

    @property
    def _words(self) -> str:
        return "*" if self._types is None else ", ".join(self._types)

    def __repr__(self) -> str:
        return f"<Subscription to {self._words}: {self.dropped} dropped, {self.errors} errors>"


def _require_one_argument(callback: Callback) -> None:
    """Raise `TypeError` for a function that cannot be called with an event alone."""
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):
        return  # a function written in C need not say what it takes
    try:
        signature.bind({})
    except TypeError as error:
        raise TypeError(
            f"a callback takes an event as its one argument, and {callback!r:.80} does not: {error}"
        ) from None


class Subscriptions:
    """The subscriptions to a store, called in order on one daemon thread, which starts with the first of them.

    The store is never delayed: a callback that falls more than `allowance` events behind loses the oldest, and its
    handle counts them.
    """

    def __init__(self, store: EventStore, *, allowance: int = 10_000) -> None:
        self._store = store
        self._allowance = allowance
        self._lock = threading.Lock()
        self._subscribers: tuple[Subscription, ...] = ()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def add(self, types: Collection[str] | None, callback: Callback) -> Subscription:
        """Call `callback` with each event of these types (`None`: all) from now on, as a dict."""
        if not callable(callback):
            raise TypeError(f"a callback is a function that takes an event, not {callback!r:.80}")
        _require_one_argument(callback)
        subscription = Subscription(types, callback, self._discard)
        with self._lock:
            if self._closing.is_set():
                raise RuntimeError("the session is closed and receives no more events; connect again")
            self._subscribers = (*self._subscribers, subscription)
            if self._thread is None:
                context = contextvars.Context()  # output must not be tied to the cell that subscribed
                start = self._store.next_row
                self._thread = threading.Thread(
                    target=context.run, args=(self._follow, start), name="degentcivil-callbacks", daemon=True
                )
                self._thread.start()
        return subscription

    def close(self, timeout: float = 2.0) -> None:
        """End the thread; a callback that does not return within `timeout` seconds is left behind, with a warning."""
        self._closing.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            if thread.is_alive():
                logger.warning("a callback did not return within %.0f s of closing; its thread is left behind", timeout)

    def _discard(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscribers = tuple(s for s in self._subscribers if s is not subscription)

    def _due(self, row: int) -> bool:
        return self._store.next_row > row or self._closing.is_set()

    def _follow(self, row: int) -> None:
        while not self._closing.is_set():
            try:
                row = self._call_next(row)
            except Exception:  # the last resort: the one thread of all callbacks must outlive a bug
                logger.exception("the events from row %d on could not be read for callbacks, which miss them", row)
                end = self._store.next_row
                for subscription in self._subscribers:
                    subscription.dropped += end - row
                row = end
                self._closing.wait(CLOSING_POLL_S)

    def _call_next(self, row: int) -> int:
        """Call back with the events from `row` on, and return the next row."""
        self._store.wait(partial(self._due, row), timeout=CLOSING_POLL_S)
        end = self._store.next_row
        oldest = max(self._store.first_row, end - self._allowance)
        if row < oldest:
            for subscription in self._subscribers:
                subscription.miss(oldest - row)
            row = oldest
        stop = min(end, row + CHUNK_ROWS)
        for event in self._store.event_dicts(row, stop):
            for subscription in self._subscribers:
                if subscription.wants(event):
                    subscription.call(event)
        return stop
