"""Authentication by tokens with a role and an expiry, compared in constant time."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import threading
import time
from collections import UserDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from websockets.datastructures import Headers

from ...protocol.commands import ROLES
from ...protocol.errors import WebSocketError
from ..peers.closing import close_with_error

log = logging.getLogger("degentcivil_nb.server")

INVALID_TOKEN: Final = "Invalid token"  # noqa: S105 — the words of the refusal, not a secret
POLICY_VIOLATION: Final = 1008


@dataclass(frozen=True, slots=True)
class Token:
    """The role of a token's bearer (`"viewer"` or `"debugger"`) and its expiry (wall clock, seconds)."""

    role: str = "debugger"
    expires: float | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"{self.role!r} is not a role; use one of {', '.join(ROLES)}")


class Tokens(UserDict[str, Token]):
    """A dict of tokens like the guide's, which shows none of them and looks each up in the same time.

    A value that is neither a `Token` nor a role, as the guide's users store, grants the least: a viewer.
    """

    def __setitem__(self, token: str, granted: Any) -> None:
        if not isinstance(token, str) or not token.strip():
            raise ValueError("a token must be a text that is not empty")
        if not isinstance(granted, Token):
            granted = Token(granted if granted in ROLES else "viewer")
        super().__setitem__(token, granted)

    def find(self, token: object) -> Token | None:
        """Return what a token grants, comparing it with all of them; `None` for an unknown one."""
        if not isinstance(token, str):
            return None
        offered, found = _digest(token), None
        for known, granted in list(self.data.items()):
            if hmac.compare_digest(_digest(known), offered):
                found = granted
        return found

    def __contains__(self, token: object) -> bool:
        return self.find(token) is not None

    def __repr__(self) -> str:
        return f"<{len(self)} tokens, withheld>"

    __str__ = __repr__


class _Live(NamedTuple):
    token: str
    loop: asyncio.AbstractEventLoop


class WebSocketAuth:
    """An authenticator by tokens.

    `tokens` maps each token to a role or a `Token`, and may be changed at any time. Without any token every connection
    is refused: a server that is open to all of this machine has no `WebSocketAuth`. `clock` is wall clock in seconds.

    Connections accepted by `authenticate` are closed when their token is revoked or, at the next `check`, when it has
    expired or was removed.
    """

    def __init__(
        self, tokens: Mapping[str, str | Token] | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.tokens = Tokens()
        for token, granted in (tokens or {}).items():
            self.tokens[token] = Token(granted) if isinstance(granted, str) else granted
        self._clock = clock
        self._live: WeakKeyDictionary[Any, _Live] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    def is_valid_token(self, token: object) -> bool:
        """Return whether a token is accepted now."""
        return self.role_of(token) is not None

    def role_of(self, token: object) -> str | None:
        """Return the current role of a token's bearer, `"viewer"` or `"debugger"`; `None` for an invalid token."""
        granted = self.tokens.find(token)
        if granted is None or (granted.expires is not None and self._clock() >= granted.expires):
            return None
        return granted.role

    async def authenticate(self, websocket: Any, token: str | None) -> bool:
        """Accept a connection and return `True`, or send `error` 1002, close it with 1008 and return `False`."""
        if not self.is_valid_token(token):
            await refuse_token(websocket)
            return False
        assert token is not None
        with self._lock:
            self._live[websocket] = _Live(token, asyncio.get_running_loop())
        return True

    def role_on(self, websocket: Any) -> str | None:
        """Return the current role of an accepted connection; `None` when its token is no longer valid."""
        with self._lock:
            live = self._live.get(websocket)
        return None if live is None else self.role_of(live.token)

    def revoke(self, token: str) -> int:
        """Remove a token and close its connections, from any thread; return how many were closed."""
        self.tokens.pop(token, None)
        return self.check()

    def check(self) -> int:
        """Close the connections whose token is no longer valid, from any thread; return how many were closed."""
        with self._lock:
            ended = [(websocket, live) for websocket, live in self._live.items() if self.role_of(live.token) is None]
            for websocket, _ in ended:
                del self._live[websocket]
        for websocket, live in ended:
            try:
                live.loop.call_soon_threadsafe(self._end, websocket)
            except RuntimeError:  # that loop is closed, and its connections with it
                log.debug("a connection with an invalid token was closed already")
        return len(ended)

    def _end(self, websocket: Any) -> None:
        task = asyncio.get_running_loop().create_task(refuse_token(websocket))
        self._ending.add(task)  # the loop holds tasks only weakly
        task.add_done_callback(self._ending.discard)

    def __repr__(self) -> str:
        return f"WebSocketAuth({self.tokens!r})"


async def refuse_token(websocket: Any) -> None:
    """Refuse a connection for its token: `error` 1002, then close code 1008 `Invalid token`."""
    error = WebSocketError(WebSocketError.AUTH_FAILED, INVALID_TOKEN)
    name = str(getattr(websocket, "remote_address", None) or "a peer")
    log.info("%s is refused: %s", name, INVALID_TOKEN.lower(), extra={"peer": name, "code": error.code})
    await close_with_error(websocket, error, POLICY_VIOLATION, INVALID_TOKEN)


def bearer_token(headers: Headers) -> str | None:
    """Return the token of `Authorization: Bearer …`; `None` unless there is exactly one."""
    found = headers.get_all("Authorization")
    if len(found) != 1:
        return None
    scheme, _, token = found[0].strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token and not any(map(str.isspace, token)) else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
