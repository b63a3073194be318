"""Opening the port, or saying in a sentence why not."""

from __future__ import annotations

import errno
import socket
from typing import Final

from ...core.address import is_loopback
from ...protocol.errors import ConnectFailed

LOCALHOST: Final = "localhost"
_IN_USE_ADVICE: Final = (
    "Stop what uses it, or take a free port with port=0; a cell that is run again replaces its own with name=…"
)


def require_safe(host: str, *, guarded: bool) -> None:
    """Raise `ValueError` for a server that anybody in the network could steer."""
    if not guarded and not is_loopback(host.strip("[]")):
        raise ValueError(
            f"without a token the server binds to this machine only, not to {host!r}: "
            'give it a token (token="…", or auth=WebSocketAuth({"…": "debugger"}) for a SimulationWebSocket), '
            'or use host="127.0.0.1"'
        )


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
