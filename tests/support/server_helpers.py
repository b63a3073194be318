"""What the tests of the server share: one that is running, and a client of our own protocol that keeps everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from degentcivil_nb.protocol.codec import decode_frames
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[SimulationWebSocket]:
    server = SimulationWebSocket("127.0.0.1", 0, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


class V1:
    """A client of our own protocol that keeps everything it is sent, with batches laid open."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self._waiting: list[RawMessage] = []

    async def next(self) -> RawMessage:
        while not self._waiting:
            frame = await asyncio.wait_for(self.websocket.recv(), 5)
            self._waiting = decode_frames([frame])
        return self._waiting.pop(0)

    async def until(self, found: Callable[[RawMessage], bool]) -> list[RawMessage]:
        messages = [await self.next()]
        while not found(messages[-1]):
            messages.append(await self.next())
        return messages

    async def until_seq(self, seq: int) -> list[RawMessage]:
        return await self.until(lambda message: message.seq == seq)

    async def until_type(self, type: str) -> list[RawMessage]:
        return await self.until(lambda message: message.type == type)

    async def resume(self, **position: Any) -> RawMessage:
        hello = await self.next()
        assert hello.type == "hello"
        assert (await self.next()).type == "commands"
        await self.send("resume", {"epoch": None, "seq": None, **position})
        return hello

    async def send(self, type: str, data: Any, **envelope: Any) -> None:
        await self.websocket.send(json.dumps({"type": type, "data": data, **envelope}))


@asynccontextmanager
async def v1(server: SimulationWebSocket, **options: Any) -> AsyncIterator[V1]:
    async with connect(server.url, subprotocols=[Subprotocol("degentcivil.v1")], **options) as websocket:
        yield V1(websocket)


def publish(server: SimulationWebSocket, *numbers: int) -> None:
    for number in numbers:
        server.publish("state_change", {"character_id": f"c{number % 3}", "new_state": f"S{number}"}, tick=number)


def shape(messages: list[RawMessage]) -> list[Any]:
    """Say what came: positions of the stream, gaps with their bounds, types of the rest."""
    said: list[Any] = []
    for message in messages:
        if message.seq is not None:
            said.append(message.seq)
        elif message.type == "gap":
            gap = message.payload()
            said.append((gap["reason"], gap["from"], gap.get("to")))
        else:
            said.append(message.type)
    return said
