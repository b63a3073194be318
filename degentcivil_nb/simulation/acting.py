"""The acting character, to whom published events belong by default; it follows coroutines and can be carried to
threads.
"""

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
    """Return the acting character; `None` if there is none."""
    return _actor.get()


@contextmanager
def acting(character_id: Any) -> Iterator[None]:
    """Make a character the default of everything published inside."""
    token = _actor.set(character_id)
    try:
        yield
    finally:
        _actor.reset(token)


def carry(function: _F) -> _F:
    """Return a function that runs with the current acting character wherever it is called, for example in a thread."""
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
