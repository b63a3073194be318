"""The step in progress: so many ticks, and then a pause."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from ..protocol.control_payloads import RunState
from ..protocol.errors import WebSocketError
from .request import Request


class Step(NamedTuple):
    """A step in progress: its request, the requested ticks, and the remaining ones."""

    request: Request
    wanted: int
    left: int


class Stepping:
    """The step in progress, if there is one; used under the lock of the run's state."""

    def __init__(self) -> None:
        self.step: Step | None = None
        """The step, if there is one."""

    def begin(self, request: Request, ticks: int) -> None:
        """Begin a step; its request is answered when it ends."""
        self.step = Step(request, ticks, ticks)

    def count(self) -> Request | None:
        """Count a tick; return the request of a step that is complete with it."""
        step = self.step
        if step is None:
            return None
        self.step = step._replace(left=step.left - 1) if step.left > 1 else None
        return None if self.step is not None else step.request

    def stop_at_breakpoint(self) -> Step | None:
        """End the step at a breakpoint and return it; the tick of the breakpoint is counted."""
        step, self.step = self.step, None
        return None if step is None else step._replace(left=step.left - 1)

    def cut(self, by: str) -> bool:
        """End the step early; its request fails. Return whether there was one."""
        step, self.step = self.step, None
        if step is None:
            return False
        done = step.wanted - step.left
        step.request.fail(
            WebSocketError(
                WebSocketError.WRONG_RUN_STATE,
                f"the step was cut short after {done} of {step.wanted} ticks: {by}",
                details={"ticks": done},
            )
        )
        return True


def answer_short_step(step: Step, state: RunState) -> None:
    """Answer a step that a breakpoint ended early, with the ticks that were done."""
    step.request.succeed(replace(state, ticks=step.wanted - step.left))
