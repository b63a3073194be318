"""Parsing of function calls in a condition."""

from __future__ import annotations

import ast
from typing import Any, Final

from . import values
from .compared import Compared
from .nodes import (
    BECAME,
    BEFORE,
    CHANGED,
    DETECTOR,
    DETECTORS,
    Became,
    Detector,
    Lookup,
    Node,
    names_of,
    nothing,
    numbers,
    plain_call,
)

_MEMORY: Final = ("became", "changed", "entered", "left", *DETECTORS)
MAX_ARGUMENTS: Final = 100


class CallParser:
    """The part of a parser that reads calls; the rest of it reads the arguments."""

    changed: dict[str, None]
    became: list[Became]
    moved_at: int | None
    detectors: dict[str, Detector]
    compared: list[Compared]

    def node(self, node: ast.AST, depth: int) -> Node:
        """Read any part of a condition."""
        raise NotImplementedError

    def name(self, node: ast.Name) -> Node:
        """Read a name."""
        raise NotImplementedError

    def at(self, node: ast.AST) -> int:
        """Return the offset of a part in the text."""
        raise NotImplementedError

    def wrong(self, node: ast.AST, message: str) -> ValueError:
        """Return an error that points at a part."""
        raise NotImplementedError

    def call(self, node: ast.Call, depth: int) -> Node:
        """Parse a call of one of the language's functions."""
        if not isinstance(node.func, ast.Name):
            raise self.wrong(node.func, "only a function's name can be called")
        name = node.func.id
        if name not in _MEMORY and name not in values.FUNCTIONS:
            known = ", ".join(sorted([*values.FUNCTIONS, *_MEMORY]))
            raise self.wrong(node.func, f"there is no function {name[:40]}; there are {known}")
        if name in DETECTORS:
            return self.call_detector(node, name)
        if node.keywords:
            raise self.wrong(node.keywords[0], "arguments cannot be named here; give the values alone")
        if name == "changed":
            return self.call_changed(node)
        if name == "became":
            return self.call_became(node, depth)
        if name in ("entered", "left"):
            return self.call_move(node, name, depth)
        function, takes, gives, more = values.FUNCTIONS[name]
        fewest = len(takes)
        if not fewest <= len(node.args) <= (fewest if more is None else MAX_ARGUMENTS):
            raise self.wrong(node, f"{name} takes {fewest if more is None else f'{fewest} or more'} argument(s)")
        children = tuple(self.node(argument, depth + 1) for argument in node.args)
        kinds = [*takes, *[more or ()] * (len(children) - fewest)]
        for argument, child, wanted in zip(node.args, children, kinds, strict=True):
            if wanted and child.gives is not None and child.gives not in (*wanted, "null"):
                raise self.wrong(argument, f"{name} takes {_either(wanted)} here, and this is a {child.gives}")
        runs = tuple(child.run for child in children)
        vector = numbers(children[0])
        if len(runs) == 1:
            (run,) = runs
            absolute = name == "abs" and vector is not None
            return Node(
                lambda look: function(run(look)),
                children[0].names,
                vector=(lambda columns, operators: abs(vector(columns, operators))) if absolute and vector else None,
                gives=gives,
            )
        return Node(
            lambda look: function(*[run(look) for run in runs]),
            names_of(children),
            gives=gives,
            plain=plain_call(name, children),
        )

    def call_move(self, node: ast.Call, name: str, depth: int) -> Node:
        """Parse `entered(state)` or `left(state)`."""
        if len(node.args) != 1:
            raise self.wrong(node, f"{name} takes one state: {name}('BARGAIN')")
        wanted = self.node(node.args[0], depth + 1)
        if wanted.gives not in (None, "text"):
            raise self.wrong(node.args[0], f"{name} takes a state, which is a text, and this is a {wanted.gives}")
        self.moved_at = self.at(node) if self.moved_at is None else self.moved_at
        same, run = values.compare("=="), wanted.run

        def entered(look: Lookup) -> bool:
            state = run(look)
            return same(look("state"), state) and not same(look(BEFORE), state)

        def left(look: Lookup) -> bool:
            state, now = run(look), look("state")
            return same(look(BEFORE), state) and isinstance(now, str) and not same(now, state)

        fixed = run(nothing) if not wanted.names else None
        need = "state" if name == "entered" else "previous_state"
        if isinstance(fixed, str):
            self.compared.append(Compared(need, "==", fixed, self.at(node.args[0])))
        return Node(
            entered if name == "entered" else left,
            wanted.names | {"state", BEFORE},
            gives="truth value",
            needs=((need, fixed),) if isinstance(fixed, str) else (),
        )

    def call_detector(self, node: ast.Call, name: str) -> Node:
        """Parse a function that is judged at checkpoints, such as `stuck(ticks)`."""
        unit = "times" if name == "loops" else "ticks"
        for keyword in node.keywords:
            if keyword.arg != "character_id":
                raise self.wrong(keyword.value, f"{name} takes {unit} and optionally character_id=")
        if len(node.args) != 1:
            raise self.wrong(node, f"{name} takes a number of {unit}: {name}(50)")
        wanted = self.literal(node.args[0])
        if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
            raise self.wrong(node.args[0], f"{name} takes a whole number of {unit}, at least 1")
        whose = None
        for keyword in node.keywords:
            given = self.literal(keyword.value)
            if not isinstance(given, (str, int)) or isinstance(given, bool):
                raise self.wrong(keyword.value, "character_id= takes the id of a character")
            whose = str(given)
            self.compared.append(Compared("character_id", "==", whose, self.at(keyword.value)))
        asks = DETECTOR.format(name, "" if whose is None else whose)
        self.detectors.setdefault(asks, Detector(asks, name, whose, self.at(node)))

        def held(look: Lookup) -> bool:
            value = look(asks)
            return value is not None and value >= wanted

        return Node(held, frozenset({asks}), gives="truth value")

    def literal(self, node: ast.AST) -> Any:
        """Return the value of a literal; `None` for anything that has to be calculated."""
        return node.value if isinstance(node, ast.Constant) else None

    def call_changed(self, node: ast.Call) -> Node:
        """Parse `changed(name)`."""
        if len(node.args) != 1 or not isinstance(node.args[0], ast.Name):
            raise self.wrong(node, "changed takes one name: changed(mood)")
        (name,) = self.name(node.args[0]).names or (None,)
        if name is None:
            raise self.wrong(node.args[0], "this value never changes; give the name of something that does")
        self.changed[name] = None
        asked = CHANGED.format(name)
        return Node(lambda look: bool(look(asked)), frozenset({name, asked}), gives="truth value")

    def call_became(self, node: ast.Call, depth: int) -> Node:
        """Parse `became(condition)`."""
        if len(node.args) != 1:
            raise self.wrong(node, "became takes one condition: became(money < 0)")
        child = self.node(node.args[0], depth + 1)
        if not child.names:
            raise self.wrong(node.args[0], "this never becomes anything; give a condition about something that changes")
        if any("(" in name for name in child.names):
            raise self.wrong(node.args[0], "became takes a condition about one event, without another such function")
        asked = BECAME.format(len(self.became))
        self.became.append(Became(asked, child, self.at(node)))
        return Node(lambda look: bool(look(asked)), child.names | {asked}, gives="truth value")


def _either(kinds: tuple[str, ...]) -> str:
    return " or ".join(f"{'an' if kind[0] == 'o' else 'a'} {kind}" for kind in kinds)
