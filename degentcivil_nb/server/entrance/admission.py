"""Admission of connections: origin, token and a slot in the pool."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final
from weakref import WeakSet

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from ...monitoring.interfaces import Monitor
from ...protocol.errors import WebSocketError
from ..peers.closing import close_with_error
from .auth import WebSocketAuth, bearer_token
from .connection_pool import FULL, ConnectionPool
from .counted_connection import connection_class
from .origins import Gate

log = logging.getLogger("degentcivil_nb.server")

OPEN_ROLE: Final = "debugger"
"""The role of every client if no token is configured, which is possible on this machine only."""
NO_ROLE: Final = ""


class Admission:
    """The checks of a new connection: its origin, its token (once) and a slot in the pool.

    Raises `TypeError` for an `auth` of another type, such as a plain dict of tokens.
    """

    def __init__(self, gate: Gate, auth: WebSocketAuth | None, pool: ConnectionPool, monitor: Monitor) -> None:
        if auth is not None and not isinstance(auth, WebSocketAuth):
            raise TypeError(
                f"auth must be a WebSocketAuth, as in WebSocketAuth({{token: 'viewer'}}), not {type(auth).__name__}"
            )
        self.pool = pool
        self.connections: WeakSet[ServerConnection] = WeakSet()
        """All open connections, including those whose handshake is not finished."""
        self._gate = gate
        self._auth = auth
        self._monitor = monitor
        self._admitted: WeakSet[ServerConnection] = WeakSet()
        self._numbered = 0

    def create_connection(self, *args: Any, **options: Any) -> ServerConnection:
        """Create a connection and record it: the library lists a connection only once it is open."""
        connection = connection_class()(*args, **options)
        self.connections.add(connection)
        return connection

    def refuse_foreign(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer 403 to an `Origin` or `Host` that is not allowed."""
        refusal = self._gate.refusal(request.headers)
        return None if refusal is None else connection.respond(HTTPStatus.FORBIDDEN, f"{refusal}\n")

    async def admits(self, websocket: ServerConnection) -> bool:
        """Check the token, once; without a valid one the peer gets an error and is closed."""
        if self._auth is None or websocket in self._admitted:
            return True
        if not await self._auth.authenticate(websocket, _token_of(websocket)):
            self._monitor.update_metrics("refused")
            return False
        self._admitted.add(websocket)
        return True

    async def reserve(self, name: str, websocket: ServerConnection) -> bool:
        """Reserve a slot in the pool for a connection, or refuse it with the reason."""
        try:
            await self.pool.add_connection(name, websocket)
        except WebSocketError as error:
            self._monitor.update_metrics("refused")
            log.info("%s is refused: %s", name, error, extra={"peer": name, "code": error.code})
            await close_with_error(websocket, error, FULL)
            return False
        return True

    def role_of(self, websocket: ServerConnection) -> str:
        """Return the current role of a peer; `NO_ROLE` once its token is no longer valid."""
        return OPEN_ROLE if self._auth is None else self._auth.role_on(websocket) or NO_ROLE

    def name(self, websocket: ServerConnection) -> str:
        """Return a name for a connection: its number and its address."""
        self._numbered += 1
        address = websocket.remote_address
        return f"{self._numbered} {address[0]}:{address[1]}" if address else str(self._numbered)


def _token_of(websocket: ServerConnection) -> str | None:
    return None if websocket.request is None else bearer_token(websocket.request.headers)
