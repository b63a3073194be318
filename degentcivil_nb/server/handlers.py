"""Handlers as people wrote them when the library still passed a path beside the connection."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection

Handler = Callable[[ServerConnection], Awaitable[Any]]


def taking_one(handler: Callable[..., Awaitable[Any]]) -> Handler:
    """Give a handler that takes a connection alone, whether `handler` also wants its path or not."""
    try:
        inspect.signature(handler).bind(None)
    except TypeError:
        return lambda websocket: handler(websocket, "/" if websocket.request is None else websocket.request.path)
    return handler
