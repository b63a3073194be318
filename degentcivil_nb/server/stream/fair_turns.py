"""Turns for peers that catch up, so that large writes to them do not delay live peers."""

from __future__ import annotations

import asyncio
from collections import deque


class FairTurns:
    """A queue that lets one waiter continue in each turn of the event loop, in order of arrival.

    A send waits only when the peer's buffers are full, and the kernel may buffer tens of megabytes before that.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._called = False

    async def take(self) -> None:
        """Wait for a turn of the loop."""
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
            if not future.done():  # else its peer is gone
                future.set_result(None)
                break
        self._called = bool(self._waiting)
        if self._called:
            loop.call_soon(self._give, loop)
