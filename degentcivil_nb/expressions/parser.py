"""Parsing of a condition: Python's grammar, restricted by a white list, to a tree of checked nodes."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from . import values
from .compared import Compared, compared, time_of

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 60
MAX_INTEGER: Final = 1 << 63

Lookup = Callable[[str], Any]
"""The value of a name during evaluation; `None` if it is missing."""
Operators = Mapping[str, Callable[[Any, Any], Any]]
Vector = Callable[[Lookup, Operators], Any]
"""The same over columns: names give arrays of doubles (NaN: null), the result is an array or one double.

The operators over arrays are handed in, so that a condition can be read and evaluated without numpy.
"""

CHANGED: Final = "changed({})"
"""The name with which `changed(name)` calls the lookup."""
BEFORE: Final = "previous_state()"
"""The name under which `entered` and `left` ask for the state before."""
DETECTOR: Final = "{}({})"
"""The name under which `silent(…)`, `stuck(…)` and `loops(…)` ask; in brackets the character, if one is named."""
DETECTORS: Final = ("silent", "stuck", "loops")
TOTALS: Final = frozenset({"total_cost", "total_calls"})
_MEMORY: Final = ("changed", "entered", "left", *DETECTORS)
MAX_ARGUMENTS: Final = 100

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
    ast.Attribute: 'no attributes with a dot; write name["key"]',
    ast.Lambda: "no functions can be made here",
    ast.JoinedStr: "no f-strings",
    ast.NamedExpr: "nothing can be assigned; compare with ==",
    ast.IfExp: "no if and else; write `and`, `or`, `not`",
    ast.Dict: "no objects; write a list",
    ast.Set: "no sets; write a list",
    ast.Slice: "no slices",
    ast.Starred: "no stars",
    ast.Await: "nothing to wait for",
}


_TEXTS: Final = frozenset({str})
_NUMBERS: Final = frozenset({int, float})
_ID: Final = frozenset({"character_id"})
"""The name for an id: ids are compared as text, so that 5 equals "5"."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A part of a condition: `run` evaluates it, `names` are the names it uses.

    `children` are the parts of an `and`, `or` or `not` (`kind` states which; else it is a comparison, `test`, or
    `leaf`). `vector` is set if the part can be calculated over numeric columns at once.
    """

    run: Callable[[Lookup], Any]
    names: frozenset[str] = frozenset()
    kind: str = "leaf"
    children: tuple[Node, ...] = ()
    vector: Vector | None = None
    name: str | None = None
    """The name, where it is nothing but one."""
    gives: str | None = None
    """The kind of its value, where that is known before."""
    needs: tuple[tuple[str, str], ...] = ()
    """Names with the texts that they must have, else it is false; `previous_state` among them."""


class Detector(NamedTuple):
    """A question about a stretch of ticks: the name that it asks the lookup for, which it is, and whose, if said.

    `at` is its position in the text.
    """

    asks: str
    function: str
    character_id: str | None
    at: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """A checked condition: its tree, the first offset of each name, and the names that `changed` watches.

    `moved_at` is where it first asks for a state entered or left, if it does, `detectors` what it asks at checkpoints,
    `compared` which names it compares with values that stand there.
    """

    root: Node
    places: dict[str, int]
    changed: tuple[str, ...]
    moved_at: int | None = None
    detectors: tuple[Detector, ...] = ()
    compared: tuple[Compared, ...] = ()


def _as_id(node: Node) -> Node:
    """Return a node's value with whole numbers as text, for comparison with an id."""
    return Node(lambda look: values.id_text(node.run(look)), node.names)


