"""Every way in which a connection fails, translated once: a sentence, an advice, and whether to try again."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final

from websockets.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidUpgrade,
    ProxyError,
    SecurityError,
)

from ..protocol.errors import ConnectFailed, WebSocketError
from ..protocol.message import ErrorPayload

RETRIED_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_PERHAPS_TLS: Final = "wss:// if the simulation was started with tls"
START_IT: Final = "Start the simulation (or dc.start_local_server()), and compare host and port with what it prints"


def explain(error: Exception, url: str) -> ConnectFailed:
    """Say why no connection to `url` came about."""
    if isinstance(error, ConnectFailed):
        return error
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error, url)
    if isinstance(error, InvalidStatus):
        return _explain_status(error.response.status_code, url)
    if isinstance(error, ProxyError | InvalidProxy):
        return ConnectFailed(
            f"the proxy does not let {url} through: {error}", "Set NO_PROXY for this host, or correct the proxy"
        )
    if isinstance(error, SecurityError):
        return ConnectFailed(f"{url} redirects to somewhere unsafe: {error}", "Use the final URL", terminal=True)
    if isinstance(error, InvalidHandshake):
        return _explain_handshake(error, url)
    if isinstance(error, TimeoutError):
        return ConnectFailed(f"{url} did not answer in time", "See that the host is right and not busy; raise timeout=")
    if isinstance(error, socket.gaierror):
        return ConnectFailed(f"the host of {url} is not known", "Check the spelling, or the network")
    if isinstance(error, OSError):
        return _explain_os(error, url)
    return ConnectFailed(f"the connection to {url} failed: {type(error).__name__}: {error}", "Try again")


def explain_close(code: int | None, reason: str, said: ErrorPayload | None, url: str) -> ConnectFailed:
    """Say why the connection to `url` ended: its close code and reason, and the last `error` that was sent before."""
    told = said.message if said is not None else reason
    because = f": {told}" if told else ""
    said_code = None if said is None else said.code
    if said_code == WebSocketError.AUTH_FAILED or (code == 1008 and "token" in reason.lower()):
        return ConnectFailed(
            f"{url} refuses the token{because}",
            "Pass token=… as the simulation was started with it",
            terminal=True,
        )
    if code == 1008:
        return ConnectFailed(f"{url} refuses this client{because}", "Ask who runs the simulation", terminal=True)
    if code == 1009:
        return ConnectFailed(
            f"a message between {url} and this client is too big{because}",
            "Send less at once, or raise max_message_bytes of the server",
            terminal=True,
        )
    if code == 1013 or said_code == WebSocketError.CAPACITY:
        return ConnectFailed(f"{url} is full{because}", "Close other sessions; it is tried again")
    if code == 4008:
        return ConnectFailed(
            f"{url} found this client too slow{because}", "It is connected again, and what it missed shows in gaps()"
        )
    if code == 1001:
        return ConnectFailed(f"{url} shut down{because}", "It is tried again until the simulation is back")
    if code in (None, 1006):
        return ConnectFailed(f"the connection to {url} was lost", "It is tried again")
    return ConnectFailed(f"{url} closed the connection with code {code}{because}", "It is tried again")


def _explain_tls(error: ssl.SSLError, url: str) -> ConnectFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, …IP_ADDRESS_MISMATCH
            return ConnectFailed(
                f"the certificate of {url} is for another host",
                "Connect by the name that the certificate was made for",
                terminal=True,
            )
        return ConnectFailed(
            f"the certificate of {url} is not trusted: {error.verify_message}",
            "Pass ssl=ssl.create_default_context(cafile=…) with the authority that signed it",
            terminal=True,
        )
    return ConnectFailed(
        f"{url} does not speak TLS as expected: {error.reason or error}",
        "Use ws:// if the simulation was started without tls",
    )


def _explain_status(status: int, url: str) -> ConnectFailed:
    if status in RETRIED_STATUS:
        return ConnectFailed(f"{url} is not ready: it answers HTTP {status}", "Wait a moment and try again")
    if status in (401, 407):
        return ConnectFailed(f"{url} wants to know who you are: HTTP {status}", "Pass token=…", terminal=True)
    if status == 403:
        return ConnectFailed(
            f"{url} forbids the connection: HTTP 403",
            "Connect by a host name that the server lists, and with its token",
            terminal=True,
        )
    return ConnectFailed(
        f"{url} is a web server, but no WebSocket is there: HTTP {status}",
        "Check the path (DegentCivil's own server has /ws) and the port",
        terminal=True,
    )


def _explain_handshake(error: InvalidHandshake, url: str) -> ConnectFailed:
    if isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError | OSError):
        return ConnectFailed(f"{url} hung up during the handshake", f"Use {_PERHAPS_TLS}; else try again")
    if isinstance(error, InvalidMessage | InvalidUpgrade):
        return ConnectFailed(f"{url} is not a WebSocket", "Check the port: something else listens there", terminal=True)
    return ConnectFailed(
        f"{url} does not complete the handshake: {error}", "Check the port and the path", terminal=True
    )


def _explain_os(error: OSError, url: str) -> ConnectFailed:
    # asyncio folds the errors of several addresses into one without errno
    if error.errno == errno.ECONNREFUSED or "Errno 111" in str(error):
        return ConnectFailed(f"nothing listens at {url}: the connection was refused", START_IT)
    if isinstance(error, ConnectionError):  # by type: one that asyncio raises in the middle of TLS has no number
        other = "ws:// if the simulation was started without tls" if url.startswith("wss:") else _PERHAPS_TLS
        return ConnectFailed(f"{url} hung up during the handshake", f"Use {other}")
    return ConnectFailed(f"{url} cannot be reached: {error.strerror or error}", "Check host, port and network")
