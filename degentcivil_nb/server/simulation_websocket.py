"""The server beside the simulation: it binds, lets peers in, and gives each a cursor into the one history."""

from __future__ import annotations

import asyncio
import errno
import inspect
import logging
import secrets
import socket
import ssl as ssl_module
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

from msgspec.structs import replace
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from ..protocol.codec import decode_raw
from ..protocol.errors import ConnectFailed, WebSocketError
from ..protocol.json_text import decode
from ..protocol.message import CommandSpec, Hello, MessageTypes, RawMessage, Resume, RunState, WebSocketMessage
from .feed import Feed
from .history import History
from .interfaces import CommandHandler, Monitor, Silent, Traffic
from .peer import NO_PROGRESS, GuidePeer, Peer
from .present import Present
from .publishing import Publisher
from .v1_peer import V1Peer

log = logging.getLogger("degentcivil_nb.server")

SUBPROTOCOL: Final = Subprotocol("degentcivil.v1")
STANDSTILL_S: Final = 10.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def _running() -> RunState:
    return RunState("running")


class SimulationWebSocket:
    """Serve a simulation's stream and commands over WebSocket.

    `publish` may be called from any thread; everything else belongs to the loop that `start` ran on.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8765,
        *,
        monitor: Monitor | None = None,
        traffic: Traffic | None = None,
        history: History | None = None,
        heartbeat_s: float = 5.0,
        max_message_bytes: int = 1 << 20,
        ssl: ssl_module.SSLContext | None = None,
        compression: bool = False,
        commands: CommandHandler | None = None,
        status: Callable[[], RunState] = _running,
        run_id: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.host = host
        self.port = port
        self.clients: set[ServerConnection] = set()
        self.epoch = secrets.token_hex(8)
        self.heartbeat_s = heartbeat_s
        self.max_message_bytes = max_message_bytes
        self.history = history or History()
        self._ssl = ssl
        self._compression = compression
        self._commands = commands
        self._status = status
        self._run_id = run_id
        self._clock = clock
        self._monitor = monitor or Silent()
        self._traffic = traffic
        present = Present()
        self.publisher = Publisher(
            self.history,
            present,
            epoch=self.epoch,
            monitor=self._monitor,
            max_message_bytes=max_message_bytes,
            clock=clock,
        )
        self.feed = Feed(
            self.epoch,
            self.history,
            present,
            self.publisher,
            max_message_bytes=max_message_bytes,
            status=status,
            monitor=self._monitor,
            clock=clock,
        )
        self.feed.clients = self.clients.__len__
        self.publish = self.publisher.publish
        self._peers: dict[ServerConnection, Peer] = {}
        self._server: Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._numbered = 0

    @property
    def url(self) -> str:
        """Say where to connect."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self._ssl else 'ws'}://{host}:{self.port}"

    # --- its life ------------------------------------------------------------------------------------------------

    async def start_server(self) -> None:
        """Serve until closed."""
        await self.start()
        assert self._server is not None
        try:
            await self._server.wait_closed()
        finally:
            await self.close()

    async def start(self) -> None:
        """Bind and return; `port` is then the real one. `ConnectFailed` says why that is impossible."""
        try:
            self._server = await self._bind()
        except OSError as error:
            raise self._cannot_bind(error) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks = [asyncio.create_task(self.feed.run()), asyncio.create_task(self._keep())]

    async def _bind(self) -> Server:
        # two addresses would get two ports
        host = "127.0.0.1" if self.host == "localhost" and self.port == 0 else self.host
        return await serve(
            self._serve,
            host,
            self.port,
            ssl=self._ssl,
            select_subprotocol=_select_subprotocol,
            compression="deflate" if self._compression else None,
            open_timeout=5,
            ping_interval=self.heartbeat_s,
            ping_timeout=self.heartbeat_s,
            close_timeout=2,
            max_size=self.max_message_bytes,
            logger=logging.getLogger("degentcivil_nb.server.websockets"),
        )

    def _cannot_bind(self, error: OSError) -> ConnectFailed:
        where = f"port {self.port} on {self.host}"
        if error.errno == errno.EADDRINUSE:
            return ConnectFailed(
                f"{where} is in use by another program", "Stop it, or take a free port with port=0", terminal=True
            )
        if error.errno == errno.EACCES:
            return ConnectFailed(f"{where} is not for this user", "Take a port above 1023, or port=0", terminal=True)
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            return ConnectFailed(
                f"{self.host!r} is not an address of this machine", 'Use host="127.0.0.1"', terminal=True
            )
        return ConnectFailed(f"{where} cannot be opened: {error}", "Try another port, or port=0", terminal=True)

    async def close(self) -> None:
        """Tell everybody with 1001, and leave no task, socket or descriptor behind."""
        server, self._server = self._server, None
        if server is None:
            return
        self.publisher.drain()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        server.close(close_connections=False)
        await asyncio.gather(*(peer.close(1001, "the server shuts down") for peer in list(self._peers.values())))
        await server.wait_closed()

    async def _keep(self) -> None:
        """Send heartbeats when due, and close whoever stands still."""
        loop = asyncio.get_running_loop()
        beat = loop.time() + self.heartbeat_s
        closing: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(min(0.5, self.heartbeat_s))
            now = loop.time()
            due = now >= beat
            if due:
                beat = now + self.heartbeat_s
            for peer in list(self._peers.values()):
                if due:
                    peer.heartbeat()
                if peer.still_for(now) > STANDSTILL_S:
                    task = asyncio.create_task(peer.close(NO_PROGRESS, "no progress"))
                    closing.add(task)
                    task.add_done_callback(closing.discard)

    # --- publishing ----------------------------------------------------------------------------------------------

    async def broadcast_message(self, message: WebSocketMessage) -> None:
        """Put a message into the stream of every client; from any thread or loop, and it never waits."""
        self.publish(message.type, message.data, message.tick, message.timestamp)

    async def publish_now(self, message: WebSocketMessage) -> WebSocketMessage:
        """Put a message behind everything published so far, and return it with its `seq`; on the server's loop."""
        return replace(message, seq=self.publisher.enter(message))

    # --- peers ---------------------------------------------------------------------------------------------------

    async def _serve(self, websocket: ServerConnection) -> None:
        await self.handle_connection(websocket)

    async def handle_connection(self, websocket: ServerConnection, path: str | None = None) -> None:
        """Serve one connection until it ends; `path` is there for callers that still pass it."""
        peer = self._make_peer(websocket)
        self.clients.add(websocket)
        self._peers[websocket] = peer
        self._monitor.update_metrics("total_connections")
        self._monitor.update_metrics("active_connections")
        sender = asyncio.create_task(peer.run())
        try:
            handled = self.handle_messages(websocket)
            if inspect.isawaitable(handled):
                await handled
        except ConnectionClosed:
            pass
        finally:
            self.clients.discard(websocket)
            del self._peers[websocket]
            self._monitor.update_metrics("active_connections", -1)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def handle_messages(self, websocket: ServerConnection) -> None:
        """Read what a client sends until it leaves; a subclass may read it otherwise."""
        peer = self._peers[websocket]
        async for frame in websocket:
            self._count(peer, frame)
            try:
                self._take(peer, decode_raw(frame))
            except WebSocketError as error:
                self._monitor.update_metrics("errors")
                peer.reply(WebSocketError.create_error_message(error.code, error.message, details=error.details))

    def _count(self, peer: Peer, frame: str | bytes) -> None:
        self._monitor.update_metrics("messages_received")
        self._monitor.update_metrics("bytes_received", len(frame))
        if self._traffic is not None and self._traffic.enabled:
            self._traffic.record("received", frame, peer.name)

    def _take(self, peer: Peer, message: RawMessage) -> None:
        if isinstance(peer, V1Peer) and message.type == MessageTypes.RESUME:
            peer.resume(decode(Resume, message.data))

    def _make_peer(self, websocket: ServerConnection) -> Peer:
        self._numbered += 1
        address = websocket.remote_address
        name = f"{self._numbered} {address[0]}:{address[1]}" if address else str(self._numbered)
        role = "debugger"
        if websocket.subprotocol is None:
            return GuidePeer(websocket, self.feed, name=name, role=role, traffic=self._traffic)
        return V1Peer(
            websocket,
            self.feed,
            name=name,
            role=role,
            traffic=self._traffic,
            hello=self._hello,
            commands=self._specs,
        )

    def _specs(self) -> list[CommandSpec]:
        return [] if self._commands is None else self._commands.specs()

    def _hello(self, role: str) -> Hello:
        state = self._status()
        return Hello(
            epoch=self.epoch,
            head=self.history.head,
            oldest=self.history.oldest,
            server={"name": "degentcivil_nb", "version": version("degentcivil_nb")},
            run_id=self._run_id,
            run_state=state.state,
            tick=state.tick,
            role=role,
            capabilities=["batch", "filter", "snapshot"] + ["commands"] * (self._commands is not None),
            heartbeat_s=self.heartbeat_s,
            max_message_bytes=self.max_message_bytes,
        )


def _select_subprotocol(connection: ServerConnection, offered: Any) -> Subprotocol | None:
    """Speak our own protocol with whoever offers it, and the guide's with everybody else."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None
