"""Parsing of a condition: Python's grammar, restricted by a white list, to a tree of checked nodes."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import Final

from . import values
from .calls import CallParser
from .compared import Compared, compared, time_of
from .mistakes import mistake
from .nodes import (
    TOTALS,
    Became,
    Detector,
    Node,
    as_id,
    comparison,
    constant,
    joined,
    names_of,
    negated,
    nothing,
    numbers,
    over_columns,
)

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 60
MAX_INTEGER: Final = 1 << 63

_KINDS: Final = {"exception": (("type", "error"),), "malformed": (("type", "llm_call"),)}
"""Truth values that only messages of one type have."""

_WORDS: Final = {"null": None, "true": True, "false": False}
_SAME: Final = {"new_state": "state"}
_BINARY: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Mod: "%",
}
_COMPARE: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_REFUSED: Final[dict[type[ast.AST], str]] = {
    ast.Attribute: 'a dot is not allowed; write name["key"], or an attribute of a character by its name alone: money',
    ast.Lambda: "functions cannot be defined here",
    ast.JoinedStr: "f-strings are not allowed; write a plain text",
    ast.NamedExpr: "nothing can be assigned; compare with ==",
    ast.IfExp: "if and else are not allowed; write `and`, `or`, `not`",
    ast.Dict: "objects are not allowed; write a list",
    ast.Set: "sets are not allowed; write a list",
    ast.Slice: "slices are not allowed; write one index, as in name[0]",
    ast.Starred: "stars are not allowed; write the values out",
    ast.Await: "`await` is not allowed in a condition",
}


_ID: Final = frozenset({"character_id"})
"""The name for an id: ids are compared as text, so that 5 equals "5"."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A checked condition: its tree, the first offset of each name, and the names that `changed` watches.

    `moved_at` is the position of its first `entered` or `left`, if there is one, `detectors` are its calls that are
    judged at checkpoints, `compared` the names that it compares with literal values, and `became` its calls of that
    function.
    """

    root: Node
    places: dict[str, int]
    changed: tuple[str, ...]
    moved_at: int | None = None
    detectors: tuple[Detector, ...] = ()
    compared: tuple[Compared, ...] = ()
    became: tuple[Became, ...] = ()


def parse(text: str) -> Parsed:
    """Check a condition and build its tree; `ValueError` points at the mistake."""
    if not isinstance(text, str):
        raise ValueError(f"a condition is a text such as 'money < 0', not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a condition has at most {MAX_LENGTH:,} characters, this one has {len(text):,}")
    if not text.strip():
        raise ValueError("the condition is empty; write one like: wealth >= 8 and state == 'TRADE'")
    for at, character in enumerate(text):
        if character in "\n\r\f\0":
            raise mistake(text, at, "a condition is one line")
    return _Parser(text).parse()


class _Parser(CallParser):
    def __init__(self, text: str) -> None:
        self.text = text
        self.places: dict[str, int] = {}
        self.changed: dict[str, None] = {}
        self.moved_at: int | None = None
        self.detectors: dict[str, Detector] = {}
        self.compared: list[Compared] = []
        self.became: list[Became] = []

    def parse(self) -> Parsed:
        indent = len(self.text) - len(self.text.lstrip())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's own advice about escapes
                tree = ast.parse(self.text.strip(), mode="eval")
        except SyntaxError as error:
            at = indent + max(0, (error.offset or 1) - 1)
            raise mistake(self.text, min(at, len(self.text)), f"this is not a condition: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise mistake(self.text, 0, f"this is not a condition: {error}") from None
        self.encoded = self.text.strip().encode("utf-8", "surrogatepass")
        self.indent = indent
        root = self.node(tree.body, 0)
        self.refuse_two_moments()
        return Parsed(
            root,
            self.places,
            tuple(self.changed),
            self.moved_at,
            tuple(self.detectors.values()),
            tuple(self.compared),
            tuple(self.became),
        )

    def refuse_two_moments(self) -> None:
        """Refuse a condition that is about an event and a checkpoint at once, since it would never hold."""
        if self.moved_at is None and not self.changed and not self.became:
            return
        message = (
            "this is evaluated at checkpoints, but became, changed, entered and left at events; write two conditions"
        )
        for at in [detector.at for detector in self.detectors.values()] + [
            at for name, at in self.places.items() if name in TOTALS
        ]:
            raise mistake(self.text, at, message)

    def at(self, node: ast.AST) -> int:
        offset = getattr(node, "col_offset", 0)  # in bytes of UTF-8
        return self.indent + len(self.encoded[:offset].decode("utf-8", "replace"))

    def wrong(self, node: ast.AST, message: str) -> ValueError:
        return mistake(self.text, self.at(node), message)

    def node(self, node: ast.AST, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.wrong(node, "nested too deeply")
        match node:
            case ast.Constant():
                return self.constant(node)
            case ast.Name():
                return self.name(node)
            case ast.BoolOp():
                return self.bool_op(node, depth)
            case ast.UnaryOp():
                return self.unary(node, depth)
            case ast.BinOp():
                return self.binary(node, depth)
            case ast.Compare():
                return self.compare(node, depth)
            case ast.Call():
                return self.call(node, depth)
            case ast.Subscript():
                return self.subscript(node, depth)
            case ast.List() | ast.Tuple():
                return self.items(node, depth)
        raise self.wrong(node, _REFUSED.get(type(node), f"{type(node).__name__} has no place in a condition"))

    def constant(self, node: ast.Constant) -> Node:
        value = node.value
        if value is not None and not isinstance(value, (str, bool, int, float)):
            raise self.wrong(node, f"a value of the type {type(value).__name__} has no place in a condition")
        if isinstance(value, (int, float)) and abs(value) > (MAX_INTEGER if isinstance(value, int) else 1e308):
            raise self.wrong(
                node, "this number is too large: whole numbers go up to 2 to the power of 63, others up to 1e308"
            )
        return constant(value)

    def name(self, node: ast.Name) -> Node:
        name = node.id
        if name.startswith("__"):
            raise self.wrong(node, "names with two underscores are refused")
        if name in _WORDS:
            return constant(_WORDS[name])
        if name in values.FUNCTIONS or name == "changed":
            raise self.wrong(node, f"{name} is a function; write {name}(…)")
        name = _SAME.get(name, name)
        self.places.setdefault(name, self.at(node))
        return Node(
            lambda look: values.plain(look(name)),
            frozenset({name}),
            vector=lambda columns, _: columns(name),
            name=name,
            needs=_KINDS.get(name, ()),
        )

    def bool_op(self, node: ast.BoolOp, depth: int) -> Node:
        children = tuple(self.node(value, depth + 1) for value in node.values)
        return joined("and" if isinstance(node.op, ast.And) else "or", children)

    def unary(self, node: ast.UnaryOp, depth: int) -> Node:
        child = self.node(node.operand, depth + 1)
        run, vector = child.run, numbers(child)
        if isinstance(node.op, ast.Not):
            return negated(child)
        if isinstance(node.op, ast.Invert):
            raise self.wrong(node, "~ is not allowed; write `not`")
        if isinstance(node.op, ast.UAdd):
            return Node(lambda look: values.positive(run(look)), child.names, vector=vector)
        return Node(
            lambda look: values.negative(run(look)),
            child.names,
            vector=None if vector is None else lambda columns, operators: -vector(columns, operators),
        )

    def binary(self, node: ast.BinOp, depth: int) -> Node:
        symbol = _BINARY.get(type(node.op))
        if symbol is None:
            raise self.wrong(node, "this is not one of the operators + - * / %")
        for side in (node.left, node.right):
            if symbol in "*%" and isinstance(side, ast.Constant) and isinstance(side.value, str):
                raise self.wrong(side, "a text cannot be multiplied or formatted")
        children = (self.node(node.left, depth + 1), self.node(node.right, depth + 1))
        left, right = (child.run for child in children)
        calculate = values.arithmetic(symbol)
        return Node(
            lambda look: calculate(left(look), right(look)),
            names_of(children),
            vector=over_columns(symbol, children),
            gives=None if symbol == "+" else "number",
        )

    def compare(self, node: ast.Compare, depth: int) -> Node:
        operands = [self.node(part, depth + 1) for part in (node.left, *node.comparators)]
        links = []
        for position, op in enumerate(node.ops):
            symbol = _COMPARE.get(type(op))
            if symbol is None:
                raise self.wrong(node.comparators[position], "`is` is not allowed; write == or !=")
            left, right = operands[position], operands[position + 1]
            if left.names == _ID:
                right = as_id(right)
            elif right.names == _ID:
                left = as_id(left)
            at = self.at(node.comparators[position] if left.name else node.left)
            left, right = self.checked(symbol, left, right, at), self.checked(symbol, right, left, at)
            links.append(comparison(symbol, left, right))
        if len(links) == 1:
            return links[0]
        return joined("and", tuple(links))

    def checked(self, symbol: str, fixed: Node, named: Node, at: int) -> Node:
        """Note the value that a name is compared with; convert a time, refuse other texts for numbers."""
        if named.name is None or fixed.names:
            return fixed
        value = fixed.run(nothing)
        if named.name == "time" and isinstance(value, str) and (seconds := time_of(value)) is not None:
            return constant(seconds)
        for one in (found := compared(named.name, symbol, value, at)):
            if (problem := one.problem()) is not None:
                raise mistake(self.text, at, problem)
        self.compared += found
        return fixed

    def subscript(self, node: ast.Subscript, depth: int) -> Node:
        children = (self.node(node.value, depth + 1), self.node(node.slice, depth + 1))
        container, key = (child.run for child in children)
        return Node(lambda look: values.subscript(container(look), key(look)), names_of(children))

    def items(self, node: ast.List | ast.Tuple, depth: int) -> Node:
        children = tuple(self.node(item, depth + 1) for item in node.elts)
        runs = tuple(child.run for child in children)
        if not names_of(children):
            fixed = [run(nothing) for run in runs]
            return Node(lambda look: fixed, gives="list")
        return Node(lambda look: [run(look) for run in runs], names_of(children), gives="list")
