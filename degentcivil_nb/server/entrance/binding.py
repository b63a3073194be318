"""Opening the port, or saying in a sentence why not; and listening no more."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol, cast

from websockets.asyncio.server import Server, ServerConnection, serve

from ...core.address import is_loopback
from ...protocol.errors import ConnectFailed
from ..library_log import library_log
from .admission import Admission

LOCALHOST: Final = "localhost"
_BACKLOG: Final = 1024
"""How many may knock at the same moment: whom the kernel has no room for, it answers only after seconds."""
_IN_USE_ADVICE: Final = (
    "Stop what uses it, or take a free port with port=0; a cell that is run again replaces its own with name=…"
)


class Listener(Protocol):
    """A socket that listens."""

    def fileno(self) -> int:
        """Give its descriptor."""


def require_safe(host: str, *, guarded: bool) -> None:
    """Raise `ValueError` for a server that anybody in the network could steer."""
    if not guarded and not is_loopback(host.strip("[]")):
        raise ValueError(
            f"without a token the server binds to this machine only, not to {host!r}: "
            'give it a token (token="…", or auth=WebSocketAuth({"…": "debugger"}) for a SimulationWebSocket), '
            'or use host="127.0.0.1"'
        )


async def listen(
    handler: Callable[[ServerConnection], Awaitable[None]],
    host: str,
    port: int,
    door: Admission,
    *,
    heartbeat_s: float,
    **options: Any,
) -> Server:
    """Open the port for whom the door lets in; `options` are the library's. `ConnectFailed` says why it cannot be."""
    try:
        return await serve(
            handler,
            cast(str, addresses(host, port)),  # asyncio takes a list too
            port,
            process_request=door.refuse_foreign,
            create_connection=cast(type[ServerConnection], door.meet),
            ping_interval=0.8 * heartbeat_s,  # all three within two intervals: then a dead peer is gone
            ping_timeout=0.8 * heartbeat_s,
            close_timeout=min(2.0, max(0.2, 0.4 * heartbeat_s)),
            backlog=_BACKLOG,
            logger=library_log(),
            **options,
        )
    except OSError as error:
        raise explain(host, port, error) from error


def addresses(host: str, port: int) -> str | list[str]:
    """Say what to bind to: all that `localhost` means here, but one address where the port is still to be chosen.

    Raises `ValueError` for what is no port.
    """
    if isinstance(port, bool) or not hasattr(port, "__index__") or not 0 <= port <= 65535:
        raise ValueError(f"a port is a number from 1 to 65535, or 0 for a free one, not {port!r}")
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
    """Say why the port cannot be opened, and what to try."""
    where = f"port {port} on {host}"
    # asyncio words these itself, but keeps the number
    if error.errno == errno.EADDRINUSE:
        return ConnectFailed(f"{where} is in use", _IN_USE_ADVICE, terminal=True)
    if error.errno == errno.EACCES:
        return ConnectFailed(f"{where} is not for this user", "Take a port above 1023, or port=0", terminal=True)
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return ConnectFailed(f"{host!r} is no address of this machine", 'Try host="127.0.0.1"', terminal=True)
    return ConnectFailed(f"{where} cannot be opened: {error}", "Try another port, or port=0", terminal=True)


async def stop_listening(listeners: Iterable[Listener]) -> None:
    """Accept nobody any more, and return when all who were accepted just now have their transport.

    asyncio drops the connection of one who was accepted in the turn before its server is closed
    (`Server._attach` asserts): nobody closes it, and the other side waits for ever.
    """
    loop = asyncio.get_running_loop()
    for listener in listeners:
        with contextlib.suppress(NotImplementedError):  # Windows' own loop has no readers, and accepts otherwise
            loop.remove_reader(listener.fileno())
    for _ in ("its transport is made", "its protocol is told"):
        await asyncio.sleep(0)
