"""What the tests of the client share: a sink that can be waited on, and a server that says exactly what it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from msgspec import Raw
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.control_payloads import Gap, Hello, Resume, Resumed, Snapshot
from degentcivil_nb.protocol.json_text import decode, encode
from degentcivil_nb.protocol.messages import RawMessage

SUBPROTOCOL = Subprotocol("degentcivil.v1")


class Collector:
    """Be a sink, and wait for what it gets."""

    def __init__(self) -> None:
        self.messages: list[RawMessage] = []
        self.epochs: list[str | None] = []
        self.calls = 0
        self._more = asyncio.Event()

    def __call__(self, messages: list[RawMessage], received: float, epoch: str | None) -> None:
        self.calls += 1
        self.messages.extend(messages)
        self.epochs.extend([epoch] * len(messages))
        self._more.set()

    def of(self, type: str) -> list[RawMessage]:
        return [message for message in self.messages if message.type == type]

    @property
    def seqs(self) -> list[int]:
        return [message.seq for message in self.messages if message.seq is not None]

    @property
    def gaps(self) -> list[Gap]:
        return [decode(Gap, message.data) for message in self.of("gap")]

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._more.clear()
                await self._more.wait()


def at_once() -> Iterator[float]:
    """Be a back-off for tests: no wait worth the name."""
    while True:
        yield 0.01


@contextlib.asynccontextmanager
async def following(url: str, **options: Any) -> AsyncIterator[tuple[SimulationClient, Collector]]:
    """Give an open client with a collector for its sink, and close it."""
    collector = Collector()
    client = SimulationClient(url, **{"sink": collector, "delays": at_once, **options})
    try:
        await client.open()
        yield client, collector
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def scripted(
    *scripts: Callable[[ServerConnection], Awaitable[None]], v1: bool = True, **options: Any
) -> AsyncIterator[str]:
    """Serve the first connection by the first script and so on, the last one for all that follow; give the URL."""
    served = 0

    async def handle(websocket: ServerConnection) -> None:
        nonlocal served
        script = scripts[min(served, len(scripts) - 1)]
        served += 1
        with contextlib.suppress(ConnectionClosed):
            await script(websocket)

    def choose(_: ServerConnection, offered: Any) -> Subprotocol | None:
        return SUBPROTOCOL if v1 and SUBPROTOCOL in offered else None

    async with serve(handle, "127.0.0.1", 0, select_subprotocol=choose, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


def frame(type: str, payload: Any, *, id: str | None = None, seq: int | None = None) -> str:
    return encode(RawMessage(type, Raw(encode(payload)), id=id, seq=seq)).decode()


async def greet(websocket: ServerConnection, epoch: str = "one", head: int = 0, heartbeat_s: float = 5.0) -> Resume:
    """Be a v1 server up to the snapshot; give what the client asked for."""
    await websocket.send(frame("hello", Hello(epoch, head=head, heartbeat_s=heartbeat_s)))
    resume = decode(Resume, decode(RawMessage, await websocket.recv()).data)
    start = head + 1 if resume.seq is None else resume.seq + 1
    await websocket.send(frame("resumed", Resumed(epoch, head, start)))
    await websocket.send(frame("snapshot", Snapshot(head)))
    return resume


async def stay(websocket: ServerConnection) -> None:
    await websocket.wait_closed()


def serving(then: Callable[[ServerConnection], Awaitable[None]]) -> Callable[[ServerConnection], Awaitable[None]]:
    async def script(websocket: ServerConnection) -> None:
        await greet(websocket)
        await then(websocket)
        await stay(websocket)

    return script


def never_again() -> Iterator[float]:
    """Be a back-off that waits for a person."""
    while True:
        yield 3600.0
