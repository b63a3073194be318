"""Supervision of the connection: connect, notice its end, wait, and reconnect, or give up with advice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Raw
from websockets.exceptions import ConnectionClosed

from ..monitoring.interfaces import Monitor, TrafficLog
from ..protocol.errors import ConnectFailed
from ..protocol.json_text import encode
from ..protocol.messages import MessageTypes, RawMessage
from .circuit_breaker import Circuit
from .connecting import PLAIN_SILENCE_S, Connector
from .failures import explain_close
from .frame_connection import FrameConnection, keep_alive
from .incoming import V1, Incoming
from .requests import Requests

CONNECTING: Final = "connecting"
LIVE: Final = "live"
RECONNECTING: Final = "reconnecting"
CLOSED: Final = "closed"

GRACE_S: Final = 0.1
"""How long a server without `hello` has to refuse before its connection counts as live."""
STEADY_S: Final = 10.0
"""How long a connection must last for the back-off to start over after it."""
PLAIN_INTERVAL_S: Final = 10.0
"""How often a server that announces no heartbeat is pinged."""


_logger = logging.getLogger("degentcivil_nb.client")


class ConnectionSupervisor:
    """The owner of one connection after another; all its coroutines run on one event loop."""

    def __init__(
        self,
        connector: Connector,
        incoming: Incoming,
        requests: Requests,
        *,
        monitor: Monitor,
        traffic: TrafficLog,
        timeout: float,
        changed: Callable[[], None],
        delays: Callable[[], Iterator[float]],
        circuit: Circuit,
        silence_s: float = PLAIN_SILENCE_S,
    ) -> None:
        self.state = CONNECTING
        self.reconnects = 0
        self.last_error: str | None = None
        self.connection: FrameConnection | None = None
        self.live_since: float | None = None  # monotonic
        self.circuit = circuit
        self._connector = connector
        self._incoming = incoming
        self._requests = requests
        self._monitor = monitor
        self._traffic = traffic
        self._timeout = timeout
        self._plain_patience_s = silence_s
        self._changed = changed
        self._delays = delays
        self._supervisor: asyncio.Task[None] | None = None
        self._try_now = asyncio.Event()
        self._attempted = asyncio.Event()
        self._under_way = False
        self._closing = False

    async def open(self) -> None:
        """Connect and continue in the background; `ConnectFailed` states why there is no connection.

        Returns when the requested past has arrived too, or after the timeout, while the rest is still arriving.
        """
        until = asyncio.get_running_loop().time() + self._timeout
        try:
            connection = await self._attempt()
        except ConnectFailed as error:
            self.end(str(error))
            raise
        self._supervisor = asyncio.create_task(self._supervise(connection), name=f"follow {self._connector.url}")
        if self._incoming.dialect == V1:
            arrived = asyncio.create_task(self._incoming.arrived.wait())
            left = max(0.0, until - asyncio.get_running_loop().time())
            await asyncio.wait((arrived, self._supervisor), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            arrived.cancel()

    async def run(self) -> None:
        """Open the connection, unless it is open, and return when the client was closed or gave up."""
        if self._supervisor is None:
            await self.open()
        assert self._supervisor is not None
        await asyncio.wait((self._supervisor,))

    async def close(self) -> None:
        """Stop reconnecting and close the connection; idempotent. Cut short, it cuts the connection."""
        self._closing = True  # the supervisor leaves the connection to this
        supervisor, self._supervisor = self._supervisor, None
        try:
            if supervisor is not None:
                supervisor.cancel()
                await asyncio.wait((supervisor,))
            if self.connection is not None:
                await self.connection.close()
        finally:
            self._closing = False
            self._cut()
        self.end(None)

    async def reconnect(self) -> None:
        """Try now and close the circuit; does nothing when live; `ConnectFailed` when the attempt fails."""
        if self.state == LIVE:
            return
        self.circuit.close()
        if self._supervisor is None or self._supervisor.done():
            await self.open()
            return
        for _ in range(2 if self._under_way else 1):  # an attempt that began earlier does not count
            self._attempted.clear()
            self._try_now.set()
            await self._attempted.wait()
            if self.state in (LIVE, CLOSED):
                break
        if self.state == LIVE:
            return
        raise ConnectFailed(self.last_error or "the connection failed", "The connection is retried after a pause")

    async def send(self, frame: str | bytes) -> None:
        """Send one text frame; `ConnectFailed` without a connection."""
        connection = self.connection
        try:
            if connection is None:
                raise ConnectFailed(f"there is no connection to {self._connector.url}", "Wait until it is live again")
            await connection.send(frame, text=True)
        except ConnectionClosed:
            raise ConnectFailed(
                f"the connection to {self._connector.url} was lost", "Wait until it is live again"
            ) from None
        self.count_sent(frame)

    def count_sent(self, frame: str | bytes) -> None:
        """Count a frame that was sent, and record it if the traffic log is enabled."""
        self._monitor.update_metrics("messages_sent")
        self._monitor.update_metrics("bytes_sent", len(frame))
        if self._traffic.enabled:
            self._traffic.record("sent", frame, self._connector.url)

    def set_state(self, state: str) -> None:
        """Set the state, and call `changed` if it differs."""
        if state != self.state:
            self.state = state
            self._changed()

    def end(self, because: str | None) -> None:
        """Close for good, unless `reconnect` is called."""
        self.last_error = because or self.last_error
        self.live_since = None
        self._requests.close(because or "the connection was closed")
        self.set_state(CLOSED)

    # --- one connection ------------------------------------------------------------------------------------------

    async def _attempt(self) -> FrameConnection:
        """Connect once, until the stream has started, and report the outcome to the circuit."""
        connection: FrameConnection | None = None
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connector.connect()
                await self._start_stream(connection)
        except BaseException as error:
            if connection is not None:
                connection.transport.abort()
                self._incoming.end(live=False)
            if not isinstance(error, Exception):
                raise
            if not isinstance(error, ConnectFailed | TimeoutError):
                _logger.exception("an attempt to connect to %s failed unexpectedly", self._connector.url)
            failed = self._connector.explain(error)
            self.circuit.failed()
            raise failed from error
        self.circuit.close()
        self.live_since = time.monotonic()
        self._monitor.update_metrics("total_connections")
        self._monitor.update_metrics("active_connections")
        self.set_state(LIVE)
        return connection

    async def _start_stream(self, connection: FrameConnection) -> None:
        incoming = self._incoming
        incoming.begin(connection.subprotocol)
        self.connection = connection
        connection.start(incoming.receive)
        if incoming.dialect == V1:
            await self._until(incoming.hello_received, connection)
            resume = encode(incoming.resume_request())
            await self.send(encode(RawMessage(MessageTypes.RESUME, Raw(resume))))
            await self._until(incoming.ready, connection)
            await self._requests.connected(self._send_command, incoming.receiver.epoch or "")
            return
        closed = asyncio.ensure_future(connection.wait_closed())
        await asyncio.wait((closed,), timeout=GRACE_S)
        if closed.done():
            raise self._close_reason(connection)
        closed.cancel()
        incoming.declare_loss()

    async def _until(self, future: asyncio.Future[None], connection: FrameConnection) -> None:
        closed = asyncio.ensure_future(connection.wait_closed())
        try:
            await asyncio.wait((future, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
        if not future.done():
            raise self._close_reason(connection)
        future.result()

    def _close_reason(self, connection: FrameConnection) -> ConnectFailed:
        server_error = self._incoming.server_error
        return explain_close(connection.close_code, connection.close_reason or "", server_error, self._connector.url)

    async def _send_command(self, frame: bytes) -> None:
        try:
            await self.send(frame)
        except ConnectFailed:
            return  # it is sent again on the next connection

    async def _serve(self, connection: FrameConnection) -> ConnectFailed:
        """Wait until the connection ends, and return why it did."""
        incoming = self._incoming
        alive = asyncio.create_task(keep_alive(connection, self._interval, self._patience, self._round_trip))
        try:
            await connection.wait_closed()
        finally:
            alive.cancel()
            self.live_since = None
            self._monitor.update_metrics("active_connections", -1)
            self._requests.disconnected()
            incoming.end()
        return self._close_reason(connection)

    @property
    def heartbeat_s(self) -> float | None:
        """Return the interval of a v1 server's heartbeats, `None` for any other."""
        hello = self._incoming.hello
        return None if self._incoming.dialect != V1 or hello is None else hello.heartbeat_s

    @property
    def silent_s(self) -> float | None:
        """Return the seconds since anything arrived, `None` without a connection."""
        connection = self.connection
        return None if connection is None else max(0.0, connection.loop.time() - connection.last_data)

    def _interval(self) -> float:
        heartbeat_s = self.heartbeat_s
        if heartbeat_s is None:
            return min(PLAIN_INTERVAL_S, self._plain_patience_s)
        return min(max(heartbeat_s, 0.05), 60.0)

    def _patience(self) -> float:
        return self._interval() if self._incoming.dialect == V1 else self._plain_patience_s

    def _round_trip(self, seconds: float) -> None:
        self._incoming.round_trip_s = seconds
        self._monitor.observe("latency", seconds)

    # --- one after another ---------------------------------------------------------------------------------------

    async def _supervise(self, connection: FrameConnection) -> None:
        try:
            await self._follow(connection)
        except Exception as error:  # the last resort: the session ends with an error instead of silently
            _logger.exception("following %s ended with an error", self._connector.url)
            self.end(f"following {self._connector.url} ended with an error: {error!r}. Call reconnect()")
        finally:
            self._attempted.set()  # callers of `reconnect` must not wait for another attempt
            if not self._closing:  # it failed, or its loop ends without a `close`
                self._cut()

    def _cut(self) -> None:
        """Let go of the connection; one that is still open is cut."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.transport.abort()

    async def _follow(self, connection: FrameConnection) -> None:
        delays: Iterator[float] | None = None
        while True:
            connected = time.monotonic()
            why = await self._serve(connection)
            if delays is None or time.monotonic() - connected > STEADY_S:
                delays = self._delays()
            self._connection_lost(why)
            while not why.final:  # it was live before, so the failure may be temporary
                await self._pause(delays, why.retry_after_s)
                self._under_way = True
                try:
                    connection = await self._attempt()
                    break
                except ConnectFailed as error:
                    why = error
                    self._connection_lost(why)
                finally:
                    self._under_way = False
                    self._attempted.set()
            else:
                self.end(str(why))
                return
            self.reconnects += 1
            self._monitor.update_metrics("reconnects")

    def _connection_lost(self, why: ConnectFailed) -> None:
        self.connection = None
        self.last_error = str(why)
        _logger.info("%s", why)
        self.set_state(RECONNECTING)

    async def _pause(self, delays: Iterator[float], at_least: float | None) -> None:
        """Wait for the back-off, the open circuit or the server's `Retry-After`, or until `reconnect` is called."""
        seconds = max(self.circuit.remaining_s or next(delays), at_least or 0.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._try_now.wait()
        self._try_now.clear()
