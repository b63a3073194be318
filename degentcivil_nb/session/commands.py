"""Commands from the notebook: sent through the client, awaited, and followed until the store has seen their effect."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from datetime import timedelta
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from ..core import progress
from ..protocol.errors import CommandError, OutcomeUnknown
from ..protocol.messages import CommandResult
from ..simulation.probe import calls_checkpoints_here

if TYPE_CHECKING:
    from ..client.simulation_client import SimulationClient
    from ..core.portal import Portal
    from ..store.event_store import EventStore

Timeout = float | timedelta | None
"""Seconds, a length of time, or `None` to wait as long as it takes."""
GRACE_S: Final = 2.0
"""How much longer than its deadline the answer to a command is waited for, and the word on a new state of the run."""
ARRIVAL_S: Final = 10.0
"""How long the events up to an effect may be on their way, at least."""
LOOK_S: Final = 0.2
"""How often progress is shown."""
CHANGES: Final = frozenset(
    {"set_attribute", "inject_event", "inject_state_change", "inject_character_update", "inject_error"}
)
"""Commands whose answer names the position of the event that they put into the stream."""


class SpeedText(str):
    """The state of a run as text (`"running"`), with the `speed` that it has now."""

    speed: float | None

    def __new__(cls, state: str, speed: float | None = None) -> SpeedText:
        text = super().__new__(cls, state)
        text.speed = speed
        return text

    def __repr__(self) -> str:
        return super().__repr__() if self.speed is None else f"{super().__repr__()} (speed {self.speed:g})"


class SessionCommands:
    """Send commands to the simulation: `call` waits for the answer, `submit` gives a future and never waits."""

    def __init__(self, client: SimulationClient, portal: Portal, store: EventStore) -> None:
        self._client = client
        self._portal = portal
        self._store = store

    def call(self, name: str, arguments: Mapping[str, Any], *, timeout: object = None) -> Any:
        """Run a command and give its result, once the store holds every event up to its effect.

        Waits `timeout` seconds, and `None` as long as it takes; who is interrupted withdraws what was not begun.
        Raises `CommandError` where it failed, and `OutcomeUnknown` where nobody knows.
        """
        seconds = timeout_s(timeout)
        self._refuse_own_thread(name)
        future = self._request(name, arguments, seconds)
        answer = _wait(future, None if seconds is None else seconds + GRACE_S)
        return self._completed(name, answer)

    def submit(self, name: str, arguments: Mapping[str, Any]) -> Future[Any]:
        """Send a command and give a future of its result, at once; it waits as long as it takes."""
        return self._portal.submit(self._result, name, dict(arguments))

    def resume(self, timeout: object) -> str:
        """Let the run go on."""
        return self._reached(self.call("resume", {}, timeout=timeout))

    def set_speed(self, factor: float, timeout: object) -> SpeedText:
        """Change the pace; the state says which it is now."""
        result = self.call("set_speed", {"factor": factor}, timeout=timeout)
        return SpeedText(self._reached(result), result.get("speed", factor))

    def pause(self, timeout: object) -> str:
        """Want the run to stop; `"pausing"` where the tick under way takes longer than `timeout`: it stays wanted."""
        seconds = timeout_s(timeout)
        self._refuse_own_thread("pause")
        future = self._request("pause", {}, None)
        try:
            answer = _wait(future, seconds, withdraw=False)
        except TimeoutError:
            return "pausing"
        return self._reached(self._completed("pause", answer))

    def step(self, ticks: int, timeout: object) -> str:
        """Run that many ticks, with a bar from one second on; who is interrupted has the run paused."""
        seconds = timeout_s(timeout)
        self._refuse_own_thread("step")
        first = self._client.tick
        future = self._request("step", {"ticks": ticks}, None)
        with ExitStack() as stack:
            told = stack.enter_context(progress.following("step"))
            try:
                answer = _wait(future, seconds, lambda: told(self._ticks_since(first, ticks), ticks), withdraw=False)
            except TimeoutError:
                done = self._ticks_since(first, ticks)
                raise CommandError(
                    CommandError.TIMEOUT,
                    f"{done} of {ticks} ticks were done in {seconds:g} s; the step goes on, and pause() ends it",
                    details={"ticks": done},
                ) from None
            except KeyboardInterrupt:
                self._request("pause", {}, None)  # whoever interrupts a step wants the run to stand
                raise
        return self._reached(self._completed("step", answer))

    def change(self, name: str, arguments: Mapping[str, Any], *, timeout: object = None) -> int | None:
        """Run a command that puts an event into the stream, and give its row; `None` if the store does not hold it."""
        row: int | None = self.call(name, arguments, timeout=timeout).get("row")
        return row

    def table(self) -> pd.DataFrame:
        """List what the server offers: `name`, `role`, `arguments` (JSON Schema), `doc`."""
        specs = self._client.specs
        return pd.DataFrame(
            {
                "name": [spec.name for spec in specs],
                "role": [spec.role for spec in specs],
                "arguments": [spec.arguments for spec in specs],
                "doc": [spec.doc for spec in specs],
            }
        )

    # --- on the way out and back ---------------------------------------------------------------------------------

    def _refuse_own_thread(self, name: str) -> None:
        anytime = any(spec.name == name and spec.anytime for spec in self._client.specs)
        if not anytime and calls_checkpoints_here(self._client.epoch):
            raise CommandError(
                CommandError.WRONG_RUN_STATE,
                f"{name} would wait for itself: this is the thread that calls checkpoint(), where commands are carried "
                "out; run the simulation on a thread of its own, or send the command from another one",
            )

    def _request(self, name: str, arguments: Mapping[str, Any], deadline_s: float | None) -> Future[CommandResult]:
        return self._portal.submit(self._ask, name, dict(arguments), deadline_s)

    async def _ask(self, name: str, arguments: dict[str, Any], deadline_s: float | None) -> CommandResult:
        return await self._client.request(name, arguments, deadline_s=deadline_s)

    async def _result(self, name: str, arguments: dict[str, Any]) -> Any:
        return (await self._ask(name, arguments, None)).result

    def _completed(self, name: str, answer: CommandResult) -> Any:
        """Give a command's result, once the store has what it led to; with the row of its event, if it is one."""
        result, epoch = answer.result, self._client.epoch
        head = _named_head(answer)
        if head is not None and not self._store.has_accounted(epoch, head):
            try:
                self._portal.call(self._arrival, epoch, head, timeout=ARRIVAL_S)
            except TimeoutError:
                reason = f"it took effect, but the events up to {head} did not arrive"
                raise OutcomeUnknown(name, "", reason) from None
        if name in CHANGES and isinstance(result, Mapping) and isinstance(seq := result.get("seq"), int):
            return {**result, "row": self._store.row_of(epoch, seq)}
        return result

    def _reached(self, result: Mapping[str, Any]) -> str:
        """Give the state that a command led to, once the store has the word on it."""
        state, cause = str(result["state"]), result.get("command_id")
        if cause is not None:  # the answer may overtake the word on the run, which has its place behind the events
            self._store.wait(lambda: self._store.run_state_confirmed(cause, state), GRACE_S)
        return state

    async def _arrival(self, epoch: str, head: int) -> None:
        """Wait until the store was given everything up to a position, which the client moves in the same turn.

        The store alone would not know: what was filtered, or lies before this session, is no news to it.
        """
        client = self._client
        # watched, for nobody else has a use for an event at each position
        while (at := client.position) is not None and at[0] == epoch and at[1] < head:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    def _ticks_since(self, first: int | None, wanted: int) -> int:
        tick = self._client.tick
        return 0 if tick is None or first is None else max(0, min(wanted, tick - first))


