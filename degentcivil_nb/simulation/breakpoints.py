"""The breakpoints of all clients: judged on the thread that publishes, before a message leaves, and at checkpoints."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Final, NamedTuple

from msgspec import Meta, to_builtins

from ..core.text_of import text_of
from ..expressions.candidates import Rule
from ..expressions.conditions import Condition
from ..expressions.judge import Judge, Match
from ..expressions.looks import look_closely
from ..expressions.nodes import TOTALS
from ..protocol.breakpoints import RUN_UNTIL, BreakpointHit, BreakpointRow, BreakpointRows, BreakpointSpec
from ..protocol.commands import wrong_argument
from ..protocol.control_payloads import ClientInfo, SnapshotCharacter
from ..protocol.messages import Links, MessageTypes
from ..server.stream.receipts import Publish, Receipt
from .breakpoint import NO_NAMES, Breakpoint
from .declared import LOOK_S, DeclaredSets
from .methods.publishing import Ticking
from .payloads import Event, StateChange, as_dict
from .request import who_asks

log = logging.getLogger("degentcivil_nb.simulation")

TELL_S: Final = 0.2
"""How long a new count waits for others before it is published."""
MOST: Final = 200
"""The most breakpoints of all clients together."""

Hit = tuple[BreakpointHit, Receipt | None]
Specs = Annotated[list[BreakpointSpec], Meta(max_length=200)]


class Met(NamedTuple):
    """The result of judging a message: the hits that stop the run, and the payloads of log points' texts."""

    hits: Sequence[BreakpointHit]
    log: Sequence[dict[str, Any]]


NOTHING_MET: Final = Met((), ())


