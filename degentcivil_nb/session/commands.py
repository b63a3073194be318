"""Commands from the notebook: sent by the client, awaited, and followed until the store has their effect."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from ..client.reconnecting import LIVE
from ..core import progress
from ..core.arguments import positive_number
from ..core.interrupts import interrupt_says
from ..protocol.command_payloads import CommandResult
from ..protocol.errors import CommandError, OutcomeUnknown
from ..simulation.probe import would_wait_for_itself
from ..store.arguments import wait_s
from .sendable import refuse_unsendable
from .signatures import signature_of

if TYPE_CHECKING:
    from ..client.simulation_client import SimulationClient
    from ..core.portal import Portal
    from ..store.event_store import EventStore

Timeout = float | timedelta | str | None
"""Seconds, a duration or its text, or `None` to wait as long as it takes."""
GRACE_S: Final = 2.0
"""How many seconds after its deadline an answer is still awaited, and so is the message of a new run state."""
ARRIVAL_S: Final = 10.0
"""How many seconds the events up to an effect get at least to arrive."""
LEFT: Final = "the run pauses at its next checkpoint; session.resume() lets it go on"
"""The text of an interrupt (Ctrl-C) of a step or of `run_until`."""
LOOK_S: Final = 0.2
"""How often progress is shown."""
CUT_S: Final = 10.0
"""How long a command waits without a connection before it says so."""
CHANGES: Final = frozenset(
    {"set_attribute", "inject_event", "inject_state_change", "inject_character_update", "inject_error"}
)
"""Commands whose answer contains the seq of the event that they put into the stream."""


logger = logging.getLogger("degentcivil_nb.session")


class SpeedText(str):
    """The state of a run as text (`"running"`), with its current `speed`."""

    speed: float | None

    def __new__(cls, state: str, speed: float | None = None) -> SpeedText:
        text = super().__new__(cls, state)
        text.speed = speed
        return text

    def __repr__(self) -> str:
        return super().__repr__() if self.speed is None else f"{super().__repr__()} (speed {self.speed:g})"


class CutText(str):
    """The state of a run as text, with the reason why a step ended early."""

    why: str

    def __new__(cls, state: str, why: str) -> CutText:
        text = super().__new__(cls, state)
        text.why = why
        return text

    def __repr__(self) -> str:
        return f"{super().__repr__()} ({self.why})"


class SessionCommands:
    """Commands to the simulation: `call` waits for the answer, `submit` returns a future without waiting."""

    def __init__(self, client: SimulationClient, portal: Portal, store: EventStore) -> None:
        self._client = client
        self._portal = portal
        self._store = store

    def call(self, name: str, arguments: Mapping[str, Any], *, timeout: object = None) -> Any:
        """Run a command and return its result, once the store has every event up to its effect.

        Waits `timeout` seconds, or with `None` as long as it takes; an interrupt withdraws a command that has not
        begun. Raises `CommandError` if it failed, and `OutcomeUnknown` if its outcome is unknown.
        """
        seconds = timeout_s(timeout)
        self.refuse_own_thread(name)
        for argument, value in arguments.items():
            refuse_unsendable(argument, value)
        future = self._request(name, arguments, seconds)
        with interrupt_says(f"{name} is withdrawn, unless it has begun", future.cancel):
            answer = self._wait(name, future, None if seconds is None else seconds + GRACE_S)
        return self._completed(name, answer)

    def submit(self, name: str, arguments: Mapping[str, Any]) -> Future[Any]:
        """Send a command and return a future of its result, without waiting; it has no deadline."""
        return self._portal.submit(self._result, name, dict(arguments))

    def resume(self, timeout: object) -> str:
        """Let the run continue."""
        return self._reached(self.call("resume", {}, timeout=timeout))

    def set_speed(self, factor: float, timeout: object) -> SpeedText:
        """Change the pace; return the run state with the new speed."""
        try:
            factor = positive_number("factor", factor)
        except ValueError as error:
            raise ValueError(f"{error}; pause() stops the run") from None
        result = self.call("set_speed", {"factor": factor}, timeout=timeout)
        return SpeedText(self._reached(result), result.get("speed", factor))

    def pause(self, timeout: object) -> str:
        """Request a pause; return `"pausing"` if the current tick takes longer than `timeout`: the pause stays
        requested.
        """
        seconds = timeout_s(timeout)
        self.refuse_own_thread("pause")
        future = self._request("pause", {}, None)
        try:
            with interrupt_says("the pause is still requested; session.resume() cancels it"):
                answer = self._wait("pause", future, seconds)
        except TimeoutError:
            return "pausing"
        return self._reached(self._completed("pause", answer))

    def step(self, ticks: int, timeout: object) -> str:
        """Run that many ticks, with a bar after one second; an interrupt pauses the run."""
        seconds = timeout_s(timeout)
        self.refuse_own_thread("step")
        first = self._client.tick
        future = self._request("step", {"ticks": ticks}, None)
        with ExitStack() as stack:
            told = stack.enter_context(progress.following("step"))
            stack.enter_context(interrupt_says(LEFT, self.pause_soon))
            try:
                answer = self._wait("step", future, seconds, lambda: told(self._ticks_since(first, ticks), ticks))
            except TimeoutError:
                done = self._ticks_since(first, ticks)
                raise CommandError(
                    CommandError.TIMEOUT,
                    f"{done} of {ticks} ticks were done in {seconds:g} s; the step goes on, and pause() ends it",
                    details={"ticks": done},
                ) from None
        result = self._completed("step", answer)
        state = self._reached(result)
        done = result.get("ticks")
        return state if done is None else CutText(state, f"at a breakpoint after {done} of {ticks} ticks")

    def pause_soon(self) -> None:
        """Request a pause of the run, without waiting for it."""
        self._request("pause", {}, None)

    def change(self, name: str, arguments: Mapping[str, Any], *, timeout: object = None) -> int | None:
        """Run a command that puts an event into the stream, and return its row; `None` if it is not in the store."""
        row: int | None = self.call(name, arguments, timeout=timeout).get("row")
        return row

    def offers(self, name: str) -> bool:
        """Return whether the server has a command."""
        return any(spec.name == name for spec in self._client.specs)

    def table(self) -> pd.DataFrame:
        """List the server's commands: `name`, `role`, `arguments` (JSON Schema), `signature`, `anytime`, `doc`."""
        specs = self._client.specs
        return pd.DataFrame(
            {
                "name": [spec.name for spec in specs],
                "role": [spec.role for spec in specs],
                "arguments": [spec.arguments for spec in specs],
                "signature": [signature_of(spec.arguments) for spec in specs],
                "anytime": np.array([spec.anytime for spec in specs], np.bool_),
                "doc": [spec.doc for spec in specs],
            }
        )

    # --- on the way out and back ---------------------------------------------------------------------------------

    def refuse_own_thread(self, name: str) -> None:
        """Raise `CommandError` 1105 where this thread is the one that would have to carry it out, or to go on."""
        anytime = any(spec.name == name and spec.anytime for spec in self._client.specs)
        if not anytime and would_wait_for_itself(self._client.epoch, name):
            raise CommandError(
                CommandError.WRONG_RUN_STATE,
                f"{name} cannot be sent from the thread that calls checkpoint(), which carries commands out; "
                "run the simulation on a thread of its own, or send the command from another one (in a notebook: "
                "from the dashboard or another notebook, while the cell with the loop runs)",
            )

    @property
    def _is_over(self) -> bool:
        """Return whether the run has ended and its server is closed, so that no answer can come."""
        return self._client.state != LIVE and self._store.run_state in ("finished", "dead")

    def _wait(
        self,
        name: str,
        future: Future[CommandResult],
        seconds: float | None,
        look: Callable[[], None] = lambda: None,
    ) -> CommandResult:
        """Wait for an answer, polling progress; after `TimeoutError` the command remains in flight."""
        deadline = None if seconds is None else time.monotonic() + seconds
        cut_since: float | None = None
        while True:
            left = LOOK_S if deadline is None else min(LOOK_S, max(0.0, deadline - time.monotonic()))
            try:
                return future.result(left)
            except CancelledError:
                raise RuntimeError("the session was closed while this command waited") from None
            except TimeoutError:
                if future.done():
                    raise
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(f"{name} was not answered within {seconds:g} s") from None
            look()
            if self._client.state == LIVE:
                cut_since = None
            elif cut_since is None:
                cut_since = time.monotonic()
            elif time.monotonic() - cut_since > CUT_S:  # a killed simulation would be waited for without a word
                cut_since = math.inf
                said = self._client.last_error
                logger.warning("%s waits without a connection; an interrupt ends that. %s", name, said)
            if self._is_over and not future.done():
                future.cancel()
                raise OutcomeUnknown(name, "", "the run ended, and its server closed without an answer")

    def _request(self, name: str, arguments: Mapping[str, Any], deadline_s: float | None) -> Future[CommandResult]:
        return self._portal.submit(self._ask, name, dict(arguments), deadline_s)

    async def _ask(self, name: str, arguments: dict[str, Any], deadline_s: float | None) -> CommandResult:
        return await self._client.request(name, arguments, deadline_s=deadline_s)

    async def _result(self, name: str, arguments: dict[str, Any]) -> Any:
        return (await self._ask(name, arguments, None)).result

    def _completed(self, name: str, answer: CommandResult) -> Any:
        """Return a command's result, with the row of its event if it has one, once the store has its effect."""
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
        """Return the state that a command led to, once the store has it."""
        state, cause = str(result["state"]), result.get("command_id")
        if cause is not None:  # the answer may overtake the `run_state` message, which follows the events
            self._store.wait(lambda: self._store.run_state_confirmed(cause, state), GRACE_S)
        return state

    async def _arrival(self, epoch: str, head: int) -> None:
        """Wait until the store was given everything up to a seq, by the client's position.

        The store alone does not show it: events that were filtered, or precede this session, never arrive there.
        """
        client = self._client
        # polled: an event for each seq would have no other use
        while (at := client.position) is not None and at[0] == epoch and at[1] < head:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    def _ticks_since(self, first: int | None, wanted: int) -> int:
        tick = self._client.tick
        return 0 if tick is None or first is None else max(0, min(wanted, tick - first))


def timeout_s(timeout: object) -> float | None:
    """Return a timeout in seconds; `None` for as long as it takes."""
    if timeout is None:
        return None
    try:
        seconds = wait_s(timeout)
    except ValueError:
        raise ValueError(
            f"timeout is a number of seconds, or None to wait as long as it takes, not {timeout!r:.80}; "
            "a timedelta or a text such as '5min' will do too"
        ) from None
    return None if math.isinf(seconds) else seconds


def _named_head(answer: CommandResult) -> int | None:
    """Return the last seq at which a command's effect may be seen; older servers state it in some results only."""
    if answer.head is None and isinstance(answer.result, Mapping) and "state" in answer.result:
        head = answer.result.get("head")
        return head if isinstance(head, int) else None
    return answer.head
