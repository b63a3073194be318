"""The proxy that this machine's settings name for a URL: found and checked here, so that a bad one is said clearly."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..protocol.errors import ConnectFailed

SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def proxy_for(uri: str) -> str | None:
    """Give the proxy for a WebSocket URL, `None` to go there directly; `ConnectFailed` for one that cannot be used."""
    target = urlsplit(uri)
    host = target.hostname or ""
    if proxy_bypass(f"{host}:{target.port or (443 if target.scheme == 'wss' else 80)}"):
        return None
    named = getproxies()
    # a WebSocket needs a tunnel, which proxies for HTTPS and SOCKS are made for (RFC 6455, 4.1)
    kinds = [target.scheme, "socks", "https", *(["http"] if target.scheme == "ws" else [])]
    proxy = next((named[kind] for kind in kinds if named.get(kind)), None)
    if proxy is None:
        return None
    if proxy == named.get("socks") and proxy.startswith("http://"):  # as macOS and Windows write it
        proxy = f"socks5h://{proxy.removeprefix('http://')}"
    problem = _problem(proxy)
    if problem is not None:
        raise ConnectFailed(
            f"the proxy {shown(proxy)}{_origin(proxy)} cannot be used: {problem}",
            f"Write it as http://host:port, or set NO_PROXY={host} to go there directly",
            terminal=True,
        )
    return proxy


def shown(proxy: str) -> str:
    """Write a proxy without user name and password."""
    scheme, separator, rest = proxy.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _problem(proxy: str) -> str | None:
    try:
        parts = urlsplit(proxy)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError as error:  # UnicodeError is one too
        return str(error).replace(proxy, shown(proxy))
    if parts.scheme not in SCHEMES or "://" not in proxy:
        return f"it does not begin with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}"
    if not host:
        return "it names no host"
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return "something follows host and port"
    if parts.username is not None and parts.password is None:
        return "it has a user name without a password"
    return None


def _origin(proxy: str) -> str:
    names = [name for name, value in os.environ.items() if value == proxy and name.lower().endswith("_proxy")]
    return f" that {names[0]} names" if names else ""
