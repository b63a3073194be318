"""Opening a WebSocket: what is checked before, what is offered, and nothing of what is received."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl as ssl_module
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from ..core.address import is_loopback
from ..core.redaction import redacted
from ..protocol.errors import ConnectFailed
from .failures import explain
from .frame_connection import FrameConnection
from .proxies import proxy_for, shown
from .redirects import Handshake

SUBPROTOCOL: Final = Subprotocol("degentcivil.v1")
MAX_FRAME_BYTES: Final = 16 << 20
CLOSE_TIMEOUT_S: Final = 2.0
PLAIN_SILENCE_S: Final = 300.0
"""How long a server without positions may say nothing before its connection is cut: its loop may stand still for a
minute, and each cut is a gap (DegentCivil's needs 8 s a character and 40 s an update)."""


class _NoSecrets(logging.Filter):
    """Keep the token out of the library's log of headers (level DEBUG)."""

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args
        if isinstance(arguments, tuple) and len(arguments) == 2 and str(arguments[0]).lower() == "authorization":
            record.args = (arguments[0], "(withheld)")
        return True


_wire_logger = logging.getLogger("degentcivil_nb.client.wire")
_wire_logger.addFilter(_NoSecrets())


class Connector:
    """Open connections to one URL; `ValueError` or `ConnectFailed` at once for what can never work."""

    def __init__(
        self, uri: str, *, token: str | None, ssl: ssl_module.SSLContext | None, compression: bool | None = None
    ) -> None:
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
            (host or "").encode("idna")
        except ValueError as error:  # UnicodeError is one too
            raise ValueError(f"{redacted(uri)!r} is no URL: {error}") from None
        if parts.scheme not in ("ws", "wss") or not host or parts.fragment:
            raise ValueError(f"{redacted(uri)!r} is no WebSocket URL; it should look like ws://localhost:8765")
        if parts.username is not None:
            raise ValueError("the URL holds a user name; a token goes into token=, never into the URL")
        local = is_loopback(host)
        self.url = f"{parts.scheme}://{_bracketed(host)}{'' if port is None else f':{port}'}{parts.path}"
        """The URL without its query, as it may be shown."""
        if token is not None and parts.scheme == "ws" and not local:
            raise ConnectFailed(
                f"the token would travel to {host} in the clear",
                "Use wss://, or an SSH tunnel to localhost",
                terminal=True,
            )
        if ssl is not None and parts.scheme == "ws":
            raise ValueError("ssl= needs a wss:// URL")
        self._uri = uri
        self._host, self._port = host, port or (443 if parts.scheme == "wss" else 80)
        self._local = local
        self._proxy: str | None = None
        self._handshake: Handshake | None = None
        self._settings: dict[str, Any] = {
            "additional_headers": None if token is None else {"Authorization": f"Bearer {token}"},
            # costs more than loopback's bytes
            "compression": "deflate" if (not local if compression is None else compression) else None,
            "max_size": MAX_FRAME_BYTES,
            "logger": _wire_logger,
            "ping_interval": None,  # `keep_alive` does it, at the interval that the server names
            "open_timeout": None,  # the attempt as a whole has one
            "close_timeout": CLOSE_TIMEOUT_S,
        }
        if ssl is not None:
            self._settings["ssl"] = ssl

    async def dial(self) -> FrameConnection:
        """Connect and offer the v1 protocol; `ConnectFailed` says what failed."""
        connection = await self._dial(create_connection=FrameConnection, subprotocols=[SUBPROTOCOL])
        assert isinstance(connection, FrameConnection)
        return connection

    async def dial_plain(self) -> ClientConnection:
        """Connect as the guide's client does, with the library's own connection and keepalive."""
        return await self._dial(ping_interval=20, ping_timeout=PLAIN_SILENCE_S, open_timeout=10)

    def explain(self, error: Exception) -> ConnectFailed:
        """Say why the last attempt failed, naming where a redirect led and the proxy that it went through."""
        redirected = None if self._handshake is None else self._handshake.redirected
        place = self.url if redirected is None else f"{self.url} (redirected to {redirected})"
        return explain(error, place, None if self._proxy is None else shown(self._proxy))

    async def _dial(self, **settings: Any) -> ClientConnection:
        self._proxy = self._handshake = None
        try:
            self._proxy = None if self._local else proxy_for(self._uri)
            self._handshake = Handshake(self._uri, **{**self._settings, "proxy": self._proxy, **settings})
            return await self._handshake
        except Exception as error:  # whatever the libraries raise: the URL is sound, so it is the other end's doing
            raise self.explain(await self._unfolded(error)) from error

    async def _unfolded(self, error: Exception) -> Exception:
        """Ask each address of the host where asyncio made the errors of several into one, without type and number.

        A refusal says the most: that the machine is there, and nothing listens.
        """
        if type(error) is not OSError or error.errno is not None or self._proxy is not None:
            return error
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            for family, kind, _, _, address in await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
                try:
                    with socket.socket(family, kind) as asked:
                        asked.setblocking(False)
                        await loop.sock_connect(asked, address)
                except ConnectionRefusedError as refused:
                    return refused
        return error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
