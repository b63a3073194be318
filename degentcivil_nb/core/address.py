"""Host names and addresses: parsing them, and recognising this machine, without any name lookup."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit


class HostPort(NamedTuple):
    """A host in lower case without brackets, and its port if one was given."""

    host: str
    port: int | None


def is_loopback(host: str) -> bool:
    """Return whether a host, as written in a URL or bound by a server, means this machine only."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_ip(host: str) -> bool:
    """Return whether a host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def parse_host_port(text: str) -> HostPort | None:
    """Parse `host`, `host:port`, `[address]` or `[address]:port`; return `None` for anything else."""
    if not text or any(mark in text for mark in "/?#@\\") or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return HostPort(host.rstrip("."), port) if host else None
