"""Who acts here: the character that what is told inside belongs to, along coroutines and carried into threads."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., Any])

_actor: Final[ContextVar[Any]] = ContextVar("degentcivil_actor", default=None)


def who_acts() -> Any:
    """Give the character that acts here; `None` for nobody."""
    return _actor.get()


@contextmanager
def acting(character_id: Any) -> Iterator[None]:
    """Let what is told inside without a character be this one's."""
    token = _actor.set(character_id)
    try:
        yield
    finally:
        _actor.reset(token)


def carry(function: _F) -> _F:
    """Give a function that acts as whoever acts now, wherever it is called: in a thread, an executor, a callback."""
    actor = _actor.get()
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def carried_async(*arguments: Any, **more: Any) -> Any:
            with acting(actor):
                return await function(*arguments, **more)

        return cast(_F, carried_async)

    @functools.wraps(function)
    def carried(*arguments: Any, **more: Any) -> Any:
        with acting(actor):
            return function(*arguments, **more)

    return cast(_F, carried)
