"""The guide's publishers: characters and events of a simulation as messages, told to whatever can broadcast."""

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
"""How long one client may hold its message up before it is left behind."""


class _Publisher:
    """Hold a server: anything with `broadcast_message(message)` or `broadcast(message)`, sync or async.

    They are given the `WebSocketMessage`. A server with neither has `clients`, whose `send(text)` is awaited.
    """

    def __init__(self, server: Any, *, clock: Callable[[], float] = time.time) -> None:
        if not any(getattr(server, name, None) is not None for name in (*_BROADCASTS, "clients")):
            what = type(server).__name__
            raise TypeError(f"{what} can tell nobody: it has no broadcast_message, no broadcast and no clients")
        self.server = server
        self._clock = clock

    async def broadcast_message(self, message: WebSocketMessage) -> None:
        """Send a message to every client; one that is broken or stalled costs no other its message.

        `WebSocketError` 1001 if the message has no JSON form, unless the server sees to that itself, as
        `SimulationWebSocket` does: it logs it and goes on.
        """
        found = (getattr(self.server, name, None) for name in _BROADCASTS)
        broadcast = next((method for method in found if method is not None), None)
        if broadcast is not None:
            told = broadcast(message)
            if inspect.isawaitable(told):
                await told
            return
        text = message.to_json()
        await asyncio.gather(*(_send(client, text) for client in list(self.server.clients)))


class CharacterStatePublisher(_Publisher):
    """Tell of characters that changed their state."""

    async def publish_state_change(self, character: Any) -> None:
        """Send a `state_change` from the attributes `id`, `state_name` and `location` (itself, or its `name`).

        `WebSocketError` 1001 names the attribute that is missing.
        """
        try:
            character_id, state = character.id, character.state_name
        except AttributeError as error:
            raise WebSocketError(WebSocketError.INVALID_MESSAGE, f"this is no character: {error}") from error
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
    """Tell of events."""

    async def notify_event(self, event_type: str, event_data: Any) -> None:
        """Send an `event_notification`."""
        now = self._clock()
        data = {"event_type": event_type, "data": event_data, "timestamp": now}
        await self.broadcast_message(WebSocketMessage(MessageTypes.EVENT_NOTIFICATION, data, now))


async def _send(client: Any, text: str) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await client.send(text)
    except Exception as error:  # noqa: BLE001 — any kind of client: whatever is wrong with it is no other's loss
        log.info("a client did not get a message: %s", type(error).__name__)
