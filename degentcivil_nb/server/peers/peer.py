"""A peer: a cursor into the one history, and the one task that sends on its connection."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ...monitoring.interfaces import TrafficLog
from ...protocol.json_text import encode
from ...protocol.messages import Heartbeat, MessageTypes, WebSocketMessage
from ..entrance.connection_pool import address_of
from ..stream.feed import Feed

log = logging.getLogger("degentcivil_nb.server")

INTERNAL_ERROR: Final = 1011
TOO_SLOW: Final = 4008
_CLOSE_S: Final = 1.0
_MAX_REPLIES: Final = 1_000
_WAITED_S: Final = 0.05
_BEHIND_BYTES: Final = 1 << 16
"""How far a peer may be behind without waiting for its turn: less than that is sent as quickly as others' news."""


async def close_firmly(websocket: ServerConnection, code: int, reason: str) -> None:
    """Close a connection, by force if the other side does not play its part within a second."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await websocket.close(code, reason)
    except TimeoutError:
        log.debug("a peer did not answer the close with %s", code)
    except Exception:  # often a task of its own, which nobody looks at
        log.exception("a connection could not be closed in order")
    finally:
        websocket.transport.abort()


class Peer:
    """Send what lies beyond the cursor, whenever there is something, until the connection ends.

    Only `run` sends, so that order and backpressure need no second queue; `reply` and `heartbeat` ask it to.
    """

    dialect: str

    def __init__(
        self,
        websocket: ServerConnection,
        feed: Feed,
        *,
        name: str,
        role: Callable[[], str],
        traffic: TrafficLog | None,
    ) -> None:
        self.websocket = websocket
        self.feed = feed
        self.name = name
        self.address = address_of(websocket)
        self._role = role
        self.place = feed.history.end
        """Where in the history this peer stands."""
        self.position = feed.history.head
        """The last position put on this connection."""
        self._traffic = traffic
        self.leaving = False
        """Its connection is being closed."""
        self._replies: deque[bytes] = deque()
        self._heartbeat_due = False
        self._parked: asyncio.Future[None] | None = None
        self._sending = False
        self._waited = False  # the last send had to wait for the peer
        self._sent = 0  # frames
        self._mark = (0, 0)  # frames sent and bytes still buffered when last looked at
        self._moved = 0.0

    @property
    def role(self) -> str:
        """Say what this peer may do now."""
        return self._role()

    # --- what others ask of it -----------------------------------------------------------------------------------

    def reply(self, message: WebSocketMessage) -> None:
        """Send an answer that belongs to this peer alone, before whatever of the stream waits; from the loop only."""
        self.send_control(encode(message))

    def send_control(self, frame: bytes) -> None:
        """Send an encoded message that belongs to this peer alone."""
        if len(self._replies) < _MAX_REPLIES:  # else it asks without reading, and is closed for standing still
            self._replies.append(frame)
            self.wake()

    @property
    def is_up_to_date(self) -> bool:
        """Say whether all of the stream was put on this connection."""
        return self.place >= self.feed.history.end or self.leaving

    def heartbeat(self) -> None:
        """Send a heartbeat as soon as what is being sent is sent."""
        self._heartbeat_due = True
        self.wake()

    def wake(self) -> None:
        """Look again."""
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(None)

    def on_new_entries(self, end: int) -> None:
        """Take note that the history has moved on and ends at that place now."""
        self.wake()

    def still_for(self, now: float) -> float:
        """Say for how many seconds a send has made no progress, to be asked every now and then."""
        transport = self.websocket.transport
        mark = (self._sent, transport.get_write_buffer_size())
        if not self._sending or mark[0] != self._mark[0] or mark[1] < self._mark[1]:
            self._moved = now
        self._mark = mark
        return now - self._moved

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, by force if the peer does not play its part."""
        self.leaving = True
        await close_firmly(self.websocket, code, reason)

    # --- its own task ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until the connection ends."""
        try:
            await self._stream()
        except ConnectionClosed:
            return
        except Exception:  # the boundary of one peer: a bug costs it its connection, and nobody else anything
            log.exception("serving %s failed", self.name)
            await self.close(INTERNAL_ERROR, "the server failed")

    async def _stream(self) -> None:
        raise NotImplementedError

    async def _send(self, frame: bytes, messages: int = 1) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._sending = True
        await self.websocket.send(frame, text=True)
        self._sending = False
        self._waited = loop.time() - began > _WAITED_S
        self._sent += 1
        self.feed.count_sent(messages, len(frame))
        if self._traffic is not None and self._traffic.enabled:
            self._traffic.record("sent", frame, self.name)

    @property
    def _urgent(self) -> bool:
        """Say whether something of this peer's own waits to be sent."""
        return self._heartbeat_due or bool(self._replies)

    async def _send_replies(self) -> None:
        while self._replies:
            await self._send(self._replies.popleft())

    async def _send_urgent(self) -> None:
        """Send answers, then the heartbeat that is due."""
        await self._send_replies()
        if self._heartbeat_due:
            self._heartbeat_due = False
            await self._send(self._make_heartbeat())

    def _make_heartbeat(self) -> bytes:
        raise NotImplementedError

    async def _wait_for_turn(self) -> None:
        """Let the others go on first, if there is much to send; the history may have moved on when this returns."""
        if self.feed.history.bytes_after(self.place) > _BEHIND_BYTES:
            await self.feed.turns.take()

    async def _park(self) -> None:
        self._parked = asyncio.get_running_loop().create_future()
        self.feed.park(self)
        try:
            await self._parked
        finally:
            self.feed.unpark(self)
            self._parked = None


class GuidePeer(Peer):
    """Serve a client that offers no subprotocol: the stream's messages one a frame, and heartbeats; never skipped."""

    dialect = "guide"

    async def _stream(self) -> None:
        history = self.feed.history
        while True:
            await self._send_urgent()
            await self._wait_for_turn()
            if self.place < history.start:
                self.feed.monitor.update_metrics("slow_closed")
                await self.close(TOO_SLOW, "too slow for the history kept")
                return
            entries = history.entries(self.place, 100)
            for entry in entries:
                if entry.seq is not None:
                    await self._send(entry.frame)
                self.place += 1
                self.position = entry.head
            if not entries and not self._urgent:
                await self._park()

    def _make_heartbeat(self) -> bytes:
        feed = self.feed
        now = time.time()  # tells lag and offset, which a simulated clock cannot
        beat = Heartbeat(tick=feed.status().tick, clients=len(feed.clients), timestamp=now)
        return encode(WebSocketMessage(MessageTypes.HEARTBEAT, beat, now))
