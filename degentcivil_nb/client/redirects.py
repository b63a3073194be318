"""Redirects of a handshake: which ones are followed."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ..protocol.errors import ConnectFailed

REDIRECTS: Final = frozenset({300, 301, 302, 303, 307, 308})
_WEBSOCKET: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class Handshake(connect):
    """The library's opening handshake, which also follows redirects to `http://`, as web servers send them."""

    redirected: str | None = None
    """The target of the last redirect, without its query."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the next URL, or the exception that ends the attempt."""
        if not isinstance(exc, InvalidStatus) or exc.response.status_code not in REDIRECTS:
            return exc
        headers = exc.response.headers
        locations = headers.get_all("Location")
        if len(locations) != 1:
            return exc
        try:
            target = redirect_target(self.uri, locations[0])
        except ValueError as error:
            return ConnectFailed(
                f"{shown(self.uri)} redirects to {locations[0][:200]!r}, which is not a WebSocket address: {error}",
                "Log in there first if that is a login page; else connect to the final URL",
                terminal=True,
            )
        self.redirected = shown(target)
        if urlsplit(self.uri).scheme == "wss" and urlsplit(target).scheme == "ws":
            return ConnectFailed(
                f"{shown(self.uri)} redirects to {self.redirected}, which is not encrypted",
                "Connect to the final URL",
                terminal=True,
            )
        if self.additional_headers is not None and origin(target) != origin(self.uri):
            return ConnectFailed(
                f"{shown(self.uri)} redirects to {self.redirected}, and the token is not sent to another host",
                "Connect to that URL if it can be trusted",
                terminal=True,
            )
        return target


def redirect_target(uri: str, location: str) -> str:
    """Return the WebSocket URL that a redirect from `uri` leads to; `ValueError` if there is none."""
    old, new = urlsplit(uri), urlsplit(urljoin(uri, location))
    scheme = _WEBSOCKET.get(new.scheme)
    if scheme is None or not new.hostname or new.port == 0:
        raise ValueError("it is not a web address")
    if new.username is not None:
        raise ValueError("it contains a user name")
    new.hostname.encode("idna")
    new = new._replace(scheme=scheme, fragment="")
    if _only_a_slash(old, new):
        # a server behind an ingress writes its own scheme and port into such redirects
        new = new._replace(scheme=old.scheme, netloc=old.netloc, query=new.query or old.query)
    return urlunsplit(new)


def _only_a_slash(old: SplitResult, new: SplitResult) -> bool:
    """Return whether a redirect only adds or removes a slash at the end of the path."""
    if old.hostname != new.hostname or old.path == new.path or old.path.rstrip("/") != new.path.rstrip("/"):
        return False
    return old.scheme == "wss" or (new.scheme == "ws" and new.port in (None, old.port))


def origin(uri: str) -> tuple[str, str | None, int]:
    """Return scheme, host and port."""
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "wss" else 80)


def shown(uri: str) -> str:
    """Return a URL without its query, which may contain secrets."""
    return urlunsplit(urlsplit(uri)._replace(query="", fragment=""))