class ConditionError(ValueError):
    """A mistake in a condition; `at` is the position of the character that is wrong, from 0."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def mistake(text: str, at: int, message: str) -> ConditionError:
    """Return an error that shows the text with a caret under the mistake."""
    start = max(0, min(at - 40, len(text) - 80))
    shown = "".join(c if c.isprintable() else "?" for c in text[start : start + 80])
    lead, tail = "…" * (start > 0), "…" * (start + 80 < len(text))
    return ConditionError(f"{message}\n  {lead}{shown}{tail}\n  {' ' * (at - start + len(lead))}^", at)


def parse(text: str) -> Parsed:
    """Check a condition and build its tree; `ValueError` points at the mistake."""
    if not isinstance(text, str):
        raise ValueError(f"a condition is a text, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a condition has at most {MAX_LENGTH:,} characters, this one has {len(text):,}")
    if not text.strip():
        raise ValueError("a condition says something like: wealth >= 8 and state == 'TRADE'")
    for at, character in enumerate(text):
        if character in "\n\r\f\0":
            raise mistake(text, at, "a condition is one line")
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.places: dict[str, int] = {}
        self.changed: dict[str, None] = {}
        self.moved_at: int | None = None
        self.detectors: dict[str, Detector] = {}
        self.compared: list[Compared] = []

    def parse(self) -> Parsed:
        indent = len(self.text) - len(self.text.lstrip())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's own advice about escapes
                tree = ast.parse(self.text.strip(), mode="eval")
        except SyntaxError as error:
            at = indent + max(0, (error.offset or 1) - 1)
            raise mistake(self.text, min(at, len(self.text)), f"this is no condition: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise mistake(self.text, 0, f"this is no condition: {error}") from None
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
        )

    def refuse_two_moments(self) -> None:
        """Refuse a condition that is about one event and about a checkpoint at once: it would never hold."""
        if self.moved_at is None and not self.changed:
            return
        message = "this is judged at each checkpoint, and changed, entered and left at each event; make two of it"
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
        return _constant(value)

    def name(self, node: ast.Name) -> Node:
        name = node.id
        if name.startswith("__"):
            raise self.wrong(node, "names with two underscores are refused")
        if name in _WORDS:
            return _constant(_WORDS[name])
        if name in values.FUNCTIONS or name == "changed":
            raise self.wrong(node, f"{name} is a function; write {name}(…)")
        name = _SAME.get(name, name)
        self.places.setdefault(name, self.at(node))
        return Node(
            lambda look: values.plain(look(name)),
            frozenset({name}),
            vector=lambda columns, _: columns(name),
            name=name,
        )

    def bool_op(self, node: ast.BoolOp, depth: int) -> Node:
        children = tuple(self.node(value, depth + 1) for value in node.values)
        runs = tuple(child.run for child in children)
        if isinstance(node.op, ast.And):
            needs = tuple(need for child in children for need in child.needs)
            return Node(_all_of(runs), _names(children), "and", children, needs=needs)
        return Node(lambda look: any(run(look) for run in runs), _names(children), "or", children)

    def unary(self, node: ast.UnaryOp, depth: int) -> Node:
        child = self.node(node.operand, depth + 1)
        run, vector = child.run, _numbers(child)
        if isinstance(node.op, ast.Not):
            return Node(lambda look: not run(look), child.names, "not", (child,), gives="truth value")
        if isinstance(node.op, ast.Invert):
            raise self.wrong(node, "no ~; write `not`")
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
            raise self.wrong(node, "of the operators there are + - * / %")
        for side in (node.left, node.right):
            if symbol in "*%" and isinstance(side, ast.Constant) and isinstance(side.value, str):
                raise self.wrong(side, "a text can be neither repeated nor filled in")
        children = (self.node(node.left, depth + 1), self.node(node.right, depth + 1))
        left, right = (child.run for child in children)
        calculate = values.arithmetic(symbol)
        return Node(
            lambda look: calculate(left(look), right(look)),
            _names(children),
            vector=_over_columns(symbol, children),
            gives=None if symbol == "+" else "number",
        )

    def compare(self, node: ast.Compare, depth: int) -> Node:
        operands = [self.node(part, depth + 1) for part in (node.left, *node.comparators)]
        links = []
        for position, op in enumerate(node.ops):
            symbol = _COMPARE.get(type(op))
            if symbol is None:
                raise self.wrong(node.comparators[position], "no `is`; write == or !=")
            left, right = operands[position], operands[position + 1]
            if left.names == _ID:
                right = _as_id(right)
            elif right.names == _ID:
                left = _as_id(left)
            at = self.at(node.comparators[position] if left.name else node.left)
            left, right = self.checked(symbol, left, right, at), self.checked(symbol, right, left, at)
            links.append(_compare(symbol, left, right))
        if len(links) == 1:
            return links[0]
        runs = tuple(link.run for link in links)
        needs = tuple(need for link in links for need in link.needs)
        return Node(_all_of(runs), _names(operands), "and", tuple(links), needs=needs)

    def checked(self, symbol: str, fixed: Node, named: Node, at: int) -> Node:
        """Note what a name is compared with; a text beside a number is refused, but for a time, which is read."""
        if named.name is None or fixed.names:
            return fixed
        value = fixed.run(_nothing)
        if named.name == "time" and isinstance(value, str) and (seconds := time_of(value)) is not None:
            return _constant(seconds)
        for one in (found := compared(named.name, symbol, value, at)):
            if (problem := one.problem()) is not None:
                raise mistake(self.text, at, problem)
        self.compared += found
        return fixed

    def call(self, node: ast.Call, depth: int) -> Node:
        if not isinstance(node.func, ast.Name):
            raise self.wrong(node.func, "only a function's name can be called")
        name = node.func.id
        if name not in _MEMORY and name not in values.FUNCTIONS:
            known = ", ".join(sorted([*values.FUNCTIONS, *_MEMORY]))
            raise self.wrong(node.func, f"there is no function {name[:40]}; there are {known}")
        if name in DETECTORS:
            return self.call_detector(node, name)
        if node.keywords:
            raise self.wrong(node.keywords[0], "arguments have no names here")
        if name == "changed":
            return self.call_changed(node)
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
        vector = _numbers(children[0])
        if len(runs) == 1:
            (run,) = runs
            absolute = name == "abs" and vector is not None
            return Node(
                lambda look: function(run(look)),
                children[0].names,
                vector=(lambda columns, operators: abs(vector(columns, operators))) if absolute and vector else None,
                gives=gives,
            )
        return Node(lambda look: function(*[run(look) for run in runs]), _names(children), gives=gives)

    def call_move(self, node: ast.Call, name: str, depth: int) -> Node:
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

        fixed = run(_nothing) if not wanted.names else None
        need = "state" if name == "entered" else "previous_state"
        return Node(
            entered if name == "entered" else left,
            wanted.names | {"state", BEFORE},
            gives="truth value",
            needs=((need, fixed),) if isinstance(fixed, str) else (),
        )

    def call_detector(self, node: ast.Call, name: str) -> Node:
        unit = "times" if name == "loops" else "ticks"
        for keyword in node.keywords:
            if keyword.arg != "character_id":
                raise self.wrong(keyword.value, f"{name} takes {unit} and, if you like, character_id=")
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
        asks = DETECTOR.format(name, "" if whose is None else whose)
        self.detectors.setdefault(asks, Detector(asks, name, whose, self.at(node)))

        def held(look: Lookup) -> bool:
            value = look(asks)
            return value is not None and value >= wanted

        return Node(held, frozenset({asks}), gives="truth value")

    def literal(self, node: ast.AST) -> Any:
        """Return a value that stands there as it is; `None` for what has to be calculated."""
        return node.value if isinstance(node, ast.Constant) else None

    def call_changed(self, node: ast.Call) -> Node:
        if len(node.args) != 1 or not isinstance(node.args[0], ast.Name):
            raise self.wrong(node, "changed takes one name: changed(mood)")
        (name,) = self.name(node.args[0]).names or (None,)
        if name is None:
            raise self.wrong(node.args[0], "this never changes")
        self.changed[name] = None
        asked = CHANGED.format(name)
        return Node(lambda look: bool(look(asked)), frozenset({name, asked}), gives="truth value")

    def subscript(self, node: ast.Subscript, depth: int) -> Node:
        children = (self.node(node.value, depth + 1), self.node(node.slice, depth + 1))
        container, key = (child.run for child in children)
        return Node(lambda look: values.subscript(container(look), key(look)), _names(children))

    def items(self, node: ast.List | ast.Tuple, depth: int) -> Node:
        children = tuple(self.node(item, depth + 1) for item in node.elts)
        runs = tuple(child.run for child in children)
        if not _names(children):
            fixed = [run(_nothing) for run in runs]
            return Node(lambda look: fixed, gives="list")
        return Node(lambda look: [run(look) for run in runs], _names(children), gives="list")


def _constant(value: Any) -> Node:
    number = values.number(value)  # `None` for an inexact double, which is compared row by row
    vector = None if number is None else lambda columns, _: number
    return Node(lambda look: value, vector=vector, gives=values.kind_of(value))


def _compare(symbol: str, left: Node, right: Node) -> Node:
    return Node(
        _quick(symbol, left, right) or _general(symbol, left.run, right.run),
        left.names | right.names,
        "test",
        vector=_over_columns(symbol, (left, right)),
        gives="truth value",
        needs=_needs(left, right) + _needs(right, left) if symbol == "==" else (),
    )


def _all_of(runs: tuple[Callable[[Lookup], Any], ...]) -> Callable[[Lookup], bool]:
    if len(runs) != 2:
        return lambda look: all(run(look) for run in runs)
    one, other = runs
    return lambda look: bool(one(look) and other(look))


def _either(kinds: tuple[str, ...]) -> str:
    return " or ".join(f"{'an' if kind[0] == 'o' else 'a'} {kind}" for kind in kinds)


def _general(symbol: str, one: Callable[[Lookup], Any], other: Callable[[Lookup], Any]) -> Callable[[Lookup], Any]:
    test = values.compare(symbol)
    return lambda look: test(one(look), other(look))


def _quick(symbol: str, left: Node, right: Node) -> Callable[[Lookup], Any] | None:
    """Compare a name with what stands there, in one call where the value is plain: it is done at each message."""
    name, general = left.name, _general(symbol, left.run, right.run)
    if name is None or right.names or (apply := values.QUICK.get(symbol)) is None:
        return None
    fixed = right.run(_nothing)
    kinds = {"text": _TEXTS, "number": _NUMBERS}.get(values.kind_of(fixed))
    if kinds is None:
        return None

    def test(look: Lookup) -> Any:
        value = look(name)
        if value.__class__ in kinds:
            return apply(value, fixed)
        return False if value is None else general(look)

    return test


def _needs(named: Node, fixed: Node) -> tuple[tuple[str, str], ...]:
    """Return which text a name must have where it is compared with one that stands there."""
    if named.name is None or fixed.names or not isinstance(text := fixed.run(_nothing), str):
        return ()
    return ((named.name, text),)


def _over_columns(symbol: str, operands: tuple[Node, Node]) -> Vector | None:
    left, right = (_numbers(operand) for operand in operands)
    if symbol not in values.ELEMENTWISE or left is None or right is None:
        return None
    return lambda columns, operators: operators[symbol](left(columns, operators), right(columns, operators))


def _numbers(node: Node) -> Vector | None:
    return None if node.kind == "test" else node.vector


def _names(nodes: tuple[Node, ...] | list[Node]) -> frozenset[str]:
    return frozenset().union(*(node.names for node in nodes))


def _nothing(name: str) -> None:
    return None
