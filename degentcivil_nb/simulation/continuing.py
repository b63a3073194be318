"""Continuations that wait while the run is paused, such as the use of an LLM's answer that arrives meanwhile."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., Any])


class Holding(Protocol):
    """The part of `Control` that makes callers wait while the run is paused."""

    def wait_running(self) -> None:
        """Block this thread while the run is paused."""

    async def await_running(self) -> None:
        """Wait in a coroutine while the run is paused."""


def continuing(holding: Holding, function: _F) -> _F:
    """Return a function that waits while the run is paused, and then calls `function`."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def later_async(*arguments: Any, **more: Any) -> Any:
            await holding.await_running()
            return await function(*arguments, **more)

        return cast(_F, later_async)

    @functools.wraps(function)
    def later(*arguments: Any, **more: Any) -> Any:
        holding.wait_running()
        return function(*arguments, **more)

    return cast(_F, later)
