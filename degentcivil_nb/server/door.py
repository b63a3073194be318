"""Who gets in: the upgrade's `Host`, `Origin` and token, before anything else is said."""

from __future__ import annotations

import http
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers, MultipleValuesError
from websockets.http11 import Request, Response

from .binding import is_loopback
from .interfaces import Auth

EVERYBODY: Final = "debugger"
"""The role of everyone where no token is configured, which is on this machine only."""


class Door:
    """Check what a browser is made to say for itself, and the token of everyone.

    Without lists a server on the loopback interface takes names and pages of this machine only, and one that is
    reachable from elsewhere any `Host` and no `Origin`. A missing `Origin` is a Python client's, unless cookies
    come with it.
    """

    def __init__(
        self,
        host: str,
        *,
        auth: Auth | None = None,
        origins: Collection[str] | None = None,
        hosts: Collection[str] | None = None,
    ) -> None:
        self._local = is_loopback(host)
        self._auth = auth
        self._origins = None if origins is None else frozenset(origin.lower().rstrip("/") for origin in origins)
        self._hosts = None if hosts is None else frozenset(name.lower() for name in hosts)

    def check(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse an upgrade with HTTP 403; for `process_request`."""
        try:
            host, origin = request.headers.get("Host"), request.headers.get("Origin")
        except MultipleValuesError:
            return connection.respond(http.HTTPStatus.FORBIDDEN, "One Host and one Origin, please.\n")
        if not self._knows_host(host):
            advice = "This server does not go by that name; add it to hosts=[…].\n"
            return connection.respond(http.HTTPStatus.FORBIDDEN, advice)
        if not self._knows_origin(origin, request.headers):
            advice = "Pages from there may not connect; add their origin to origins=[…].\n"
            return connection.respond(http.HTTPStatus.FORBIDDEN, advice)
        return None

    def _knows_host(self, host: str | None) -> bool:
        name = _host_name(f"//{host}")
        if name is None:
            return False
        if self._hosts is not None:
            return name in self._hosts or (host or "").lower() in self._hosts
        return not self._local or is_loopback(name)

    def _knows_origin(self, origin: str | None, headers: Headers) -> bool:
        if origin is None:
            return "Cookie" not in headers
        if self._origins is not None:
            return origin.lower() in self._origins
        name = _host_name(origin)
        return self._local and name is not None and is_loopback(name)

    def role_of(self, token: str | None) -> str | None:
        """Say what the bearer of `token` may do now; `None`: nothing at all."""
        return EVERYBODY if self._auth is None else self._auth.role_of(token)


def bearer_token(headers: Headers) -> str | None:
    """Read the token of `Authorization: Bearer …`; `None` if there is none."""
    try:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
    except MultipleValuesError:
        return None
    return token.strip() or None if scheme.lower() == "bearer" else None


def _host_name(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.port is None or parts.port >= 0 else None
    except ValueError:
        return None
