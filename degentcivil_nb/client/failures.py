"""Every failure of a connection as one sentence, one advice, and whether to try again."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from websockets.datastructures import Headers
from websockets.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidUpgrade,
    ProxyError,
    SecurityError,
)
from websockets.http11 import Response

from ..protocol.errors import ConnectFailed, WebSocketError
from ..protocol.stream_payloads import ErrorPayload

RETRIED_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})  # temporary conditions (RFC 9110, 15)
MAX_RETRY_AFTER_S: Final = 300.0
"""The longest `Retry-After` that is respected; the condition that it announced may be over long before."""
_OTHER_PROGRAM: Final = "Check the port: another program listens on it"
_PERHAPS_TLS: Final = "wss:// if the simulation was started with tls"
Reached = Literal["nothing", "connection", "handshake"]
"""How far an attempt to connect came: nothing answered, a program took the connection, it answered the handshake."""
START_IT: Final = "Start the simulation (or dc.start_local_server()), and compare host and port with what it prints"


def explain(error: Exception, url: str, proxy: str | None = None, reached: Reached = "nothing") -> ConnectFailed:
    """Return why the connection to `url` failed; `proxy` is the proxy it went through, safe to show."""
    if isinstance(error, ConnectFailed):
        return error
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error, url if proxy is None else f"{url} (through the proxy {proxy})")
    if isinstance(error, InvalidStatus):
        return _explain_status(error.response, url)
    if proxy is not None and (failed := _explain_proxy(error, url, proxy)) is not None:
        return failed
    if isinstance(error, SecurityError):
        if "redirect" not in str(error):  # of websockets: headers that are too many or too long
            return ConnectFailed(f"{url} is not a WebSocket: {error}", _OTHER_PROGRAM, terminal=True)
        return ConnectFailed(f"{url} answers in an unsafe way: {error}", "Connect to the final URL", terminal=True)
    if isinstance(error, InvalidHandshake):
        return _explain_handshake(error, url)
    if isinstance(error, TimeoutError):
        return _explain_timeout(url, reached)
    if isinstance(error, OSError):
        return _explain_os(error, url)
    return ConnectFailed(f"the connection to {url} failed: {type(error).__name__}: {error}", "Try again")


def explain_close(code: int | None, reason: str, last_error: ErrorPayload | None, url: str) -> ConnectFailed:
    """Return why the connection to `url` ended: from its close code and reason, and the last `error` sent before."""
    text = last_error.message if last_error is not None else reason
    because = f": {text}" if text else ""
    error_code = None if last_error is None else last_error.code
    if error_code == WebSocketError.AUTH_FAILED or (code == 1008 and "token" in reason.lower()):
        return ConnectFailed(
            f"{url} refuses the token{because}",
            "Pass as token=… the token that the simulation was started with",
            final=True,
        )
    if code == 1008:
        return ConnectFailed(
            f"{url} refuses this client{because}", "Ask the person who runs the simulation", final=True
        )
    if code == 1009:
        return ConnectFailed(
            f"a message between {url} and this client is too big{because}",
            "Send less at once, or raise max_message_bytes of the server",
            final=True,
        )
    if code == 1013 or error_code == WebSocketError.CAPACITY:
        return ConnectFailed(f"{url} is full{because}", "Close other sessions; the connection is retried")
    if code == 4008:
        return ConnectFailed(
            f"{url} closed the connection, since this client was too slow{because}",
            "It reconnects; gaps() shows what it missed",
        )
    if code == 1001:
        return ConnectFailed(f"{url} shut down{because}", "The connection is retried until the simulation is back")
    if code in (None, 1006):
        return ConnectFailed(f"the connection to {url} was lost", "The connection is retried")
    return ConnectFailed(f"{url} closed the connection with code {code}{because}", "The connection is retried")


def _explain_timeout(url: str, reached: Reached) -> ConnectFailed:
    stalled = "The program there is busy or has stalled: look at its output, or raise timeout="
    if reached == "handshake":
        return ConnectFailed(f"{url} took the connection, but its messages did not begin in time", stalled)
    if reached == "connection":
        return ConnectFailed(
            f"{url} took the connection, but did not answer the handshake in time",
            f"{stalled}. If it is another program than the simulation, correct the port",
        )
    tls = ", or the program there has stalled" if url.startswith("wss:") else ""
    return ConnectFailed(
        f"no connection to {url} was made in time",
        f"Check host, port and network (a firewall may drop what is sent there{tls}), or raise timeout=",
    )


def _explain_tls(error: ssl.SSLError, url: str) -> ConnectFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, …IP_ADDRESS_MISMATCH
            return ConnectFailed(
                f"the certificate of {url} is for another host",
                "Use the host name that the certificate was made for",
                terminal=True,
            )
        return ConnectFailed(
            f"the certificate of {url} is not trusted: {error.verify_message}",
            "Pass ssl=ssl.create_default_context(cafile=…) with the authority that signed it",
            terminal=True,
        )
    return ConnectFailed(
        f"the TLS handshake with {url} failed: {error.reason or error}",
        "Use ws:// if the simulation was started without tls",
    )


def _explain_status(response: Response, url: str) -> ConnectFailed:
    status, wait = response.status_code, retry_after(response.headers)
    if status in RETRIED_STATUS:
        asked = "Wait a moment" if not wait else f"Wait for {wait:.3g} s, as the server asks,"
        return ConnectFailed(
            f"{url} is not ready: it answers HTTP {status}", f"{asked} and try again", retry_after_s=wait
        )
    if status == 401:
        reason, advice = f"{url} requires authentication: HTTP 401", "Pass token=…"
    elif status == 403:
        reason = f"{url} forbids the connection: HTTP 403"
        advice = "Use a host name that the server accepts, such as 127.0.0.1 in a tunnel, and its token"
    elif status == 511:  # a captive portal (RFC 6585, 6)
        reason = f"the network requires a login before it connects to {url}: HTTP 511"
        advice = "Log in to the network, which a browser shows how to do"
    elif status >= 500:
        reason = f"{url} answers HTTP {status}: the server, or a proxy before it, has failed"
        advice = "Wait a moment and try again, or ask the person who runs the server or the proxy"
    else:
        reason = f"{url} is a web server without a WebSocket at this path: HTTP {status}"
        advice = "Check the path (DegentCivil's own server has /ws) and the port"
    return ConnectFailed(reason, advice, terminal=True, retry_after_s=wait)


def _explain_proxy(error: Exception, url: str, proxy: str) -> ConnectFailed | None:
    """Return what is wrong with the proxy, or `None` if the failure is not the proxy's."""
    around = f"Set NO_PROXY for the host of {url} if it can be reached without a proxy"
    if isinstance(error, InvalidProxyStatus):
        status = error.response.status_code
        why = "requires a user name and a password" if status == 407 else f"refuses to connect to {url}"
        return ConnectFailed(
            f"the proxy {proxy} {why}: HTTP {status}", around, retry_after_s=retry_after(error.response.headers)
        )
    if isinstance(error, ProxyError):
        return ConnectFailed(f"the proxy {proxy} refuses to connect to {url}: {error}", around)
    if isinstance(error, ImportError):
        return ConnectFailed(
            f"the proxy {proxy} uses SOCKS, for which python-socks is missing",
            f"pip install python-socks, or use an http:// proxy. {around}",
            terminal=True,
        )
    if isinstance(error, TimeoutError):
        return ConnectFailed(f"{url} did not answer in time through the proxy {proxy}", around)
    if isinstance(error, OSError):
        return ConnectFailed(
            f"{_explain_os(error, f'the proxy {proxy}').reason}", f"Start the proxy or correct its address. {around}"
        )
    return None


