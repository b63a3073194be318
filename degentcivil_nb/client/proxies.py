"""The proxy that the system's settings specify for a URL, validated so that a bad setting gets a clear error."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..protocol.errors import ConnectFailed

SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def proxy_for(uri: str) -> str | None:
    """Return the proxy for a WebSocket URL, `None` for a direct connection; `ConnectFailed` if it is unusable."""
    target = urlsplit(uri)
    host = target.hostname or ""
    if proxy_bypass(f"{host}:{target.port or (443 if target.scheme == 'wss' else 80)}"):
        return None
    named = getproxies()
    # a WebSocket needs a tunnel, as proxies for HTTPS and SOCKS provide (RFC 6455, 4.1)
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
            f"Write it as http://host:port, or set NO_PROXY={host} to connect directly",
            terminal=True,
        )
    return proxy


def shown(proxy: str) -> str:
    """Return a proxy's URL without user name and password."""
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
        return "there is text after host and port"
    if parts.username is not None and parts.password is None:
        return "it has a user name without a password"
    return None


def _origin(proxy: str) -> str:
    names = [name for name, value in os.environ.items() if value == proxy and name.lower().endswith("_proxy")]
    return f" set in {names[0]}" if names else ""
