"""The gate of some conditions: one function of their plain comparisons that says whether any may hold for a message.

Most messages meet no breakpoint, and a call for each comparison costs more than the comparison. So the comparisons of
one name with one number or text are written into the source of one function, which looks up each name once. No text of
a user is in that source: names and values are passed in as its globals. The gate may say yes although no condition
holds, since the conditions are evaluated then, but it never says no if one does.

It looks into the indexes, too, so that one call answers for all conditions. Plain changes of state, which most messages
are, have a gate of their own: their keys are known, so only attributes have to be looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from .message_scope import LINKS
from .nodes import Node, Plain

Gate = Callable[..., int]
"""Takes type, payload, what is known of the character, its name, state, state before and location, tick and time.
Returns `INDEXED` if an index has a text of the message, plus `GATED` if any condition of the gate may hold."""
INDEXED: Final = 1
GATED: Final = 2


class Gates(NamedTuple):
    """The gates of the conditions of one type of message, and which of the conditions they cover."""

    gate: Gate
    plain: Gate
    """The gate of plain changes of state."""
    covers: list[bool]


_SAID: Final[Mapping[str, str]] = {
    "type": "type",
    "tick": "tick",
    "time": "time",
    "character_id": "name",
    "state": "state",
    "previous_state": "before",
    "location": "location",
}
_MADE: Final = frozenset({"payload", "malformed", "exception", *LINKS})
"""Names whose value is calculated when a condition is evaluated."""
_HEAD: Final = "def gate(type, payload, known, name, state, before, location, tick, time):\n"
_NUMBERS: Final[frozenset[type]] = frozenset({int, float})
_TEXTS: Final[frozenset[type]] = frozenset({str})
_OTHERS: Final[frozenset[type]] = frozenset({type(None), bool})
_HOLDERS: Final[frozenset[type]] = frozenset({list, dict})
MOST: Final = 20_000
"""The most characters of the source; conditions beyond that are evaluated one by one."""


class _Writer:
    """The source of a gate, with the names that it looks up and the values that it compares with."""

    def __init__(self, hidden: Collection[str]) -> None:
        self.globals: dict[str, Any] = {"__builtins__": {}, "text": str}
        self.hidden = hidden
        self.names: dict[str, str] = {}
        self.kinds: dict[frozenset[type], str] = {}

    def value(self, value: Any) -> str:
        word = f"c{len(self.globals)}"
        self.globals[word] = value
        return word

    def kind(self, kinds: frozenset[type]) -> str:
        """Name some classes; the same word for the same ones, which thus stay in the processor's cache."""
        return self.kinds.get(kinds) or self.kinds.setdefault(kinds, self.value(kinds))

    def looked_up(self, *, is_plain: bool) -> str:
        """Write the lines that look up each name once; a payload's key hides an attribute, as in a scope.

        `is_plain`: the payload has no keys but those of a plain change of state.
        """
        lines = []
        for name, word in self.names.items():
            if name in self.hidden:
                found = "None"
            elif name in _SAID:
                found = _SAID[name]
            elif is_plain:
                found = "time" if name == "timestamp" else f"known.get({self.value(name)})"
            else:
                key = self.value(name)
                found = f"payload[{key}] if {key} in payload else known.get({key})"
            lines.append(f" {word} = {found}\n k{word} = {word}.__class__\n")
        return "".join(lines)

    def node(self, node: Node, *, may: bool) -> str | None:
        """Return the source of when a condition may hold, or of when it must; `None` if that is unknown."""
        match node.kind:
            case "not":
                code = self.node(node.children[0], may=not may)
                return None if code is None else f"(not {code})"
            case "and" | "or":
                codes = [self.node(child, may=may) for child in node.children]
                # for an `and` that may hold, and for an `or` that must, the other parts decide
                if (node.kind == "and") is may:
                    codes = [code for code in codes if code is not None]
                if not codes or None in codes:
                    return None
                return "(" + f" {node.kind} ".join(code for code in codes if code is not None) + ")"
        return None if node.plain is None else self.comparison(node.plain, may=may)

    def comparison(self, plain: Plain, *, may: bool) -> str | None:
        name, symbol, value = plain
        if name in _MADE:
            return None
        word, fixed = self.names.setdefault(name, f"v{len(self.names)}"), self.value(value)
        kinds: frozenset[type] = _TEXTS
        others: frozenset[type] = _OTHERS | _NUMBERS
        match symbol:
            case "contains":
                test = f"{fixed} in {word}"
            case "startswith":
                test, others = f"{word}[:{len(value)}] == {fixed}", others | _HOLDERS
            case "in":
                test, others = f"{word} in {fixed}", others | _HOLDERS
            case "!=" if value.__class__ not in _TEXTS:  # false of NaN, which is null
                test, others = f"({word} < {fixed} or {word} > {fixed})", others | _HOLDERS
            case _:
                test, others = f"{word} {symbol} {fixed}", others | _HOLDERS
        if value.__class__ in _NUMBERS:
            kinds, others = _NUMBERS, _OTHERS | _TEXTS | _HOLDERS
        odd = f"k{word} not in {self.kind(others)}" if may else "False"
        if kinds is _TEXTS:
            return f"({test} if k{word} is text else {odd})"
        return f"({test} if k{word} in {self.kind(kinds)} else {odd})"

    def index(self, column: str, texts: Collection[str]) -> str:
        """Write whether an index has the text of a message; a value that is no text is looked at more closely later."""
        word, fixed = _SAID.get(column, "payload.get({})"), self.value(texts)
        match column:
            case "previous_state":
                return f"({word} in {fixed} if {word}.__class__ is text else {word} is not None)"
            case "event_type":
                word = word.format(self.value(column))
                odd = "True" if "" in texts else f"{word} is not None"
                return f"(location is None and ({word} in {fixed} if {word}.__class__ is text else {odd}))"
            case _:
                return f"{word} in {fixed}"


def gates_of(nodes: Iterable[Node], hidden: Collection[str], indexes: Mapping[str, Collection[str]]) -> Gates:
    """Make the gates of some conditions. `hidden` are names that are null, `indexes` the texts of each column."""
    writer, codes, covers, length = _Writer(hidden), [], [], 0
    for node in nodes:
        code = writer.node(node, may=True) if length < MOST else None
        covers.append(code is not None)
        if code is not None:
            codes.append(code)
            length += len(code)
    looks = {column: writer.index(column, texts) for column, texts in indexes.items() if texts}
    gates = []
    for is_plain in (False, True):
        columns = [code for column, code in looks.items() if not is_plain or column != "event_type"]
        indexed = f"({INDEXED} if {' or '.join(columns)} else 0)" if columns else "0"
        gated = f"({GATED} if {' or '.join(codes)} else 0)" if codes else "0"
        source = f"{_HEAD}{writer.looked_up(is_plain=is_plain)} return {indexed} + {gated}\n"
        try:
            exec(compile(source, "<breakpoints>", "exec"), writer.globals)  # noqa: S102 — a source without foreign text
        except (RecursionError, MemoryError, SyntaxError):  # nested more deeply than Python reads
            return Gates(_look_at_all, _look_at_all, [False] * len(covers))
        gates.append(writer.globals.pop("gate"))
    return Gates(gates[0], gates[1], covers)


def _look_at_all(*_: Any) -> int:
    return INDEXED + GATED
