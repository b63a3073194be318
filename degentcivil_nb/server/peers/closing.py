"""The last words to a peer that has to go: why, and then the close, whether it listens or not."""

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

FAREWELL_S: Final = 2.0
"""How long a peer has to take its leave."""
_REASON_BYTES: Final = 120


def message_of(error: WebSocketError) -> WebSocketMessage:
    """Make the `error` message that tells a peer of an error, its details among the data's keys."""
    details = {key: value for key, value in error.details.items() if key not in ("code", "message")}
    try:
        encode(details)
    except WebSocketError:  # what has no JSON form must not keep the rest from being said
        details = {}
    return error_message(error.code, error.message, **details)


def ending(websocket: ServerConnection) -> str:
    """Say how a connection ended: by what code and words, and, if it broke off, what this side had said before."""
    received, sent = websocket.protocol.close_rcvd, websocket.protocol.close_sent
    if received is None and sent is not None:
        return f"{websocket.close_code} after {sent.code} {sent.reason}".rstrip()
    return f"{websocket.close_code} {websocket.close_reason or ''}".rstrip()


async def close_with_error(websocket: Any, error: WebSocketError, close_code: int, reason: str | None = None) -> None:
    """Tell a peer why it has to go and close its connection: by force, if it takes longer than `FAREWELL_S`.

    `websocket` is anything with the coroutines `send(text)` and `close(code, reason)`. Raises nothing.
    """
    text = (reason or error.message).encode()[:_REASON_BYTES].decode(errors="ignore")
    try:
        async with asyncio.timeout(FAREWELL_S):
            await websocket.send(message_of(error).to_json())
            await websocket.close(close_code, text)
    except ConnectionClosed:
        return
    except (OSError, TimeoutError) as late:
        log.debug("a peer that was turned away did not listen: %s", type(late).__name__)
    transport = getattr(websocket, "transport", None)
    if transport is not None:
        transport.abort()
