"""A client of `degentcivil.v1`: hello, resume, replay, live, and an account of everything it misses."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec.structs import asdict, replace
from websockets.asyncio.server import ServerConnection
from websockets.protocol import State
from websockets.typing import Subprotocol

from ...monitoring.interfaces import TrafficLog
from ...protocol.errors import WebSocketError
from ...protocol.json_text import encode
from ...protocol.messages import (
    CommandSpec,
    Gap,
    Heartbeat,
    Hello,
    MessageTypes,
    Resume,
    Resumed,
    WebSocketMessage,
    error_message,
)
from ...protocol.resume import plan_resume
from ..stream.feed import Feed
from ..stream.frames import Filter
from .peer import Peer

SUBPROTOCOL: Final = Subprotocol("degentcivil.v1")
_REPLAY_S: Final = 0.5
"""How long a peer that catches up may keep another from doing so."""


class V1Peer(Peer):
    """Serve one client of our own protocol.

    One that sends no `resume` within `resume_s` is a newcomer who wants no history, so that a server whose
    subclass reads all messages itself still serves its clients. `max_lag` and `max_lag_bytes` say how far it
    may lag once it has caught up; without them the history's window is the limit.
    """

    dialect = "v1"

    def __init__(
        self,
        websocket: ServerConnection,
        feed: Feed,
        *,
        name: str,
        role: Callable[[], str],
        traffic: TrafficLog | None,
        hello: Callable[[str], Hello],
        commands: Callable[[], list[CommandSpec]],
        resume_s: float = 5.0,
        max_lag: int | None = None,
        max_lag_bytes: int | None = None,
    ) -> None:
        super().__init__(websocket, feed, name=name, role=role, traffic=traffic)
        self.filter: Filter | None = None
        self._hello = hello
        self._commands = commands
        self._resume_s = resume_s
        self._max_lag: float = math.inf if max_lag is None else max_lag
        self._max_lag_bytes: float = math.inf if max_lag_bytes is None else max_lag_bytes
        self._resume: Resume | None = None
        self._live = False

    def resume(self, resume: Resume) -> None:
        """Take the client's answer to `hello`; `WebSocketError` 1001 for a second one."""
        if self._resume is not None:
            raise WebSocketError(WebSocketError.INVALID_MESSAGE, "the stream of this connection was resumed already")
        self._resume = resume
        self.wake()

    def offer_commands(self) -> None:
        """Tell the client which commands there are now."""
        self.send_control(self._encode(MessageTypes.COMMANDS, self._commands()))

    def on_new_entries(self, end: int) -> None:
        """Put the next frame straight on a connection that is idle; otherwise wake the task, which waits its turn.

        The task is parked, so the order holds, and nothing is buffered, so there is no backpressure to wait
        for. With many peers this is most of what the server does: it saves a switch of tasks for each.
        """
        websocket, place = self.websocket, self.place
        if place == end:
            return
        if (
            not self._live
            or self._parked is None
            or self._parked.done()
            or websocket.protocol.state is not State.OPEN
            or websocket.protocol.extensions
            or websocket.send_in_progress is not None
            or websocket.transport.get_write_buffer_size()
            or place < self.feed.history.start
            or (self._traffic is not None and self._traffic.enabled)
        ):
            self.wake()
            return
        chunk = self.feed.frames.after(place, self.filter)
        websocket.transport.write(chunk.wire)
        self.feed.count_sent(chunk.messages, len(chunk.wire))
        self.place, self.position = chunk.place, chunk.head
        if chunk.place != end:
            self.wake()

    async def _stream(self) -> None:
        # whole: who reads the page and not our code finds every key
        await self._send(self._encode(MessageTypes.HELLO, asdict(self._hello(self.role))))
        await self._send(self._encode(MessageTypes.COMMANDS, self._commands()))
        resume = await self._wait_for_resume()
        async with self._replay_slot():
            if not await self._begin(resume):
                return
            while await self._advance():
                pass
        self._live = True
        while True:
            if self._lags():
                await self._skip()
            if not await self._advance() and not self._urgent:
                await self._park()

    def _lags(self) -> bool:
        """Say whether this client is beyond its cap by its own doing: a burst alone makes nobody slow."""
        if not self._waited:
            return False
        history = self.feed.history
        return history.head - self.position > self._max_lag or history.bytes_after(self.place) > self._max_lag_bytes

    async def _wait_for_resume(self) -> Resume:
        timer = asyncio.get_running_loop().call_later(self._resume_s, self._go_on_without)
        try:
            while self._resume is None:
                await self._send_replies()
                if self._resume is None:
                    await self._park()
        finally:
            timer.cancel()
        return self._resume

    def _go_on_without(self) -> None:
        if self._resume is None:
            self.resume(Resume())

    @asynccontextmanager
    async def _replay_slot(self) -> AsyncIterator[None]:
        """Hold one of the few places for peers that catch up, but not for long: this one may be stalled."""
        replays = self.feed.replays
        await replays.acquire()
        held = True

        def release() -> None:
            nonlocal held
            if held:
                held = False
                replays.release()

        timer = asyncio.get_running_loop().call_later(_REPLAY_S, release)
        try:
            yield
        finally:
            timer.cancel()
            release()

    async def _begin(self, resume: Resume) -> bool:
        """Put the cursor where the client goes on, and tell it what it has missed; `False` if it cannot go on."""
        history = self.feed.history
        head = self.feed.head_after_drain()  # what was published before a newcomer came is its past, not its news
        try:
            plan = plan_resume(epoch=self.feed.epoch, oldest=history.oldest, head=head, resume=resume)
        except WebSocketError as error:
            answer = error_message(error.code, error.message, details=error.details)
            await self._send(encode(answer))
            await self.close(1008, "cannot resume from there")
            return False
        self.filter = Filter.of(resume)
        self.place = history.place_after(plan.start - 1)
        # not always plan.start: a newcomer's first position may lie within an overflow's gap, which is told whole
        self.position = history.head_before(self.place)
        resumed = Resumed(self.feed.epoch, history.head, self.position + 1, plan.recovered)
        frames = [self._encode(MessageTypes.RESUMED, resumed)]
        frames += [self._encode(MessageTypes.GAP, gap) for gap in plan.gaps]
        if plan.snapshot:
            frames += self._snapshot()
        for frame in frames:
            await self._send(frame)
        return True

    async def _advance(self) -> bool:
        """Send what is urgent and then the next frame of the stream; `False` if there was none."""
        await self._send_urgent()
        await self._wait_for_turn()
        history = self.feed.history
        if self.place < history.start:
            if self.position + 1 < history.oldest:
                await self._skip()
            else:  # no position has gone, only states of the run, for which the present one stands
                self.place = history.start
                state = replace(self.feed.status(), head=self.position)
                await self._send(self._encode(MessageTypes.RUN_STATE, state))
            return True
        if self.place == history.end:
            return False
        chunk = self.feed.frames.after(self.place, self.filter)
        await self._send(chunk.frame, chunk.messages)
        self.place, self.position = chunk.place, chunk.head
        return True

    async def _skip(self) -> None:
        """Declare what this client was too slow for, and go on from the head with the present and the run's state."""
        history = self.feed.history
        gap = Gap(self.feed.epoch, self.position + 1, history.head, "slow")
        state = replace(self.feed.status(), head=history.head)
        frames: list[bytes] = []
        if self.position < history.head:
            frames += [self._encode(MessageTypes.GAP, gap), *self._snapshot()]
            self.feed.monitor.update_metrics("slow_gaps")
        frames.append(self._encode(MessageTypes.RUN_STATE, state))
        self.place, self.position = history.end, history.head
        for frame in frames:
            await self._send(frame)

    def _snapshot(self) -> Iterator[bytes]:
        return self.feed.snapshot(self.filter)

    def _make_heartbeat(self) -> bytes:
        feed = self.feed
        state = feed.status()
        now = time.time()  # tells lag and offset, which a simulated clock cannot
        return self._encode(
            MessageTypes.HEARTBEAT,
            Heartbeat(
                feed.epoch, self.position, state.tick, state.state, len(feed.clients), now, state.checkpoint_age_s
            ),
        )

    def _encode(self, type: str, data: Any) -> bytes:
        return encode(WebSocketMessage(type, data, self.feed.clock()))


def select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Speak our own protocol with whoever offers it, and the guide's with everybody else."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None
