"""The watches of all clients: the value of an expression after each tick, published in the stream."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from msgspec import Meta, to_builtins

from ..core.plain import plain
from ..core.shortening import shortened
from ..core.text_of import text_of
from ..expressions.conditions import Condition
from ..expressions.mistakes import ConditionError
from ..expressions.standing import compile_standing
from ..protocol.commands import wrong_argument
from ..protocol.control_payloads import ClientInfo
from ..protocol.debugging import WatchRow, WatchRows, WatchSpec
from ..protocol.messages import MessageTypes
from ..server.stream.receipts import Publish
from .breakpoints import Breakpoints
from .declared import LOOK_S, DeclaredSets
from .methods.publishing import Ticking
from .request import who_asks

log = logging.getLogger("degentcivil_nb.simulation")

MOST: Final = 100
"""The most watches of all clients together."""
MOST_CHARACTERS: Final = 200
"""The most characters whose values one watch publishes."""
MAX_VALUE: Final = 4_000
"""The most bytes of one value; the rest is left out."""

Specs = Annotated[list[WatchSpec], Meta(max_length=100)]


class Watch:
    """One watch: its declaration, its expression if that is valid, and the values published last."""

    def __init__(self, spec: WatchSpec, owner: ClientInfo, taken: Watch | None) -> None:
        self.spec = spec
        self.owner = owner
        self.problem: str | None = None
        self.at: int | None = None
        self.condition: Condition | None = None
        self.told: dict[str | None, Any] = {}
        try:
            if taken is not None and taken.spec != spec:
                raise ValueError(
                    f"{taken.owner.name or taken.owner.id} watches {taken.spec.expression:.200} "
                    f"under the name {spec.name!r:.80} already; give yours another name"
                )
            self.condition = compile_standing(spec.expression)
        except ValueError as error:
            self.problem = str(error)
            self.at = error.at if isinstance(error, ConditionError) else None

    def row(self) -> WatchRow:
        """Return the state of the watch."""
        spec = self.spec
        return WatchRow(
            spec.name,
            spec.expression,
            self.owner,
            spec.character_id,
            verified=self.condition is not None,
            problem=self.problem,
            at=self.at,
        )

    def news(self, values: list[tuple[str | None, Any]], *, at_tick: bool = True) -> list[dict[str, Any]]:
        """Return the payloads to publish: the changed values, and at the end of a tick a single value in any case."""
        one = at_tick and len(values) == 1
        if len(values) > MOST_CHARACTERS and self.problem is None:
            self.problem = f"only the first {MOST_CHARACTERS} characters are watched; choose one with character_id="
        told = []
        for whose, value in values[:MOST_CHARACTERS]:
            value = shortened(plain(value), MAX_VALUE)
            if one or self.told.get(whose) != value:
                self.told[whose] = value
                more = {} if whose is None else {"character_id": whose}
                told.append({"name": self.spec.name, "value": value, **more})
        return told


class Watches:
    """The watches of all clients; their values are published at each checkpoint.

    `breakpoints` has the town's state, and `reached` returns the tick of the last checkpoint; the others are as there.
    """

    def __init__(
        self,
        ticking: Ticking,
        breakpoints: Breakpoints,
        *,
        reached: Callable[[], int | None],
        forward: Callable[[], Publish],
        present: Callable[[], set[str]],
        later: Callable[[float, Callable[[], None]], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ticking = ticking
        self._reached = reached
        self._breakpoints = breakpoints
        self._forward = forward
        self._present = present
        self._later = later
        self._lock = threading.Lock()
        self._telling = threading.Lock()  # as for breakpoints
        self._sets: DeclaredSets[Watch] = DeclaredSets(clock)
        self._looking = False
        breakpoints.after_command = self._look_again

    @property
    def declared(self) -> bool:
        """Return whether any client has declared watches."""
        return bool(self._sets)

    def rows(self) -> list[WatchRow]:
        """List the watches of all clients."""
        with self._lock:
            return [watch.row() for watch in self._sets]

    def set_watches(self, watches: Specs) -> list[dict[str, Any]]:
        """Declare all watches of this client; they replace those that it declared before."""
        owner = who_asks() or ClientInfo("unknown")
        if len({spec.name for spec in watches}) < len(watches):
            raise wrong_argument("watches", "two watches have the same name; give each a name of its own")
        with self._lock:
            names = {spec.name for spec in watches}
            same = self._sets.give_up(owner.id, self._present(), lambda watch: watch.spec.name in names)
            others = self._sets.of_others(owner.id)
            if len(others) + len(watches) > MOST:
                raise wrong_argument(
                    "watches",
                    f"other clients have {len(others)} watches already, and at most {MOST} are allowed in all",
                )
            taken = {watch.spec.name: watch for watch in same if watch.condition is not None}
            before = {watch.spec: watch for watch in self._sets.of(owner.id) if watch.condition is not None}
            declared = [before.get(spec) or Watch(spec, owner, taken.get(spec.name)) for spec in watches]
            self._sets.put(owner.id, declared)
            known = {watch.spec for watch in others} | before.keys()
            new = [watch for watch in declared if watch.spec not in known]
        self._follow()
        self.tell()
        self._say(new, self._reached())
        if not self._looking:
            self._looking = True
            self._later(LOOK_S, self._look)
        return [to_builtins(watch.row()) for watch in declared]

    def _follow(self) -> None:
        """Have `breakpoints` keep the part of the town that the expressions need."""
        conditions = [watch.condition for watch in self._sets if watch.condition is not None]
        self._breakpoints.follow(conditions)

    def _look(self) -> None:
        """Drop the watches of clients that have been gone for long."""
        self.look_after(self._present())
        self._looking = bool(self._sets)
        if self._looking:
            self._later(LOOK_S, self._look)

    def look_after(self, present: set[str]) -> None:
        """Note which clients are connected now."""
        with self._lock:
            let_go = self._sets.look_after(present)
        if let_go:
            self._follow()
            self.tell()

    def checkpoint(self, tick: int) -> None:
        """Publish the value of each watch, at a checkpoint of the simulation."""
        self._say(self._once_each(), tick)

    def _look_again(self) -> None:
        """Publish what a command has changed, such as an attribute that is set at a stop."""
        self._say(self._once_each(), self._reached(), at_tick=False)

    def _once_each(self) -> list[Watch]:
        """List the watches without those that several clients have alike."""
        with self._lock:
            by_spec: Mapping[WatchSpec, Watch] = {watch.spec: watch for watch in self._sets}
        return list(by_spec.values())

    def _say(self, watches: list[Watch], tick: int | None, *, at_tick: bool = True) -> None:
        for watch in watches:
            if watch.condition is None:
                continue
            before = watch.problem
            try:
                values = self._breakpoints.values(watch.condition, watch.spec.character_id, tick or 0)
                news = watch.news(values, at_tick=at_tick)
            except Exception as error:  # noqa: BLE001 — shown in its own row: it must not disturb the simulation
                news, watch.problem = [], f"the expression failed at run time: {text_of(error)[:200]}"
            links = self._ticking.links and self._ticking.links._replace(intervention=None)
            for told in news:
                self._forward()(MessageTypes.WATCH, told, tick, None, None, links)
            if watch.problem != before:
                self.tell()

    def tell(self) -> None:
        """Publish the state of all watches."""
        with self._telling:
            self._forward()(MessageTypes.WATCHES, WatchRows(self.rows()))
