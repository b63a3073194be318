"""Who may come in, and as what: the sites, the token, the places there are."""

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
from .origins import Gate

log = logging.getLogger("degentcivil_nb.server")

EVERYBODY: Final = "debugger"
"""The role of everyone where no token is configured, which is on this machine only."""
NOBODY: Final = ""


class Admission:
    """Stand at the door of a server: refuse foreign sites, ask for the token once, and give out the places.

    Raises `TypeError` for an `auth` that is none, such as a plain dict of tokens.
    """

    def __init__(self, gate: Gate, auth: WebSocketAuth | None, pool: ConnectionPool, monitor: Monitor) -> None:
        if auth is not None and not isinstance(auth, WebSocketAuth):
            raise TypeError(
                f"auth is a WebSocketAuth, as in WebSocketAuth({{token: 'viewer'}}), not {type(auth).__name__}"
            )
        self.pool = pool
        self.met: WeakSet[ServerConnection] = WeakSet()
        """All who ever came to the door and are still there, those who have not said what they want included."""
        self._gate = gate
        self._auth = auth
        self._monitor = monitor
        self._admitted: WeakSet[ServerConnection] = WeakSet()
        self._numbered = 0

    def meet(self, *args: Any, **options: Any) -> ServerConnection:
        """Make the connection of somebody at the door: the library knows it only once it is open."""
        connection = ServerConnection(*args, **options)
        self.met.add(connection)
        return connection

    def refuse_foreign(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer 403 to an `Origin` or a `Host` that is on no list."""
        refusal = self._gate.refusal(request.headers)
        return None if refusal is None else connection.respond(HTTPStatus.FORBIDDEN, f"{refusal}\n")

    async def admits(self, websocket: ServerConnection) -> bool:
        """Ask for the token, once; who has none that is good is told so and closed."""
        if self._auth is None or websocket in self._admitted:
            return True
        if not await self._auth.authenticate(websocket, _token_of(websocket)):
            self._monitor.update_metrics("refused")
            return False
        self._admitted.add(websocket)
        return True

    async def place(self, name: str, websocket: ServerConnection) -> bool:
        """Give a connection its place in the pool, or turn it away with the reason."""
        try:
            await self.pool.add_connection(name, websocket)
        except WebSocketError as error:
            self._monitor.update_metrics("refused")
            log.info("%s is turned away: %s", name, error, extra={"peer": name, "code": error.code})
            await close_with_error(websocket, error, FULL)
            return False
        return True

    def role_of(self, websocket: ServerConnection) -> str:
        """Say what a peer may do now: everything where everybody may, and nothing once its token is gone."""
        return EVERYBODY if self._auth is None else self._auth.role_on(websocket) or NOBODY

    def name(self, websocket: ServerConnection) -> str:
        """Name a connection by its number and where it comes from."""
        self._numbered += 1
        address = websocket.remote_address
        return f"{self._numbered} {address[0]}:{address[1]}" if address else str(self._numbered)


def _token_of(websocket: ServerConnection) -> str | None:
    return None if websocket.request is None else bearer_token(websocket.request.headers)
