"""Servers of the other dialects, each on a thread of its own: DegentCivil's, and the guide's.

with GameServer() as server:            # lists, no timestamps, no ids, silent until the bare text `start`
    session = dc.connect(server.url)
    session.send("start")

with GuideServer() as server:           # envelopes with `timestamp`, a heartbeat now and then
    server.state_change("emma", "MOVE", "Park")
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.server import Server, ServerConnection, serve

from degentcivil_nb.core.portal import Portal
from tests.support.waiting import eventually

BUILDINGS: list[dict[str, Any]] = [
    {"id": 1, "name": "Cafe", "description": "Smells of coffee", "instruction": "sit, drink", "jobs": ["barista"]},
    {"id": 2, "name": "Park", "description": "Trees and a pond", "instruction": "walk"},
]
CHARACTERS: list[dict[str, Any]] = [
    {
        "name": "Emma",
        "age": 31,
        "bio": "paints",
        "goal": "a show",
        "health": 90,
        "money": 12.5,
        "x": 3,
        "y": 4,
        "state": "IDLE",
    },
    {"name": "Li", "age": 45, "bio": "cooks", "goal": "a cafe", "health": 80, "money": 40, "x": 7, "y": 1},
]
LLM_CALL: dict[str, Any] = {
    "latest_prompt_type": "PLAN",
    "latest_prompt": "What will you do today?",
    "latest_response": {"plan": ["paint", "eat"]},
}


class _OnItsOwnThread:
    """Run a server between `__enter__` and `__exit__`."""

    port: int

    def __init__(self) -> None:
        self.received: list[str] = []
        """Every text frame that any client sent."""

    def __enter__(self) -> Self:
        self._portal = Portal(type(self).__name__)
        try:
            self._portal.call(self._start, timeout=10)
        except BaseException:
            self._portal.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._portal.call(self._stop, timeout=10)
        finally:
            self._portal.close()

    async def _start(self) -> None:
        raise NotImplementedError

    async def _stop(self) -> None:
        raise NotImplementedError


class GameServer(_OnItsOwnThread):
    """Speak as DegentCivil's own server does: a Starlette route at `/ws`."""

    def __init__(self, buildings: list[dict[str, Any]] = BUILDINGS, characters: list[dict[str, Any]] = CHARACTERS):
        super().__init__()
        self._buildings = buildings
        self._characters = characters
        self._sockets: set[WebSocket] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def send(self, type: str, data: Any) -> None:
        """Send a message to every client that is connected."""
        self._portal.call(self._broadcast, {"type": type, "data": data}, timeout=5)

    def drop(self) -> None:
        """Hang up on everybody."""
        self._portal.call(self._drop, timeout=5)

    async def _start(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        app = Starlette(routes=[WebSocketRoute("/ws", self._serve)])
        config = uvicorn.Config(app, ws="websockets-sansio", lifespan="off", log_level="error")
        self._uvicorn = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._uvicorn.serve(sockets=[listener]))
        await eventually(lambda: self._uvicorn.started)

    async def _stop(self) -> None:
        await self._drop()
        self._uvicorn.should_exit = True
        await self._serving

    async def _serve(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self._sockets.add(websocket)
        try:
            while True:
                text = await websocket.receive_text()
                self.received.append(text)
                if text == "start":
                    await websocket.send_json({"type": "all_buildings", "data": self._buildings})
                    await websocket.send_json({"type": "all_characters", "data": self._characters})
                    await websocket.send_json({"type": "character_update_llm", "data": LLM_CALL})
        except WebSocketDisconnect:
            return
        finally:
            self._sockets.discard(websocket)

    async def _broadcast(self, message: dict[str, Any]) -> None:
        for websocket in list(self._sockets):
            await websocket.send_json(message)

    async def _drop(self) -> None:
        for websocket in list(self._sockets):
            await websocket.close(1012)


class GuideServer(_OnItsOwnThread):
    """Speak as the WebSocket guide's server does: every envelope has a `timestamp`, and nothing more."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: set[ServerConnection] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def send(self, type: str, data: Any) -> None:
        """Send a message to every client that is connected."""
        self.send_text(json.dumps({"type": type, "data": data, "timestamp": time.time()}))

    def send_text(self, text: str) -> None:
        """Send a frame as it is."""
        self._portal.call(self._broadcast, text, timeout=5)

    def state_change(self, character_id: str, new_state: str, location: str | None = None) -> None:
        data = {"character_id": character_id, "new_state": new_state, "location": location, "timestamp": time.time()}
        self.send("state_change", data)

    def heartbeat(self) -> None:
        self.send("heartbeat", {})

    def drop(self, code: int = 1012, reason: str = "") -> None:
        """Hang up on everybody."""
        self._portal.call(self._drop, code, reason, timeout=5)

    async def _start(self) -> None:
        self._server: Server = await serve(self._serve, "127.0.0.1", 0)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, websocket: ServerConnection) -> None:
        self.clients.add(websocket)
        try:
            async for message in websocket:
                self.received.append(str(message))
        finally:
            self.clients.discard(websocket)

    async def _broadcast(self, text: str) -> None:
        for websocket in list(self.clients):
            await websocket.send(text)

    async def _drop(self, code: int, reason: str) -> None:
        for websocket in list(self.clients):
            await websocket.close(code, reason)
