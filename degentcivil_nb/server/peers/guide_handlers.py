"""Support for handlers written after the guide: with a path argument, or with clients of their own."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast

Handler = Callable[[ServerConnection], Awaitable[Any]]


def accepting_one_argument(handler: Callable[..., Awaitable[Any]]) -> Handler:
    """Return a handler that takes a connection alone, even if `handler` also takes its path."""
    try:
        inspect.signature(handler).bind(None)
    except TypeError:
        return lambda websocket: handler(websocket, "/" if websocket.request is None else websocket.request.path)
    return handler


def send_to_each(clients: Iterable[ServerConnection], text: str) -> None:
    """Send a text to clients that only a subclass's `handle_connection` has, from any thread, without waiting."""
    for client in clients:
        try:
            client.loop.call_soon_threadsafe(broadcast, (client,), text)
        except RuntimeError:  # its loop is closed, and its connection with it
            continue
