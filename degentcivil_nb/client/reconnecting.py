"""Following a server for as long as it takes: connect, notice the end, wait, connect again, or give up with advice."""

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
"""How long a server without `hello` is given to refuse before its connection counts as open."""
STEADY_S: Final = 10.0
"""How long a connection must last for the back-off to start anew after it."""
PLAIN_INTERVAL_S: Final = 10.0
"""How often a server that names no heartbeat is pinged."""


_logger = logging.getLogger("degentcivil_nb.client")


class ConnectionSupervisor:
    """Hold one connection after another; all its coroutines belong to one event loop."""

    def __init__(
        self,
        dialer: Connector,
        incoming: Incoming,
        requests: Requests,
        *,
        monitor: Monitor,
        traffic: TrafficLog,
        timeout: float,
        changed: Callable[[], None],
        clock: Callable[[], float],
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
        self._dialer = dialer
        self._incoming = incoming
        self._requests = requests
        self._monitor = monitor
        self._traffic = traffic
        self._timeout = timeout
        self._plain_patience_s = silence_s
        self._changed = changed
        self._clock = clock
        self._delays = delays
        self._lost_at: float | None = None  # wall clock, of a connection without positions
        self._supervisor: asyncio.Task[None] | None = None
        self._try_now = asyncio.Event()
        self._attempted = asyncio.Event()
        self._under_way = False

    async def open(self) -> None:
        """Connect and go on in the background; `ConnectFailed` says why there is no connection.

        Returns when the past that was asked for is there too, or after the timeout, while the rest is on its way.
        """
        until = asyncio.get_running_loop().time() + self._timeout
        try:
            connection = await self._attempt()
        except ConnectFailed as error:
            self.end(str(error))
            raise
        self._supervisor = asyncio.create_task(self._supervise(connection), name=f"follow {self._dialer.url}")
        if self._incoming.dialect == V1:
            arrived = asyncio.create_task(self._incoming.arrived.wait())
            left = max(0.0, until - asyncio.get_running_loop().time())
            await asyncio.wait((arrived, self._supervisor), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            arrived.cancel()

    async def run(self) -> None:
        """Open, unless that was done, and return when the client was closed or gave up."""
        if self._supervisor is None:
            await self.open()
        assert self._supervisor is not None
        await asyncio.wait((self._supervisor,))

    async def close(self) -> None:
        """Stop following and close the connection; idempotent."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.wait((supervisor,))
        if self.connection is not None:
            await self.connection.close()
            self.connection = None
        self.end(None)

    async def reconnect(self) -> None:
        """Try now and close the circuit by hand; do nothing when live; `ConnectFailed` when it fails again."""
        if self.state == LIVE:
            return
        self.circuit.close()
        if self._supervisor is None or self._supervisor.done():
            await self.open()
            return
        for _ in range(2 if self._under_way else 1):  # one that began before now says nothing of now
            self._attempted.clear()
            self._try_now.set()
            await self._attempted.wait()
            if self.state in (LIVE, CLOSED):
                break
        if self.state == LIVE:
            return
        raise ConnectFailed(self.last_error or "the connection failed", "It is tried again in a while")

    async def send(self, frame: str | bytes) -> None:
        """Send one text frame; `ConnectFailed` without a connection."""
        connection = self.connection
        try:
            if connection is None:
                raise ConnectFailed(f"there is no connection to {self._dialer.url}", "Wait until it is live again")
            await connection.send(frame, text=True)
        except ConnectionClosed:
            raise ConnectFailed(
                f"the connection to {self._dialer.url} was lost", "Wait until it is live again"
            ) from None
        self.count_sent(frame)

    def count_sent(self, frame: str | bytes) -> None:
        """Count a frame that was sent, and keep it if somebody wants to look at it."""
        self._monitor.update_metrics("messages_sent")
        self._monitor.update_metrics("bytes_sent", len(frame))
        if self._traffic.enabled:
            self._traffic.record("sent", frame, self._dialer.url)

    def is_now(self, state: str) -> None:
        """Change the state, and tell whoever watches."""
        if state != self.state:
            self.state = state
            self._changed()

    def end(self, because: str | None) -> None:
        """Be closed, for good unless somebody says `reconnect`."""
        self.last_error = because or self.last_error
        self.live_since = None
        self._requests.close(because or "the connection was closed")
        self.is_now(CLOSED)

    # --- one connection ------------------------------------------------------------------------------------------

    async def _attempt(self) -> FrameConnection:
        """Connect once, until there is something to see, and let the circuit count the outcome."""
        connection: FrameConnection | None = None
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._dialer.dial()
                await self._introduce(connection)
        except BaseException as error:
            if connection is not None:
                connection.transport.abort()
                self._incoming.end()
            if not isinstance(error, Exception):
                raise
            if not isinstance(error, ConnectFailed | TimeoutError):
                _logger.exception("an attempt to connect to %s failed in an unforeseen way", self._dialer.url)
            failed = self._dialer.explain(error)
            self.circuit.failed()
            raise failed from error
        self.circuit.close()
        self.live_since = time.monotonic()
        self._monitor.update_metrics("total_connections")
        self._monitor.update_metrics("active_connections")
        self.is_now(LIVE)
        return connection

    async def _introduce(self, connection: FrameConnection) -> None:
        incoming = self._incoming
        incoming.begin(connection.subprotocol)
        self.connection = connection
        connection.start(incoming.take)
        if incoming.dialect == V1:
            await self._until(incoming.greeted, connection)
            resume = encode(incoming.receiver.resume_request())
            await self.send(encode(RawMessage(MessageTypes.RESUME, Raw(resume))))
            await self._until(incoming.ready, connection)
            await self._requests.connected(self._send_command, incoming.receiver.epoch or "")
            return
        closed = asyncio.ensure_future(connection.wait_closed())
        await asyncio.wait((closed,), timeout=GRACE_S)
        if closed.done():
            raise self._why_closed(connection)
        closed.cancel()
        if self._lost_at is not None:
            incoming.lost_from(self._lost_at)
            self._lost_at = None

    async def _until(self, future: asyncio.Future[None], connection: FrameConnection) -> None:
        closed = asyncio.ensure_future(connection.wait_closed())
        try:
            await asyncio.wait((future, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
        if not future.done():
            raise self._why_closed(connection)
        future.result()

    def _why_closed(self, connection: FrameConnection) -> ConnectFailed:
        said = self._incoming.said
        return explain_close(connection.close_code, connection.close_reason or "", said, self._dialer.url)

    async def _send_command(self, frame: bytes) -> None:
        try:
            await self.send(frame)
        except ConnectFailed:
            return  # the next connection is given it again

    async def _serve(self, connection: FrameConnection) -> ConnectFailed:
        """Stay until the connection ends, and say why it did."""
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
        if incoming.dialect != V1:
            self._lost_at = self._clock()
        return self._why_closed(connection)

    @property
    def heartbeat_s(self) -> float | None:
        """Give how often a v1 server says that it lives, `None` for any other."""
        hello = self._incoming.hello
        return None if self._incoming.dialect != V1 or hello is None else hello.heartbeat_s

    @property
    def silent_s(self) -> float | None:
        """Give the seconds since anything came from the other side, `None` without a connection."""
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
        except Exception as error:  # the last resort: an end that is seen, instead of one that nobody hears of
            _logger.exception("following %s ended with an error", self._dialer.url)
            self.connection = None
            self.end(f"following {self._dialer.url} ended with an error: {error!r}. Call reconnect()")
        finally:
            self._attempted.set()  # nobody waits for an attempt that will not be made

    async def _follow(self, connection: FrameConnection) -> None:
        delays: Iterator[float] | None = None
        while True:
            connected = time.monotonic()
            why = await self._serve(connection)
            if delays is None or time.monotonic() - connected > STEADY_S:
                delays = self._delays()
            self._is_lost(why)
            while not why.final:  # it was live: whatever else stands in between may go away
                await self._pause(delays, why.retry_after_s)
                self._under_way = True
                try:
                    connection = await self._attempt()
                    break
                except ConnectFailed as error:
                    why = error
                    self._is_lost(why)
                finally:
                    self._under_way = False
                    self._attempted.set()
            else:
                self.connection = None
                self.end(str(why))
                return
            self.reconnects += 1
            self._monitor.update_metrics("reconnects")

    def _is_lost(self, why: ConnectFailed) -> None:
        self.connection = None
        self.last_error = str(why)
        _logger.info("%s", why)
        self.is_now(RECONNECTING)

    async def _pause(self, delays: Iterator[float], at_least: float | None) -> None:
        """Wait as the back-off, the open circuit or the other end has it, or until somebody says `reconnect`."""
        seconds = max(self.circuit.remaining_s or next(delays), at_least or 0.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._try_now.wait()
        self._try_now.clear()
