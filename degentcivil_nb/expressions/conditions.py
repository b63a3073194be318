"""The one small expression language of breakpoints, watches, `wait_for(where=…)` and `events(where=…)`.

A condition is parsed with Python's grammar, checked against a white list and turned into closures of our own: no text
of a user is ever run. Names, numbers, texts, `True`, `False`, `None`, comparisons and their chains, `and`, `or`,
`not`, `in`, `+ - * / %`, `data["key"]`, lists, and the functions `len abs min max lower contains startswith`.
Breakpoints and `matches` also know `changed(name)`, `became(condition)`, `entered(state)` and `left(state)`, and,
judged at each checkpoint, `silent(ticks)`,
`stuck(ticks)`, `loops(times)` (all three with `character_id=`, if one is meant), `total_cost` and `total_calls`.

`data` is the inner value of an `event_notification` (null for all other types), and `payload` is the whole payload.

A missing value is null; a comparison with null or across types is false, also with `!=` and `not in`. Whole numbers are
exact, other numbers are doubles; a truth value is not a number; a division by zero is null.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from .compared import Compared
from .mistakes import ConditionError, mistake
from .nodes import BEFORE, CHANGED, TOTALS, Detector, Lookup, Node
from .parser import Parsed, parse
from .values import in_payload, plain

if TYPE_CHECKING:
    from .columns import Columns, Mask, Payload

MAX_REMEMBERED: Final = 100_000
"""For how many characters and names `changed` stores the last value."""
_STANDING: Final = frozenset({"state", "location"})
"""What a character has between the messages that state it, as it has its attributes."""

Scope = Mapping[str, Any] | Lookup
"""The values of names: a mapping, or a function that returns `None` for a missing name."""


class Condition:
    """A condition, checked when it is created; `evaluate`, `test` and `mask` agree with each other and never raise.

    `changed(name)` compares with the last value that this object has seen for the same `character_id`, so each
    breakpoint needs its own object (`fresh`). A message without the name changes nothing. `became(condition)` is true
    if the condition is true and was false at the message of the character before; state and location count there as
    they were stated last.
    """

    def __init__(self, text: str, parsed: Parsed | None = None) -> None:
        self.text = text
        self._parsed = parse(text) if parsed is None else parsed
        self._last: dict[tuple[Any, str], Any] = {}

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    @property
    def names(self) -> frozenset[str]:
        """Return the names that the condition uses (`new_state` counts as `state`)."""
        return frozenset(self._parsed.places)

    @property
    def needs(self) -> dict[str, str]:
        """Return the text that each name must have for the condition to be true; conditions are indexed by them."""
        return dict(self._parsed.root.needs)

    @property
    def root(self) -> Node:
        """Return the tree of the condition, without the values that `changed`, `entered` and `left` have stored."""
        return self._parsed.root

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """List the condition's calls of `silent`, `stuck` and `loops`, which are about stretches of ticks."""
        return self._parsed.detectors

    @property
    def compared(self) -> tuple[Compared, ...]:
        """List the names that are compared with values written in the condition."""
        return self._parsed.compared

    @property
    def at_checkpoint(self) -> bool:
        """Return whether the condition is judged at each checkpoint, and not at each event."""
        return bool(self._parsed.detectors) or not TOTALS.isdisjoint(self._parsed.places)

    @property
    def remembers(self) -> bool:
        """Return whether it has to see every message of a character, since it uses `changed` or `became`."""
        return bool(self._parsed.changed or self._parsed.became)

    @property
    def moves(self) -> bool:
        """Return whether the condition uses `entered` or `left`."""
        return self._parsed.moved_at is not None

    def place(self, name: str) -> int:
        """Return the position in the text at which a name occurs first, from 0."""
        return self._parsed.places.get(name, 0)

    def mistake(self, name: str, message: str) -> ConditionError:
        """Make the error that points at the first place of a name."""
        return mistake(self.text, self.place(name), message)

    def refuse_checkpoints(self) -> None:
        """Raise `ValueError` if the condition is about a stretch of ticks, since an event alone cannot answer that."""
        for detector in self.detectors:
            message = f"{detector.function} is evaluated at checkpoints: use it in break_when() or matches()"
            raise mistake(self.text, detector.at, message)

    def refuse_moves(self, message: str) -> None:
        """Raise `ValueError` with this message if the condition uses `changed`, `became`, `entered` or `left`."""
        if self._parsed.moved_at is not None:
            raise mistake(self.text, self._parsed.moved_at, message)
        for became in self._parsed.became:
            raise mistake(self.text, became.at, message)
        if self._parsed.changed:
            raise self.mistake(self._parsed.changed[0], message)

    def fresh(self) -> Condition:
        """Return the same condition without the values that `changed` has stored."""
        return Condition(self.text, self._parsed)

    def evaluate(self, scope: Scope) -> Any:
        """Return the value for one message: null, a bool, a number, text, a list or an object."""
        look: Lookup = scope if callable(scope) else scope.get
        parsed = self._parsed
        if self.remembers or (parsed.moved_at is not None and look(BEFORE) is None):
            look = self._with_memory(look)
        return parsed.root.run(look)

    @property
    def run(self) -> Callable[[Lookup], Any]:
        """Return the function that gives the value for the lookup of one message: `evaluate` at the least cost."""
        parsed = self._parsed
        return self.evaluate if self.remembers or parsed.moved_at is not None else parsed.root.run

    def test(self, scope: Scope) -> bool:
        """Return whether the value is true; null, zero and empty values are not."""
        return bool(self.evaluate(scope))

    def mask(self, columns: Columns, rows: int, payload: Payload, *, attributes: Collection[str] = ()) -> Mask:
        """Return for each of `rows` rows of a store whether the condition holds.

        `columns(name)` gives a column of that length: an array of numbers (NaN: null; times as seconds since the Unix
        epoch), `Whole(numbers, missing)` for whole numbers, `Words(codes, words)` for categories, or `None` where there
        is no such column. Such a name is looked up in `payload(i)`, the decoded payload of row `i` counted from 0,
        which is called only for rows that the columns have not decided.

        `attributes` are the names of characters' attributes of which only the present value is kept. Raises
        `ValueError` for such a name, and for `changed`, `entered` and `left`, whose answer would depend on the chosen
        rows.
        """
        self.refuse_checkpoints()
        if self._parsed.moved_at is not None:
            message = "entered and left cannot be used here; compare state and previous_state, or use matches()"
            raise mistake(self.text, self._parsed.moved_at, message)
        for became in self._parsed.became:
            raise mistake(self.text, became.at, "became(…) cannot be used here; use matches()")
        for name, at in sorted(self._parsed.places.items(), key=lambda item: item[1]):
            if name in self._parsed.changed:
                raise mistake(self.text, at, "changed(…) cannot be used here; use matches()")
            if name in attributes and columns(name) is None:
                raise mistake(
                    self.text,
                    at,
                    f"{name} is an attribute of characters, and its values at past rows are not kept; "
                    f'payload["{name}"] is its value in the message itself',
                )
        texts = {one.name for one in self._parsed.compared if isinstance(one.value, str)}
        numbers = {name for name in texts if _holds_numbers(columns(name))}
        for one in self._parsed.compared:
            if (problem := one.problem(numbers)) is not None:
                raise mistake(self.text, one.at, problem)
        from .columns import mask_of  # needs numpy, which a simulation may not have

        return mask_of(self._parsed.root, columns, rows, payload)

    def _with_memory(self, look: Lookup) -> Lookup:
        character = plain(look("character_id"))
        whose = character if isinstance(character, (str, int)) else None
        known: dict[str, Any] = {}
        for name in self._parsed.changed:
            now = plain(look(name))
            before = self._note((whose, name), now)
            known[CHANGED.format(name)] = before is not None and (type(before), before) != (type(now), now)
        stands = self._with_latest(whose, look)
        for asks, condition, _ in self._parsed.became:
            if any(stands(name) is not None for name in condition.names):  # else it says nothing about the condition
                now = bool(condition.run(stands))
                known[asks] = self._note((whose, asks), now) is False and now
        if self._parsed.moved_at is not None:
            before = self._note((whose, BEFORE), plain(look("state")))
            said = plain(look("previous_state"))
            known[BEFORE] = look(BEFORE) or (before if said is None else said)
        return lambda name: known[name] if name in known else look(name)

    def _with_latest(self, whose: str | int | None, look: Lookup) -> Lookup:
        """Look up where a character stands as this object saw it last, since most messages do not say it."""
        names = _STANDING.intersection(self._parsed.places) if self._parsed.became else ()
        if not names or whose is None:
            return look
        for name in names:
            self._note((whose, name), plain(look(name)))
        latest = {name: self._last.get((whose, name)) for name in names}
        return lambda name: latest[name] if name in latest else look(name)

    def _note(self, key: tuple[Any, str], value: Any) -> Any:
        """Store a value and return the previous one; a null is not stored, and null is returned for it."""
        if value is None:
            return None
        before = self._last.pop(key, None)
        if len(self._last) >= MAX_REMEMBERED:
            del self._last[next(iter(self._last))]  # the least recently seen
        self._last[key] = value
        return before


