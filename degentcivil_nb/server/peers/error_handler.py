"""Errors of a peer: each is answered, and the peer is closed when there are too many."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from websockets.exceptions import ConnectionClosed

from ...monitoring.interfaces import Monitor, NullMonitor
from ...protocol.errors import WebSocketError
from ...protocol.messages import WebSocketMessage
from ...protocol.rate_limits import SlidingWindow
from .closing import close_with_error, message_of

log = logging.getLogger("degentcivil_nb.server")

POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011


class ErrorHandler:
    """A handler that answers each error of a peer, and closes one with more than `max_errors` in `window_s` seconds.

    The close code is 1008, which tells the client to give up, if the last error was the peer's, and 1011, after which
    it may retry, if it was the server's.
    """

    def __init__(
        self,
        *,
        max_errors: int = 100,
        window_s: float = 60.0,
        monitor: Monitor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_errors = max_errors
        self.window_s = window_s
        self._monitor: Monitor = NullMonitor() if monitor is None else monitor
        self._clock = clock
        self._windows: WeakKeyDictionary[Any, SlidingWindow] = WeakKeyDictionary()
        self._closed: WeakSet[Any] = WeakSet()  # messages that they sent before may still arrive

    async def handle_error(
        self,
        websocket: Any,
        error: Exception,
        *,
        peer: str | None = None,
        answer: Callable[[WebSocketError], WebSocketMessage] = message_of,
        reply: Callable[[WebSocketMessage], None] | None = None,
    ) -> bool:
        """Answer a peer's error, and return whether the peer is still served.

        `peer` is its name in the log. The message that `answer` makes is sent by `reply` if that is given, else by
        `websocket.send`. Another exception becomes 1004 without its text, with an incident number that finds it in the
        log. Only `CancelledError` is raised.
        """
        if websocket in self._closed:
            return False
        told, name = self._translate(websocket, error, peer)
        self._monitor.update_metrics("errors")
        window = self._windows.get(websocket)
        if window is None:
            window = self._windows[websocket] = SlidingWindow(self.max_errors, self.window_s)
        now = self._clock()
        if window.wait(now) > 0:
            self._closed.add(websocket)
            await self._close(websocket, told, name)
            return False
        window.admit(now)
        message = answer(told)
        try:
            if reply is not None:
                reply(message)
            else:
                await websocket.send(message.to_json())
        except (ConnectionClosed, OSError):
            return False
        return True

    def _translate(self, websocket: Any, error: Exception, peer: str | None) -> tuple[WebSocketError, str]:
        """Log an error once, and return the part that the peer may see."""
        name = peer or str(getattr(websocket, "remote_address", None) or "a peer")
        if isinstance(error, WebSocketError):
            context = {"peer": name, "code": error.code}
            log.info("error of %s: %s (%s)", name, error.message, error.code, extra=context)
            return error, name
        incident = secrets.token_hex(4)
        log.error(
            "incident %s while serving %s",
            incident,
            name,
            exc_info=error,
            extra={"peer": name, "code": WebSocketError.SERVER_ERROR, "incident": incident},
        )
        told = WebSocketError(
            WebSocketError.SERVER_ERROR,
            f"the server failed; see incident {incident} in its log",
            details={"incident": incident},
            retryable=False,
        )
        return told, name

    async def _close(self, websocket: Any, last: WebSocketError, name: str) -> None:
        ours = last.code == WebSocketError.SERVER_ERROR
        log.warning(
            "closing %s: more than %d errors in %g s", name, self.max_errors, self.window_s, extra={"peer": name}
        )
        await close_with_error(websocket, last, INTERNAL_ERROR if ours else POLICY_VIOLATION, "too many errors")
