"""The breakpoints of one session: declared as a whole, again after every reconnect, and a handle for each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from msgspec import convert, to_builtins
from msgspec.structs import replace

from ..analysis.unknown_names import unseen_text
from ..core.cards import card
from ..core.counting import counted
from ..core.escaping import visible
from ..core.interrupts import interrupt_says
from ..expressions.conditions import compile_condition
from ..protocol.breakpoints import MOST_CONDITION, MOST_LOG, MOST_NAME, RUN_UNTIL, BreakpointRow, BreakpointSpec
from ..protocol.control_payloads import ClientInfo, RunState
from ..protocol.errors import CommandError, OutcomeUnknown, WebSocketError
from ..protocol.json_text import decode
from ..protocol.messages import MessageTypes
from ..simulation.log_text import LogText
from .commands import LEFT, SessionCommands
from .sendable import refuse_longer
from .stop import Stop

if TYPE_CHECKING:
    from ..store.controls import ControlRow
    from ..store.event_store import EventStore

SET: Final = "set_breakpoints"
SET_S: Final = 30.0
"""How long to wait for an answer: breakpoints are set at once, on a thread of the probe, not at a checkpoint."""
LEAST_S: Final = 2.0
"""How long `run_until` waits for that answer at least: it takes a while over a tunnel."""
TOLD_S: Final = 2.0
"""How many seconds after the answer the list for all clients may arrive."""

logger = logging.getLogger("degentcivil_nb.session")


class Breakpoint:
    """A handle of one breakpoint of this session. Made by `session.break_when`."""

    def __init__(self, breakpoints: SessionBreakpoints, name: str) -> None:
        self._breakpoints = breakpoints
        self.name = name
        self.condition = breakpoints.spec(name).condition
        self._last = breakpoints.row(name)

    def _row(self) -> BreakpointRow | None:
        self._last = self._breakpoints.row(self.name) or self._last
        return self._last

    @property
    def hits(self) -> int:
        """Return how often the breakpoint has matched."""
        row = self._row()
        return 0 if row is None else row.count

    @property
    def verified(self) -> bool:
        """Return whether the simulation has accepted the breakpoint; `problem` says why not."""
        row = self._row()
        return row is not None and row.verified

    @property
    def problem(self) -> str | None:
        """Return what is wrong with the breakpoint, or which name in it never came since; `None` if nothing is."""
        row = self._row()
        if row is None:
            return "the simulation has not confirmed it yet"
        return row.problem or self._breakpoints.unseen(row)

    @property
    def enabled(self) -> bool:
        """Return whether the breakpoint is judged; setting this switches it. One with `once` is off after its stop."""
        row = self._row()
        return self._breakpoints.has(self.name) and (row is None or row.enabled)

    @enabled.setter
    def enabled(self, on: bool) -> None:
        self._breakpoints.enable(self.name, bool(on))

    def remove(self) -> None:
        """Remove the breakpoint; a second call does nothing."""
        self._breakpoints.remove(self.name)

    def __repr__(self) -> str:
        return f"<Breakpoint {self.name!r}: {visible(self.condition)} ({visible(self._how())})>"

    def _how(self) -> str:
        if not self._breakpoints.has(self.name):
            return "removed"
        if not self.verified:
            return f"not verified: {self.problem}"
        problem = self.problem
        note = "" if problem is None else f"; {problem}"
        return ("" if self.enabled else "off, ") + counted(self.hits, "hit") + note

    def _repr_html_(self) -> str:
        row, here = self._row(), self._breakpoints.has(self.name)
        met = row is not None and row.count > 0
        facts = {
            "condition": self.condition,
            "is": self._how(),
            "stops at hit": row.hits if row is not None and row.hits > 1 else None,
            "tells": None if row is None else row.log,
            "last met": f"tick {row.last_tick} by {row.last_character_id or 'nobody'}"
            if row is not None and met
            else None,
        }
        tone = "over" if not here or not self.enabled else "good" if self.verified else "bad"
        return card("Breakpoint", self.name, facts, tone)


class SessionBreakpoints:
    """The breakpoints of this session; all are declared again at each change and each connection."""

    def __init__(
        self,
        commands: SessionCommands,
        store: EventStore,
        me: ClientInfo,
        greeted: Callable[[], tuple[str | None, int | None]],
    ) -> None:
        self._commands = commands
        self._store = store
        self._me = me
        self._waited = False  # whether the state that follows a hello was waited for
        self._greeted = greeted  # the state and the tick of the run, from the server's hello and its heartbeats
        self._lock = threading.RLock()
        self._specs: dict[str, BreakpointSpec] = {}
        self._answered: dict[str, BreakpointRow] = {}
        self._numbers = 0

    def add(
        self,
        condition: str,
        *,
        hits: int,
        log: str | None,
        once: bool,
        name: str | None,
        at_checkpoint: bool = False,
        timeout: float = SET_S,
    ) -> Breakpoint:
        """Declare a breakpoint; one of the same name is replaced.

        `ValueError` points at a mistake in it or its log, and says which other notebook has its name. `timeout` is how
        many seconds the simulation may take to answer.
        """
        compile_condition(condition)
        if log is not None:
            LogText(log)
        condition = str.__str__(condition)
        refuse_longer("the condition", condition, MOST_CONDITION)
        refuse_longer("log", log, MOST_LOG)
        refuse_longer("name", name, MOST_NAME)
        with self._lock:
            while True:
                named = name or self._free_name()
                spec = BreakpointSpec(named, condition, hits, once, log, at_checkpoint=at_checkpoint)
                refused = self._refused(spec, timeout)
                if refused is None:
                    return Breakpoint(self, named)
                if name is not None:
                    raise ValueError(refused)

    def _free_name(self) -> str:
        """Make a name that no notebook has; another may take it at the same moment."""
        taken = {row.name for row in self._store.breakpoints} | self._specs.keys()
        while True:
            self._numbers += 1
            if (name := f"b{self._numbers}") not in taken:
                return name

    def _refused(self, spec: BreakpointSpec, timeout: float) -> str | None:
        """Declare a breakpoint; return why another notebook's name was refused. What was refused is taken back."""
        before = dict(self._specs)
        self._specs[spec.name] = spec
        try:
            self._declare(timeout)
        except BaseException as error:  # whatever it was, what was refused must not spoil the next one
            self._specs = before
            if isinstance(error, (OutcomeUnknown, TimeoutError, KeyboardInterrupt)):  # it may be set all the same
                self._declare_soon()
            raise
        row = self._answered.get(spec.name)
        if row is None or row.verified or self.other_owner(spec.name) is None:
            return None
        self._specs = before
        self._declare(timeout)
        return row.problem

    def other_owner(self, name: str) -> str | None:
        """Return the name of another notebook that has a breakpoint of that name."""
        others = (row for row in self._store.breakpoints if row.verified and row.owner.id != self._me.id)
        return next((row.owner.name or row.owner.id for row in others if row.name == name), None)

    def enable(self, name: str, on: bool) -> None:
        """Switch a breakpoint on or off; switching it on also rearms one that has stopped once."""
        with self._lock:
            spec = self.spec(name)
            self._specs[name] = replace(spec, enabled=on, armed=spec.armed + on)
            self._declare()

    def remove(self, name: str, timeout: float = SET_S) -> None:
        """Remove a breakpoint."""
        with self._lock:
            if self._specs.pop(name, None) is not None:
                self._declare(timeout)

    def names(self) -> list[str]:
        """List the names of the declared breakpoints."""
        return list(self._specs)

    def has(self, name: str) -> bool:
        """Return whether a breakpoint of that name is declared."""
        return name in self._specs

    def spec(self, name: str) -> BreakpointSpec:
        """Return a breakpoint's declaration; `KeyError` for one that was removed."""
        try:
            return self._specs[name]
        except KeyError:
            raise KeyError(f"the breakpoint {name!r:.80} was removed") from None

    def row(self, name: str) -> BreakpointRow | None:
        """Return the newest state of a breakpoint, from the simulation's answer or the list for all clients."""
        told = next((row for row in self._store.breakpoints if row.name == name and row.owner.id == self._me.id), None)
        answered = self._answered.get(name)
        if told is None or (answered is not None and answered.count > told.count):
            return answered
        return told

    def unseen(self, row: BreakpointRow) -> str | None:
        """Say which names of a breakpoint's condition no message has had since it was set; `None` if all occurred."""
        return unseen_text(self._store, row.unseen) if row.unseen else None

    def _declare(self, timeout: float = SET_S) -> None:
        rows = self._commands.call(SET, self._arguments(), timeout=timeout)
        self._answered = {row.name: row for row in map(_row, rows)}
        self._store.wait(self._is_told, TOLD_S)  # the answer may overtake the list for all clients

    def _is_told(self) -> bool:
        """Return whether the list for all clients has what was answered, or what came of it since."""
        told = {row.name: row for row in self._store.breakpoints if row.owner.id == self._me.id}
        return told.keys() == self._answered.keys() and all(
            told[name].condition == row.condition
            and (told[name].enabled == row.enabled or told[name].count > row.count)
            for name, row in self._answered.items()
        )

    def declare_again(self) -> None:
        """Declare the breakpoints to a new connection, without waiting for the answer; the list that follows has it."""
        if self._specs:
            self._answered = {}
            self._declare_soon()

    def _declare_soon(self) -> None:
        """Declare the breakpoints as soon as there is a connection, without waiting for the answer."""
        self._commands.submit(SET, self._arguments()).add_done_callback(_warn_of_refused)

    def _arguments(self) -> dict[str, Any]:
        return {"breakpoints": [to_builtins(spec) for spec in list(self._specs.values())]}

    def stopped(self) -> Stop | None:
        """Return why the run is stopped; `None` while it goes on."""
        state, epoch = self._store.run_word
        if state is None and not self._waited and self._greeted()[0] == "paused" and self._commands.offers(SET):
            # the hello says so, and the state with its breakpoint follows at once; other servers send none
            self._waited = True
            self._store.wait(lambda: self._store.run_word[0] is not None, TOLD_S)
            state, epoch = self._store.run_word
        if state is None:
            said, tick = self._greeted()
            return None if said in (None, "running", "pausing") else Stop(str(said), tick)
        if state.state in ("running", "pausing"):
            return None
        return self._stop(state, epoch)

    def _stop(self, state: RunState, epoch: str | None) -> Stop:
        if not state.breakpoints:
            return Stop(state.reason or state.state, state.tick)
        first, *also = state.breakpoints
        seq, owner = first.get("seq"), first.get("owner") or {}
        row = None if seq is None else self._store.row_of(epoch, seq)
        at_checkpoint = first.get("at_checkpoint")
        return Stop(
            "breakpoint",
            state.tick,
            first.get("name"),
            first.get("condition"),
            first.get("character_id"),
            row,
            also,
            seq=seq,
            at_checkpoint=seq is None if at_checkpoint is None else bool(at_checkpoint),
            owner=owner.get("name") or owner.get("id"),
            mine=self._is_mine(first),
        )

    def run_until(
        self, condition: str, *, at_checkpoint: bool, resume: Callable[[], Any], timeout: float | None
    ) -> Stop:
        """Let the run go on until a condition is met or anything else stops it; return why it is stopped."""
        self._commands.refuse_own_thread("run_until")  # it would wait for itself
        # read before: the breakpoint may stop the run as soon as it is set, and a `resume` would then pass that stop
        runs = self.stopped() is None and self._store.run_state != "pausing"
        earlier = set(self._run_states())
        within = SET_S if timeout is None else min(max(timeout, LEAST_S), SET_S)
        point = self.add(
            condition, hits=1, log=None, once=True, name=RUN_UNTIL, at_checkpoint=at_checkpoint, timeout=within
        )
        try:
            if not point.verified:  # it would be waited for without end
                raise ValueError(point.problem)
            with interrupt_says(LEFT, self._commands.pause_soon):
                if not runs:
                    resume()
                stands = self._store.wait(
                    lambda: (
                        self._store.run_state in ("paused", "finished", "dead") or self._passed(earlier) is not None
                    ),
                    timeout,
                )
            if not stands:
                why = "" if point.problem is None else f": {point.problem}"
                raise TimeoutError(f"{condition} was not met within {timeout:g} s{why}; the run goes on")
            return self._passed(earlier) or self.stopped() or Stop("running", self._store.tick)
        finally:
            self._take_back(within)

    def _take_back(self, timeout: float) -> None:
        """Remove the breakpoint of `run_until`; what that found is more important than a lost connection."""
        try:
            self.remove(RUN_UNTIL, timeout)
        except (CommandError, OutcomeUnknown) as error:
            logger.info("the breakpoint of run_until is taken back once the simulation answers again: %s", error)
            self._declare_soon()

    def _run_states(self) -> list[ControlRow]:
        rows = self._store.control_rows(0, self._store.next_row + 1)
        return [row for row in rows if row.type == MessageTypes.RUN_STATE]

    def _passed(self, earlier: set[ControlRow]) -> Stop | None:
        """Return the stop of this session's `run_until`, also if another notebook has resumed the run at once."""
        row = self.row(RUN_UNTIL)
        if row is None or row.enabled or not row.count:  # it comes before the stop
            return None
        for control in reversed(self._run_states()):
            if control in earlier:
                continue
            try:
                state = decode(RunState, control.data)
            except WebSocketError:  # a malformed one has a row in errors()
                continue
            mine = [hit for hit in state.breakpoints if hit.get("name") == RUN_UNTIL and self._is_mine(hit)]
            if state.state == "paused" and mine:
                return self._stop(state, control.epoch)
        return None

    def _is_mine(self, hit: dict[str, Any]) -> bool:
        return bool((hit.get("owner") or {}).get("id", self._me.id) == self._me.id)

    def leave(self) -> Future[Any] | None:
        """Take all breakpoints back without waiting, since the session is about to end."""
        if not self._specs:
            return None
        self._specs = {}
        return self._commands.submit(SET, self._arguments())


def _row(row: Any) -> BreakpointRow:
    return convert(row, BreakpointRow)


def _warn_of_refused(answer: Future[Any]) -> None:
    """Log which breakpoints were lost when all were declared again, such as to a notebook that took the name."""
    if answer.cancelled() or answer.exception() is not None:  # the connection is gone again, and says so
        return
    for row in map(_row, answer.result()):
        if not row.verified:
            logger.warning("the breakpoint %r does not work any more: %s", row.name, visible(str(row.problem)))
