"""Host names and addresses, told apart without asking anybody: what is this machine, and what is not."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit


class Place(NamedTuple):
    """Hold a host in lower case without brackets, and its port where one was named."""

    host: str
    port: int | None


def is_loopback(host: str) -> bool:
    """Tell whether a host, as written in a URL or bound by a server, means this machine only."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_ip(host: str) -> bool:
    """Tell whether a host is an address rather than a name."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def parse_place(text: str) -> Place | None:
    """Read `host`, `host:port`, `[address]` or `[address]:port`; `None` for anything else, whatever it is."""
    if not text or any(mark in text for mark in "/?#@\\") or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return Place(host.rstrip("."), port) if host else None