class Breakpoints:
    """The breakpoints of all clients; if there are none, messages go straight to the stream.

    `forward` gives the server's `publish`. `stop(hit)` makes the run stop at its next checkpoint. `characters()`
    returns the present characters, and `present()` the connected clients; `later` is as for `Control`. `changed()` is
    called when the first breakpoint is declared or the last one removed. While the run `goes_on`, new counts are told
    every `TELL_S` at most; otherwise before a checkpoint may stop it.
    """

    def __init__(
        self,
        ticking: Ticking,
        *,
        forward: Callable[[], Publish],
        stop: Callable[[Hit], None],
        totals: Callable[[], tuple[float, int]],
        characters: Callable[[], Iterable[SnapshotCharacter]],
        present: Callable[[], set[str]],
        later: Callable[[float, Callable[[], None]], Any],
        changed: Callable[[], None],
        goes_on: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ticking = ticking
        self._forward = forward
        self._stop = stop
        self._characters = characters
        self._present = present
        self._later = later
        self._changed = changed
        self._goes_on = goes_on
        self._stops = False  # whether a hit has been passed to `stop` since the last checkpoint
        self._lock = threading.Lock()
        self._setting = threading.Lock()
        self._telling = threading.Lock()  # an older list must not be sent after a newer one
        self._sets: DeclaredSets[Breakpoint] = DeclaredSets(clock)
        self._followed: Sequence[Condition] = ()  # further conditions, whose values are requested
        self._follows = False
        self._judge: Judge[Breakpoint] = Judge((), totals, self._broken, self.tell_later)
        self.after_command: Callable[[], None] = _nothing
        """Called when a command has published something and values are followed; from any thread."""
        self._told_unseen = NO_NAMES
        self._told = True  # whether the latest list is published or about to be
        self._looking = False

    @property
    def declared(self) -> bool:
        """Return whether any client has declared breakpoints, enabled or not."""
        return bool(self._sets)

    @property
    def any(self) -> bool:
        """Return whether any breakpoint has to judge messages."""
        return self._follows or any(point.is_on for point in self._sets)

    def rows(self) -> list[BreakpointRow]:
        """List the breakpoints of all clients."""
        with self._lock:
            unseen = self._told_unseen = self._judge.unseen
            return [point.row(unseen) for point in self._sets]

    # --- being set -----------------------------------------------------------------------------------------------

    def set_breakpoints(self, breakpoints: Specs) -> list[dict[str, Any]]:
        """Declare all breakpoints of this client; they replace those that it declared before."""
        owner = who_asks() or ClientInfo("unknown")
        if len({spec.name for spec in breakpoints}) < len(breakpoints):
            raise wrong_argument("breakpoints", "two breakpoints have the same name; give each a name of its own")
        with self._setting:
            with self._lock:
                taken = self._taken(owner.id, {spec.name for spec in breakpoints} - {RUN_UNTIL})
            others = len(self._sets.of_others(owner.id))
            if others + len(breakpoints) > MOST:
                raise wrong_argument(
                    "breakpoints",
                    f"other clients have {others} breakpoints already, and at most {MOST} are allowed in all",
                )
            with self._lock:
                were_judged = self.any
                self._sets.put(owner.id, [self._renewed(spec, owner, taken.get(spec.name)) for spec in breakpoints])
                self._install()
                if not were_judged:
                    self._judge.forget()  # what it knew may have changed since it saw its last message
            self._begin()
            self.tell()
            if not self._looking:
                self._looking = True
                self._later(LOOK_S, self._look)
            return [to_builtins(point.row(self._told_unseen)) for point in self._sets.of(owner.id)]

    def _begin(self) -> None:
        self._changed()  # from here on messages are judged; what happened before is read from the characters
        if self._judge.names or self.any:
            self.seed()

    def follow(self, conditions: Iterable[Condition]) -> None:
        """Keep the part of the town that these conditions need, too."""
        conditions = list(conditions)
        with self._setting:
            with self._lock:
                were_judged = self.any
                self._followed = conditions
                self._follows = any(condition.detectors or condition.names - TOTALS for condition in conditions)
                self._install()
                if not were_judged:
                    self._judge.forget()  # as above
            self._begin()

    def values(self, condition: Condition, character_id: str | None, tick: int) -> list[tuple[str | None, Any]]:
        """Return the present value of an expression: for one character, for each, or for the whole model."""
        with self._lock:
            return self._judge.values(condition, character_id, tick)

    def _taken(self, owner_id: str, names: set[str]) -> dict[str, Breakpoint]:
        """Find which names other clients have; under the lock. Those of clients that are gone are given up."""
        taken = self._sets.give_up(owner_id, self._present(), lambda point: point.spec.name in names)
        return {point.spec.name: point for point in taken if point.condition is not None}

    def _renewed(self, spec: BreakpointSpec, owner: ClientInfo, taken: Breakpoint | None) -> Breakpoint:
        for point in self._sets.of(owner.id):
            if point.condition is not None and point.is_same_as(spec):
                was_on = point.is_on
                point.spent = point.spent and spec.armed <= point.spec.armed
                point.spec, point.owner = spec, owner
                if not was_on:
                    point.condition = point.condition.fresh()  # without what it saw before it was off
                return point
        return Breakpoint(spec, owner, taken)

    def _install(self) -> None:
        """Give the enabled breakpoints to the judge; under the lock."""
        rules = [
            Rule(point.condition, point, point.spec.at_checkpoint, NO_NAMES if point.log is None else point.log.names)
            for point in self._sets
            if point.is_on and point.condition is not None
        ]
        self._judge.set_rules(rules, self._followed)

    def seed(self) -> None:
        """Set what is known of the characters that no message has named yet."""
        tick = self._ticking.tick
        for one in self._characters():
            with self._lock:
                self._judge.seed(str(one.character_id), one.state, one.location, one.attributes, tick)

    def _look(self) -> None:
        """Drop the breakpoints of clients that have been gone for long."""
        self.look_after(self._present())
        self._looking = bool(self._sets)
        if self._looking:
            self._later(LOOK_S, self._look)

    def look_after(self, present: set[str]) -> None:
        """Note which clients are connected now."""
        with self._lock:
            if not self._sets.look_after(present):
                return
            self._install()
        self._changed()
        self.tell()

    # --- being met -----------------------------------------------------------------------------------------------

    def publishing(self) -> Publish:
        """Return the function that judges a message, on the thread that publishes it, and passes it on to the server.

        Nothing is raised from it. It belongs to the server of now: ask again when that is replaced.
        """
        forward, judge = self._forward(), self._judge

        def publish(
            type: str,
            data: Any,
            tick: int | None = None,
            timestamp: float | None = None,
            receipt: Receipt | None = None,
            links: Links | None = None,
        ) -> None:
            met = NOTHING_MET
            try:
                kind, looks = data.__class__, judge.looks
                if kind is StateChange:
                    look = looks.change
                elif kind is Event:
                    look = looks.event
                elif kind is dict:
                    look = looks.dicts.get(type, looks.others)
                else:
                    look = look_closely
                if look(type, data, tick, timestamp, links):
                    met = self.meet(type, as_dict(data), tick, timestamp, links)
            except Exception:  # the boundary to the simulation
                log.exception("breakpoints could not be judged at a message of type %.80r", type)
            if met is NOTHING_MET:
                forward(type, data, tick, timestamp, receipt, links)
                if self._followed and self._ticking.handles_command():
                    self.after_command()
                return
            receipt = receipt or Receipt()
            forward(type, data, tick, timestamp, receipt, links)
            for line in met.log:
                forward(MessageTypes.LOG, line, tick, timestamp)
            for hit in met.hits:
                self._stops = True
                self._stop((hit, receipt))
            self.tell_later()

        return publish

    def meet(self, type: str, data: Any, tick: int | None, timestamp: float | None, links: Links | None) -> Met:
        """Judge a message; return the hits that stop the run, and the texts of log points."""
        with self._lock:  # not `acquire` and `try`: an interrupt between the two would leave it locked
            found = self._judge.event(type, data, tick, timestamp, links)
            if not found or self._ticking.handles_command():  # breakpoints are not about commands
                return NOTHING_MET
            return self._take(found, tick)

    def _take(self, found: Iterable[Match[Breakpoint]], tick: int | None, *, at_checkpoint: bool = False) -> Met:
        """Count matches; under the lock."""
        matches = [(match.rule, *match.rule.take(match, tick)) for match in found if match.rule.is_on]
        if not matches:
            return NOTHING_MET
        met = Met(
            [point.hit(tick, at_checkpoint=at_checkpoint) for point, stops, _ in matches if stops],
            [{"text": text, "breakpoint": point.spec.name} for point, _, text in matches if text is not None],
        )
        if any(point.spent for point, _, _ in matches):
            self._install()
        return met

    def checkpoint(self, tick: int) -> None:
        """Judge the conditions about stretches of ticks, at a checkpoint of the simulation."""
        with self._lock:
            met = self._take(self._judge.checkpoint(tick), tick, at_checkpoint=True)
        for line in met.log:
            self._forward()(MessageTypes.LOG, line, tick)
        for hit in met.hits:
            self._stop((hit, None))
        stops = self._stops or bool(met.hits)
        if self._stops:
            self._stops = False
        if stops or not self._goes_on():
            if met is not NOTHING_MET or self._judge.unseen != self._told_unseen:
                self._told = False
            self.tell_what_is_new()  # before the stop, so that clients have the counts when they hear of it
        elif met is not NOTHING_MET or self._judge.unseen != self._told_unseen:
            self.tell_later()

    # --- elsewhere -----------------------------------------------------------------------------------------------

    def start_over(self) -> None:
        """Drop what is known of the characters and read them again, since a replay has gone to another moment."""
        with self._lock:
            for point in self._sets:
                point.condition = None if point.condition is None else point.condition.fresh()
            self._judge.forget()
            self._install()
        self.seed()

    def _broken(self, point: Breakpoint, error: Exception) -> None:
        """Note in a breakpoint's row, once, why its condition failed at run time."""
        if point.problem is None:
            point.problem = f"the condition failed at run time: {text_of(error)[:200]}"
            self.tell_later()

    # --- being told ----------------------------------------------------------------------------------------------

    def tell_later(self) -> None:
        """Publish the state of all breakpoints soon, for counts that several messages may change."""
        if self._told:
            self._told = False
            self._later(TELL_S, self.tell_what_is_new)

    def tell_what_is_new(self) -> None:
        """Publish the state of all breakpoints, if it has changed since."""
        if not self._told:
            self.tell()

    def tell(self) -> None:
        """Publish the state of all breakpoints."""
        with self._telling:
            self._told = True
            self._forward()(MessageTypes.BREAKPOINTS, BreakpointRows(self.rows()))


def _nothing() -> None:
    """Do nothing, since there are no watches."""