def retry_after(headers: Headers, now: Callable[[], float] = time.time) -> float | None:
    """Parse `Retry-After` (RFC 9110, 10.2.3), a number or a date, to seconds; `None` without a valid one.

    A date is compared with the sender's own `Date`, so that a wrong clock does no harm.
    """
    for text in headers.get_all("Retry-After"):
        if text.isascii() and text.isdigit():
            return min(float(text[:12]), MAX_RETRY_AFTER_S)
        moment = _moment(text)
        if moment is not None:
            sent = next((then for date in headers.get_all("Date") if (then := _moment(date)) is not None), None)
            return min(max(0.0, moment - (now() if sent is None else sent)), MAX_RETRY_AFTER_S)
    return None


def _moment(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):  # text from the wire that is not a date
        return None


def _explain_handshake(error: InvalidHandshake, url: str) -> ConnectFailed:
    if isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError | OSError):
        return ConnectFailed(f"{url} closed the connection during the handshake", f"Use {_PERHAPS_TLS}; else try again")
    if isinstance(error, InvalidMessage | InvalidUpgrade):
        return ConnectFailed(f"{url} is not a WebSocket", _OTHER_PROGRAM, terminal=True)
    return ConnectFailed(
        f"the WebSocket handshake with {url} failed: {error}", "Check the port and the path", terminal=True
    )


def _explain_os(error: OSError, place: str) -> ConnectFailed:
    if isinstance(error, ConnectionRefusedError):  # by type, since the number differs between systems
        return ConnectFailed(f"nothing listens at {place}: the connection was refused", START_IT)
    if isinstance(error, socket.gaierror):
        return ConnectFailed(f"the host name of {place} cannot be resolved", "Check the spelling and the network")
    if isinstance(error, ConnectionError):  # asyncio also raises one during the TLS handshake
        other = "ws:// if the simulation was started without tls" if place.startswith("wss:") else _PERHAPS_TLS
        return ConnectFailed(f"{place} closed the connection during the handshake", f"Use {other}")
    return ConnectFailed(f"{place} cannot be reached: {error.strerror or error}", "Check host, port and network")


def unheld_text(unheld: int) -> str:
    """Return a sentence about past messages that were requested and that the server no longer holds."""
    return (
        f"{unheld:,} of the past messages that were requested are missing, since the server no longer holds them; they "
        "are a gap. Connect or record from the start of the run, or have the server keep more: "
        "SimulationProbe(history=…), of which it keeps 64 MB at most"
    )
