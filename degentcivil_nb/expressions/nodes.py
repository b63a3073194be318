"""The parts of a checked condition, and how each is evaluated: for one message, or over columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, NamedTuple

from . import values

Lookup = Callable[[str], Any]
"""The value of a name during evaluation; `None` if it is missing."""
Operators = Mapping[str, Callable[[Any, Any], Any]]
Vector = Callable[[Lookup, Operators], Any]
"""The same over columns: names give arrays of doubles (NaN: null), the result is an array or one double.
The operators over arrays are passed in, so that a condition can be read and evaluated without numpy.
"""
CHANGED: Final = "changed({})"
"""The name with which `changed(name)` calls the lookup."""
BECAME: Final = "became({})"
"""The name under which the n-th `became(condition)` of a condition is looked up."""
BEFORE: Final = "previous_state()"
"""The name under which `entered` and `left` look up the state before."""
DETECTOR: Final = "{}({})"
"""The name under which `silent(…)`, `stuck(…)` and `loops(…)` are looked up; in brackets the character, if any."""
DETECTORS: Final = ("silent", "stuck", "loops")
TOTALS: Final = frozenset({"total_cost", "total_calls"})
_TEXTS: Final = frozenset({str})
_NUMBERS: Final = frozenset({int, float})
_MIRRORED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<=", "in": "contains"}
"""The comparison that says the same with its sides exchanged."""
_PLAIN: Final = frozenset({*_MIRRORED, "not in", "contains", "startswith"})
_TRUTHS: Final = frozenset({bool})


class Plain(NamedTuple):
    """A comparison of a name with a literal number, text, truth value or list of texts.

    `symbol` is one of `== != < <= > >=`, `in` and `not in` (a list of texts), `contains` or `startswith`; for a truth
    value `==` or `!=`.
    """

    name: str
    symbol: str
    value: Any


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
    """The name, if the part is only a name."""
    gives: str | None = None
    """The kind of the part's value, if that is known before evaluation."""
    needs: tuple[tuple[str, str], ...] = ()
    """Names and the texts that they must have for the part to be true; `previous_state` is included."""
    plain: Plain | None = None
    """The comparison, if the part only compares a name with a plain value."""


class Became(NamedTuple):
    """A call of `became`: the name for the lookup, the condition inside, and the position in the text."""

    asks: str
    condition: Node
    at: int


class Detector(NamedTuple):
    """A question about a stretch of ticks: the name for the lookup, the function, and the character if one is given.

    `at` is the position of the question in the text.
    """

    asks: str
    function: str
    character_id: str | None
    at: int


def as_id(node: Node) -> Node:
    """Return a node's value with whole numbers as text, for comparison with an id."""
    return Node(lambda look: values.id_text(node.run(look)), node.names)


def constant(value: Any) -> Node:
    """Make the node of a literal value."""
    number = values.number(value)  # `None` for an inexact double, which is compared row by row
    vector = None if number is None else lambda columns, _: number
    return Node(lambda look: value, vector=vector, gives=values.kind_of(value))


def comparison(symbol: str, left: Node, right: Node) -> Node:
    """Make the node that compares two others."""
    return Node(
        _quick(symbol, left, right) or _general(symbol, left.run, right.run),
        left.names | right.names,
        "test",
        vector=over_columns(symbol, (left, right)),
        gives="truth value",
        needs=_needs(left, right) + _needs(right, left) if symbol == "==" else (),
        plain=_plain(symbol, left, right) or _plain(_MIRRORED.get(symbol), right, left),
    )


def joined(kind: str, children: tuple[Node, ...]) -> Node:
    """Make the node of an `and` or an `or`."""
    join = all_of if kind == "and" else any_of
    needs = tuple(need for child in children for need in child.needs) if kind == "and" else ()
    return Node(join(tuple(child.run for child in children)), names_of(children), kind, children, needs=needs)


