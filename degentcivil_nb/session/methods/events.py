"""Following a live run: its numbers, and events as they arrive."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from ...analysis.unknown_names import warn_unknown_keys, warn_unknown_names
from ...core.interrupts import interrupt_says
from ...store.arguments import LongTime, Moment, Names, names_of
from ...store.event_store import EventStore
from ..status import SessionStatus
from ..subscriptions import Callback, Subscription, Subscriptions
from ..wait_for import wait_for


class EventMethods:
    """The methods of a session that follow the events, and forget old ones."""

    _store: EventStore
    _status: SessionStatus
    _subscriptions: Subscriptions
    _closed: bool

    def metrics(self) -> pd.Series:
        """Return the present numbers of the connection and the store.

        Returns
        -------
        pandas.Series
            One value for each name (object; NA if it is unknown): `connection`, `dialect`, `run_state`, `tick`,
            `epoch`, `head`, `circuit` and `recording` (``"writing"``, ``"failing"`` …) are states and positions; names
            that end in `_s` are seconds, such as `lag_s`, `latency_p95_s` and `checkpoint_age_s`; `memory_bytes`,
            `bytes_received` and `bytes_sent` are bytes; `messages_per_s` is a rate; the others are counts, such as
            `gaps`, `missing`, `errors`, `evicted`.

        Examples
        --------
        >>> session.metrics()[["connection", "dialect", "run_state", "gaps"]].to_list()
        ['live', 'v1', 'paused', 0]
        """
        return self._status.metrics()

    def wait_for(
        self, type: Names = None, *, where: str | None = None, after: int | None = None, timeout: LongTime = 30.0
    ) -> dict[str, Any]:
        """Wait for the next event that meets the conditions.

        Parameters
        ----------
        type : str or list-like of str, optional
            Only an event of these types.
        where : str, optional
            A condition as in `events`, such as ``"new_state == 'BARGAIN'"``. It can also use the attributes of
            characters.
        after : int, optional
            Return the first such event after this row, also one that has arrived already; ``-1`` begins with the
            oldest. Left out, only events that arrive from now on count.
        timeout : number, str or timedelta
            How long to wait: seconds, a timedelta, or a text such as ``"1min"``.

        Returns
        -------
        dict
            The columns of `events()`, and `row`, `payload` and `data`.

        Raises
        ------
        TimeoutError
            If no such event came in time.
        RuntimeError
            If the session is closed, so that no event will come.
        ValueError
            If a condition or a length of time cannot be understood.

        Warns
        -----
        UserWarning
            If a name was never seen; the wait begins all the same.

        Examples
        --------
        >>> event = session.wait_for("error", where="code == 2002", after=-1)
        >>> event["message"]
        'no answer to ACTREFLECTION in time'
        """
        types = self._types(type)
        if where is not None:
            warn_unknown_keys(self._store, where, [], coming=True)
        with interrupt_says("no such event had come yet"):
            return wait_for(
                self._store,
                types,
                where=where,
                after=after,
                timeout=timeout,
                closed=lambda: self._closed,
            )

    def on(self, type: Names, callback: Callback) -> Subscription:
        """Call a function with each event that arrives from now on, in order, on a thread of its own.

        Parameters
        ----------
        type : str, list-like of str or None
            Only events of these types; `None` means all.
        callback : callable
            Takes one event: a dict with the columns of `events()`, and `row`, `payload` and `data`. An exception in it
            is logged and counted, and stops nothing.

        Returns
        -------
        Subscription
            The handle: `.remove()` ends it, `.dropped` and `.errors` count.

        Raises
        ------
        TypeError
            If `callback` is not a function.
        RuntimeError
            If the session is closed.

        Examples
        --------
        >>> from queue import SimpleQueue
        >>> events = SimpleQueue()
        >>> with dc.connect(server) as other:
        ...     handle = other.on("event_notification", events.put)
        ...     _ = other.inject_event("market_day", {"bread": 3})
        ...     events.get(timeout=30)["data"]
        {'bread': 3}
        """
        return self._subscriptions.add(self._types(type), callback)

    def forget(self, *, before: Moment) -> int:
        """Drop the oldest events, to free memory.

        Parameters
        ----------
        before : datetime, str, number or timedelta
            All events before the first one that is not before this moment are dropped; read as `since` in `events`.

        Returns
        -------
        int
            How many events were dropped.

        Raises
        ------
        ValueError
            If the moment cannot be understood.

        Examples
        --------
        >>> with dc.connect(server, history=100_000) as other:
        ...     held = len(other)
        ...     gone = other.forget(before=other.events("error")["time"].iloc[0])
        ...     gone > 0, len(other) == held - gone
        (True, True)
        """
        return self._store.forget(before=before)

    def _types(self, type: Names) -> Collection[str] | None:
        names = names_of(type)
        warn_unknown_names(self._store, {"type": names})
        return None if names is None else dict.fromkeys(names)
