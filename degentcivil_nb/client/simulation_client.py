"""The client: one connection after another to a simulation, whose messages go to a sink."""

from __future__ import annotations

import inspect
import logging
import ssl as ssl_module
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ..monitoring.interfaces import Monitor, NullMonitor, TrafficLog
from ..protocol.codec import decode_frames, malformed
from ..protocol.command_payloads import CommandResult, CommandSpec
from ..protocol.control_payloads import ClientInfo, Hello
from ..protocol.errors import CommandError, ConnectFailed, WebSocketError
from ..protocol.messages import RawMessage, WebSocketMessage
from ..protocol.receiver import StreamReceiver
from .circuit_breaker import Circuit, retry_delays
from .connecting import PLAIN_SILENCE_S, Connector
from .failures import explain_close
from .incoming import V1, Incoming
from .interfaces import Sink
from .reconnecting import CLOSED, LIVE, ConnectionSupervisor
from .requests import Requests

STANDSTILL_S: Final = 1.0
"""From this age of the last checkpoint on, a server sends a heartbeat each second."""

_logger = logging.getLogger("degentcivil_nb.client")


class SimulationClient:
    """A client of a simulation in any of the three dialects, across disconnections and restarts, until closed.

    Use `open` for the whole service: it connects, requests the stream, passes messages to `sink` and keeps
    reconnecting. Use `connect` and `receive_updates`, as the guide does, for one plain connection whose messages go to
    `handle_message`, which may be replaced by a subclass or an assignment, sync or async.

    All coroutines run on one event loop; the attributes may be read from any thread.
    """

    def __init__(
        self,
        uri: str = "ws://localhost:8765",
        *,
        token: str | None = None,
        ssl: ssl_module.SSLContext | None = None,
        history: int = 1000,
        types: Sequence[str] | None = None,
        characters: Sequence[str] | None = None,
        position: tuple[str, int] | None = None,
        sink: Sink | None = None,
        monitor: Monitor | None = None,
        traffic: TrafficLog | None = None,
        on_change: Callable[[], None] | None = None,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
        delays: Callable[[], Iterator[float]] = retry_delays,
        circuit: Circuit | None = None,
        compression: bool | None = None,
        silence_s: float = PLAIN_SILENCE_S,
        name: str = "",
    ) -> None:
        """Prepare a client; `position` is the epoch and `seq` that an earlier client has accounted for.

        `compression` is offered to other machines and not on loopback, unless it is given. `silence_s` is how long a
        server without `seq` may be silent before its connection is closed.

        Raises `ValueError` for an invalid URL, and `ConnectFailed` for a token that would be sent unencrypted.
        """
        self.uri = uri
        self.info = ClientInfo(uuid.uuid4().hex, name[:200])
        """This client's identity for the server, which outlives its connections."""
        self._connector = Connector(uri, token=token, ssl=ssl, compression=compression)
        self._receiver = StreamReceiver(history=history, types=types, characters=characters, position=position)
        self._requests = Requests()
        self._on_change = on_change
        self._plain: ClientConnection | None = None
        self._monitor = monitor = monitor or NullMonitor()
        traffic = traffic or NullMonitor()
        self._incoming = Incoming(
            self._receiver,
            self._requests,
            url=self._connector.url,
            sink=sink,
            monitor=monitor,
            traffic=traffic,
            changed=self._changed,
            clock=clock,
            client=self.info,
        )
        self._connections = ConnectionSupervisor(
            self._connector,
            self._incoming,
            self._requests,
            monitor=monitor,
            traffic=traffic,
            timeout=timeout,
            changed=self._changed,
            delays=delays,
            circuit=circuit or Circuit(),
            silence_s=silence_s,
        )

    # --- state, for any thread --------------------------------------------------------------------------

    @property
    def websocket(self) -> ClientConnection | None:
        """Return the library's connection, `None` without one."""
        return self._plain or self._connections.connection

    @property
    def state(self) -> str:
        """Return `connecting`, `live`, `reconnecting` or `closed`."""
        return self._connections.state

    @property
    def last_error(self) -> str | None:
        """Return why the last connection ended or failed, and what to do."""
        return self._connections.last_error

    @property
    def reconnects(self) -> int:
        """Return the number of connections after the first."""
        return self._connections.reconnects

    @property
    def dialect(self) -> str:
        """Return `v1`, `guide` or `game`; `unknown` until the first message shows which of the last two it is."""
        return self._incoming.dialect

    @property
    def hello(self) -> Hello | None:
        """Return the last `hello` of a v1 server."""
        return self._incoming.hello

    @property
    def run_state(self) -> str | None:
        """Return `running`, `pausing`, `paused`, `finished` or `dead`; `None` if the server does not report it.

        It is what the server last reported in any message. With a store, ask `store.run_state_in(client.epoch)` first:
        that is as of what is stored.
        """
        return self._incoming.run_state

    @property
    def tick(self) -> int | None:
        """Return the last tick received."""
        return self._incoming.tick

    @property
    def checkpoint_age_s(self) -> float | None:
        """Return how many seconds ago the simulation left its last checkpoint, 0 while it is in one.

        Below a second it is as of the last heartbeat; for a run without a checkpoint the server sends one each second.
        `None` if it is unknown: before the first checkpoint, after the run's end, and in the other dialects.
        """
        checkpoint, state = self._incoming.checkpoint, self.run_state
        if self.state != LIVE or checkpoint is None or state not in ("running", "pausing", "paused"):
            return None
        age_s, heard = checkpoint
        if state == "paused":
            return 0.0
        return age_s if age_s < STANDSTILL_S else age_s + time.monotonic() - heard

    @property
    def message_age_s(self) -> float | None:
        """Return the seconds since the last event; `None` without a connection."""
        at = self._incoming.event_at
        return None if at is None or self.state != LIVE else time.monotonic() - at

    @property
    def heard_at(self) -> float | None:
        """Return when anything last arrived from the server, wall clock in seconds."""
        return self._incoming.heard_at

    @property
    def epoch(self) -> str | None:
        """Return the epoch of the server, `None` in the other dialects."""
        position = self._receiver.position
        return self._receiver.epoch or (position[0] if position else None)

    @property
    def position(self) -> tuple[str, int] | None:
        """Return epoch and `seq` of the last message accounted for."""
        return self._receiver.position

    @property
    def head(self) -> int | None:
        """Return the highest `seq` received or announced, `None` in the other dialects."""
        return self._receiver.head if self._receiver.position else None

    @property
    def on_their_way(self) -> int:
        """Return the number of past messages that the server holds for this client and that have not arrived."""
        return self._receiver.on_their_way or 0

    @property
    def unheld(self) -> int:
        """Return how many messages of the requested history the server no longer held; they are in a gap."""
        return self._receiver.unheld

    @property
    def specs(self) -> list[CommandSpec]:
        """Return the commands that the server offers."""
        return self._incoming.specs

    @property
    def duplicates(self) -> int:
        """Return the number of messages that arrived again and were dropped."""
        return self._receiver.duplicates

    @property
    def filtered(self) -> int:
        """Return the number of messages that the server left out because of `types` and `characters`."""
        return self._receiver.filtered

    @property
    def lag_s(self) -> float | None:
        """Return by how many seconds messages arrive late, estimated from the server's heartbeats."""
        return self._incoming.peer_clock.lag_s

    @property
    def clock_offset_s(self) -> float | None:
        """Return the seconds to add to the server's clock to get this machine's."""
        return self._incoming.peer_clock.offset_s

    @property
    def circuit(self) -> str:
        """Return `closed`, `open` (no attempt for a while) or `half-open` (one attempt decides)."""
        return self._connections.circuit.state

    @property
    def queue_depth(self) -> int:
        """Return the number of frames that were received and not passed on yet."""
        connection = self._connections.connection
        return 0 if connection is None else connection.queue_depth

    @property
    def silent_s(self) -> float | None:
        """Return the seconds since anything arrived from the other side, including pongs."""
        return self._connections.silent_s

    @property
    def heartbeat_s(self) -> float | None:
        """Return the interval of a v1 server's heartbeats, `None` for any other."""
        return self._connections.heartbeat_s

    @property
    def uptime_s(self) -> float:
        """Return the seconds since the current connection became live, 0 without one."""
        since = self._connections.live_since
        return 0.0 if since is None else time.monotonic() - since

    # --- the supervised connection -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect; return when the sink has the snapshot and the past (v1) or after the handshake (other dialects).

        If the past takes longer than the timeout, the rest is `on_their_way`. Continues in the background until
        `close`. Raises `ConnectFailed`, which states what failed and what to do.
        """
        await self._connections.open()

    async def run(self) -> None:
        """Open the connection, unless it is open, and return when the client was closed or gave up."""
        await self._connections.run()

    async def close(self) -> None:
        """Close the connection and stop reconnecting; idempotent."""
        plain = self._plain
        try:
            if plain is not None:
                await plain.close()
                self._plain_ended()
        finally:
            if plain is not None:
                plain.transport.abort()  # does nothing to one that is closed
            await self._connections.close()

    async def reconnect(self) -> None:
        """Try now, regardless of the back-off, and close the circuit; does nothing when live.

        Raises `ConnectFailed` when that attempt fails too; after a temporary failure the attempts continue.
        """
        await self._connections.reconnect()

    async def request(self, name: str, arguments: dict[str, Any], *, deadline_s: float | None = 10.0) -> CommandResult:
        """Send a command and return its answer; wait `deadline_s` seconds at most, or with `None` as long as it takes.

        Raises `CommandError` with what the server answered (1104 also if it could not be sent), and `OutcomeUnknown`
        when it was sent and the answer was lost.
        """
        if self.state == CLOSED:
            raise CommandError(CommandError.TIMEOUT, f"{name!r:.80} was not sent: the connection is closed")
        if self.state != LIVE and self.run_state in ("finished", "dead"):
            reason = f"{name!r:.80} was not sent: the run is {self.run_state}, and its server is closed"
            raise CommandError(CommandError.WRONG_RUN_STATE, reason)
        if self.state == LIVE and self.dialect != V1:
            reason = f"a server of the {self.dialect} dialect accepts no commands"
            raise CommandError(CommandError.UNKNOWN_COMMAND, reason)
        return await self._requests.request(name, arguments, deadline_s)

    async def send(self, message: WebSocketMessage | str) -> None:
        """Send a message, or a bare text frame such as DegentCivil's `start`; `ConnectFailed` without a connection."""
        if not isinstance(message, (str, WebSocketMessage)):
            raise TypeError(f"pass text or a WebSocketMessage(type, data), not {type(message).__name__}")
        frame = message if isinstance(message, str) else message.to_json()
        try:
            frame.encode()
        except UnicodeEncodeError as error:  # which would cost the connection
            raise ValueError(f"a message must be text that can be encoded as UTF-8: {error.reason}") from error
        if self._plain is not None:
            try:
                await self._plain.send(frame)
            except ConnectionClosed as error:
                raise ConnectFailed(f"the connection to {self._connector.url} was lost", "connect() again") from error
            self._connections.count_sent(frame)
        else:
            await self._connections.send(frame)

    # --- the guide's interface ----------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Open one plain connection, `websocket`, as the guide's client does; `ConnectFailed` states what failed.

        An existing connection is closed, and `receive_updates` continues with the new one.
        """
        plain = await self._connector.connect_plain()
        former, self._plain = self._plain, plain
        self._monitor.update_metrics("total_connections")
        self._monitor.update_metrics("active_connections", 1 if former is None else 0)
        self._incoming.begin(None)
        self._connections.set_state(LIVE)
        if former is not None:
            await former.close()

    async def receive_updates(self) -> None:
        """Pass each message that arrives to `handle_message` as a dict, until the connection ends.

        An exception of `handle_message` is raised here, and the connection stays open; `last_error` is why it ended.
        """
        if self._plain is None:
            await self.connect()
        while (websocket := self._plain) is not None:
            try:
                frame = await websocket.recv(decode=False)
                self._incoming.receive([frame], len(frame))
                for message in map(_as_dict, decode_frames([frame])):
                    outcome: Any = self.handle_message(message)
                    if inspect.isawaitable(outcome):
                        await outcome
            except ConnectionClosed as error:
                if self._plain is websocket:  # else there is a new connection, or it was closed here
                    self._plain_ended()
                    server_error = self._incoming.server_error
                    why = explain_close(
                        websocket.close_code, websocket.close_reason or "", server_error, self._connector.url
                    )
                    self._connections.end(str(why if why.terminal else error))

    def _plain_ended(self) -> None:
        if self._plain is not None:
            self._plain = None
            self._monitor.update_metrics("active_connections", -1)

    def handle_message(self, message: dict[str, Any]) -> Any:
        """Process a message; the default does nothing. Override it with a function or a coroutine."""

    def _changed(self) -> None:
        if self._on_change is not None:
            try:
                self._on_change()
            except Exception:  # the callback is foreign code
                _logger.exception("on_change failed")


def _as_dict(message: RawMessage) -> dict[str, Any]:
    try:
        data = message.payload()
    except WebSocketError as error:
        return _as_dict(malformed(bytes(message.data), error))
    optional = {"timestamp": message.timestamp, "seq": message.seq, "tick": message.tick, "id": message.id}
    return {"type": message.type, "data": data, **{key: value for key, value in optional.items() if value is not None}}
