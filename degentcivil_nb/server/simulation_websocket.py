"""The server beside the simulation: it binds, admits peers, and gives each a read position in the shared history."""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from functools import partial
from typing import Any, Final

from msgspec.structs import replace
from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import ConnectionClosed

from ..core.address import is_loopback
from ..protocol.command_payloads import CommandSpec
from ..protocol.errors import ConnectFailed
from ..protocol.messages import WebSocketMessage
from .dispatch import Dispatcher
from .entrance.admission import Admission
from .entrance.binding import listen, require_safe, stop_listening
from .entrance.origins import Gate
from .options import sort_options
from .peers.closing import ending
from .peers.error_handler import ErrorHandler
from .peers.guide_handlers import accepting_one_argument, send_to_each
from .peers.inbound import Inbound
from .peers.liveness import LivenessMonitor
from .peers.peer import GuidePeer, Peer
from .peers.v1_peer import V1Peer, select_subprotocol
from .run_facts import RunFacts
from .stream.feed import Feed
from .stream.publishing import StreamPublisher
from .stream.snapshot import SnapshotBuilder

log = logging.getLogger("degentcivil_nb.server")

GOING_AWAY: Final = 1001
_GOODBYE: Final = "the server is shutting down"
_DRAIN_S: Final = 0.5
"""How long a closing server waits until its peers were sent the end of the stream, with the run's final state."""


