"""The commands that wait for the simulation's next checkpoint."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from ..protocol.errors import WebSocketError
from .ownership import Owner
from .request import Request

LOOK_S: Final = 1.0
"""How often commands without a deadline are refused if no thread can reach a checkpoint any more."""

Later = Callable[[float, Callable[[], None]], Callable[[], None]]


class CommandQueue:
    """The commands that wait for a checkpoint, each until its deadline.

    `later(delay_s, function)` calls the function after a while and returns a function that cancels the call.
    `too_late(name)` and `deserted()` make the errors of a command that comes too late, and of one that no thread can
    run any more. `dropped` is called with each command that is refused before it began.
    """

    def __init__(
        self,
        owner: Owner,
        *,
        later: Later,
        clock: Callable[[], float],
        too_late: Callable[[str], WebSocketError],
        deserted: Callable[[], WebSocketError],
        dropped: Callable[[Request], None],
    ) -> None:
        self._owner = owner
        self._later = later
        self._clock = clock
        self._too_late = too_late
        self._deserted = deserted
        self._dropped = dropped
        self.requests: deque[Request] = deque()
        """All commands in the queue, the oldest first; some may have been claimed or refused already."""
        self._lock = threading.Lock()  # around `_watching`
        self._watching = False  # whether a timer checks the commands that wait without a deadline

    def limit(self, request: Request, seconds: float) -> None:
        """Refuse a command if it has not begun after that many seconds, whether it is queued here or not."""
        request.cancel_timer = self._later(seconds, partial(self._expire, request))

    def put(self, request: Request) -> None:
        """Queue a command for the next checkpoint."""
        self.requests.append(request)
        if request.deadline < math.inf:
            return
        with self._lock:
            watching, self._watching = self._watching, True
        if not watching:
            self._later(LOOK_S, self._refuse_deserted)

    def waiting(self, function: Callable[..., Any] | None = None) -> list[Request]:
        """List the commands that have not begun: all, or those that call one function."""
        return [
            request
            for request in self.requests.copy()
            if not request.claimed and (function is None or request.command.function == function)
        ]

    def claimed(self) -> Iterator[Request]:
        """Claim the commands one after the other, oldest first; those whose time is over are refused."""
        while True:
            try:
                request = self.requests.popleft()
            except IndexError:
                return
            if self._clock() >= request.deadline:
                self._expire(request)
            elif request.claim():
                yield request

    def withdraw(self, id: str, error: WebSocketError) -> None:
        """Refuse a command, if it has not begun."""
        for request in self.waiting():
            if request.id == id:
                self._refuse(request, error)

    def _expire(self, request: Request) -> None:
        if not request.claimed:
            self._refuse(request, self._too_late(request.command.name))

    def _refuse_deserted(self) -> None:
        """Refuse commands without a deadline once no thread can reach a checkpoint any more."""
        with self._lock:
            waiting = self.waiting()
            gone = self._owner.has_ended
            watching = self._watching = bool(waiting) and not gone
        if watching:
            self._later(LOOK_S, self._refuse_deserted)
        for request in waiting if gone else ():
            self._refuse(request, self._deserted())

    def _refuse(self, request: Request, error: WebSocketError) -> None:
        if request.claim():
            self._dropped(request)
            request.fail(error)
