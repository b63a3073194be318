"""The watches of one session: declared as a whole, again after every reconnect, and a handle for each."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from msgspec import convert, to_builtins

from ..core.cards import card
from ..expressions.standing import compile_standing
from ..protocol.control_payloads import ClientInfo
from ..protocol.debugging import MOST_EXPRESSION, MOST_NAME, WatchRow, WatchSpec
from ..protocol.messages import MessageTypes
from .breakpoints import SET_S
from .sendable import refuse_longer

if TYPE_CHECKING:
    import pandas as pd

    from ..store.event_store import EventStore
    from .commands import SessionCommands

SET: Final = "set_watches"


class Watch:
    """A handle of one watch of this session. Made by `session.watch`; `session.watches(name)` has all its values."""

    def __init__(self, watches: SessionWatches, row: WatchRow) -> None:
        self._watches = watches
        self._row = row
        self.name = row.name
        self.expression = row.expression
        self.character_id = row.character_id
        condition = compile_standing(row.expression)
        named = "character_id" in condition.needs or any(one.character_id for one in condition.detectors)
        self._of_each = row.character_id is None and not named

    @property
    def value(self) -> Any:
        """The last published value; for an expression about all characters, a dict of their values."""
        return self._watches.value(self.name, of_each=self._of_each)

    @property
    def problem(self) -> str | None:
        """What is wrong with the watch; `None` if nothing is."""
        row = self._watches.told(self.name) or self._row
        return row.problem

    def remove(self) -> None:
        """Remove the watch; a second call does nothing. Its values are kept."""
        self._watches.remove(self.name)

    def __repr__(self) -> str:
        how = "removed" if not self._watches.has(self.name) else self.problem or repr(self.value)
        return f"<Watch {self.name!r}: {how}>"

    def _repr_html_(self) -> str:
        here = self._watches.has(self.name)
        facts = {
            "expression": self.expression if self.expression != self.name else None,
            "of": self.character_id,
            "value": repr(self.value) if here else "removed",
            "problem": self.problem,
        }
        return card("Watch", self.name, facts, "over" if not here else "bad" if self.problem else "good")


class SessionWatches:
    """The watches of this session; all are declared again at each change and each connection."""

    def __init__(self, commands: SessionCommands, store: EventStore, me: ClientInfo) -> None:
        self._commands = commands
        self._store = store
        self._me = me
        self._lock = threading.RLock()
        self._specs: dict[str, WatchSpec] = {}
        self._first_rows: dict[str, int] = {}  # values of an earlier watch of the same name come before them

    def add(self, expression: str, name: str | None, character_id: str | None) -> Watch:
        """Declare a watch; one of the same name is replaced. `ValueError` points at a mistake."""
        compile_standing(expression)
        expression = str.__str__(expression)
        if name is None:
            name = expression if character_id is None else f"{expression} of {character_id}"
        refuse_longer("the expression", expression, MOST_EXPRESSION)
        refuse_longer("name", name, MOST_NAME)
        with self._lock:
            before, wanted = dict(self._specs), WatchSpec(name, expression, character_id)
            if before.get(name, wanted) != wanted:
                self._first_rows[name] = 1 + max(self._events().index, default=-1)
            self._specs[name] = wanted
            try:
                row = next(row for row in self._declare() if row.name == name)
                if not row.verified:
                    raise ValueError(row.problem)
            except BaseException:  # whatever it was, what was refused must not spoil the next one
                self._specs = before
                raise
        return Watch(self, row)

    def remove(self, name: str) -> None:
        """Remove a watch."""
        with self._lock:
            if self._specs.pop(name, None) is not None:
                self._declare()

    def names(self) -> list[str]:
        """List the names of the declared watches."""
        return list(self._specs)

    def has(self, name: str) -> bool:
        """Return whether a watch of that name is declared."""
        return name in self._specs

    def expression(self, name: str) -> str | None:
        """Give the expression of one; `None` where there is no such watch."""
        spec = self._specs.get(name)
        return None if spec is None else spec.expression

    def told(self, name: str) -> WatchRow | None:
        """Return the state of a watch, from the list for all clients."""
        return next((row for row in self._store.watches if row.name == name and row.owner.id == self._me.id), None)

    def other_owner(self, name: str) -> str | None:
        """Return the name of another notebook that has a watch of that name."""
        others = (row for row in self._store.watches if row.verified and row.owner.id != self._me.id)
        return next((row.owner.name or row.owner.id for row in others if row.name == name), None)

    def value(self, name: str, *, of_each: bool) -> Any:
        """Return the last published value; with `of_each`, a dict of the characters' values."""
        events = self._events()
        payloads = events["payload"][events.index >= self._first_rows.get(name, 0)]
        told = [payload for payload in payloads if isinstance(payload, dict) and payload.get("name") == name]
        if of_each and any("character_id" in payload for payload in told):
            return {payload.get("character_id"): payload.get("value") for payload in told}
        return told[-1].get("value") if told else None

    def _events(self) -> pd.DataFrame:
        return self._store.events(MessageTypes.WATCH, payload=True)

    def _declare(self) -> list[WatchRow]:
        rows = self._commands.call(SET, self._arguments(), timeout=SET_S)
        return [convert(row, WatchRow) for row in rows]

    def declare_again(self) -> None:
        """Declare the watches to a new connection, without waiting for the answer; the list that follows has it."""
        if self._specs:
            self._commands.submit(SET, self._arguments())

    def leave(self) -> Future[Any] | None:
        """Take all watches back without waiting, since the session is about to end."""
        if not self._specs:
            return None
        self._specs = {}
        return self._commands.submit(SET, self._arguments())

    def _arguments(self) -> dict[str, Any]:
        return {"watches": [to_builtins(spec) for spec in list(self._specs.values())]}
