"""Closing a connection with an error, by force if the peer does not respond."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ...protocol.errors import WebSocketError
from ...protocol.json_text import encode
from ...protocol.messages import WebSocketMessage, error_message

log = logging.getLogger("degentcivil_nb.server")

CLOSE_TIMEOUT_S: Final = 2.0
"""How long a peer has for the closing handshake."""
_REASON_BYTES: Final = 120  # a close frame has room for 123 (RFC 6455, 5.5.1)


def message_of(error: WebSocketError) -> WebSocketMessage:
    """Return the `error` message for a peer, with the error's details among the keys of its data."""
    details = {key: value for key, value in error.details.items() if key not in ("code", "message")}
    try:
        encode(details)
    except WebSocketError:  # details without a JSON form are left out; the rest is sent
        details = {}
    return error_message(error.code, error.message, **details)


def ending(websocket: ServerConnection) -> str:
    """Return how a connection ended: its close code and reason and, if it broke off, the code this side had sent."""
    received, sent = websocket.protocol.close_rcvd, websocket.protocol.close_sent
    if received is None and sent is not None:
        return f"{websocket.close_code} after {sent.code} {sent.reason}".rstrip()
    return f"{websocket.close_code} {websocket.close_reason or ''}".rstrip()


async def close_with_error(websocket: Any, error: WebSocketError, close_code: int, reason: str | None = None) -> None:
    """Send a peer an error and close its connection, by force after `CLOSE_TIMEOUT_S`.

    `websocket` is anything with the coroutines `send(text)` and `close(code, reason)`. Nothing is raised.
    """
    text = (reason or error.message).encode()[:_REASON_BYTES].decode(errors="ignore")
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await websocket.send(message_of(error).to_json())
            await websocket.close(close_code, text)
    except ConnectionClosed:
        return
    except (OSError, TimeoutError) as late:
        log.debug("a refused peer did not respond: %s", type(late).__name__)
    transport = getattr(websocket, "transport", None)
    if transport is not None:
        transport.abort()
