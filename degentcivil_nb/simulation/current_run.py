"""The state of the run: every change of it is put into the stream, in the order in which it happened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from ..protocol.control_payloads import RunState
from ..protocol.messages import MessageTypes
from ..server.stream.receipts import Matched


class CurrentRun:
    """The state of the run and the last tick that it reached.

    `publish(type, data)` puts a message into the stream, and takes a receipt where there is one. `changed()` is called
    after each change. `speed()` returns the current speed, `None` for a run without a pace.
    """

    def __init__(
        self,
        publish: Callable[..., None],
        *,
        changed: Callable[[], None],
        speed: Callable[[], float | None],
        paused: bool = False,
    ) -> None:
        self.lock = threading.Lock()
        """Held around changes of the state, which three threads may want."""
        self.reached: int | None = None
        """The tick of the last checkpoint."""
        self.ended = False
        """Whether the run is over: then checkpoints do nothing, and commands are refused."""
        self._state = RunState("paused", "command") if paused else RunState("running")
        self.word: str = self._state.state
        """The name of the state, such as `running`."""
        self._matched = Matched()  # the positions of the events at which the run has stopped
        self._publish = publish
        self._changed = changed
        self._speed = speed

    def answer(self) -> RunState:
        """Return the state for the answer to a command."""
        state = self._matched.fill(self._state) if self._state.breakpoints else self._state
        return replace(state, tick=self.reached, speed=self._speed())

    def change(self, state: str, reason: str, command_id: str | None = None) -> RunState:
        """Enter a state, unless the run is over, and return the state that there is then."""
        with self.lock:
            if not self.ended:
                self.enter(state, reason, command_id)
            return self._state

    def enter(self, state: str, reason: str | None, command_id: str | None = None) -> None:
        """Enter a state and publish it; under the lock, so that what is published is in order."""
        self._enter(RunState(state, reason, self.reached, command_id=command_id))

    def enter_breakpoints(self, hits: Sequence[Any], matched: Matched, command_id: str | None) -> RunState:
        """Pause at breakpoints; under the lock. `matched` has the positions of the events at which they matched.

        `command_id` is the id of the step that they ended early, if there was one.
        """
        self._matched = matched
        self._enter(
            RunState("paused", "breakpoint", self.reached, command_id=command_id, breakpoints=list(hits)), matched
        )
        return self.answer()

    def _enter(self, state: RunState, *receipts: Matched) -> None:
        self._state, self.word = state, state.state
        self._publish(MessageTypes.RUN_STATE, state, *receipts)
        self._changed()

    def end(self, state: str, reason: str | None) -> bool:
        """Enter the last state; return `False` if the run was over before."""
        with self.lock:
            if self.ended:
                return False
            self.enter(state, reason)
            self.ended = True
            return True

    def disarm(self) -> None:
        """End without publishing: in a forked child, locks may be held by threads that do not exist there."""
        self.ended = True
        self.lock = threading.Lock()
