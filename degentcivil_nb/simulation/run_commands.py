"""The commands of every run: pause, resume, step, set_speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..protocol.control_payloads import RunState
from ..protocol.errors import WebSocketError
from .current_run import CurrentRun
from .pace import Pace
from .request import DEFERRED, Request
from .stepping import Stepping


class RunCommands:
    """The commands that stop the run and let it go on.

    `running()` returns the command that is being carried out, and `waiting(function)` those that wait for a checkpoint
    and call this function; `present()` whether the simulation is in a checkpoint.
    """

    def __init__(
        self,
        run: CurrentRun,
        stepping: Stepping,
        pace: Pace,
        *,
        running: Callable[[], Request | None],
        waiting: Callable[[Callable[..., Any]], list[Request]],
        present: Callable[[], bool],
    ) -> None:
        self._run = run
        self._stepping = stepping
        self._pace = pace
        self._running = running
        self._waiting = waiting
        self._present = present

    def pause(self) -> RunState:
        """Pause the run at its next checkpoint."""
        return self._enter("paused", by="pause")

    def resume(self) -> RunState:
        """Let a paused run continue."""
        return self._enter("running", by="resume")

    def step(self, ticks: int = 1) -> Any:
        """Run that many ticks and pause again."""
        if self._run.word != "paused":
            raise WebSocketError(WebSocketError.WRONG_RUN_STATE, self._why_no_step())
        request = self._running()
        assert request is not None
        self._stepping.begin(request, ticks)
        self._run.change("running", "step", request.id)
        return DEFERRED

    def _why_no_step(self) -> str:
        step = self._stepping.step
        if step is None:
            return "only a paused run can step: pause it first"
        client = step.request.client
        whose = "another" if client is None else f"{client.name or client.id}'s"
        return f"{whose} step is under way, with {step.left} of {step.wanted} ticks left: step after it"

    def set_speed(self, factor: float) -> RunState:
        """Run at that many times the simulation's own pace."""
        if self._pace.tick_s is None:
            raise WebSocketError(
                WebSocketError.WRONG_RUN_STATE,
                "this simulation has no pace that could be changed; SimulationProbe(tick_s=…) gives it one",
            )
        self._pace.set_factor(factor)
        return self._run.answer()

    def _enter(self, state: str, *, by: str) -> RunState:
        request = self._running()
        with self._run.lock:
            self._stepping.cut(by)
        if self._run.word == state:
            return self._run.answer()
        return self._run.change(state, "command", None if request is None else request.id)

    # --- before the checkpoint, under the lock of the run's state -------------------------------------------------

    def accept(self, request: Request) -> bool:
        """Run a command that must not wait for a checkpoint, or announce a pause; return whether it is done."""
        function = request.command.function
        # paused, and in no checkpoint: before the first one, or where an interrupt left a notebook's cell that stood
        if function == self.resume and not (self._run.word == "paused" and self._present()):
            request.claim()
            self._resume_now(request)
            return True
        if function == self.set_speed:
            request.claim()
            request.run()
            return True
        if function == self.pause and self._run.word == "running":
            self._run.enter("pausing", "command", request.id)
        return False

    def _resume_now(self, request: Request) -> None:
        """Cancel what would stop the run: if ticks last minutes, a resume must not wait for a checkpoint."""
        for pause in self._waiting(self.pause):
            if pause.claim():
                pause.fail(WebSocketError(WebSocketError.WRONG_RUN_STATE, "resume came before the pause was reached"))
        if self._stepping.cut("resume") or self._run.word in ("pausing", "paused"):
            self._run.enter("running", "command", request.id)
        request.succeed(self._run.answer())

    def end_unwanted_pause(self, dropped: Request) -> None:
        """Publish that the run continues, after the last requested pause was cancelled."""
        with self._run.lock:
            if self._run.word == "pausing" and not self._waiting(self.pause):
                self._run.enter("running", "abandoned", dropped.id)
