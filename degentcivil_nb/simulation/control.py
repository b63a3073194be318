"""Control of the run: commands wait for the checkpoint and are executed there, on the simulation's own thread."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from msgspec.structs import replace

from ..core.wakeup import Wakeup
from ..protocol.command_payloads import Command, CommandSpec
from ..protocol.commands import CommandTable, DeclaredCommand, refusal
from ..protocol.control_payloads import ClientInfo, RunState
from ..protocol.errors import WebSocketError
from ..protocol.run_commands import run_commands
from .anytime import AnytimeWorker
from .breakpoint_stops import BreakpointStops, Hit
from .command_queue import CommandQueue, Later
from .current_run import CurrentRun
from .envelope import INSIDE, Envelope
from .event_loops import in_a_cell, on_running_loop
from .ownership import Owner
from .pace import Pace
from .refusals import deserted, never, nobody, too_late
from .request import Reply, Request, over
from .run_commands import RunCommands
from .stepping import Stepping

log = logging.getLogger("degentcivil_nb.simulation")

DEADLINE_S: Final = 10.0
"""How long a command without a deadline of its own waits for a checkpoint."""
_LOOK_S: Final = 1.0
"""How often a paused run checks whether there is still a server that could resume it."""

Refusal = Callable[[CommandSpec, ClientInfo | None], WebSocketError | None]


class Control(Envelope):
    """The state of the run and its commands, which any thread may submit and the checkpoint executes.

    `publish(type, data)` puts a message into the stream, and takes a receipt where there is one.
    `later(delay_s, function)` calls the function after a while and returns a function that cancels the call. `alive()`
    returns whether any client could resume a paused run. `tick_s` is the least time between two ticks at speed 1;
    without it the run is as fast as it can.
    """

    def __init__(
        self,
        publish: Callable[..., None],
        *,
        later: Later,
        alive: Callable[[], bool] = lambda: True,
        tick_s: float | None = None,
        paused: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.commands = CommandTable()
        self.judge: Callable[[int], None] | None = None
        """A function that is called with the tick at each checkpoint, if anything is declared; it may call `stop`."""
        self.refusal: Refusal = nobody
        """A function that returns why a client may not run a command now; `None` if it may."""
        self.abandoned: Callable[[int | None], bool] = never
        """A function that is called with the tick each second of a pause; it returns whether the run must go on."""
        self._alive = alive
        self._clock = clock
        self._pace = Pace(tick_s, clock)
        self._present = False  # whether the simulation is in a checkpoint
        self._left_at: float | None = None  # by the clock, when it last left one
        self._running: Request | None = None
        self._turn = threading.Lock()  # held by the thread that is in the checkpoint
        self._wakeup = Wakeup()
        self._run = CurrentRun(publish, changed=self._wake, speed=lambda: self._pace.factor, paused=paused)
        self._stepping = Stepping()
        self._stops = BreakpointStops(self._run, self._stepping)
        self.run_commands = RunCommands(
            self._run,
            self._stepping,
            self._pace,
            running=lambda: self._running,
            waiting=lambda function: self._queue.waiting(function),  # noqa: PLW0108 — the queue is made below
            present=lambda: self._present,
        )
        self._owner = Owner()
        self._queue = CommandQueue(
            self._owner,
            later=later,
            clock=clock,
            too_late=lambda name: too_late(
                name, self._run.reached, self._checkpoint_age_s() or 0.0, on_a_loop=self._on_a_loop
            ),
            deserted=lambda: deserted(self._owner, self._run.reached),
            dropped=self.run_commands.end_unwanted_pause,
        )
        self._anytime = AnytimeWorker(INSIDE, self._marking)
        self._on_a_loop = False
        for command in run_commands(self.run_commands):
            self.commands.add(command)

    def status(self) -> RunState:
        """Return the current state of the run, with the time since the last checkpoint."""
        return replace(self.answer(), checkpoint_age_s=self._checkpoint_age_s())

    def answer(self) -> RunState:
        """Return the state of the run for the answer to a command, which runs in a checkpoint."""
        return self._run.answer()

    @property
    def reached(self) -> int | None:
        """The tick of the last checkpoint, if there was one."""
        return self._run.reached

    def would_wait_for_itself(self, command: str) -> bool:
        """Return whether the calling thread would have to carry the command out that it waits for."""
        if self.ended or command == "set_speed":  # which never waits for a checkpoint
            return False
        inside = self._running is not None and INSIDE.get()
        return inside or (command != "resume" and self._owner.is_here)

    def _checkpoint_age_s(self) -> float | None:
        if self.ended or (self._left_at is None and not self._present):
            return None
        return 0.0 if self._present or self._left_at is None else max(0.0, self._clock() - self._left_at)

    @property
    def ended(self) -> bool:
        """Return whether the run is over: then checkpoints do nothing, and commands are refused."""
        return self._run.ended

    # --- the server's side ---------------------------------------------------------------------------------------

    def specs(self) -> list[CommandSpec]:
        """Return the offered commands."""
        return self.commands.specs()

    def submit(self, id: str, command: Command, role: str, reply: Reply) -> None:
        """Queue a command from any thread without waiting; `reply` is called once, after the effect or the deadline."""
        try:
            declared, arguments = self.commands.check(command)
        except WebSocketError as error:
            reply(refusal(error))
            return
        seconds = None if command.deadline_s == "none" else command.deadline_s or DEADLINE_S
        deadline = math.inf if seconds is None else self._clock() + seconds
        request = Request(id, declared, arguments, deadline, reply, command.client)
        with self._run.lock:
            refused = self._impossible(declared) or self.refusal(declared.spec, command.client)
            if refused is None:
                if seconds is not None:
                    self._queue.limit(request, seconds)
                self._accept(request)
        if refused is not None:
            request.fail(refused)
        self._wake()

    def withdraw(self, id: str, reason: str) -> None:
        """Refuse a command with this reason, if it has not begun."""
        self._queue.withdraw(id, WebSocketError(WebSocketError.TIMEOUT, reason))

    def _impossible(self, declared: DeclaredCommand) -> WebSocketError | None:
        if self.ended:
            return over()
        if self._owner.has_ended and not declared.spec.anytime:
            return deserted(self._owner, self._run.reached)
        return None

    def _accept(self, request: Request) -> None:
        """Queue a command for the checkpoint, unless it needs none; under the lock."""
        if request.command.spec.anytime:
            self._anytime.put(request)
        elif not self.run_commands.accept(request):
            self._queue.put(request)

    @property
    def goes_on(self) -> bool:
        """Return whether neither a pause nor a step is to stop the run at a checkpoint."""
        return self._run.word == "running" and self._stepping.step is None

    def stop(self, hit: Hit) -> None:
        """Make the run stop at its next checkpoint because a breakpoint matched; from any thread."""
        self._stops.add(hit)

    # --- the simulation's side -----------------------------------------------------------------------------------

    def checkpoint(self, tick: Any = None, *, blocking: bool = False) -> None:
        """Run the waiting commands, wait here while the run is paused, and keep the run's pace.

        On a running event loop it warns once and does nothing, since it would block that loop; inside a handler it does
        nothing.
        """
        if self._does_nothing():
            return
        if on_running_loop() and not blocking and not in_a_cell():
            self._warn_of_loop(tick)
            return
        with self._turn:
            self._arrive(tick)
            try:
                if self._has_to_stay():
                    self._stay()
            finally:
                self._leave()

    def _does_nothing(self) -> bool:
        """Return whether a checkpoint does nothing, since the run is over, or a handler called it."""
        if self._run.ended:
            self.after_end()
            return True
        return INSIDE.get()

    def _has_to_stay(self) -> bool:
        """Return whether there is anything to do or to wait for; most checkpoints have nothing, and cost little."""
        return bool(self._queue.requests) or self._run.word != "running" or self._pace.interval > 0

    def _stay(self) -> None:
        while True:
            version = self._wakeup.version
            for request in self._queue.claimed():
                with self._handling(request):
                    request.run()
            seconds = self._remaining()
            if seconds <= 0:
                return
            self._wakeup.wait(version, seconds)

    async def acheckpoint(self, tick: Any = None) -> None:
        """Do what `checkpoint` does in a coroutine, without blocking its loop; handlers may be coroutine functions."""
        if self._does_nothing():
            return
        await asyncio.sleep(0)  # a loop of ticks must let other tasks run even if there is nothing to wait for
        while not self._turn.acquire(blocking=False):
            await self._wakeup.wait_async(self._wakeup.version, _LOOK_S)
        try:
            self._arrive(tick, asyncio.get_running_loop())
            while self._has_to_stay():
                version = self._wakeup.version
                for request in self._queue.claimed():
                    with self._handling(request):
                        await request.run_async()
                seconds = self._remaining()
                if seconds <= 0:
                    return
                await self._wakeup.wait_async(version, seconds)
        finally:
            self._leave()
            self._turn.release()
            self._wake()  # another task may be waiting for its turn

    def wait_running(self) -> None:
        """Block this thread while the run is paused; not inside a handler, and never a running event loop."""
        while self._holds() and not on_running_loop():
            version = self._wakeup.version
            if self._holds():
                self._wakeup.wait(version, _LOOK_S)

    async def await_running(self) -> None:
        """Wait in a coroutine while the run is paused; not inside a handler."""
        while self._holds():
            version = self._wakeup.version
            if self._holds():
                await self._wakeup.wait_async(version, _LOOK_S)

    def _holds(self) -> bool:
        return self._run.word == "paused" and not self.ended and not INSIDE.get() and self._alive()

    def finish(self, state: str, reason: str | None = None) -> None:
        """End the run (`finished` or `dead`): waiting commands are refused, and a paused simulation continues."""
        if not self._run.end(state, reason):
            return
        for request in self._queue.claimed():
            request.fail(over())
        with self._run.lock:
            self._stepping.cut("the run ended")
        self._wake()
        self._anytime.close()

    def disarm(self) -> None:
        """Do nothing from now on: in a forked child, locks may be held by threads that do not exist there."""
        self._run.disarm()
        self._turn, self._wakeup, self._links_lock = threading.Lock(), Wakeup(), threading.Lock()
        self._anytime = AnytimeWorker(INSIDE, self._marking)

    def _wake(self) -> None:
        """Wake the threads that wait in a checkpoint, or for the run to continue."""
        self._wakeup.notify()

    # --- inside the checkpoint -----------------------------------------------------------------------------------

    def _arrive(self, tick: Any, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._owner.arrive(loop)
        self._reach(tick)
        self._present = True
        if self.judge is not None:
            self.judge(self.tick)
        if self._stops.hits:
            self._stops.stop()
        if self._stepping.step is None:
            return
        with self._run.lock:
            complete = self._stepping.count()
        if complete is not None:
            complete.succeed(self._run.change("paused", "step", complete.id))

    def _reach(self, tick: Any) -> None:
        self._run.reached = self.tick = self._read(tick, self._run.reached)

    def _leave(self) -> None:
        self._left_at = now = self._clock()
        self._present = False
        self._pace.leave(now)
        self.tick += 1

    @contextmanager
    def _handling(self, request: Request) -> Iterator[None]:
        token = INSIDE.set(True)
        self._running = request
        try:
            with self._marking():
                yield
        finally:
            self._running = None
            INSIDE.reset(token)

    def _remaining(self) -> float:
        """Return how many seconds this checkpoint lasts, at most."""
        if self.ended:
            return 0
        if self._run.word != "paused":
            return self._pace.remaining()
        if self._alive():
            if not self.abandoned(self._run.reached):
                return _LOOK_S
            self._run.change("running", "abandoned")
            return 0
        log.warning("the server ended while the run was paused: the run continues, since nobody could resume it")
        self._run.change("running", "abandoned")
        return 0

    def _warn_of_loop(self, tick: Any) -> None:
        self._reach(tick)
        self._left_at = self._clock()
        self.tick += 1
        if not self._on_a_loop:
            self._on_a_loop = True
            # a warning of the `warnings` module could be made an error, and would stop the simulation
            log.warning(
                "checkpoint() was called on a running event loop and would block it: it does nothing, so the run "
                "cannot be paused. Use `await probe.acheckpoint(tick)` there"
            )