def _holds_numbers(column: Any) -> bool:
    """Return whether all values of a column are numbers; causes and interventions are texts, lists and objects."""
    kind = getattr(getattr(column, "dtype", None), "kind", None)
    return column is not None and not hasattr(column, "words") and kind != "O"


def compile_condition(text: str) -> Condition:
    """Compile a condition; `ValueError` shows the text with a caret under the mistake."""
    return Condition(text, _parsed(text) if isinstance(text, str) else None)


def scope_of(
    columns: Mapping[str, Any], payload: Any = None, attributes: Mapping[str, Any] | None = None
) -> Callable[[str], Any]:
    """Return the scope of one message: its columns, then its payload's keys, then its character's attributes.

    A null column hides what comes after it, as in `mask`. `state` also stands for the payload's `new_state`. `data` is
    the inner value of an `event_notification` (according to the column `type`), and `payload` the whole payload.
    """

    def look(name: str) -> Any:
        if name in columns:
            return columns[name]
        found = in_payload(payload, name, lambda: columns.get("type"))
        if found is None and name == "state":
            found = in_payload(payload, "new_state", lambda: None)
        if found is None and attributes is not None:
            found = attributes.get(name)
        return found

    return look


@lru_cache(maxsize=256)
def _parsed(text: str) -> Parsed:
    return parse(text)
