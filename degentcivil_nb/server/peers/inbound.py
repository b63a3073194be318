"""Messages from peers: decoded, counted, rate limited, and dispatched."""

from __future__ import annotations

import logging
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed

from ...monitoring.interfaces import Monitor, TrafficLog
from ...protocol.codec import decode_raw
from ...protocol.control_payloads import Resume
from ...protocol.errors import WebSocketError
from ...protocol.json_text import decode
from ...protocol.messages import MessageTypes, RawMessage, WebSocketMessage
from ...protocol.rate_limits import RateLimiter
from ..dispatch import Dispatcher, answer_to
from .closing import message_of
from .error_handler import ErrorHandler
from .peer import Peer
from .v1_peer import V1Peer

log = logging.getLogger("degentcivil_nb.server")


class Inbound:
    """The receiver of all peers' frames; an error is sent to the frame's sender and has no other effect."""

    def __init__(
        self,
        *,
        monitor: Monitor,
        traffic: TrafficLog | None,
        limiter: RateLimiter,
        errors: ErrorHandler,
        dispatch: Dispatcher,
    ) -> None:
        self._monitor = monitor
        self._traffic = traffic
        self._limiter = limiter
        self._errors = errors
        self._dispatch = dispatch

    async def take(self, peer: Peer, frame: str | bytes) -> bool:
        """Process one frame; return whether its sender is still served. Only `ConnectionClosed` is raised."""
        self._monitor.update_metrics("messages_received")
        self._monitor.update_metrics("bytes_received", len(frame))
        if self._traffic is not None and self._traffic.enabled:
            self._traffic.record("received", frame, peer.name)
        answer: Callable[[WebSocketError], WebSocketMessage] = message_of
        try:
            message = decode_raw(frame)
            answer = answer_to(message)
            self._limiter.check(peer.name, peer.address)
            self._dispatch_message(peer, message)
        except ConnectionClosed:
            raise
        except Exception as error:  # noqa: BLE001 — the boundary: one peer's message must not affect the others
            return await self._errors.handle_error(
                peer.websocket, error, peer=peer.name, answer=answer, reply=peer.reply
            )
        return True

    def _dispatch_message(self, peer: Peer, message: RawMessage) -> None:
        if not isinstance(peer, V1Peer):
            return  # a server acts on nothing that the guide's clients send
        if message.type == MessageTypes.RESUME:
            peer.resume(decode(Resume, message.data))
        elif message.type == MessageTypes.COMMAND:
            self._dispatch.handle(peer, message)
        elif message.type == MessageTypes.WITHDRAW:
            self._dispatch.withdraw(peer, message.id)
        else:
            raise WebSocketError(
                WebSocketError.INVALID_MESSAGE,
                f"a client may send resume, command and withdraw, not {message.type[:80]!r}",
            )
