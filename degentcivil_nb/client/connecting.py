"""Opening a WebSocket: checks of the URL, options of the handshake, and the proxy."""

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
from ..core.websockets_version import OWN_READER
from ..protocol.errors import ConnectFailed
from .failures import Reached, explain
from .frame_connection import FrameConnection
from .proxies import proxy_for, shown
from .received_connection import ReceivedConnection
from .redirects import Handshake

SUBPROTOCOL: Final = Subprotocol("degentcivil.v1")
MAX_FRAME_BYTES: Final = 16 << 20  # 16 times what a server of this package sends: others may send larger messages
CLOSE_TIMEOUT_S: Final = 2.0  # for the closing handshake; then the connection is cut
PLAIN_SILENCE_S: Final = 300.0
"""How long a server without `seq` may be silent before its connection is cut.

Its loop may be busy for a minute, and each cut is a gap (DegentCivil's server needs 8 s a character and 40 s an
update).
"""


CONNECTION: Final = FrameConnection if OWN_READER else ReceivedConnection
"""The class of connections that goes with the installed version of websockets."""


class _NoSecrets(logging.Filter):
    """A filter that withholds the token in the library's log of headers (level DEBUG)."""

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args
        if isinstance(arguments, tuple) and len(arguments) == 2 and str(arguments[0]).lower() == "authorization":
            record.args = (arguments[0], "(withheld)")
        return True


_wire_logger = logging.getLogger("degentcivil_nb.client.wire")
_wire_logger.addFilter(_NoSecrets())


class Connector:
    """A way to open connections to one URL; raises `ValueError` or `ConnectFailed` at once for what can never work."""

    def __init__(
        self, uri: str, *, token: str | None, ssl: ssl_module.SSLContext | None, compression: bool | None = None
    ) -> None:
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
            (host or "").encode("idna")
        except ValueError as error:  # UnicodeError is one too
            raise ValueError(f"{redacted(uri)[:80]!r} is not a URL: {error}") from None
        if parts.scheme not in ("ws", "wss") or not host or parts.fragment:
            raise ValueError(f"{redacted(uri)[:80]!r} is not a WebSocket URL; it should look like ws://localhost:8765")
        if parts.username is not None:
            raise ValueError("the URL contains a user name; pass a token as token=, never in the URL")
        local = is_loopback(host)
        self.url = f"{parts.scheme}://{_bracketed(host)}{'' if port is None else f':{port}'}{parts.path}"
        """The URL without its query, safe to show."""
        if token is not None and parts.scheme == "ws" and not local:
            raise ConnectFailed(
                f"the token would be sent to {host} unencrypted",
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
        self._made: ClientConnection | None = None
        self._answered = False
        self._options: dict[str, Any] = {
            "additional_headers": None if token is None else {"Authorization": f"Bearer {token}"},
            # on loopback, compressing costs more than sending
            "compression": "deflate" if (not local if compression is None else compression) else None,
            "max_size": MAX_FRAME_BYTES,
            "logger": _wire_logger,
            "ping_interval": None,  # `keep_alive` pings, at the interval that the server announces
            "open_timeout": None,  # the whole attempt has a timeout
            "close_timeout": CLOSE_TIMEOUT_S,
        }
        if ssl is not None:
            self._options["ssl"] = ssl

    async def connect(self) -> FrameConnection:
        """Connect and offer the v1 protocol; `ConnectFailed` states what failed."""
        connection = await self._connect(CONNECTION, subprotocols=[SUBPROTOCOL])
        assert isinstance(connection, FrameConnection)
        return connection

    async def connect_plain(self) -> ClientConnection:
        """Connect as the guide's client does, with the library's own connection and keepalive."""
        return await self._connect(ClientConnection, ping_interval=20, ping_timeout=PLAIN_SILENCE_S, open_timeout=10)

    def explain(self, error: Exception) -> ConnectFailed:
        """Return why the last attempt failed, with the target of a redirect and the proxy, if any."""
        redirected = None if self._handshake is None else self._handshake.redirected
        place = self.url if redirected is None else f"{self.url} (redirected to {redirected})"
        return explain(error, place, None if self._proxy is None else shown(self._proxy), self._reached())

    def _reached(self) -> Reached:
        """Return how far the last attempt came."""
        if self._answered:
            return "handshake"
        # the library sets `transport` when the connection is made; for wss://, after the TLS handshake
        return "connection" if hasattr(self._made, "transport") else "nothing"

    async def _connect(self, kind: type[ClientConnection], **settings: Any) -> ClientConnection:
        self._proxy = self._handshake = self._made = None
        self._answered = False

        def made(*arguments: Any, **options: Any) -> ClientConnection:
            self._made = kind(*arguments, **options)
            return self._made

        try:
            self._proxy = None if self._local else proxy_for(self._uri)
            options = {**self._options, "proxy": self._proxy, "create_connection": made, **settings}
            self._handshake = Handshake(self._uri, **options)
            connection = await self._handshake
            self._answered = True
            return connection
        except Exception as error:  # whatever the libraries raise: the URL is valid, so the cause is the other end
            raise self.explain(await self._single_error(error)) from error

    async def _single_error(self, error: Exception) -> Exception:
        """Return the error of a single address if asyncio merged those of several, without type and number.

        A refusal is the most specific: the machine exists, and nothing listens on the port.
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
