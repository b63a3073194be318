"""Which of many conditions hold: at each message, and at each checkpoint; only those are evaluated that can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from ..core.json_answers import AnswerCounts
from .candidates import CHARACTER_UPDATE, STATE_CHANGE, Candidates, Rule, Runs, candidates
from .conditions import Condition
from .detectors import Trail
from .nodes import BEFORE, TOTALS

_T = TypeVar("_T")

CHARACTER_LEFT: Final = "character_left"
MEASURE: Final = "measure"
LLM_CALL: Final = "llm_call"
ERROR: Final = "error"
COLUMNS: Final = ("character_id", "state", "location", "event_type", "code", "message", "data", "previous_state")
"""What a condition may name beside type, tick, time and payload; null where a message does not have it."""
_NOTHING: Final[Mapping[str, Any]] = dict.fromkeys(COLUMNS)
_INTERESTING: Final = frozenset({*COLUMNS, "type", "tick", "time", "payload", *TOTALS})


NOTHING_FOUND: Final[list[Any]] = []
"""The answer where no condition holds; nobody writes into it."""
_MOST_TICKS: Final = 1_000
"""Of ticks without a message so many are judged, and the last: a clock may jump."""


class Match(NamedTuple, Generic[_T]):
    """A condition that held: the rule that it belongs to, whose message it was, and what names meant."""

    rule: _T
    character_id: str | None
    scope: Mapping[str, Any]


class Judge(Generic[_T]):
    """The conditions, and what of the town they need: states, the attributes that they name, and trails of ticks.

    `totals()` gives cost and number of all calls of models so far. Not safe for several threads by itself.
    """

    def __init__(
        self,
        rules: Iterable[Rule[_T]],
        totals: Callable[[], tuple[float, int]],
        broken: Callable[[_T, Exception], None],
    ) -> None:
        self._totals = totals
        self._broken = broken
        self._candidates: dict[str | None, Candidates[_T]] = {}
        self._others: Candidates[_T] = Candidates(None, ())
        self._asked: frozenset[str] = frozenset()
        self._at_checkpoint: list[Rule[_T]] = []
        self._held: dict[int, set[str | None]] = {}  # for each rule of checkpoints, of whom it holds already
        self._attributes: dict[str, dict[str, Any]] = {}
        self._trails: dict[str, Trail] = {}
        self._measures: dict[str, Any] = {}
        self._answers = AnswerCounts()
        self._also: frozenset[str] = frozenset()
        self.names: frozenset[str] = frozenset()
        """The attributes and measures that are kept, because a condition names them."""
        self.set_rules(rules)

    def set_rules(self, rules: Iterable[Rule[_T]], also: frozenset[str] | None = None) -> None:
        """Judge these from now on; what is known of characters stays. `also` are further names that are asked for."""
        self._also = self._also if also is None else also - _INTERESTING
        at_messages: list[Rule[_T]] = []
        names: set[str] = {*self._also}
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
        self._candidates = candidates(at_messages)
        self._others = self._candidates[None]
        self.names = frozenset(names)
        self._asked = frozenset().union(*(rule.condition.names | rule.names for rule in at_messages))

    def seed(
        self, name: str, state: str | None, location: str | None, attributes: Mapping[str, Any], tick: int
    ) -> None:
        """Take what is known of a character, unless a message has told of it meanwhile; its ticks count from here."""
        if name not in self._trails:
            self._trails[name] = Trail(tick, state, location)
        known = self._attributes.setdefault(name, {})
        for key in self.names & attributes.keys():
            known.setdefault(key, attributes[key])

    def forget(self) -> None:
        """Know nothing of any character."""
        self._attributes.clear()
        self._trails.clear()
        for held in self._held.values():
            held.clear()

    # --- at each message -----------------------------------------------------------------------------------------

    def event(self, type: str, payload: Any, tick: int | None, time: float | None) -> list[Match[_T]]:
        """Take a message, and give the conditions that hold of it."""
        if not isinstance(payload, dict):
            return self._matches(type, {**_NOTHING, "type": type, "tick": tick, "time": time, "payload": payload})
        whose = payload.get("character_id")
        name = whose if whose is None or whose.__class__ is str else str(whose)
        state = location = before = known = None
        if name is not None:
            if type == STATE_CHANGE:
                state, location = payload.get("new_state"), payload.get("location")
                if state.__class__ is not str or location.__class__ is not str:
                    state, location = _text(state), _text(location)
            elif type == CHARACTER_UPDATE:
                state, location = _text(payload.get("state")), _text(payload.get("location"))
            trail = self._trails.get(name)
            if state is not None:
                before = payload.get("previous_state")
                if before is None and trail is not None:
                    before = trail.state
            known = self._note(name, trail, type, payload, tick or 0, state, location)
        elif type == MEASURE and (measure := _text(payload.get("name"))) in self.names:
            known = {str(measure): payload.get("value")}
            self._measures.update(known)
        malformed = (
            type == LLM_CALL
            and "malformed" in self._asked
            and self._answers.is_malformed(payload.get("prompt_type"), payload.get("response"))
        )
        about = self._candidates.get(type, self._others)
        found = self._found(about, type, payload, name, state, before, location)
        if not found:
            return NOTHING_FOUND
        scope = {**known, **payload} if known else payload.copy()
        scope["type"], scope["tick"], scope["time"], scope["payload"] = type, tick, time, payload
        scope["character_id"], scope["state"], scope["location"] = name, state, location or None
        if before is not None:
            scope["previous_state"] = scope[BEFORE] = before
        if type == LLM_CALL:
            scope["malformed"] = malformed
        elif type == ERROR:
            scope["exception"] = bool(payload.get("traceback"))
        for hidden in about.hidden:
            scope[hidden] = None
        return self._test(found, name, scope)

    def _found(
        self,
        about: Candidates[_T],
        type: str,
        payload: dict[str, Any],
        name: str | None,
        state: str | None,
        before: Any,
        location: str | None,
    ) -> Runs[_T]:
        """List the rules that can hold; `about.always` itself where there are no others."""
        found = about.always
        if name is not None and about.by_name and (more := about.by_name.get(name)):
            found = found + more
        if state is not None:
            if about.by_state and (more := about.by_state.get(state)):
                found = found + more
            if about.by_before and before.__class__ is str and (more := about.by_before.get(before)):
                found = found + more
        if location is not None:
            if about.by_location and (more := about.by_location.get(location)):
                found = found + more
        elif about.by_event and (more := about.by_event.get(_text(payload.get("event_type")) or "")):
            found = found + more
        return found

    def _matches(self, type: str, scope: dict[str, Any]) -> list[Match[_T]]:
        return self._test(self._candidates.get(type, self._others).always, None, scope)

    def _note(
        self,
        name: str,
        trail: Trail | None,
        type: str,
        payload: dict[str, Any],
        tick: int,
        state: str | None,
        location: str | None,
    ) -> dict[str, Any] | None:
        """Take note of a message of a character, and of those attributes that conditions name; give what is known."""
        if type == CHARACTER_LEFT:
            self._trails.pop(name, None)
            return self._attributes.pop(name, None)
        if trail is None:
            trail = self._trails[name] = Trail(tick)
        trail.heard = tick
        if (state is not None and state != trail.state) or location is not None:
            trail.note(tick, state, location)
        known = self._attributes.get(name)
        if type == CHARACTER_UPDATE and (told := self.names & payload.keys()):
            if known is None:
                known = self._attributes[name] = {}
            for key in told:
                known[key] = payload[key]
        return known

    def _test(self, rules: Runs[_T], name: str | None, scope: dict[str, Any]) -> list[Match[_T]]:
        matches = NOTHING_FOUND
        look = scope.get
        for run, rule in rules:
            try:
                if run(look):
                    matches = [*matches, Match(rule.owner, name, scope)]
            except Exception as error:  # noqa: BLE001 — told in the rule's own row: it must not disturb the rest
                self._broken(rule.owner, error)
        return matches

    # --- at each checkpoint --------------------------------------------------------------------------------------

    def checkpoint(self, tick: int) -> list[Match[_T]]:
        """Give the conditions about stretches of ticks that hold now and did not at the checkpoint before."""
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
        """List of whom a condition is asked: of the character that it names, of all, or of nobody (totals)."""
        named = {detector.character_id for detector in condition.detectors}
        if None in named or (not named and condition.names - TOTALS - {"tick"} - self._measures.keys()):
            needed = condition.needs.get("character_id")
            return list(self._trails) if needed is None else [needed]
        return list(named) if len(named) == 1 else [None]

    def values(self, condition: Condition, character_id: str | None, tick: int) -> list[tuple[str | None, Any]]:
        """Give the value of an expression at a checkpoint: of one character, of each of all, or of nobody."""
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
            **(self._attributes.get(name or "") or {}),
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
            if detector.function == "loops":
                return trail.loops()
            return trail.silent(tick) if detector.function == "silent" else trail.stuck(tick)

        return look


def ticks_ended(last: int | None, now: int | None) -> Sequence[int]:
    """List the ticks whose checkpoints lie between a message of the tick `last` and one of the tick `now`."""
    if last is None or now is None or now <= last:
        return ()
    return range(last, now) if now - last <= _MOST_TICKS else [*range(last, last + _MOST_TICKS), now - 1]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
