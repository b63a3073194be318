"""The client: one connection after another to a simulation, and what it says, handed to a sink."""

from __future__ import annotations

import inspect
import logging
import ssl as ssl_module
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ..monitoring.interfaces import Monitor, Silent, TrafficLog
from ..protocol.codec import decode_frames, malformed
from ..protocol.errors import CommandError, ConnectFailed, WebSocketError
from ..protocol.messages import CommandResult, CommandSpec, Hello, RawMessage, WebSocketMessage
from ..protocol.receiver import StreamReceiver
from .circuit_breaker import Circuit, retry_delays
from .connecting import PLAIN_SILENCE_S, Connector
from .failures import explain_close
from .incoming import V1, Incoming
from .interfaces import Sink
from .reconnecting import CLOSED, LIVE, ConnectionSupervisor
from .requests import Requests

STANDSTILL_S: Final = 1.0
"""From this age of the last checkpoint on, a server tells of it each second."""

_logger = logging.getLogger("degentcivil_nb.client")


class SimulationClient:
    """Follow a simulation in any of the three dialects, across cuts and restarts, until closed.

    Use `open` for all of it: it connects, asks for the stream, hands messages to `sink` and goes on reconnecting.
    Use `connect` and `receive_updates`, as the guide does, for one plain connection whose messages go to
    `handle_message`, which a subclass or an assignment may replace, sync or async.

    All coroutines belong to one event loop; the attributes may be read from any thread.
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
    ) -> None:
        """Prepare a client; `position` is the epoch and `seq` that an earlier one has accounted for.

        `compression` is offered to other machines and not on loopback, unless it says otherwise. `silence_s` is how
        long a server without positions may say nothing at all before its connection is given up.

        Raises `ValueError` for what is no WebSocket URL, and `ConnectFailed` for a token that would travel in clear.
        """
        self.uri = uri
        self._dialer = Connector(uri, token=token, ssl=ssl, compression=compression)
        self._receiver = StreamReceiver(history=history, types=types, characters=characters, position=position)
        self._requests = Requests()
        self._on_change = on_change
        self._plain: ClientConnection | None = None
        self._monitor = monitor = monitor or Silent()
        traffic = traffic or Silent()
        self._incoming = Incoming(
            self._receiver,
            self._requests,
            url=self._dialer.url,
            sink=sink,
            monitor=monitor,
            traffic=traffic,
            changed=self._changed,
            clock=clock,
        )
        self._follower = ConnectionSupervisor(
            self._dialer,
            self._incoming,
            self._requests,
            monitor=monitor,
            traffic=traffic,
            timeout=timeout,
            changed=self._changed,
            clock=clock,
            delays=delays,
            circuit=circuit or Circuit(),
            silence_s=silence_s,
        )

    # --- what is known, for any thread ---------------------------------------------------------------------------

    @property
    def websocket(self) -> ClientConnection | None:
        """Give the library's connection, `None` without one."""
        return self._plain or self._follower.connection

    @property
    def state(self) -> str:
        """Give `connecting`, `live`, `reconnecting` or `closed`."""
        return self._follower.state

    @property
    def last_error(self) -> str | None:
        """Give why the last connection ended or did not come about, and what to try."""
        return self._follower.last_error

    @property
    def reconnects(self) -> int:
        """Count the connections after the first."""
        return self._follower.reconnects

    @property
    def dialect(self) -> str:
        """Give `v1`, `guide` or `game`; `unknown` until the first message shows which of the last two it is."""
        return self._incoming.dialect

    @property
    def hello(self) -> Hello | None:
        """Give what the v1 server last said of itself."""
        return self._incoming.hello

    @property
    def run_state(self) -> str | None:
        """Give `running`, `pausing`, `paused`, `finished` or `dead`; `None` where no server says."""
        return self._incoming.run_state

    @property
    def tick(self) -> int | None:
        """Give the last tick heard of."""
        return self._incoming.tick

    @property
    def checkpoint_age_s(self) -> float | None:
        """Give how many seconds ago the simulation left its last checkpoint, 0 while it stands in one.

        Below a second it is as of the last heartbeat: where a run stands still, the server sends one each second.
        `None` where nobody says: before the first checkpoint, after the run's end, and in the other dialects.
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
        """Give for how many seconds no event came; `None` without a connection."""
        at = self._incoming.event_at
        return None if at is None or self.state != LIVE else time.monotonic() - at

    @property
    def heard_at(self) -> float | None:
        """Give when anything at all last came from the server, wall clock in seconds."""
        return self._incoming.heard_at

    @property
    def epoch(self) -> str | None:
        """Give the epoch of the server, `None` in the other dialects."""
        position = self._receiver.position
        return self._receiver.epoch or (position[0] if position else None)

    @property
    def position(self) -> tuple[str, int] | None:
        """Give epoch and `seq` of the last position accounted for."""
        return self._receiver.position

    @property
    def head(self) -> int | None:
        """Give the last `seq` heard of, `None` in the other dialects."""
        return self._receiver.head if self._receiver.position else None

    @property
    def on_their_way(self) -> int:
        """Count the past messages that the server holds for this client and that have not come yet."""
        return self._receiver.on_their_way or 0

    @property
    def specs(self) -> list[CommandSpec]:
        """List the commands that the server offers."""
        return self._incoming.specs

    @property
    def duplicates(self) -> int:
        """Count messages that came again and were dropped."""
        return self._receiver.duplicates

    @property
    def filtered(self) -> int:
        """Count positions that the server left out because of `types` and `characters`."""
        return self._receiver.filtered

    @property
    def lag_s(self) -> float | None:
        """Give how many seconds behind the server messages arrive, from its heartbeats."""
        return self._incoming.peer_clock.lag_s

    @property
    def clock_offset_s(self) -> float | None:
        """Give the seconds to add to the server's clock to get this machine's."""
        return self._incoming.peer_clock.offset_s

    @property
    def circuit(self) -> str:
        """Give `closed`, `open` (nothing is tried for a while) or `half-open` (one attempt decides)."""
        return self._follower.circuit.state

    @property
    def queue_depth(self) -> int:
        """Count the frames that were received and not handed on yet."""
        connection = self._follower.connection
        return 0 if connection is None else connection.queue_depth

    @property
    def silent_s(self) -> float | None:
        """Give the seconds since anything came from the other side, an answer to a ping included."""
        return self._follower.silent_s

    @property
    def heartbeat_s(self) -> float | None:
        """Give how often a v1 server says that it lives, `None` for any other."""
        return self._follower.heartbeat_s

    @property
    def uptime_s(self) -> float:
        """Give the seconds since the present connection is live, 0 without one."""
        since = self._follower.live_since
        return 0.0 if since is None else time.monotonic() - since

    # --- the life of a supervised client -------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect; return when the sink has the snapshot and the past (v1) or after the handshake (other dialects).

        Where the past takes longer than the timeout, the rest is `on_their_way`.

        Goes on in the background until `close`. Raises `ConnectFailed`, which says what failed and what to try.
        """
        await self._follower.open()

    async def run(self) -> None:
        """Open, unless that was done, and return when the client was closed or gave up."""
        await self._follower.run()

    async def close(self) -> None:
        """Close the connection and stop following; idempotent."""
        if self._plain is not None:
            await self._plain.close()
            self._plain_ended()
        await self._follower.close()

    async def reconnect(self) -> None:
        """Try now, whatever the back-off says, and close the circuit by hand; do nothing when live.

        Raises `ConnectFailed` when that attempt fails too; after a transient failure the trying goes on.
        """
        await self._follower.reconnect()

    async def request(self, name: str, arguments: dict[str, Any], *, deadline_s: float | None = 10.0) -> CommandResult:
        """Have the simulation carry out a command; waits at most `deadline_s` seconds, and `None` as long as it takes.

        Raises `CommandError` with what the server answered (1104 also if it could not even be sent), and
        `OutcomeUnknown` when it was sent and the answer was lost.
        """
        if self.state == CLOSED:
            raise CommandError(CommandError.TIMEOUT, f"{name!r} was not sent: the connection is closed")
        if self.state != LIVE and self.run_state in ("finished", "dead"):
            reason = f"{name!r} was not sent: the run is {self.run_state}, and its server has gone"
            raise CommandError(CommandError.WRONG_RUN_STATE, reason)
        if self.state == LIVE and self.dialect != V1:
            reason = f"a server of the {self.dialect} dialect takes no commands"
            raise CommandError(CommandError.UNKNOWN_COMMAND, reason)
        return await self._requests.request(name, arguments, deadline_s)

    async def send(self, message: WebSocketMessage | str) -> None:
        """Send a message, or a bare text frame such as DegentCivil's `start`; `ConnectFailed` without a connection."""
        if not isinstance(message, (str, WebSocketMessage)):
            raise TypeError(f"give text, or a WebSocketMessage(type, data), not {type(message).__name__}")
        frame = message if isinstance(message, str) else message.to_json()
        if self._plain is not None:
            try:
                await self._plain.send(frame)
            except ConnectionClosed as error:
                raise ConnectFailed(f"the connection to {self._dialer.url} was lost", "connect() again") from error
            self._follower.count_sent(frame)
        else:
            await self._follower.send(frame)

    # --- the guide's face ----------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Open one plain connection, `websocket`, as the guide's client does; `ConnectFailed` says what failed.

        A connection that there was before is closed, and whoever receives goes on with the new one.
        """
        plain = await self._dialer.dial_plain()
        former, self._plain = self._plain, plain
        self._monitor.update_metrics("total_connections")
        self._monitor.update_metrics("active_connections", 1 if former is None else 0)
        self._incoming.begin(None)
        self._follower.is_now(LIVE)
        if former is not None:
            await former.close()

    async def receive_updates(self) -> None:
        """Give each message that arrives to `handle_message` as a dict, until the connection ends.

        What `handle_message` raises is raised here, and the connection stays; `last_error` says why it ended.
        """
        if self._plain is None:
            await self.connect()
        while (websocket := self._plain) is not None:
            try:
                frame = await websocket.recv(decode=False)
                self._incoming.take([frame], len(frame))
                for message in map(_as_dict, decode_frames([frame])):
                    outcome: Any = self.handle_message(message)
                    if inspect.isawaitable(outcome):
                        await outcome
            except ConnectionClosed as error:
                if self._plain is websocket:  # else there is a new one, or it was closed here
                    self._plain_ended()
                    said = self._incoming.said
                    why = explain_close(websocket.close_code, websocket.close_reason or "", said, self._dialer.url)
                    self._follower.end(str(why if why.terminal else error))

    def _plain_ended(self) -> None:
        if self._plain is not None:
            self._plain = None
            self._monitor.update_metrics("active_connections", -1)

    def handle_message(self, message: dict[str, Any]) -> Any:
        """Do nothing with a message; override it, as a function or a coroutine, to do something."""

    def _changed(self) -> None:
        if self._on_change is not None:
            try:
                self._on_change()
            except Exception:  # the callback is somebody else's code
                _logger.exception("on_change failed")


def _as_dict(message: RawMessage) -> dict[str, Any]:
    try:
        data = message.payload()
    except WebSocketError as error:
        return _as_dict(malformed(bytes(message.data), error))
    optional = {"timestamp": message.timestamp, "seq": message.seq, "tick": message.tick, "id": message.id}
    return {"type": message.type, "data": data, **{key: value for key, value in optional.items() if value is not None}}