class SimulationWebSocket:
    """A WebSocket server for a simulation's stream and commands.

    `publish` may be called from any thread; everything else belongs to the loop that `start` ran on. Without `auth`
    everyone who can reach the server may do everything, and it binds to this machine only. The structs in
    `server/options.py` declare the options.
    """

    def __init__(self, host: str = "localhost", port: int = 8765, **options: Any) -> None:
        entrance, stream, peers, run = sort_options(options)
        require_safe(host, guarded=entrance.auth is not None)
        self.host = host
        self.port = port
        self.clients: set[ServerConnection] = set()
        self.epoch = secrets.token_hex(8)
        self.heartbeat_s = peers.heartbeat_s
        self.max_message_bytes = stream.max_message_bytes
        self.history = stream.history
        self.monitor = peers.monitor
        self._entrance = entrance
        self._commands = run.commands
        self._workers = run.workers
        self._pool = entrance.pool
        self._traffic = peers.traffic
        self._resume_s = peers.resume_s
        gate = Gate(host, origins=entrance.origins, hosts=entrance.hosts)
        self._admission = Admission(gate, entrance.auth, self._pool, self.monitor)
        present = SnapshotBuilder()
        self.publisher = StreamPublisher(
            self.history,
            present,
            epoch=self.epoch,
            monitor=self.monitor,
            max_message_bytes=self.max_message_bytes,
            max_queued=stream.max_queued,
            clock=stream.clock,
        )
        self.publish = self.publisher.publish
        self.feed = Feed(
            self.epoch,
            self.history,
            present,
            self.publisher,
            max_message_bytes=self.max_message_bytes,
            status=run.status,
            monitor=self.monitor,
            batch_s=stream.batch_s,
            clock=stream.clock,
        )
        self._facts = RunFacts(
            self.epoch,
            self.history,
            status=run.status,
            clients=self.clients,
            run_id=run.run_id,
            parameters=run.parameters,
            takes_commands=run.commands is not None,
            heartbeat_s=self.heartbeat_s,
            max_message_bytes=self.max_message_bytes,
        )
        self._dispatch = Dispatcher(
            run.commands,
            epoch=self.epoch,
            drain=self.feed.head_after_drain,
            monitor=self.monitor,
            max_message_bytes=self.max_message_bytes,
        )
        self._inbound = Inbound(
            monitor=self.monitor,
            traffic=peers.traffic,
            limiter=peers.limiter,
            errors=peers.error_handler or ErrorHandler(monitor=self.monitor),
            dispatch=self._dispatch,
        )
        self._peers: dict[ServerConnection, Peer] = {}
        self._liveness = LivenessMonitor(
            self._peers.values,
            self.history,
            heartbeat_s=self.heartbeat_s,
            max_stall_s=min(self._pool.max_stall_s, 2 * self.heartbeat_s),  # a lost peer looks alike
            auth=entrance.auth,
            monitor=self.monitor,
            checkpoint_age_s=lambda: self.feed.status().checkpoint_age_s,
        )
        self._server: Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = False
        self._closing = asyncio.Lock()
        self._closed = asyncio.Event()

    @property
    def url(self) -> str:
        """Return the URL to connect to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self._entrance.ssl else 'ws'}://{host}:{self.port}"

    # --- lifecycle -----------------------------------------------------------------------------------------------

    async def start_server(self) -> None:
        """Serve until closed."""
        await self.start()
        try:
            await self._closed.wait()
        finally:
            await self.close()

    async def start(self) -> None:
        """Bind and return; `port` is then the real one. `ConnectFailed` states why that fails."""
        if self._server is not None:
            raise ConnectFailed(
                f"this server is already running at {self.url}", "Close it first, or create another one", terminal=True
            )
        handler = accepting_one_argument(self.handle_connection)  # a subclass's method may still take the path

        async def let_in(websocket: ServerConnection) -> None:
            if self._workers is not None and self._workers.claims(websocket):
                await self._workers.serve(websocket)
            elif await self._admission.admits(websocket):  # before the handler, which a subclass may replace
                await handler(websocket)

        self._server = await listen(
            let_in,
            self.host,
            self.port,
            self._admission,
            heartbeat_s=self.heartbeat_s,
            ssl=self._entrance.ssl,
            select_subprotocol=select_subprotocol,
            compression="deflate" if self._compresses else None,
            open_timeout=self._entrance.open_s,
            max_size=self.max_message_bytes,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._closed.clear()
        self._ended = False
        self._look_after_peers()
        log.info("serving at %s", self.url)

    async def close(self) -> None:
        """Close all connections with 1001 and release every task, socket and descriptor; idempotent."""
        async with self._closing:
            server, self._server = self._server, None
            self._ended = True  # for connections that are being admitted
            if server is not None:
                await stop_listening(server.sockets)
                server.close(close_connections=False)
            self.publisher.drain()
            self.feed.notify_peers()
            await self.caught_up(_DRAIN_S)
            await asyncio.gather(*(peer.close(GOING_AWAY, _GOODBYE) for peer in list(self._peers.values())))
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks = []
            if server is not None:
                for connection in list(
                    self._admission.connections
                ):  # unfinished handshakes, and peers that do not close
                    transport = getattr(connection, "transport", None)
                    if transport is not None:  # `None` after a failed TLS handshake
                        transport.abort()
                await server.wait_closed()
            self._closed.set()

    async def caught_up(self, timeout_s: float) -> None:
        """Wait until every peer was sent the whole stream, `timeout_s` at most; on the server's loop."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        behind = list(self._peers.values())
        # read positions are polled: an event for this would have no other use
        while loop.time() < deadline and (behind := [peer for peer in behind if not peer.is_up_to_date]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    @property
    def _compresses(self) -> bool:
        wanted = self._entrance.compression
        return not is_loopback(self.host) if wanted is None else wanted

    def _look_after_peers(self) -> None:
        if not self._tasks:
            self._tasks = [asyncio.create_task(self.feed.run()), asyncio.create_task(self._liveness.run())]

    # --- publishing ----------------------------------------------------------------------------------------------

    async def broadcast_message(self, message: WebSocketMessage) -> None:
        """Publish a message to every client, from any thread or loop, without waiting."""
        self.publish(message.type, message.data, message.tick, message.timestamp)
        if len(self.clients) != len(self._peers):  # a subclass has clients of its own
            send_to_each([client for client in list(self.clients) if client not in self._peers], message.to_json())

    async def publish_now(self, message: WebSocketMessage) -> WebSocketMessage:
        """Publish a message behind everything published so far and return it with its `seq`; on the server's loop.

        Raises `WebSocketError` 1001 for data without a JSON form and for the server's own types.
        """
        return replace(message, seq=self.publisher.enter(message))

    def backlog(self) -> int:
        """Count the messages that the peer farthest behind has not been sent; from any thread."""
        end, waiting = self.history.end, self.publisher.depth
        peers = [peer for peer in list(self._peers.values()) if not peer.leaving]
        return waiting + max((end - peer.offset for peer in peers), default=0)

    def client_ids(self) -> set[str]:
        """List the clients that are connected and said who they are; from any thread."""
        return {peer.client.id for peer in list(self._peers.values()) if peer.client is not None}

    def debuggers(self) -> int:
        """Count the clients that may run every command; from any thread."""
        peers = list(self._peers.values())
        return sum(isinstance(peer, V1Peer) and peer.role == "debugger" for peer in peers)

    def offer_commands(self) -> None:
        """Send every client the current list of commands; on the server's loop."""
        for peer in self._peers.values():
            if isinstance(peer, V1Peer):
                peer.offer_commands()

    # --- peers ---------------------------------------------------------------------------------------------------

    async def handle_connection(self, websocket: ServerConnection, path: str | None = None) -> None:
        """Serve one connection until it ends; `path` is accepted for callers that still pass it."""
        if self._ended:
            await websocket.close(GOING_AWAY, _GOODBYE)
            return
        self._look_after_peers()
        name = self._admission.name(websocket)
        if not await self._admission.admits(websocket) or not await self._admission.reserve(name, websocket):
            return
        try:
            await self._serve(websocket, self._make_peer(websocket, name))
        finally:
            await self._pool.remove_connection(name, websocket)

    async def _serve(self, websocket: ServerConnection, peer: Peer) -> None:
        self.clients.add(websocket)
        self._peers[websocket] = peer
        self.monitor.update_metrics("total_connections")
        self.monitor.update_metrics("active_connections")
        about = {"peer": peer.name, "dialect": peer.dialect, "role": peer.role}
        log.info("%s is connected (%s, %s)", peer.name, peer.dialect, peer.role, extra=about)
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
            self.monitor.update_metrics("active_connections", -1)
            self._dispatch.remove_peer(peer)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            self.feed.report()  # so that the counters include all that this peer was sent
            about["close_code"] = str(websocket.close_code)
            log.info("%s disconnected (%s)", peer.name, ending(websocket), extra=about)

    async def handle_messages(self, websocket: ServerConnection) -> None:
        """Read what a client sends until it disconnects; a subclass may replace this."""
        peer = self._peers.get(websocket)
        async for frame in websocket:
            if peer is not None and not await self._inbound.take(peer, frame):
                return

    def _make_peer(self, websocket: ServerConnection, name: str) -> Peer:
        role = partial(self._admission.role_of, websocket)
        self.feed.head_after_drain()  # what was published before this peer connected is not new to it
        if websocket.subprotocol is None:
            return GuidePeer(websocket, self.feed, self._facts, name=name, role=role, traffic=self._traffic)
        return V1Peer(
            websocket,
            self.feed,
            self._facts,
            name=name,
            role=role,
            traffic=self._traffic,
            commands=self._specs,
            resume_s=self._resume_s,
            max_lag=self._pool.max_lag,
            max_lag_bytes=self._pool.max_lag_bytes,
        )

    def _specs(self) -> list[CommandSpec]:
        return [] if self._commands is None else self._commands.specs()
