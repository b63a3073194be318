"""Failures of a simulation's own code, published as `error` events and raised as before."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar, cast

from ..core.text_of import class_name, text_of
from ..protocol.errors import WebSocketError

_F = TypeVar("_F", bound=Callable[..., Any])
_OWN: Final = ("degentcivil_nb", "websockets")
"""Loggers whose records are not published, since publishing them could cause more of them."""


class ErrorSink(Protocol):
    """The publisher of errors: the probe."""

    def error(
        self, code: Any, message: Any = "", *, character_id: Any = None, exception: Any = None, **more: Any
    ) -> Any:
        """Publish an error."""


def guarded(sink: ErrorSink, function: _F, character_id: Any = None) -> _F:
    """Return a function that publishes each of its exceptions and raises it."""

    def tell(error: Exception) -> None:
        message = f"{function.__qualname__}: {class_name(type(error))}: {text_of(error)}"
        sink.error(WebSocketError.SERVER_ERROR, message, character_id=character_id, exception=error)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def guarded_async(*arguments: Any, **more: Any) -> Any:
            try:
                return await function(*arguments, **more)
            except Exception as error:
                tell(error)
                raise

        return cast(_F, guarded_async)

    @functools.wraps(function)
    def guarded_sync(*arguments: Any, **more: Any) -> Any:
        try:
            return function(*arguments, **more)
        except Exception as error:
            tell(error)
            raise

    return cast(_F, guarded_sync)


class EventLogHandler(logging.Handler):
    """A log handler that publishes records as `error` events, with the level's name as `code_name`."""

    def __init__(self, sink: ErrorSink, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Publish a record, unless it is of this package."""
        if record.name.partition(".")[0] in _OWN:
            return
        try:
            exception = record.exc_info[1] if record.exc_info else None
            self._sink.error(record.levelname, record.getMessage(), exception=exception, logger=record.name)
        except Exception:  # noqa: BLE001 — as every handler of `logging` does
            self.handleError(record)


def tell_loop_exceptions(sink: ErrorSink, loop: asyncio.AbstractEventLoop) -> None:
    """Publish unhandled exceptions of a loop, such as of a task that died, before its own handler runs."""
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        message = context.get("message", "an exception that nobody caught")
        told = message if error is None else f"{message}: {class_name(type(error))}: {text_of(error)}"
        sink.error(WebSocketError.SERVER_ERROR, told, exception=error)
        if before is None:
            loop.default_exception_handler(context)
        else:
            before(loop, context)

    loop.set_exception_handler(handle)
