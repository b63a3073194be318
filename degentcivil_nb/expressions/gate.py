"""The gate of some conditions: one function of their plain comparisons that says whether any may hold for a message.

Most messages meet no breakpoint, and a call for each comparison costs more than the comparison. So the comparisons of
one name with one number or text are written into the source of one function, which looks up each name once. No text of
a user is in that source: names and values are passed in as its globals. The gate may say yes although no condition
holds, since the conditions are evaluated then, but it never says no if one does.

It looks into the indexes, too, so that one call answers for all conditions. `looks.py` writes the same into functions
for the usual forms of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from .message_scope import LINKS
from .nodes import Node, Plain

INDEXED: Final = 1
GATED: Final = 2
Gate = Callable[..., int]
"""Takes type, payload, what is known of the character, its name, state, state before and location, tick and time.
Returns `INDEXED` if an index has a text of the message, plus `GATED` if any condition of the gate may hold."""


class Gated(NamedTuple):
    """The gate of the conditions of one type of message, and which of the conditions it covers."""

    gate: Gate
    covers: list[bool]


SAID: Final[Mapping[str, str]] = {
    "type": "type",
    "tick": "tick",
    "time": "time",
    "character_id": "name",
    "state": "state",
    "previous_state": "before",
    "location": "location",
}
"""The variables of a written function that are values of names."""
ANY_FORM: Final = "payload[{0}] if {0} in payload else known.get({0})"
"""How the value of another name is found: a payload's key hides an attribute, as in a scope."""
MADE_AT: Final[Mapping[str, str]] = {"exception": "error", "malformed": "llm_call"}
"""Names whose value is calculated when a condition is evaluated, in messages of one type."""
_HEAD: Final = "def gate(type, payload, known, name, state, before, location, tick, time):\n"
_NUMBERS: Final[frozenset[type]] = frozenset({int, float})
_TEXTS: Final[frozenset[type]] = frozenset({str})
_TRUTHS: Final[frozenset[type]] = frozenset({bool})
_OTHERS: Final[frozenset[type]] = frozenset({type(None), bool})
_NULL: Final[frozenset[type]] = frozenset({type(None)})
_HOLDERS: Final[frozenset[type]] = frozenset({list, dict})
_SURE: Final[frozenset[type]] = _TEXTS | _OTHERS | _HOLDERS | {int}
"""Classes whose values are true in Python if they are in the language; of the numbers, NaN is null."""
MOST: Final = 20_000
"""The most characters of the source; conditions beyond that are evaluated one by one."""


