"""Which of many conditions can hold of a message: found by its type and by the texts that it must say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from .conditions import Condition
from .nodes import Lookup

_T = TypeVar("_T")

STATE_CHANGE: Final = "state_change"
CHARACTER_UPDATE: Final = "character_update"
MOVES: Final = (STATE_CHANGE, CHARACTER_UPDATE)
"""The types of message that say in which state a character is."""
NOT_OF_MOVES: Final = ("event_type", "code", "message", "data")
"""Columns that these do not have, whatever keys their payload has."""
OWN: Final = {"error": "message", "event_notification": "data"}
"""Columns that only messages of one type have."""
INDEXED: Final = ("character_id", "state", "previous_state", "event_type", "location")
"""The columns by which a condition is found that asks for one text in it; the first of them counts."""

_STATES: Final = frozenset({"state", "previous_state"})


class Rule(NamedTuple, Generic[_T]):
    """A condition to be judged, and what it belongs to."""

    condition: Condition
    owner: _T
    at_checkpoint: bool = False
    """Judged at each checkpoint, whatever it is about."""
    names: frozenset[str] = frozenset()
    """What else of a character is to be known where it holds."""


Runs = list[tuple[Callable[[Lookup], Any], Rule[_T]]]
"""Rules with the function that evaluates each."""


class Candidates(Generic[_T]):
    """The rules that can hold of messages of one type; each stands in exactly one of the lists."""

    def __init__(self, type: str | None, rules: Iterable[Rule[_T]]) -> None:
        self.always: Runs[_T] = []
        self.by_name: dict[str, Runs[_T]] = {}
        self.by_state: dict[str, Runs[_T]] = {}
        self.by_before: dict[str, Runs[_T]] = {}
        self.by_event: dict[str, Runs[_T]] = {}
        self.by_location: dict[str, Runs[_T]] = {}
        indexes = dict(
            zip(INDEXED, (self.by_name, self.by_state, self.by_before, self.by_event, self.by_location), strict=True)
        )
        asked: set[str] = set()
        for rule in rules:
            condition = rule.condition
            asked |= condition.names | rule.names
            needs = condition.needs
            # a condition with `changed` has to see every message of a character
            column = next((name for name in INDEXED[: 1 if condition.remembers else None] if name in needs), None)
            found = self.always if column is None else indexes[column].setdefault(needs[column], [])
            found.append((condition.run, rule))
        if type in MOVES:
            absent: tuple[str, ...] = NOT_OF_MOVES
        else:
            own = OWN.get(type or "")
            absent = tuple(name for name in ("message", "data", "previous_state") if name != own)
        self.hidden: tuple[str, ...] = tuple(name for name in absent if name in asked)
        """Columns that a condition asks for and that messages of the type do not have."""


def candidates(rules: Iterable[Rule[_T]]) -> dict[str | None, Candidates[_T]]:
    """Sort rules by the type of message that they are about; under `None` those for all other types."""
    by_type: dict[str | None, list[Rule[_T]]] = {type: [] for type in (None, *MOVES, *OWN)}
    everywhere = by_type[None]
    for rule in rules:
        condition = rule.condition
        kind = condition.needs.get("type")
        if kind is not None:
            kinds: tuple[str, ...] = (kind,)
        elif (condition.moves or not condition.remembers) and not _STATES.isdisjoint(condition.needs):
            kinds = MOVES
        else:
            everywhere.append(rule)
            continue
        for type in kinds:
            by_type.setdefault(type, []).append(rule)
    return {type: Candidates(type, about if type is None else [*about, *everywhere]) for type, about in by_type.items()}