def timeout_s(timeout: object) -> float | None:
    """Read how long a command is waited for: seconds, a timedelta, or `None` for as long as it takes."""
    if timeout is None:
        return None
    if isinstance(timeout, timedelta):
        return max(0.0, timeout.total_seconds())
    if isinstance(timeout, np.timedelta64):
        return max(0.0, pd.Timedelta(timeout).total_seconds())
    if not isinstance(timeout, bool) and isinstance(timeout, Real) and float(timeout) >= 0:
        return None if math.isinf(timeout) else float(timeout)
    raise ValueError(f"timeout is a number of seconds, or None to wait as long as it takes, not {timeout!r}")


def _wait(
    future: Future[CommandResult],
    seconds: float | None,
    look: Callable[[], None] = lambda: None,
    *,
    withdraw: bool = True,
) -> CommandResult:
    """Wait for an answer, with a look now and then; `TimeoutError` leaves the command under way."""
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        while True:
            left = LOOK_S if deadline is None else min(LOOK_S, max(0.0, deadline - time.monotonic()))
            try:
                return future.result(left)
            except CancelledError:
                raise RuntimeError("the session was closed while this command waited") from None
            except TimeoutError:
                if future.done() or (deadline is not None and time.monotonic() >= deadline):
                    raise
            look()
    except KeyboardInterrupt:
        if withdraw:
            future.cancel()
        raise


def _named_head(answer: CommandResult) -> int | None:
    """Give the last position at which a command's effect may be seen; older servers name it in some results only."""
    if answer.head is None and isinstance(answer.result, Mapping) and "state" in answer.result:
        head = answer.result.get("head")
        return head if isinstance(head, int) else None
    return answer.head
