"""The loop of a replay: it runs commands, and publishes the messages that are due."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ..protocol.command_payloads import Command, CommandSpec
from ..protocol.commands import CommandTable, refusal
from ..protocol.control_payloads import RunState
from ..protocol.debugging import ControlWord
from ..protocol.errors import WebSocketError
from ..protocol.messages import MessageTypes
from ..server.simulation_websocket import SimulationWebSocket
from ..simulation.lease import ControlLease
from ..simulation.request import Reply, Request, over
from .player import Player
from .tape import Playhead, Tape, span

log = logging.getLogger("degentcivil_nb.replay")


class PlayingLoop:
    """The loop of a replay, on the server's thread, and the queue of commands in front of it."""

    path: Path
    _head: Playhead
    _tape: Tape
    _player: Player
    _lease: ControlLease
    _server: SimulationWebSocket
    _commands: CommandTable
    _state: RunState
    _queue: deque[Request]
    _current: str | None

    async def _open(self) -> None:
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        await self._server.start()
        self._task = asyncio.create_task(self._run())

    async def _close(self) -> None:
        self._tape.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._player.close()
        self._enter("finished", "closed")
        self._refuse_waiting()
        await self._server.close()

    async def _run(self) -> None:
        try:
            while True:
                self._wake.clear()
                while self._queue:
                    request = self._queue.popleft()
                    if not request.claim():
                        continue
                    self._current = request.id
                    await request.run_async()
                    self._current = None
                wait = await self._play()
                if self._queue or wait == 0:
                    continue
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        except Exception:  # the last boundary: clients are sent the state `dead`
            log.exception("the replay of %s died", self.path)
            self._enter("dead", "exception")
            self._refuse_waiting()

    async def _play(self) -> float | None:
        """Publish what is due; return the seconds until the next message, `None` while there is none."""
        if self._state.state != "running":
            return None
        wait = await self._player.play(lambda: bool(self._queue))
        if self._stopped_at_breakpoint():
            return None
        if wait is None:
            self._head.stop()
            self._enter("paused", "end")
        return wait

    def _say_shortened(self, left_out_s: float) -> None:
        """Report a shortened silence: the first as a warning in the log, and each to clients."""
        first = self._head.left_out_s == left_out_s
        advice = "; longest_silence_s=None keeps them (at the shell: --longest-silence inf)" if first else ""
        level = logging.WARNING if first else logging.INFO
        log.log(level, "%s of silence in %s are left out%s", span(left_out_s), self.path, advice)
        self._enter(self._state.state, "silence")

    def _tell_control(self, word: ControlWord) -> None:
        self._server.publish(MessageTypes.CONTROL, word)

    def _later(self, delay_s: float, function: Callable[[], None]) -> None:
        self._loop.call_later(delay_s, function)

    def _stopped_at_breakpoint(self) -> bool:
        """Stop if a breakpoint matched; return whether one did."""
        hits = self._player.breakpoints.take()
        if hits:
            self._head.stop()
            self._enter("paused", "breakpoint", hits)
        return bool(hits)

    def _enter(self, state: str, reason: str, hits: Sequence[dict[str, Any]] = ()) -> None:
        seq = next((hit["seq"] for hit in hits if hit["seq"] is not None), None)
        self._state = RunState(
            state, reason, self._player.state.tick, command_id=self._current, breakpoints=list(hits), seq=seq
        )
        self._server.publish(MessageTypes.RUN_STATE, self._state)
        self._server.publisher.drain()

    def specs(self) -> list[CommandSpec]:
        """List the commands on offer."""
        return self._commands.specs()

    def submit(self, id: str, command: Command, role: str, reply: Reply) -> None:
        """Accept a command, from any thread, without waiting; `reply` is called once, after its effect."""
        try:
            declared, arguments = self._commands.check(command)
            if self._state.state in ("finished", "dead"):
                raise over()
            if (refused := self._lease.refusal(declared.spec, command.client)) is not None:
                raise refused
        except WebSocketError as error:
            reply(refusal(error))
            return
        self._queue.append(Request(id, declared, arguments, math.inf, reply, command.client))
        self._loop.call_soon_threadsafe(self._wake.set)

    def withdraw(self, id: str, reason: str) -> None:
        """Refuse a command that was not begun."""
        for request in self._queue.copy():
            if request.id == id and request.claim():
                request.fail(WebSocketError(WebSocketError.TIMEOUT, reason))

    def _refuse_waiting(self) -> None:
        while self._queue:
            self._queue.popleft().fail(over())

    def status(self) -> RunState:
        """Return how the replay is, where, and how fast."""
        return replace(self._state, tick=self._player.state.tick, speed=self._head.speed)
