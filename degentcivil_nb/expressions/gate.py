"""The gate of some conditions: one function of their plain comparisons that says whether any may hold for a message.

Most messages meet no breakpoint, and a call for each comparison costs more than the comparison. So the comparisons of
one name with one number or text are written into the source of one function, which looks up each name once. No text of
a user is in that source: names and values are passed in as its globals. The gate may say yes although no condition
holds, since the conditions are evaluated then, but it never says no if one does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from .nodes import Node, Plain

Gate = Callable[..., bool]
"""Takes type, payload, what is known of the character, its name, state, state before and location, tick and time."""

_SAID: Final[Mapping[str, str]] = {
    "type": "type",
    "tick": "tick",
    "time": "time",
    "character_id": "name",
    "state": "state",
    "previous_state": "before",
    "location": "(location or None)",
}
_MADE: Final = frozenset({"payload", "malformed", "exception"})
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
        self.globals: dict[str, Any] = {"__builtins__": {}}
        self.hidden = hidden
        self.names: dict[str, str] = {}

    def value(self, value: Any) -> str:
        word = f"c{len(self.globals)}"
        self.globals[word] = value
        return word

    def looked_up(self) -> str:
        """Write the lines that look up each name once; a payload's key hides an attribute, as in a scope."""
        lines = []
        for name, word in self.names.items():
            if name in self.hidden:
                found = "None"
            elif name in _SAID:
                found = _SAID[name]
            else:
                key = self.value(name)
                found = f"payload[{key}] if {key} in payload else known.get({key})"
            lines.append(f" {word} = {found}\n")
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
            case "!=":  # false of NaN, which is null
                test, others = f"({word} < {fixed} or {word} > {fixed})", others | _HOLDERS
            case _:
                test, others = f"{word} {symbol} {fixed}", others | _HOLDERS
        if value.__class__ in _NUMBERS:
            kinds, others = _NUMBERS, _OTHERS | _TEXTS | _HOLDERS
        odd = f"{word}.__class__ not in {self.value(others)}" if may else "False"
        if kinds is _TEXTS:
            return f"({test} if {word}.__class__ is {self.value(str)} else {odd})"
        return f"({test} if {word}.__class__ in {self.value(kinds)} else {odd})"


def gate_of(nodes: Iterable[Node], hidden: Collection[str]) -> tuple[Gate | None, list[bool]]:
    """Make the gate of some conditions; return whether it covers each. `hidden` are names that are null."""
    writer, behind, codes, length = _Writer(hidden), [], [], 0
    for node in nodes:
        code = writer.node(node, may=True) if length < MOST else None
        behind.append(code is not None)
        if code is not None:
            codes.append(code)
            length += len(code)
    if not codes:
        return None, behind
    source = f"{_HEAD}{writer.looked_up()} return {' or '.join(codes)}\n"
    try:
        exec(compile(source, "<breakpoints>", "exec"), writer.globals)  # noqa: S102 — a source without any foreign text
    except (RecursionError, MemoryError, SyntaxError):  # nested more deeply than Python reads
        return None, [False] * len(behind)
    gate: Gate = writer.globals["gate"]
    return gate, behind
