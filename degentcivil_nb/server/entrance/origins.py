"""What a browser is made to say for itself: `Host` against DNS rebinding, `Origin` against foreign pages."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Final, NamedTuple

from websockets.datastructures import Headers

from ...core.address import Place, is_ip, is_loopback, parse_place

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 — recognised here, bound nowhere


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int | None
    """`None` stands for any."""


class Gate:
    """Say why an upgrade's `Host` or `Origin` is refused.

    `origins` are pages that may connect, such as `"https://hub.example.org"` or `"http://localhost:*"`; by default
    those served from this machine, if the server is bound to it alone, else none. `hosts` are names by which the
    server may be called, with or without a port; by default those of this machine, for a server that others can
    reach also its own name, what it is bound to, and any address: an attacker can rebind a name, not a number.
    A missing `Origin` is a Python client's and is let through, unless a cookie shows that it is not.
    """

    def __init__(
        self, host: str, *, origins: Collection[str] | None = None, hosts: Collection[str] | None = None
    ) -> None:
        self._local = is_loopback(host)
        self._origins = None if origins is None else frozenset(map(_listed_origin, origins))
        self._hosts = None if hosts is None else frozenset(map(_listed_host, hosts))
        bound = parse_place(host if ":" not in host else f"[{host.strip('[]')}]")
        names = {socket.gethostname().lower()}
        if bound is not None and bound.host not in _WILDCARDS:
            names.add(bound.host)
        self._names = frozenset(names)

    def refusal(self, headers: Headers) -> str | None:
        """Give the reason why an upgrade with these headers is refused, in a sentence; `None` when it is not."""
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        if len(hosts) != 1 or len(origins) > 1:
            return "Say one Host, and one Origin at most."
        if not self._knows_host(hosts[0]):
            return "This server does not go by that name; its owner can add it to hosts=[…]."
        if not origins:
            return "A browser has to say its Origin." if "Cookie" in headers else None
        if not self._knows_origin(origins[0]):
            return "Pages from there may not connect; the server's owner can add their origin to origins=[…]."
        return None

    def _knows_host(self, text: str) -> bool:
        place = parse_place(text)
        if place is None:
            return False
        if self._hosts is not None:
            return place in self._hosts or Place(place.host, None) in self._hosts
        if is_loopback(place.host):
            return True
        return not self._local and (is_ip(place.host) or place.host in self._names)

    def _knows_origin(self, text: str) -> bool:
        origin = _parse_origin(text)
        if origin is None:
            return False
        if self._origins is not None:
            return origin in self._origins or origin._replace(port=None) in self._origins
        return self._local and origin.scheme in ("http", "https") and is_loopback(origin.host)


def _parse_origin(text: str) -> _Origin | None:
    scheme, mark, rest = text.strip().lower().partition("://")
    place = parse_place(rest)
    if not mark or not scheme or place is None:
        return None
    return _Origin(scheme, place.host, place.port or _DEFAULT_PORTS.get(scheme, 0))


def _listed_origin(text: str) -> _Origin:
    any_port = text.endswith(":*")
    origin = _parse_origin(text.removesuffix(":*").rstrip("/"))
    if origin is None:
        raise ValueError(f"{text!r} is no origin; it looks like https://hub.example.org or http://localhost:*")
    return origin._replace(port=None) if any_port else origin


def _listed_host(text: str) -> Place:
    place = parse_place(text.lower())
    if place is None:
        raise ValueError(f"{text!r} is no host; it looks like town.example.org or town.example.org:8765")
    return place
