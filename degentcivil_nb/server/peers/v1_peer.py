"""A client of `degentcivil.v1`: hello, resume, replay, live, and a declaration of everything it misses."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec.structs import asdict, replace
from websockets.asyncio.server import ServerConnection
from websockets.protocol import State
from websockets.typing import Subprotocol

from ...core.websockets_version import IN_SEND
from ...monitoring.interfaces import TrafficLog
from ...protocol.command_payloads import CommandSpec
from ...protocol.control_payloads import Gap, Resume, Resumed
from ...protocol.errors import WebSocketError
from ...protocol.json_text import encode
from ...protocol.messages import MessageTypes, WebSocketMessage, error_message
from ...protocol.resume import plan_resume
from ..run_facts import RunFacts
from ..stream.feed import Feed
from ..stream.frames import Filter, understood
from .peer import Peer

SUBPROTOCOL: Final = Subprotocol("degentcivil.v1")
_REPLAY_S: Final = 0.5
"""How long a peer that catches up may hold a replay slot."""


class V1Peer(Peer):
    """A client of the v1 protocol.

    A client that sends no `resume` within `resume_s` is served as a new one without history, so that a server whose
    subclass reads all messages itself still serves its clients. `max_lag` and `max_lag_bytes` are how far it may lag
    once it has caught up; without them the history is the limit.
    """

    dialect = "v1"

    def __init__(
        self,
        websocket: ServerConnection,
        feed: Feed,
        facts: RunFacts,
        *,
        name: str,
        role: Callable[[], str],
        traffic: TrafficLog | None,
        commands: Callable[[], list[CommandSpec]],
        resume_s: float = 5.0,
        max_lag: int | None = None,
        max_lag_bytes: int | None = None,
    ) -> None:
        super().__init__(websocket, feed, facts, name=name, role=role, traffic=traffic)
        self.filter: Filter | None = None
        self._knows: frozenset[str] = understood(Resume())
        self._older: Filter | None = Filter.older(Resume())
        self._commands = commands
        self._resume_s = resume_s
        self._max_lag: float = math.inf if max_lag is None else max_lag
        self._max_lag_bytes: float = math.inf if max_lag_bytes is None else max_lag_bytes
        self._resume: Resume | None = None
        self._live = False

    def resume(self, resume: Resume) -> None:
        """Accept the client's answer to `hello`; `WebSocketError` 1001 for a second one."""
        if self._resume is not None:
            raise WebSocketError(WebSocketError.INVALID_MESSAGE, "this connection has already resumed its stream")
        self._resume = resume
        self.client = resume.client
        self._knows = understood(resume)
        self._older = Filter.older(resume)
        self.wake()

    def offer_commands(self) -> None:
        """Send the client the current list of commands."""
        self.send_control(self._encode(MessageTypes.COMMANDS, self._commands()))

    def on_new_entries(self, end: int) -> None:
        """Write the next frame directly to an idle connection; otherwise wake the sending task.

        The task is waiting, so the order holds, and nothing is buffered, so there is no backpressure to wait for. With
        many peers this is most of the server's work, and it saves a task switch for each of them.
        """
        websocket, offset = self.websocket, self.offset
        if offset == end:
            return
        if (
            not self._live
            or self._wakeup is None
            or self._wakeup.done()
            or websocket.protocol.state is not State.OPEN
            or websocket.protocol.extensions
            or getattr(websocket, IN_SEND) is not None
            or websocket.transport.get_write_buffer_size()
            or offset < self.feed.history.start
            or (self._traffic is not None and self._traffic.enabled)
        ):
            self.wake()
            return
        chunk = self.feed.frames.after(offset, self._wanted())
        websocket.transport.write(chunk.wire)
        self.feed.count_sent(chunk.messages, len(chunk.wire))
        self.offset, self.position = chunk.offset, chunk.head
        if chunk.offset != end:
            self.wake()

    async def _stream(self) -> None:
        # with all keys, defaults included, for clients written after the protocol's page
        await self._send(self._encode(MessageTypes.HELLO, asdict(self.facts.hello(self.role))))
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
                await self._wait_for_entries()

    def _wanted(self) -> Filter | None:
        """Return the filter of what is sent; an older client is not sent control types that it does not know."""
        if self.filter is None and self.feed.publisher.lists:
            return self._older
        return self.filter

    def _debugging(self) -> list[bytes]:
        """Encode what the history may no longer hold: watches, breakpoints, control, and why the run is paused."""
        lists = self._lists()
        state = self.feed.status()
        if state.state != "paused" or MessageTypes.BREAKPOINTS not in self._knows:
            return lists
        return [*lists, self._encode(MessageTypes.RUN_STATE, replace(state, head=self.position))]

    def _lists(self) -> list[bytes]:
        return [known for type, known in self.feed.publisher.lists.items() if type in self._knows]

    def _lags(self) -> bool:
        """Return whether this client is beyond its limit because it reads slowly; a burst alone does not count."""
        if not self._waited:
            return False
        history = self.feed.history
        return history.head - self.position > self._max_lag or history.bytes_after(self.offset) > self._max_lag_bytes

    async def _wait_for_resume(self) -> Resume:
        timer = asyncio.get_running_loop().call_later(self._resume_s, self._resume_by_default)
        try:
            while self._resume is None:
                await self._send_replies()
                if self._resume is None:
                    await self._wait_for_entries()
        finally:
            timer.cancel()
        return self._resume

    def _resume_by_default(self) -> None:
        if self._resume is None:
            self.resume(Resume())

    @asynccontextmanager
    async def _replay_slot(self) -> AsyncIterator[None]:
        """Hold one of the few slots for peers that catch up, for a limited time: this peer may be stalled."""
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
        """Set the read position and send what the client has missed; `False` if it cannot resume."""
        history = self.feed.history
        head = (
            self.feed.head_after_drain()
        )  # what was published before a new client came is part of the past that it may request
        try:
            plan = plan_resume(epoch=self.feed.epoch, oldest=history.oldest, head=head, resume=resume)
        except WebSocketError as error:
            answer = error_message(error.code, error.message, details=error.details)
            await self._send(encode(answer))
            await self.close(1008, "cannot resume from there")
            return False
        self.filter = Filter.of(resume)
        self.offset = history.offset_after(plan.start - 1)
        # not always plan.start: a new client's first seq may lie within an overflow's gap, which is sent whole
        self.position = history.head_before(self.offset)
        resumed = Resumed(self.feed.epoch, history.head, self.position + 1, plan.recovered)
        frames = [self._encode(MessageTypes.RESUMED, resumed)]
        frames += [self._encode(MessageTypes.GAP, gap) for gap in plan.gaps]
        if plan.snapshot:
            frames += self._snapshot()
        for frame in frames + self._debugging():
            await self._send(frame)
        return True

    async def _advance(self) -> bool:
        """Send urgent messages and then the next frame of the stream; `False` if there was none."""
        await self._send_urgent()
        await self._wait_for_turn()
        history = self.feed.history
        if self.offset < history.start:
            self.feed.head_after_drain()  # as in `_skip`
            if self.position + 1 < history.oldest:
                await self._skip()
            else:  # no seq was dropped, only run states, which the current one replaces
                self.offset = history.start
                state = replace(self.feed.status(), head=self.position)
                await self._send(self._encode(MessageTypes.RUN_STATE, state))
            return True
        if self.offset == history.end:
            return False
        chunk = self.feed.frames.after(self.offset, self._wanted())
        await self._send(chunk.frame, chunk.messages)
        self.offset, self.position = chunk.offset, chunk.head
        return True

    async def _skip(self) -> None:
        """Declare what this client was too slow for, and continue from the head with a snapshot and the run's state."""
        self.feed.head_after_drain()  # the event at which a breakpoint stopped the run has its position then
        history = self.feed.history
        gap = Gap(self.feed.epoch, self.position + 1, history.head, "slow")
        state = replace(self.feed.status(), head=history.head)
        frames: list[bytes] = []
        if self.position < history.head:
            frames += [self._encode(MessageTypes.GAP, gap), *self._snapshot()]
            self.feed.monitor.update_metrics("slow_gaps")
        frames.append(self._encode(MessageTypes.RUN_STATE, state))
        self.offset, self.position = history.end, history.head
        for frame in frames + self._lists():
            await self._send(frame)

    def _snapshot(self) -> Iterator[bytes]:
        return self.feed.snapshot(self.filter)

    def _make_heartbeat(self) -> bytes:
        return self._encode(MessageTypes.HEARTBEAT, self.facts.heartbeat(self.position))

    def _encode(self, type: str, data: Any) -> bytes:
        return encode(WebSocketMessage(type, data, self.feed.clock()))


def select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose the v1 protocol for clients that offer it, and none, the guide's dialect, for all others."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None
