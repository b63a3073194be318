"""The guide's publishers: states and events of a simulation as messages for any server that can broadcast."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from ..protocol.errors import WebSocketError
from ..protocol.messages import MessageTypes, WebSocketMessage

log = logging.getLogger("degentcivil_nb.server")

_BROADCASTS: Final = ("broadcast_message", "broadcast")
_PATIENCE_S: Final = 5.0
"""How long one client may delay a message before it is skipped."""


class _Publisher:
    """A publisher to anything with `broadcast_message(message)` or `broadcast(message)`, sync or async.

    These methods get the `WebSocketMessage`. A server without them has `clients`, whose `send(text)` is awaited.
    """

    def __init__(self, server: Any, *, clock: Callable[[], float] = time.time) -> None:
        if not any(getattr(server, name, None) is not None for name in (*_BROADCASTS, "clients")):
            what = type(server).__name__
            raise TypeError(f"{what} cannot publish: it has no broadcast_message, no broadcast and no clients")
        self.server = server
        self._clock = clock

    async def broadcast_message(self, message: WebSocketMessage) -> None:
        """Send a message to every client; a broken or stalled one does not affect the others.

        `WebSocketError` 1001 if the message has no JSON form, unless the server handles that itself, as
        `SimulationWebSocket` does, which logs it and continues.
        """
        found = (getattr(self.server, name, None) for name in _BROADCASTS)
        broadcast = next((method for method in found if method is not None), None)
        if broadcast is not None:
            result = broadcast(message)
            if inspect.isawaitable(result):
                await result
            return
        text = message.to_json()
        await asyncio.gather(*(_send(client, text) for client in list(self.server.clients)))


class CharacterStatePublisher(_Publisher):
    """A publisher of characters' state changes."""

    async def publish_state_change(self, character: Any) -> None:
        """Send a `state_change` from the attributes `id`, `state_name` and `location` (itself, or its `name`).

        `WebSocketError` 1001 names a missing attribute.
        """
        try:
            character_id, state = character.id, character.state_name
        except AttributeError as error:
            raise WebSocketError(WebSocketError.INVALID_MESSAGE, f"this is not a character: {error}") from error
        location = getattr(character, "location", None)
        location = getattr(location, "name", location)
        now = self._clock()
        data = {
            "character_id": character_id if isinstance(character_id, int) else str(character_id),
            "new_state": str(state),
            "location": None if location is None else str(location),
            "timestamp": now,
        }
        await self.broadcast_message(WebSocketMessage(MessageTypes.STATE_CHANGE, data, now))


class EventNotifier(_Publisher):
    """A publisher of events."""

    async def notify_event(self, event_type: str, event_data: Any) -> None:
        """Send an `event_notification`."""
        now = self._clock()
        data = {"event_type": event_type, "data": event_data, "timestamp": now}
        await self.broadcast_message(WebSocketMessage(MessageTypes.EVENT_NOTIFICATION, data, now))


async def _send(client: Any, text: str) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await client.send(text)
    except Exception as error:  # noqa: BLE001 — clients are foreign code: a failure of one must not affect the others
        log.info("a client could not be sent a message: %s", type(error).__name__)
