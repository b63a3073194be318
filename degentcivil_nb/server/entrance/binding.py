"""Binding the port, and the reasons why that fails."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol, cast

from websockets.asyncio.server import Server, ServerConnection, serve

from ...core.address import is_loopback
from ...core.arguments import port as checked_port
from ...protocol.errors import ConnectFailed
from ..library_log import library_log
from .admission import Admission

LOCALHOST: Final = "localhost"
_BACKLOG: Final = 1024
"""How many handshakes may wait at once; a connection beyond this is delayed by the kernel for seconds."""
_IN_USE_ADVICE: Final = (
    "Stop the program that uses it, or take a free port with port=0; with name=… a cell replaces its own server"
)


class Listener(Protocol):
    """A socket that listens."""

    def fileno(self) -> int:
        """Return its descriptor."""


def require_safe(host: str, *, guarded: bool) -> None:
    """Raise `ValueError` for a server without a token that others in the network could reach."""
    if not isinstance(host, str):
        raise ValueError(f"host must be a text, not {host!r:.80}")
    if not guarded and not is_loopback(host.strip("[]")):
        raise ValueError(
            f"without a token the server binds to this machine only, not to {host!r:.80}: "
            'give it a token (token="…", or auth=WebSocketAuth({"…": "debugger"}) for a SimulationWebSocket), '
            'or use host="127.0.0.1"'
        )


async def listen(
    handler: Callable[[ServerConnection], Awaitable[None]],
    host: str,
    port: int,
    admission: Admission,
    *,
    heartbeat_s: float,
    **options: Any,
) -> Server:
    """Open the port and serve admitted connections; `options` are the library's. `ConnectFailed` states a failure."""
    try:
        return await serve(
            handler,
            cast(str, addresses(host, port)),  # asyncio takes a list too
            port,
            process_request=admission.refuse_foreign,
            create_connection=cast(type[ServerConnection], admission.create_connection),
            ping_interval=0.8 * heartbeat_s,  # all three together within two intervals, to close a lost peer
            ping_timeout=0.8 * heartbeat_s,
            close_timeout=min(2.0, max(0.2, 0.4 * heartbeat_s)),
            backlog=_BACKLOG,
            logger=library_log(),
            **options,
        )
    except OSError as error:
        raise explain(host, port, error) from error


def addresses(host: str, port: int) -> str | list[str]:
    """Return the addresses to bind to: all loopback ones for `localhost`, but one if the port is still to be chosen.

    Raises `ValueError` for an invalid port.
    """
    checked_port("a port", port)
    if host.lower() != LOCALHOST:
        return host.strip("[]")
    return ["127.0.0.1", "::1"] if port and _has_ipv6_loopback() else "127.0.0.1"


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def explain(host: str, port: int, error: OSError) -> ConnectFailed:
    """Return why the port cannot be opened, and what to do."""
    where = f"port {port} on {host}"
    # asyncio replaces the message, but keeps the number
    if error.errno == errno.EADDRINUSE:
        return ConnectFailed(f"{where} is in use", _IN_USE_ADVICE, terminal=True)
    if error.errno == errno.EACCES:
        return ConnectFailed(f"this user may not open {where}", "Use a port above 1023, or port=0", terminal=True)
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return ConnectFailed(f"{host!r} is not an address of this machine", 'Try host="127.0.0.1"', terminal=True)
    return ConnectFailed(f"{where} cannot be opened: {error}", "Try another port, or port=0", terminal=True)


async def stop_listening(listeners: Iterable[Listener]) -> None:
    """Accept no more connections, and return when every connection just accepted has its transport.

    asyncio drops a connection that was accepted in the turn before its server is closed (`Server._attach` asserts): it
    is never closed, and the other side waits for ever.
    """
    loop = asyncio.get_running_loop()
    for listener in listeners:
        with contextlib.suppress(NotImplementedError):  # Windows' own loop has no readers, and accepts otherwise
            loop.remove_reader(listener.fileno())
    for _ in ("its transport is made", "its protocol is told"):
        await asyncio.sleep(0)
