"""The conditions that can hold for a message, found by its type and by the texts that they require in it.

The parts that the type and the found text already answer are left out of a condition: of
`type == 'state_change' and new_state == 'MOVE' and wealth > 8` only `wealth > 8` is evaluated, and only for messages of
whose state and type the rest is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from ..core.event_columns import COLUMNS
from . import values
from .conditions import Condition
from .gate import MADE_AT, gate_of
from .message_scope import LINKS
from .nodes import Lookup, Node
from .residual import residual

_T = TypeVar("_T")

STATE_CHANGE: Final = "state_change"
CHARACTER_UPDATE: Final = "character_update"
CHARACTER_LEFT: Final = "character_left"
MEASURE: Final = "measure"
LLM_CALL: Final = "llm_call"
ERROR: Final = "error"
MOVES: Final = (STATE_CHANGE, CHARACTER_UPDATE)
"""The types of messages that state which state a character is in."""
OF_TYPES: Final = {
    **{column.name: column.types for column in COLUMNS if column.types},
    **values.OF_TYPES,
}
"""Names that only messages of some types have, whatever keys the payloads of other types have."""
INDEXED: Final = ("character_id", "state", "previous_state", "event_type", "location")
"""The columns by which conditions are indexed, for speed: each by the first of them in which it requires one text."""

_SIMPLIFIED: Final = frozenset(MADE_AT.values()).union(*OF_TYPES.values())
"""The types for which a condition about any type is simplified, since they have names that others lack; all other types
share one simplified condition."""
_NONE: Final[frozenset[str]] = frozenset()
_STATES: Final = frozenset({"state", "previous_state"})


class Rule(NamedTuple, Generic[_T]):
    """A condition to be judged, and what it belongs to."""

    condition: Condition
    owner: _T
    at_checkpoint: bool = False
    """Whether it is judged at each checkpoint, whatever it is about."""
    names: frozenset[str] = frozenset()
    """Further names whose values for the character a match reports."""


Runs = list[tuple[Callable[[Lookup], Any], Rule[_T]]]
"""Rules, each with the function that evaluates its simplified condition."""


class Placed(NamedTuple, Generic[_T]):
    """A rule as it is judged at messages of one type: column and text of its index, and its simplified condition."""

    column: str | None
    text: str
    run: Callable[[Lookup], Any]
    rule: Rule[_T]
    left: Node | None = None
    """What is left of its condition, unless that is more than a tree: it remembers messages of before."""


class Candidates(Generic[_T]):
    """The rules that can hold for messages of one type; each is in exactly one of the lists."""

    def __init__(self, type: str | None, placed: Iterable[Placed[_T]]) -> None:
        self.always: Runs[_T] = []
        self.gated: Runs[_T] = []
        self.by_name: dict[str, Runs[_T]] = {}
        self.by_state: dict[str, Runs[_T]] = {}
        self.by_before: dict[str, Runs[_T]] = {}
        self.by_event: dict[str, Runs[_T]] = {}
        self.by_location: dict[str, Runs[_T]] = {}
        self.indexes: dict[str, dict[str, Runs[_T]]] = dict(
            zip(INDEXED, (self.by_name, self.by_state, self.by_before, self.by_event, self.by_location), strict=True)
        )
        self.asked: set[str] = set()
        """The names in the conditions."""
        everywhere: list[Placed[_T]] = []
        for one in placed:
            column, text, run, rule, left = one
            self.asked |= rule.condition.names | rule.names
            if column is not None:
                self.indexes[column].setdefault(text, []).append((run, rule))
            elif left is None:
                self.always.append((run, rule))
            else:
                everywhere.append(one)
        self.hidden: tuple[str, ...] = tuple(name for name in _absent(type) if name in self.asked)
        """Columns that a condition asks for and that messages of the type do not have."""
        self.linked = not LINKS.isdisjoint(self.asked)
        """Whether a condition asks for what envelopes say."""
        self.remembers = bool(self.always)
        """Whether a condition has to be evaluated at each message."""
        self.lefts = [one.left for one in everywhere if one.left is not None]
        """The conditions, as far as they are not answered, that no index finds."""
        self.gate, covers = gate_of(type, self.lefts, self.hidden, self.indexes)
        """It says whether any of the rules may hold, `always` apart."""
        for one, is_behind in zip(everywhere, covers, strict=True):
            (self.gated if is_behind else self.always).append((one.run, one.rule))


def candidates(rules: Iterable[Rule[_T]]) -> dict[str | None, Candidates[_T]]:
    """Sort rules by the type of message that they are about; `None` is the key of those for all other types."""
    by_type: dict[str | None, list[Placed[_T]]] = {type: [] for type in (*_SIMPLIFIED, None)}
    everywhere: list[Rule[_T]] = []
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
            by_type.setdefault(type, []).extend(_placed(type, rule))
    others = [placed for rule in everywhere for placed in _placed(None, rule)]
    for of_type, about in by_type.items():
        simplified = of_type in _SIMPLIFIED
        about += [placed for rule in everywhere for placed in _placed(of_type, rule)] if simplified else others
    return {of_type: Candidates(of_type, about) for of_type, about in by_type.items()}


def _placed(type: str | None, rule: Rule[_T]) -> list[Placed[_T]]:
    """Place a rule among those about a type (`None`: all not simplified); return an empty list if it cannot hold."""
    condition = rule.condition
    if condition.remembers or condition.moves:
        # a condition with `changed` has to see every message of a character
        column = next((name for name in INDEXED[: 1 if condition.remembers else None] if name in condition.needs), None)
        return [Placed(column, condition.needs.get(column or "", ""), condition.run, rule)]
    known: dict[str, str | None] = dict.fromkeys(_absent(type))
    if type is not None:
        known["type"] = type
    left = residual(condition.root, known, _NONE if type is not None else _SIMPLIFIED)
    needs = {} if isinstance(left, bool) else dict(left.needs)
    column = next((name for name in INDEXED if name in needs), None)
    if column is not None and needs[column] and not isinstance(left, bool):  # "" is indexed as if it were missing
        left = residual(left, {**known, column: needs[column]})
    if left is False:
        return []
    text = needs.get(column or "", "")
    if left is True:
        return [Placed(column, text, _always, rule)]
    return [Placed(column, text, left.run, rule, left)]


def _absent(type: str | None) -> tuple[str, ...]:
    """List the columns that messages of a type do not have."""
    return tuple(name for name, types in OF_TYPES.items() if type not in types)


def _always(look: Lookup) -> bool:
    return True