def negated(child: Node) -> Node:
    """Make the node of a `not`."""
    run = child.run
    return Node(lambda look: not run(look), child.names, "not", (child,), gives="truth value")


def all_of(runs: tuple[Callable[[Lookup], Any], ...]) -> Callable[[Lookup], bool]:
    """Join tests into one that is true if all of them are."""
    if len(runs) == 2:
        one, other = runs
        return lambda look: bool(one(look) and other(look))

    def test(look: Lookup) -> bool:
        for run in runs:  # noqa: SIM110 — a generator within all() takes half as long again
            if not run(look):
                return False
        return True

    return test


def any_of(runs: tuple[Callable[[Lookup], Any], ...]) -> Callable[[Lookup], bool]:
    """Join tests into one that is true if any of them is."""
    if len(runs) == 2:
        one, other = runs
        return lambda look: bool(one(look) or other(look))

    def test(look: Lookup) -> bool:
        for run in runs:  # noqa: SIM110 — as above
            if run(look):
                return True
        return False

    return test


def _general(symbol: str, one: Callable[[Lookup], Any], other: Callable[[Lookup], Any]) -> Callable[[Lookup], Any]:
    test = values.compare(symbol)
    return lambda look: test(one(look), other(look))


def _quick(symbol: str, left: Node, right: Node) -> Callable[[Lookup], Any] | None:
    """Return a fast comparison of a name with a literal, or `None`: it runs at each message."""
    name, general = left.name, _general(symbol, left.run, right.run)
    if name is None or right.names or (apply := values.QUICK.get(symbol)) is None:
        return None
    fixed = right.run(nothing)
    kinds = {"text": _TEXTS, "number": _NUMBERS}.get(values.kind_of(fixed))
    if kinds is None:
        return None

    def test(look: Lookup) -> Any:
        value = look(name)
        if value.__class__ in kinds:
            return apply(value, fixed) and (value.__class__ is not float or isfinite(value))
        return False if value is None else general(look)

    return test


def _plain(symbol: str | None, named: Node, fixed: Node) -> Plain | None:
    """Return the comparison of a name with a plain value; `None` for anything else."""
    if symbol is None or named.name is None or fixed.names:
        return None
    value = fixed.run(nothing)
    if symbol in ("in", "not in"):
        texts = isinstance(value, list) and all(type(item) is str for item in value)
        return Plain(named.name, symbol, tuple(value)) if texts else None
    kinds = _TEXTS if symbol in ("contains", "startswith") else _TEXTS | _NUMBERS
    if symbol in ("==", "!="):
        kinds |= _TRUTHS
    return Plain(named.name, symbol, value) if type(value) in kinds and symbol in _PLAIN else None


def plain_call(function: str, arguments: tuple[Node, ...]) -> Plain | None:
    """Return a call of `contains` or `startswith` as the comparison of a name with a text; else `None`."""
    return _plain(function, *arguments) if function in ("contains", "startswith") else None


def _needs(named: Node, fixed: Node) -> tuple[tuple[str, str], ...]:
    """Return the text that a name must have if it is compared with a literal text."""
    if named.name is None or fixed.names or not isinstance(text := fixed.run(nothing), str):
        return ()
    return ((named.name, text),)


def over_columns(symbol: str, operands: tuple[Node, Node]) -> Vector | None:
    """Return an operation over whole columns, or `None` if it must be evaluated row by row."""
    left, right = (numbers(operand) for operand in operands)
    if symbol not in values.ELEMENTWISE or left is None or right is None:
        return None
    return lambda columns, operators: operators[symbol](left(columns, operators), right(columns, operators))


def numbers(node: Node) -> Vector | None:
    """Return a node's values over columns, or `None` for a test."""
    return None if node.kind == "test" else node.vector


def names_of(nodes: tuple[Node, ...] | list[Node]) -> frozenset[str]:
    """Return the names that occur in nodes."""
    return frozenset().union(*(node.names for node in nodes))


def nothing(name: str) -> None:
    """Look up nothing: every name is missing."""
    return
