"""Turns for those who catch up: what is written to them at once must not hold up those who are live."""

from __future__ import annotations

import asyncio
from collections import deque


class FairTurns:
    """Let one at a time go on in each turn of the event loop, in the order in which they asked.

    A peer's send waits only when its peer's buffers are full, and a kernel may take tens of megabytes before that.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._called = False

    async def take(self) -> None:
        """Wait for the next turn of the loop that is nobody else's."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append(future)
        if not self._called:
            self._called = True
            loop.call_soon(self._give, loop)
        await future

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():  # else its peer has left
                future.set_result(None)
                break
        self._called = bool(self._waiting)
        if self._called:
            loop.call_soon(self._give, loop)