class GateWriter:
    """The source of a gate, with the names that it looks up and the values that it compares with.

    `hidden` are names that are null, and `made` names that only an evaluation can answer.
    """

    def __init__(self, hidden: Collection[str], made: Collection[str]) -> None:
        self.globals: dict[str, Any] = {"__builtins__": {}, "text": str}
        self.names: dict[str, str] = {}
        """The names that are looked up, each with its variable."""
        self._hidden = hidden
        self._made = made
        self._kinds: dict[frozenset[type], str] = {}

    def value(self, value: Any) -> str:
        """Name a value."""
        word = f"c{len(self.globals)}"
        self.globals[word] = value
        return word

    def _kind(self, kinds: frozenset[type]) -> str:
        """Name some classes; the same word for the same ones, which thus stay in the processor's cache."""
        return self._kinds.get(kinds) or self._kinds.setdefault(kinds, self.value(kinds))

    def looked_up(self, form: str, said: Mapping[str, str] = SAID) -> str:
        """Write the lines that look up each name once.

        `form` is the expression for a key, and `said` has those of names that the form of message always has.
        """
        lines = []
        for name, word in self.names.items():
            is_read = said.get(name) or form.format(self.value(name), word)
            found = "None" if name in self._hidden else is_read
            lines.append(f" {word} = {found}\n k{word} = {word}.__class__\n")
        return "".join(lines)

    def gated(self, nodes: Iterable[Node]) -> tuple[str | None, list[bool]]:
        """Write whether any of some conditions may hold, as far as it can be written; say which of them that covers."""
        codes, covers, length = [], [], 0
        for node in nodes:
            code = self._node(node, may=True) if length < MOST else None
            covers.append(code is not None)
            if code is not None:
                codes.append(code)
                length += len(code)
        return " or ".join(codes) or None, covers

    def _node(self, node: Node, *, may: bool) -> str | None:
        """Return the source of when a condition may hold, or of when it must; `None` if that is unknown."""
        match node.kind:
            case "not":
                code = self._node(node.children[0], may=not may)
                return None if code is None else f"(not {code})"
            case "and" | "or":
                codes = [self._node(child, may=may) for child in node.children]
                # for an `and` that may hold, and for an `or` that must, the other parts decide
                if (node.kind == "and") is may:
                    codes = [code for code in codes if code is not None]
                if not codes or None in codes:
                    return None
                return "(" + f" {node.kind} ".join(code for code in codes if code is not None) + ")"
        if node.name is not None and node.name not in self._made:
            word = self._word(node.name)
            return f"({word} if k{word} in {self._kind(_SURE)} else {may})"
        return None if node.plain is None else self._comparison(node.plain, may=may)

    def _word(self, name: str) -> str:
        return self.names.setdefault(name, f"v{len(self.names)}")

    def _comparison(self, plain: Plain, *, may: bool) -> str | None:
        name, symbol, value = plain
        if name in self._made:
            return None
        word, fixed = self._word(name), self.value(value)
        kinds: frozenset[type] = _TEXTS
        others: frozenset[type] = _OTHERS | _NUMBERS
        match symbol:
            case "contains":
                test = f"{fixed} in {word}"
            case "startswith":
                test, others = f"{word}[:{len(value)}] == {fixed}", others | _HOLDERS
            case "in":
                test, others = f"{word} in {fixed}", others | _HOLDERS
            case "not in":  # true of all that is not null and no text
                test, others = f"{word} not in {fixed}", _NULL
            case "!=" if value.__class__ in _NUMBERS:  # false of NaN, which is null
                test, others = f"({word} < {fixed} or {word} > {fixed})", others | _HOLDERS
            case _:
                test, others = f"{word} {symbol} {fixed}", others | _HOLDERS
        if value.__class__ in _NUMBERS:
            test = test if may else f"({test} and {word} - {word} == 0)"  # infinity is null
            kinds, others = _NUMBERS, _OTHERS | _TEXTS | _HOLDERS
        elif value.__class__ in _TRUTHS:
            kinds, others = _TRUTHS, _TEXTS | _NUMBERS | _HOLDERS | _NULL
        odd = f"k{word} not in {self._kind(others)}" if may else "False"
        if kinds is _TEXTS:
            return f"({test} if k{word} is text else {odd})"
        return f"({test} if k{word} in {self._kind(kinds)} else {odd})"

    def indexed(self, indexes: Mapping[str, Collection[str]], event_type: str | None) -> str | None:
        """Write whether an index has a text of the message.

        `event_type` is the expression of the payload's key; `None` if the form of message has none.
        """
        codes = []
        for column, texts in indexes.items():
            if texts and (column != "event_type" or event_type is not None):
                codes.append(self._index(column, texts, event_type))
        return " or ".join(codes) or None

    def _index(self, column: str, texts: Collection[str], event_type: str | None) -> str:
        """Write it for one index; a value that is no text is looked at more closely later."""
        fixed = self.value(texts)
        match column:
            case "previous_state":
                return f"(before in {fixed} if before.__class__ is text else before is not None)"
            case "event_type":
                odd = "True" if "" in texts else f"{event_type} is not None"
                return f"(location is None and ({event_type} in {fixed} if {event_type}.__class__ is text else {odd}))"
            case _:
                return f"{SAID[column]} in {fixed}"

    def compiled(self, source: str, name: str) -> Any:
        """Compile a function of that name; `None` if it is nested more deeply than Python reads."""
        try:
            exec(compile(source, "<breakpoints>", "exec"), self.globals)  # noqa: S102 — a source without foreign text
        except (RecursionError, MemoryError, SyntaxError):
            return None
        return self.globals.pop(name)


def made_at(type: str | None) -> set[str]:
    """Name what only an evaluation can answer at a message of a type (`None`: of any other type)."""
    return {"payload", *(name for name, where in MADE_AT.items() if where == type)}


def gate_of(
    type: str | None, nodes: Collection[Node], hidden: Collection[str], indexes: Mapping[str, Collection[str]]
) -> Gated:
    """Make the gate of some conditions. `hidden` are names that are null, `indexes` the texts of each column."""
    writer = GateWriter(hidden, made_at(type) | LINKS)
    gated, covers = writer.gated(nodes)
    indexed = writer.indexed(indexes, f"payload.get({writer.value('event_type')})")
    results = [
        "0" if code is None else f"({word} if {code} else 0)" for code, word in ((indexed, INDEXED), (gated, GATED))
    ]
    gate = writer.compiled(f"{_HEAD}{writer.looked_up(ANY_FORM)} return {' + '.join(results)}\n", "gate")
    return Gated(_look_at_all, [False] * len(nodes)) if gate is None else Gated(gate, covers)


def _look_at_all(*_: Any) -> int:
    return INDEXED + GATED
