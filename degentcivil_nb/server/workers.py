"""Worker processes of the simulation: each publishes to the same stream over its own connection."""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ..protocol.codec import decode_frames
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from ..protocol.messages import CONTROL, Links, MessageTypes, RawMessage
from .entrance.auth import bearer_token

log = logging.getLogger("degentcivil_nb.server")

PUBLISHER: Final = "publisher"
WELCOME: Final = '{"type":"hello","data":{"role":"publisher"}}'
"""The first message to an admitted worker."""
WAITING: Final = 10_000
"""How many tokens may be unused; the oldest ones beyond that are dropped."""
Tell = Callable[[str, Any, int | None, float | None, Links | None], None]


class Workers:
    """The one-time tokens of worker processes, and their messages. `tell` publishes one message, from any thread."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._waiting: list[str] = []
        self._lock = threading.Lock()
        self.connected = 0
        """How many workers are connected now."""

    def new_token(self) -> str:
        """Make a token that admits one worker, once."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._waiting = [*self._waiting[1 - WAITING :], token]
        return token

    def claims(self, websocket: ServerConnection) -> bool:
        """Return whether a connection has one of the tokens, which is then used up."""
        offered = None if websocket.request is None else bearer_token(websocket.request.headers)
        if offered is None:
            return False
        with self._lock:
            found = [token for token in self._waiting if hmac.compare_digest(token, offered)]
            self._waiting = [token for token in self._waiting if token not in found]
        return bool(found)

    async def serve(self, websocket: ServerConnection) -> None:
        """Publish a worker's messages, in its order, until it disconnects; report one that ended without closing."""
        self.connected += 1
        log.info("a worker is connected", extra={"role": PUBLISHER})
        try:
            await websocket.send(WELCOME)
            async for frame in websocket:
                for message in decode_frames([frame]):
                    self._take(message)
        except ConnectionClosed:
            self._lost()
        finally:
            self.connected -= 1

    def _take(self, message: RawMessage) -> None:
        if message.type in CONTROL:
            text = f"a worker may not send a message of type {message.type}: that type is reserved for the server"
            self._error(WebSocketError.INVALID_MESSAGE, text)
            return
        try:
            payload = decode(Any, message.data)
        except WebSocketError as error:
            self._error(WebSocketError.INVALID_MESSAGE, f"a worker's {message.type} could not be read: {error}")
            return
        links = message.links()
        self._tell(message.type, payload, message.tick, message.timestamp, None if links == Links() else links)

    def _lost(self) -> None:
        log.warning("a worker process ended without closing its probe; the messages that it had not sent are lost")
        self._error(
            WebSocketError.SERVER_ERROR, "a worker process ended without closing its probe; its last events may be lost"
        )

    def _error(self, code: int, text: str) -> None:
        self._tell(MessageTypes.ERROR, {"code": code, "message": text}, None, None, None)
