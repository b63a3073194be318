"""Stand in for the parts that another hand is building; goes when they come."""

from __future__ import annotations

import asyncio

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from ..protocol.message import Command, CommandResult, MessageTypes, RawMessage, WebSocketMessage
from .interfaces import CommandHandler
from .peer import Peer


class Dispatcher:
    def __init__(self, handler: CommandHandler | None) -> None:
        self._handler = handler

    def handle(self, peer: Peer, message: RawMessage) -> None:
        if message.id is None or self._handler is None:
            raise WebSocketError(WebSocketError.INVALID_MESSAGE, "a command without an id, or without a handler")
        loop = asyncio.get_running_loop()

        def send(id: str, result: CommandResult) -> None:
            peer.reply(WebSocketMessage(MessageTypes.COMMAND_RESULT, result, id=id))

        def reply(result: CommandResult) -> None:
            loop.call_soon_threadsafe(send, message.id or "", result)

        self._handler.submit(message.id, decode(Command, message.data), peer.role, reply)
