"""The judge of many conditions, at each message and at each checkpoint; only conditions that can hold are evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from ..core.event_columns import PAYLOAD_COLUMNS
from ..core.json_answers import AnswerCounts
from ..core.links import link_id
from .candidates import (
    CHARACTER_LEFT,
    CHARACTER_UPDATE,
    ERROR,
    LLM_CALL,
    MEASURE,
    MOVES,
    STATE_CHANGE,
    Candidates,
    Rule,
    Runs,
    candidates,
)
from .conditions import Condition
from .detectors import Trail
from .gate import GATED, INDEXED
from .looks import NO_LOOKS, Looks, Town, looks_of
from .message_scope import LINKS, Linked, links_at, scope_at
from .nodes import TOTALS

_T = TypeVar("_T")

SAID: Final = (*PAYLOAD_COLUMNS, "data", "previous_state")
"""The names that a condition may use beside type, tick, time and payload; null if a message lacks one."""
_NOTHING: Final[Mapping[str, Any]] = dict.fromkeys(SAID)
_NOBODY: Final[Mapping[str, Any]] = {}
_NO_NAMES: Final[frozenset[str]] = frozenset()
_MADE: Final = frozenset({"exception", "malformed", "timestamp"})
"""Names whose value is calculated, or that every message has."""
_INTERESTING: Final = frozenset({*SAID, "type", "tick", "time", "payload", *TOTALS, *LINKS})


NOTHING_FOUND: Final[list[Any]] = []
"""The answer if no condition holds; it is never changed."""


class Match(NamedTuple, Generic[_T]):
    """A condition that held: its rule, the character of the message, and the values of the names."""

    rule: _T
    character_id: str | None
    scope: Mapping[str, Any]


class Judge(Generic[_T]):
    """The conditions, and the part of the town that they need: states, attributes that they name, and trails of ticks.

    `totals()` returns the cost and the number of all calls of models so far. `learnt()` is called when a name of a
    condition occurs for the first time. Callers on several threads need a lock, but for `looks`.
    """

    def __init__(
        self,
        rules: Iterable[Rule[_T]],
        totals: Callable[[], tuple[float, int]],
        broken: Callable[[_T, Exception], None],
        learnt: Callable[[], None] = lambda: None,
    ) -> None:
        self._totals = totals
        self._broken = broken
        self._learnt = learnt
        self._seen: set[str] = set()
        self._unseen: set[str] = set()  # nearly always empty soon, so that looking for them costs nothing
        self._candidates: dict[str | None, Candidates[_T]] = {}
        self._others: Candidates[_T] = Candidates(None, ())
        self._asked: frozenset[str] = frozenset()
        self._at_checkpoint: list[Rule[_T]] = []
        self._held: dict[int, set[str | None]] = {}  # for each checkpoint rule: characters for whom it holds already
        self._trails: dict[str, Trail] = {}
        self._measures: dict[str, Any] = {}
        self._answers = AnswerCounts()
        self._followed: Sequence[Condition] = ()
        self._loops = False  # whether trails count how often a character repeats a loop
        self.names: frozenset[str] = frozenset()
        """The attributes and measures that are kept, because a condition names them."""
        self.looks: Looks = NO_LOOKS
        """They say of a message, without a lock, whether `event` has to judge it; if not, they record it themselves."""
        self.set_rules(rules)

    def set_rules(self, rules: Iterable[Rule[_T]], followed: Sequence[Condition] | None = None) -> None:
        """Replace the rules; what is known of the characters stays.

        `followed` are further conditions, for calls of `values`; if left out, the earlier ones stay.
        """
        rules = list(rules)
        self._followed = self._followed if followed is None else followed
        at_messages: list[Rule[_T]] = []
        names = {name for condition in self._followed for name in condition.names} - _INTERESTING
        before = self.names
        held, self._held = self._held, {}
        self._at_checkpoint = []
        for rule in rules:
            condition = rule.condition
            names |= (condition.names | rule.names) - _INTERESTING
            if condition.at_checkpoint or rule.at_checkpoint:
                self._at_checkpoint.append(rule)
                self._held[id(condition)] = held.get(id(condition), set())
            else:
                at_messages.append(rule)
        conditions = [*self._followed, *(rule.condition for rule in self._at_checkpoint)]
        counted = self._loops
        self._loops = any(one.function == "loops" for condition in conditions for one in condition.detectors)
        self._candidates = candidates(at_messages)
        self._others = self._candidates[None]
        self.names = frozenset(names)
        for other in before ^ names:  # their values are no longer kept, or were not, and are read anew
            self._measures.pop(other, None)
            for trail in self._trails.values():
                trail.known.pop(other, None)
        for trail in self._trails.values() if counted and not self._loops else ():
            trail.forget_rounds()
        self._asked = frozenset().union(*(rule.condition.names | rule.names for rule in at_messages))
        of_rules = _NO_NAMES.union(*(rule.condition.names | rule.names for rule in rules))
        self._unseen.clear()
        self._unseen |= of_rules - _INTERESTING - _MADE - self._seen
        self.looks = looks_of(self._candidates, Town(self._trails, self._unseen, self.names, self._loops))

    @property
    def unseen(self) -> frozenset[str]:
        """Return the names in rules that no message and no character had so far; none before there is a character."""
        return frozenset(self._unseen) if self._trails else _NO_NAMES

    def _see(self, names: Iterable[str]) -> None:
        if found := self._unseen.intersection(names):
            self._seen |= found
            self._unseen -= found
            self._learnt()

    def seed(
        self, name: str, state: str | None, location: str | None, attributes: Mapping[str, Any], tick: int
    ) -> None:
        """Set what is known of a character, unless a message has named it meanwhile; its ticks count from now on."""
        trail = self._trails.get(name)
        if trail is None:
            trail = self._trails[name] = Trail(tick, state, location)
        for key in self.names & attributes.keys():
            trail.known.setdefault(key, attributes[key])
        self._see(attributes)

    def forget(self) -> None:
        """Forget all characters."""
        self._trails.clear()
        for held in self._held.values():
            held.clear()

    # --- at each message -----------------------------------------------------------------------------------------

    def event(
        self, type: str, payload: Any, tick: int | None, time: float | None, links: Linked | None = None
    ) -> list[Match[_T]]:
        """Record a message, and return the conditions that hold for it."""
        about = self._candidates.get(type, self._others)
        if not isinstance(payload, dict):
            scope = {**_NOTHING, **links_at(type, payload, links)}
            scope |= {"type": type, "tick": tick, "time": time, "payload": payload}
            return self._test(about.always + about.gated, None, scope)
        if self._unseen:
            self._see(payload)
        name = payload.get("character_id")
        if name is not None and name.__class__ is not str:
            name = link_id(name)
        state = location = known = before = None
        if type in MOVES and "previous_state" in payload:
            before = payload["previous_state"]
        if name is not None:
            if type == STATE_CHANGE:
                state, location = _text(payload.get("new_state")), _text(payload.get("location"))
            elif type == CHARACTER_UPDATE:
                if "state" in payload:
                    state = _text(payload["state"])
                if "location" in payload:
                    location = _text(payload["location"])
            trail = self._trails.get(name)
            if before is None and state is not None and trail is not None:
                before = trail.state
            if type == CHARACTER_LEFT:
                self._trails.pop(name, None)
            elif trail is None:
                trail = self._trails[name] = Trail(tick or 0)
            if trail is not None:
                trail.heard, known = tick or 0, trail.known
                if (state is not None and state != trail.state) or (
                    location is not None and location != trail.location
                ):
                    trail.note(tick or 0, state, location, loops=self._loops)
                if type == CHARACTER_UPDATE:
                    for key in self.names:
                        if key in payload:
                            known[key] = payload[key]
        elif type == MEASURE and (measure := _text(payload.get("name"))) in self.names:
            known = {str(measure): payload.get("value")}
            self._measures.update(known)
            self._see(known)
        if type == LLM_CALL and "malformed" in self._asked:  # each answer counts, whether a condition can hold or not
            malformed = self._answers.is_malformed(payload.get("prompt_type"), payload.get("response"))
        else:
            malformed = False
        found = about.always
        may = about.gate(type, payload, known or _NOBODY, name, state, before, location, tick, time)
        if may & INDEXED:
            found = self._found(about, payload, name, state, before, location)
        if may & GATED:
            found = found + about.gated
        if not found:
            return NOTHING_FOUND
        scope = scope_at(about.hidden, type, payload, known or _NOBODY, name, state, before, location, tick, time)
        if about.linked:
            scope.update(links_at(type, payload, links))
        if type == LLM_CALL:
            scope["malformed"] = malformed
        elif type == ERROR:
            scope["exception"] = bool(payload.get("traceback"))
        return self._test(found, name, scope)

    def _found(
        self,
        about: Candidates[_T],
        payload: dict[str, Any],
        name: str | None,
        state: str | None,
        before: Any,
        location: str | None,
    ) -> Runs[_T]:
        """List the rules that can hold, without those behind the gate; `about.always` itself if there are no others."""
        found = about.always
        if name is not None and about.by_name and (more := about.by_name.get(name)):
            found = found + more
        if state is not None and about.by_state and (more := about.by_state.get(state)):
            found = found + more
        if before is not None and about.by_before and (more := about.by_before.get(_text(before) or "")):
            found = found + more
        if location is not None:
            if about.by_location and (more := about.by_location.get(location)):
                found = found + more
        elif about.by_event and (more := about.by_event.get(_text(payload.get("event_type")) or "")):
            found = found + more
        return found

    def _test(self, rules: Runs[_T], name: str | None, scope: dict[str, Any]) -> list[Match[_T]]:
        matches = NOTHING_FOUND
        look = scope.get
        for run, rule in rules:
            try:
                if run(look):
                    matches = [*matches, Match(rule.owner, name, scope)]
            except Exception as error:  # noqa: BLE001 — shown in the rule's own row: it must not disturb the rest
                self._broken(rule.owner, error)
        return matches

    # --- at each checkpoint --------------------------------------------------------------------------------------

    def checkpoint(self, tick: int) -> list[Match[_T]]:
        """Return the conditions about stretches of ticks that hold now and did not hold at the previous checkpoint."""
        matches = []
        for rule in self._at_checkpoint:
            held, now = self._held[id(rule.condition)], set()
            for name in self._subjects(rule.condition):
                try:
                    scope = self._standing(name, tick)
                    look = self._asking(rule.condition, name, tick, scope)
                    if rule.condition.test(look):
                        now.add(name)
                        if name not in held:
                            matches.append(Match(rule.owner, name, scope))
                except Exception as error:  # noqa: BLE001 — as above
                    self._broken(rule.owner, error)
            self._held[id(rule.condition)] = now
        return matches

    def _subjects(self, condition: Condition) -> list[str | None]:
        """List the characters that a condition is judged for: the one that it names, all, or `[None]` (totals)."""
        named = {detector.character_id for detector in condition.detectors}
        if None in named or (not named and condition.names - TOTALS - {"tick"} - self._measures.keys()):
            needed = condition.needs.get("character_id")
            return list(self._trails) if needed is None else [needed]
        return list(named) if len(named) == 1 else [None]

    def values(self, condition: Condition, character_id: str | None, tick: int) -> list[tuple[str | None, Any]]:
        """Return the value of an expression at a checkpoint: for one character, for each, or for the whole model."""
        subjects = [character_id] if character_id is not None else self._subjects(condition)
        found = []
        for name in subjects:
            look = self._asking(condition, name, tick, self._standing(name, tick))
            found.append((name, condition.evaluate(look)))
        return found

    def _standing(self, name: str | None, tick: int) -> dict[str, Any]:
        cost, calls = self._totals()
        trail = None if name is None else self._trails.get(name)
        return {
            **self._measures,
            **(_NOBODY if trail is None else trail.known),
            "character_id": name,
            "state": None if trail is None else trail.state,
            "location": None if trail is None else trail.location,
            "tick": tick,
            "total_cost": cost,
            "total_calls": calls,
        }

    def _asking(
        self, condition: Condition, name: str | None, tick: int, scope: Mapping[str, Any]
    ) -> Callable[[str], Any]:
        asks = {detector.asks: detector for detector in condition.detectors}

        def look(asked: str) -> Any:
            detector = asks.get(asked)
            if detector is None:
                return scope.get(asked)
            trail = self._trails.get(detector.character_id or name or "")
            if trail is None:
                return None
            match detector.function:
                case "loops":
                    return trail.loops()
                case "silent":
                    return trail.silent(tick)
                case "stuck":
                    return trail.stuck(tick)
                case _:
                    raise NotImplementedError(detector.function)

        return look


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
