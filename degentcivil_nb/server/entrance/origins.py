"""Checks of `Host` against DNS rebinding and of `Origin` against foreign pages."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Final, NamedTuple

from websockets.datastructures import Headers

from ...core.address import HostPort, is_ip, is_loopback, parse_host_port

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 — recognised here, bound nowhere


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int | None
    """`None` means any."""


class Gate:
    """The check of an upgrade's `Host` and `Origin`.

    `origins` are pages that may connect, such as `"https://hub.example.org"` or `"http://localhost:*"`; by default
    those served from this machine if the server is bound to it alone, else none. `hosts` are names by which the server
    may be called, with or without a port; by default those of this machine and, for a server that others can reach, its
    own name, what it is bound to, and any IP address: an attacker can rebind a name, not an address. A missing `Origin`
    is a Python client's and is accepted, unless a cookie shows that a browser sent it.
    """

    def __init__(
        self, host: str, *, origins: Collection[str] | None = None, hosts: Collection[str] | None = None
    ) -> None:
        self._local = is_loopback(host)
        self._origins = None if origins is None else frozenset(map(_listed_origin, origins))
        self._hosts = None if hosts is None else frozenset(map(_listed_host, hosts))
        bound = parse_host_port(host if ":" not in host else f"[{host.strip('[]')}]")
        names = {socket.gethostname().lower()}
        if bound is not None and bound.host not in _WILDCARDS:
            names.add(bound.host)
        self._names = frozenset(names)

    def refusal(self, headers: Headers) -> str | None:
        """Return the reason why an upgrade with these headers is refused, as a sentence; `None` if it is allowed."""
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        if len(hosts) != 1 or len(origins) > 1:
            return "Send exactly one Host header, and at most one Origin header."
        if not self._allows_host(hosts[0]):
            return "This host name is not allowed; the owner of the server can add it to hosts=[…]."
        if not origins:
            return "A browser must send an Origin header." if "Cookie" in headers else None
        if not self._allows_origin(origins[0]):
            return "Pages of this origin may not connect; the owner of the server can add it to origins=[…]."
        return None

    def _allows_host(self, text: str) -> bool:
        parsed = parse_host_port(text)
        if parsed is None:
            return False
        if self._hosts is not None:
            return parsed in self._hosts or HostPort(parsed.host, None) in self._hosts
        if is_loopback(parsed.host):
            return True
        return not self._local and (is_ip(parsed.host) or parsed.host in self._names)

    def _allows_origin(self, text: str) -> bool:
        origin = _parse_origin(text)
        if origin is None:
            return False
        if self._origins is not None:
            return origin in self._origins or origin._replace(port=None) in self._origins
        return self._local and origin.scheme in ("http", "https") and is_loopback(origin.host)


def _parse_origin(text: str) -> _Origin | None:
    scheme, mark, rest = text.strip().lower().partition("://")
    parsed = parse_host_port(rest)
    if not mark or not scheme or parsed is None:
        return None
    return _Origin(scheme, parsed.host, parsed.port or _DEFAULT_PORTS.get(scheme, 0))


def _listed_origin(text: str) -> _Origin:
    any_port = text.endswith(":*")
    origin = _parse_origin(text.removesuffix(":*").rstrip("/"))
    if origin is None:
        raise ValueError(
            f"{text!r:.80} is not an origin; it should look like https://hub.example.org or http://localhost:*"
        )
    return origin._replace(port=None) if any_port else origin


def _listed_host(text: str) -> HostPort:
    parsed = parse_host_port(text.lower())
    if parsed is None:
        raise ValueError(f"{text!r:.80} is not a host; it should look like town.example.org or town.example.org:8765")
    return parsed
