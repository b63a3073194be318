"""Control of the run: commands wait for the checkpoint and are executed there, on the simulation's own thread."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Annotated, Any, Final, NamedTuple

from msgspec import Meta, to_builtins
from msgspec.structs import replace

from ..core.wakeup import Wakeup
from ..protocol.commands import CommandTable, DeclaredCommand, refusal
from ..protocol.errors import WebSocketError
from ..protocol.messages import BreakpointHit, Command, CommandSpec, Links, MessageTypes, RunState
from ..server.stream.publishing import Matched, Receipt
from .anytime import AnytimeWorker
from .model_clock import ModelClock
from .ownership import Owner
from .pace import Pace
from .request import DEFERRED, Reply, Request, over

log = logging.getLogger("degentcivil_nb.simulation")

DEADLINE_S: Final = 10.0
"""How long a command waits for a checkpoint when it does not say."""
MAX_HITS: Final = 100
"""Matches that one stop names at most."""
_LOOK_S: Final = 1.0
"""How often a paused run looks whether there is still a server that could resume it."""

_inside: ContextVar[bool] = ContextVar("degentcivil_inside_checkpoint", default=False)

Hit = tuple[BreakpointHit, Receipt | None]
"""A match of a breakpoint, and the receipt of the message at which it matched."""
Later = Callable[[float, Callable[[], None]], Callable[[], None]]


class Step(NamedTuple):
    """A step in progress: its request, the requested ticks, and the remaining ones."""

    request: Request
    wanted: int
    left: int


class Control:
    """The state of the run and its commands, which any thread may submit and the checkpoint executes.

    `publish(type, data)` puts a message into the stream, and takes a receipt where there is one.
    `later(delay_s, function)` calls the function after a while and returns what cancels that. `alive()` says whether
    anybody could resume a paused run. `tick_s` is the least time between two ticks at speed 1; without it the run is as
    fast as it can.
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
        self.commands = CommandTable()
        self.tick = 0
        """The tick of events published now: after a checkpoint, the following one."""
        self.links: Links | None = None
        """What the envelope of everything published now says: the model's own clock, and a command's handler."""
        self.judge: Callable[[int], None] = _nothing
        """Called with the tick when the simulation has come to a checkpoint; it may `stop`."""
        self._hits: dict[tuple[str, str], Hit] = {}  # the first match of each that was not stopped at yet
        self._matched = Matched()  # the positions of the events that the run stands at
        self._model_clock = ModelClock()
        self._publish = publish
        self._later = later
        self._alive = alive
        self._clock = clock
        self._pace = Pace(tick_s, clock)
        self._reached: int | None = None
        self._present = False  # whether the simulation is in a checkpoint
        self._left_at: float | None = None  # by the clock, when it last left one
        self._state = RunState("paused", "command") if paused else RunState("running")
        self._ended = False
        self._queue: deque[Request] = deque()
        self._step: Step | None = None
        self._running: Request | None = None
        self._lock = threading.Lock()  # around changes of the run's state, which three threads may want
        self._turn = threading.Lock()  # held by the thread that is in the checkpoint
        self._wakeup = Wakeup()
        self._owner = Owner()
        self._anytime = AnytimeWorker(_inside)
        self._watching = False  # whether a timer looks after those that wait without a deadline
        self._on_a_loop = False
        for function in (self.pause, self.resume, self.step, self.set_speed):
            self.commands.add(DeclaredCommand(function))

    def status(self) -> RunState:
        """Return the current state of the run, with the time since the last checkpoint."""
        return replace(self.answer(), checkpoint_age_s=self._checkpoint_age_s())

    def answer(self) -> RunState:
        """Say how the run is, as a command answers: it is in a checkpoint."""
        return replace(self._at_positions(self._state), tick=self._reached, speed=self._pace.factor)

    def _at_positions(self, state: RunState) -> RunState:
        return self._matched.fill(state) if state.breakpoints else state

    @property
    def is_own_thread(self) -> bool:
        """Return whether the calling thread is the one that calls checkpoints, or is inside one."""
        if self._ended:
            return False
        return self._owner.is_here or (self._running is not None and _inside.get())

    def _checkpoint_age_s(self) -> float | None:
        if self._ended or self._left_at is None:
            return None
        return 0.0 if self._present else max(0.0, self._clock() - self._left_at)

    @property
    def ended(self) -> bool:
        """Return whether the run is over: then checkpoints do nothing, and commands are refused."""
        return self._ended

    # --- the server's side ---------------------------------------------------------------------------------------

    def specs(self) -> list[CommandSpec]:
        """Return the offered commands."""
        return self.commands.specs()

    def submit(self, id: str, command: Command, role: str, reply: Reply) -> None:
        """Queue a command from any thread without waiting; `reply` is called once, after the effect or the deadline."""
        try:
            declared, arguments = self.commands.admit(command, role)
        except WebSocketError as error:
            reply(refusal(error))
            return
        seconds = None if command.deadline_s == "none" else command.deadline_s or DEADLINE_S
        deadline = math.inf if seconds is None else self._clock() + seconds
        request = Request(id, declared, arguments, deadline, reply, command.client)
        with self._lock:
            refused = self._impossible(declared)
            if refused is None:
                if seconds is not None:
                    request.cancel_timer = self._later(seconds, partial(self._expire, request))
                self._accept(request)
        if refused is not None:
            request.fail(refused)
        self._wakeup.notify()

    def withdraw(self, id: str, reason: str) -> None:
        """Refuse a command with this reason, if it has not begun."""
        for request in self._queue.copy():
            if request.id == id and request.claim():
                self._unwanted(request)
                request.fail(WebSocketError(WebSocketError.TIMEOUT, reason))

    def _impossible(self, declared: DeclaredCommand) -> WebSocketError | None:
        if self._ended:
            return over()
        if self._owner.has_ended and not declared.spec.anytime:
            return self._deserted()
        return None

    def _accept(self, request: Request) -> None:
        """Queue a command for the checkpoint, unless it needs none; under the lock."""
        function = request.command.function
        if request.command.spec.anytime:
            self._anytime.put(request)
            return
        if function == self.resume and self._state.state != "paused":
            request.claim()
            self._resume_now(request)
            return
        if function == self.set_speed:
            request.claim()
            request.run()
            return
        self._queue.append(request)
        if function == self.pause and self._state.state == "running":
            self._enter("pausing", "command", request.id)
        if request.deadline == math.inf and not self._watching:
            self._watching = True
            self._later(_LOOK_S, self._look_after_waiting)

    def _resume_now(self, request: Request) -> None:
        """Cancel what would stop the run: if ticks last minutes, a resume must not wait for a checkpoint."""
        for pause in self._queue.copy():
            if pause.command.function == self.pause and pause.claim():
                pause.fail(WebSocketError(WebSocketError.WRONG_RUN_STATE, "resume came before the pause was reached"))
        stepped = self._step is not None
        self._cut_step("resume")
        if stepped or self._state.state == "pausing":
            self._enter("running", "command", request.id)
        request.succeed(self.answer())

    def _look_after_waiting(self) -> None:
        """Refuse commands without a deadline once no thread can reach a checkpoint any more."""
        with self._lock:
            waiting = [request for request in self._queue.copy() if not request.claimed]
            gone = self._owner.has_ended
            self._watching = bool(waiting) and not gone and not self._ended
            if self._watching:
                self._later(_LOOK_S, self._look_after_waiting)
        for request in waiting if gone else ():
            if request.claim():
                self._unwanted(request)
                request.fail(self._deserted())

    def _deserted(self) -> WebSocketError:
        return WebSocketError(
            WebSocketError.WRONG_RUN_STATE,
            f"the run is over: {self._owner} that called checkpoint() has ended, after tick {self._reached}; "
            "a simulation that ends says so with probe.close()",
        )

    def _expire(self, request: Request) -> None:
        if not request.claim():
            return
        self._unwanted(request)
        request.fail(self._too_late(request.command.name))

    def _unwanted(self, request: Request) -> None:
        """Publish that the run continues, after the last requested pause was cancelled."""
        with self._lock:
            if self._state.state == "pausing" and not any(
                other.command.function == self.pause and not other.claimed for other in self._queue.copy()
            ):
                self._enter("running", "abandoned", request.id)

    def _too_late(self, name: str) -> WebSocketError:
        if self._on_a_loop:
            advice = "it calls checkpoint() on a running event loop; there it has to `await probe.acheckpoint(tick)`"
        elif self._reached is None:
            advice = "it has never reached one; call probe.checkpoint(tick) once a tick"
        else:
            ago = self._checkpoint_age_s() or 0.0
            advice = f"the last one was tick {self._reached}, {ago:.1f} s ago; is it busy, or stopped elsewhere?"
        return WebSocketError(
            WebSocketError.TIMEOUT, f"{name} was not done: the simulation came to no checkpoint in time: {advice}"
        )

    def stop(self, hit: Hit) -> None:
        """Have the run stop at its next checkpoint because a breakpoint was met; from any thread."""
        point = hit[0]
        with self._lock:
            self._hits.setdefault((point.owner.id, point.name), hit)

    # --- the simulation's side -----------------------------------------------------------------------------------

    def checkpoint(self, tick: Any = None, *, blocking: bool = False) -> None:
        """Execute waiting commands, stay here while the run is paused, and keep its pace.

        On a running event loop it warns once and does nothing, since it would block that loop; inside a handler it does
        nothing.
        """
        if self._ended or _inside.get():
            return
        if _on_running_loop() and not blocking and not _in_a_cell():
            self._warn_of_loop(tick)
            return
        with self._turn:
            self._arrive(tick)
            try:
                while True:
                    version = self._wakeup.version
                    for request in self._claimed():
                        with self._handling(request):
                            request.run()
                    seconds = self._remaining()
                    if seconds <= 0:
                        return
                    self._wakeup.wait(version, seconds)
            finally:
                self._leave()

    async def acheckpoint(self, tick: Any = None) -> None:
        """Do the same in a coroutine, without blocking its loop; handlers may be coroutine functions."""
        if self._ended or _inside.get():
            return
        await asyncio.sleep(0)  # a loop of ticks must let other tasks run even if there is nothing to wait for
        while not self._turn.acquire(blocking=False):
            await self._wakeup.wait_async(self._wakeup.version, _LOOK_S)
        try:
            self._arrive(tick, asyncio.get_running_loop())
            while True:
                version = self._wakeup.version
                for request in self._claimed():
                    with self._handling(request):
                        await request.run_async()
                seconds = self._remaining()
                if seconds <= 0:
                    return
                await self._wakeup.wait_async(version, seconds)
        finally:
            self._leave()
            self._turn.release()
            self._wakeup.notify()  # another task may be waiting for its turn

    def wait_running(self) -> None:
        """Block this thread while the run is paused; not inside a handler, and never a running event loop."""
        while self._holds() and not _on_running_loop():
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
        return self._state.state == "paused" and not self._ended and not _inside.get() and self._alive()

    def finish(self, state: str, reason: str | None = None) -> None:
        """End the run (`finished` or `dead`): waiting commands are refused, and a paused simulation continues."""
        with self._lock:
            if self._ended:
                return
            self._enter(state, reason)
            self._ended = True
        for request in self._claimed():
            request.fail(over())
        with self._lock:
            self._cut_step("the run ended")
        self._wakeup.notify()
        self._anytime.close()

    def disarm(self) -> None:
        """Do nothing from now on: in a forked child, locks may be held by threads that do not exist there."""
        self._ended = True
        self._lock, self._turn, self._wakeup = threading.Lock(), threading.Lock(), Wakeup()
        self._anytime = AnytimeWorker(_inside)

    # --- inside the checkpoint -----------------------------------------------------------------------------------

    def _arrive(self, tick: Any, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._owner.arrive(loop)
        self._reach(tick)
        self._present = True
        self.judge(self.tick)
        if self._hits:
            self._stop_at_breakpoints()
        if self._step is None:
            return
        with self._lock:
            step, self._step = self._step, None  # which a resume may have cut meanwhile
            if step is not None and step.left > 1:
                self._step = step._replace(left=step.left - 1)
                return
        if step is not None:
            step.request.succeed(self._change("paused", "step", step.request.id))

    def _stop_at_breakpoints(self) -> None:
        with self._lock:
            hits, self._hits = list(self._hits.values())[:MAX_HITS], {}
            if self._ended:
                return
            step, self._step = self._step, None
            self._matched = Matched([receipt for _, receipt in hits])
            found = [to_builtins(hit) for hit, _ in hits]
            self._enter("paused", "breakpoint", breakpoints=found)
            state = self.answer()
        if step is not None:
            done = step.wanted - step.left + 1
            step.request.succeed(replace(state, command_id=step.request.id, ticks=done))

    def _reach(self, tick: Any) -> None:
        number = self._model_clock.read(tick)
        sim_time = self._model_clock.time
        self.links = None if sim_time is None else Links(sim_time)
        if number is None:
            number = 0 if self._reached is None else self._reached + 1
        self._reached = self.tick = number
        self._left_at = self._clock()

    def _leave(self) -> None:
        self._pace.leave()
        self._left_at, self._present = self._clock(), False
        self.tick += 1

    def _claimed(self) -> Iterator[Request]:
        while True:
            try:
                request = self._queue.popleft()
            except IndexError:
                return
            if self._clock() >= request.deadline:
                self._expire(request)
            elif request.claim():
                yield request

    @contextmanager
    def _handling(self, request: Request) -> Iterator[None]:
        token = _inside.set(True)
        self._running = request
        links = self.links
        self.links = (links or Links())._replace(intervention={"command_id": request.id})
        try:
            yield
        finally:
            self.links = links
            self._running = None
            _inside.reset(token)

    def handles_command(self) -> bool:
        """Return whether this thread, or this task, is inside a command's handler."""
        return _inside.get()

    def _remaining(self) -> float:
        """Return how many seconds this checkpoint lasts, at most."""
        if self._ended:
            return 0
        if self._state.state != "paused":
            return self._pace.remaining()
        if self._alive():
            return _LOOK_S
        log.warning("the server is gone while the run was paused, and nobody can resume it: it goes on")
        self._change("running", "abandoned")
        return 0

    def _warn_of_loop(self, tick: Any) -> None:
        self._reach(tick)
        self.tick += 1
        if not self._on_a_loop:
            self._on_a_loop = True
            # a warning of the `warnings` module could be made an error, and would stop the simulation
            log.warning(
                "checkpoint() was called on a running event loop and would block it: it does nothing, so the run "
                "cannot be paused. Use `await probe.acheckpoint(tick)` there"
            )

    # --- the commands --------------------------------------------------------------------------------------------

    def pause(self) -> RunState:
        """Pause the run at its next checkpoint."""
        with self._lock:
            self._cut_step("pause")
        if self._state.state == "paused":
            return self.answer()
        return self._change("paused", "command")

    def resume(self) -> RunState:
        """Let a paused run continue."""
        with self._lock:
            self._cut_step("resume")
        if self._state.state == "running":
            return self.answer()
        return self._change("running", "command")

    def step(self, ticks: Annotated[int, Meta(ge=1)] = 1) -> Any:
        """Run that many ticks and pause again."""
        if self._state.state != "paused":
            raise WebSocketError(WebSocketError.WRONG_RUN_STATE, "only a paused run can step: pause it first")
        assert self._running is not None
        self._step = Step(self._running, ticks, ticks)
        self._change("running", "step")
        return DEFERRED

    def set_speed(self, factor: Annotated[float, Meta(gt=0)]) -> RunState:
        """Run at that many times the simulation's own pace."""
        if self._pace.tick_s is None:
            raise WebSocketError(
                WebSocketError.WRONG_RUN_STATE,
                "this simulation runs as fast as it can; with SimulationProbe(tick_s=…) it would have a pace to change",
            )
        self._pace.set_factor(factor)
        return self.answer()

    def _cut_step(self, by: str) -> None:
        """End a step in progress; under the lock."""
        step, self._step = self._step, None
        if step is not None:
            done = step.wanted - step.left
            step.request.fail(
                WebSocketError(
                    WebSocketError.WRONG_RUN_STATE,
                    f"the step was cut short after {done} of {step.wanted} ticks: {by}",
                    details={"ticks": done},
                )
            )

    def _change(self, state: str, reason: str, command_id: str | None = None) -> RunState:
        with self._lock:
            if not self._ended:
                running = None if self._running is None else self._running.id
                self._enter(state, reason, command_id or running)
            return self._state

    def _enter(
        self, state: str, reason: str | None, command_id: str | None = None, breakpoints: Sequence[Any] = ()
    ) -> None:
        """Put the run into a state and say so in the stream; under the lock, so that what is said is in order."""
        self._state = RunState(state, reason, self._reached, command_id=command_id, breakpoints=list(breakpoints))
        receipts = (self._matched,) if breakpoints else ()
        self._publish(MessageTypes.RUN_STATE, self._state, *receipts)
        self._wakeup.notify()  # whoever waits for the run to go on


def _in_a_cell() -> bool:
    """Return whether this is a notebook's cell: the kernel's loop stands still while it runs in any case."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None and threading.current_thread() is threading.main_thread()


def _nothing(tick: int) -> None:
    """Judge nothing."""


def _on_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
