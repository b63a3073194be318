"""Wait for conditions that nobody announces: the one polling helper of the tests, for threads and for coroutines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 60.0
"""Far more than anything here takes on a busy machine; a test that needs it all has failed."""
_LOOK_S = 0.005


def until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> None:
    """Wait on a thread; `AssertionError` if the condition does not come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        threading.Event().wait(_LOOK_S)


async def eventually(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> None:
    """Wait in a coroutine; `AssertionError` if the condition does not come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(_LOOK_S)  # the one place that polls in a coroutine
