"""One tick of many coroutines: the tick ends when all of them have come to the checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..core.arguments import whole_number


class Barrier:
    """A place where coroutines of one event loop wait for each other; the last to come makes the checkpoint.

    A coroutine that ends must call `leave`, or the others wait for it for ever; `join` adds one.
    """

    def __init__(self, parties: int) -> None:
        self.parties = whole_number("n", parties, 1)
        """How many coroutines have to come."""
        self._waiting: list[asyncio.Future[bool]] = []

    async def arrive(self, checkpoint: Callable[[], Awaitable[None]]) -> None:
        """Wait for all others; the last to come calls `checkpoint`, and all go on after it."""
        if len(self._waiting) + 1 < self.parties and not await self._wait():
            return
        waiting, self._waiting = self._waiting, []
        try:
            await checkpoint()
        finally:
            _release(waiting)

    async def _wait(self) -> bool:
        """Wait for the tick's end; return `True` if another coroutine has left and this one is now the last."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def join(self) -> None:
        """Expect one coroutine more, from the tick under way on."""
        self.parties += 1

    def leave(self) -> None:
        """Expect one coroutine less; if all others are waiting already, their tick ends now."""
        self.parties = max(0, self.parties - 1)
        if self._waiting and len(self._waiting) >= self.parties:
            last = self._waiting.pop()
            last.set_result(True)

    def give_up(self) -> None:
        """Let all that wait go on, since the run is over and no more ticks come."""
        waiting, self._waiting = self._waiting, []
        _release(waiting)


def _release(waiting: list[asyncio.Future[bool]]) -> None:
    for other in waiting:
        if not other.done():
            other.set_result(False)
