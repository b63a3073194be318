"""A peer: a read position in the shared history, and the one task that sends on its connection."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ...monitoring.interfaces import TrafficLog
from ...protocol.control_payloads import ClientInfo
from ...protocol.json_text import encode
from ...protocol.messages import MessageTypes, WebSocketMessage
from ..entrance.connection_pool import address_of
from ..run_facts import RunFacts
from ..stream.feed import Feed

log = logging.getLogger("degentcivil_nb.server")

INTERNAL_ERROR: Final = 1011
TOO_SLOW: Final = 4008
_CLOSE_S: Final = 1.0  # for the closing handshake; then the connection is cut
_MAX_REPLIES: Final = 1_000  # of a client that sends commands without reading their answers
_WAITED_S: Final = 0.05  # a longer send has waited for the peer, not only for the loop
_BEHIND_BYTES: Final = 1 << 16
"""How far a peer may be behind without waiting for its turn: less is sent as quickly as new messages."""


async def close_firmly(websocket: ServerConnection, code: int, reason: str) -> None:
    """Close a connection, by force if the closing handshake takes longer than a second."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await websocket.close(code, reason)
    except TimeoutError:
        log.debug("a peer did not answer the close with %s", code)
    except Exception:  # often run as a task whose result is not awaited
        log.exception("a connection could not be closed cleanly")
    finally:
        websocket.transport.abort()


class Peer:
    """A connected client that is sent what lies beyond its read position, until the connection ends.

    Only `run` sends, so that order and backpressure need no second queue; `reply` and `heartbeat` queue frames for
    `run`.
    """

    dialect: str

    def __init__(
        self,
        websocket: ServerConnection,
        feed: Feed,
        facts: RunFacts,
        *,
        name: str,
        role: Callable[[], str],
        traffic: TrafficLog | None,
    ) -> None:
        self.websocket = websocket
        self.feed = feed
        self.facts = facts
        self.name = name
        self.address = address_of(websocket)
        self.client: ClientInfo | None = None
        """The identity that the client has sent; it outlives connections."""
        self._role = role
        self.offset = feed.history.end
        """The peer's read position: an offset into the history."""
        self.position = feed.history.head
        """The last seq sent on this connection."""
        self._traffic = traffic
        self.leaving = False
        """Whether its connection is being closed."""
        self._replies: deque[bytes] = deque()
        self._heartbeat_due = False
        self._wakeup: asyncio.Future[None] | None = None
        self._sending = False
        self._waited = False  # the last send had to wait for the peer
        self._sent = 0  # frames
        self._mark = (0, 0)  # frames sent and bytes still buffered at the last check
        self._moved = 0.0

    @property
    def role(self) -> str:
        """Return the peer's current role."""
        return self._role()

    # --- called by others ----------------------------------------------------------------------------------------

    def reply(self, message: WebSocketMessage) -> None:
        """Send an answer to this peer alone, before the waiting part of the stream; only on the loop."""
        self.send_control(encode(message))

    def send_control(self, frame: bytes) -> None:
        """Send an encoded message to this peer alone."""
        if len(self._replies) < _MAX_REPLIES:  # a client that only sends and does not read is closed as stalled
            self._replies.append(frame)
            self.wake()

    @property
    def is_up_to_date(self) -> bool:
        """Return whether the whole stream was sent on this connection."""
        return self.offset >= self.feed.history.end or self.leaving

    def heartbeat(self) -> None:
        """Send a heartbeat after the current frame."""
        self._heartbeat_due = True
        self.wake()

    def wake(self) -> None:
        """Wake the sending task."""
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def on_new_entries(self, end: int) -> None:
        """Wake the sending task: the history now ends at `end`."""
        self.wake()

    def stalled_s(self, now: float) -> float:
        """Return for how many seconds a send has made no progress; call this regularly."""
        transport = self.websocket.transport
        mark = (self._sent, transport.get_write_buffer_size())
        if not self._sending or mark[0] != self._mark[0] or mark[1] < self._mark[1]:
            self._moved = now
        self._mark = mark
        return now - self._moved

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, by force if the peer does not respond."""
        self.leaving = True
        await close_firmly(self.websocket, code, reason)

    # --- the sending task------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send until the connection ends."""
        try:
            await self._stream()
        except ConnectionClosed:
            return
        except Exception:  # the boundary: a bug ends this peer's connection only
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
        """Return whether messages for this peer alone wait to be sent."""
        return self._heartbeat_due or bool(self._replies)

    async def _send_replies(self) -> None:
        while self._replies:
            await self._send(self._replies.popleft())

    async def _send_urgent(self) -> None:
        """Send answers, then a heartbeat if it is due."""
        await self._send_replies()
        if self._heartbeat_due:
            self._heartbeat_due = False
            await self._send(self._make_heartbeat())

    def _make_heartbeat(self) -> bytes:
        raise NotImplementedError

    async def _wait_for_turn(self) -> None:
        """Wait for this peer's turn if it has much to send; the history may have changed when this returns."""
        if self.feed.history.bytes_after(self.offset) > _BEHIND_BYTES:
            await self.feed.turns.take()

    async def _wait_for_entries(self) -> None:
        self._wakeup = asyncio.get_running_loop().create_future()
        self.feed.add_idle(self)
        try:
            await self._wakeup
        finally:
            self.feed.remove_idle(self)
            self._wakeup = None


class GuidePeer(Peer):
    """A client that offers no subprotocol: it is sent each message as a frame, and heartbeats; nothing is skipped."""

    dialect = "guide"

    async def _stream(self) -> None:
        history = self.feed.history
        while True:
            await self._send_urgent()
            await self._wait_for_turn()
            if self.offset < history.start:
                self.feed.monitor.update_metrics("slow_closed")
                await self.close(TOO_SLOW, "too slow for the history kept")
                return
            entries = history.entries(self.offset, 100)
            for entry in entries:
                if entry.seq is not None:
                    await self._send(entry.frame)
                self.offset += 1
                self.position = entry.head
            if not entries and not self._urgent:
                await self._wait_for_entries()

    def _make_heartbeat(self) -> bytes:
        beat = self.facts.guide_heartbeat()
        return encode(WebSocketMessage(MessageTypes.HEARTBEAT, beat, beat.timestamp))
