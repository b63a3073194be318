"""Evaluation of a condition over columns: numeric parts at once, categories once for each category, the rest by row.

This is the only module of the language that needs numpy. It is imported when a mask is requested, never in a
simulation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .nodes import Node
from .values import EXACT, OF_TYPES, in_payload

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


class Words(NamedTuple):
    """A column of categories: for each row an index into `words`, −1 where it is null."""

    codes: npt.NDArray[np.integer[Any]]
    words: Sequence[str]


class Whole(NamedTuple):
    """A column of whole numbers, null where `missing`."""

    numbers: npt.NDArray[np.integer[Any]]
    missing: npt.NDArray[np.bool_]

    @property
    def exact(self) -> bool:
        """Return whether doubles hold all of them exactly."""
        known = self.numbers[~self.missing] if self.missing.any() else self.numbers
        return not len(known) or (int(known.min()) >= -EXACT and int(known.max()) <= EXACT)

    def doubles(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the numbers of rows as doubles, NaN where there is none."""
        given = self.numbers[rows].astype(np.float64)
        given[self.missing[rows]] = np.nan
        return given


class InexactError(Exception):
    """The signal that doubles cannot hold a value exactly, so that it is calculated row by row."""


def _finite(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], npt.NDArray[np.float64]]:
    def calculate(left: Any, right: Any) -> npt.NDArray[np.float64]:
        result = np.asarray(apply(left, right), dtype=np.float64)
        finite = np.isfinite(result)
        if (finite & (np.abs(result) > EXACT)).any():
            raise InexactError
        return np.where(finite, result, np.nan)

    return calculate


def _unequal(left: Any, right: Any) -> Any:
    return (left < right) | (left > right)  # unlike !=, false if either is null


OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    **{
        symbol: _finite(apply)
        for symbol, apply in {
            "+": np.add,
            "-": np.subtract,
            "*": np.multiply,
            "/": np.divide,
            "%": np.remainder,
        }.items()
    },
    "==": operator.eq,
    "!=": _unequal,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""The operators over arrays of doubles in which NaN is null; use them under `np.errstate(all="ignore")`."""

Column = npt.NDArray[Any] | Words | Whole | None
Columns = Callable[[str], Column]
Payload = Callable[[int], Any]


def mask_of(root: Node, columns: Columns, rows: int, payload: Payload) -> Mask:
    """Return for each of `rows` rows whether a condition is true."""
    table = _Table(root.names, columns, payload)
    with np.errstate(all="ignore"):
        return table.mask(root, np.arange(rows, dtype=np.intp))


class _Table:
    """The columns that a condition names; `mask` evaluates a part of the condition over some of the rows."""

    def __init__(self, names: frozenset[str], columns: Columns, payload: Payload) -> None:
        self.columns = {name: column for name in sorted(names) if (column := columns(name)) is not None}
        self.numbers = {name for name, column in self.columns.items() if _is_double(column)}
        self.payload = payload
        self.types = columns("type") if not names.isdisjoint(OF_TYPES) else None

    def mask(self, node: Node, rows: Rows) -> Mask:
        match node.kind:
            case "not":
                return ~self.mask(node.children[0], rows)
            case "and" | "or":
                return self.several(node, rows)
        if not node.names:
            return np.full(len(rows), bool(node.run(_nothing)))
        if node.vector is not None and node.names <= self.numbers:
            try:
                return _truth(node.vector(lambda name: self.doubles(name, rows), OPERATORS), len(rows))
            except InexactError:
                return self.by_row([node], rows, every=True)
        if len(node.names) == 1:
            (name,) = node.names
            column = self.columns.get(name)
            if isinstance(column, Words):
                return self.by_word(node, name, column, rows)
        return self.by_row([node], rows, every=True)

    def several(self, node: Node, rows: Rows) -> Mask:
        """Evaluate an `and` or `or`: cheap parts first, and each part only on rows not yet decided."""
        every = node.kind == "and"
        result = np.full(len(rows), every)
        open_rows = np.arange(len(rows), dtype=np.intp)
        known = [child for child in node.children if self.cost(child) == 0]
        mixed = [child for child in node.children if self.cost(child) == 1]
        slow = [child for child in node.children if self.cost(child) == 2]
        parts: list[Callable[[Rows], Mask]] = [lambda at, child=child: self.mask(child, at) for child in known + mixed]  # type: ignore[misc]
        if slow:
            parts.append(lambda at: self.by_row(slow, at, every=every))
        for part in parts:
            if not len(open_rows):
                break
            held = part(rows[open_rows])
            decided = ~held if every else held
            result[open_rows[decided]] = not every
            open_rows = open_rows[~decided]
        return result

    def cost(self, node: Node) -> int:
        """Return 0 for a part that needs no payload, 1 if some rows need it, 2 for one evaluated by row."""
        if node.names <= self.columns.keys():
            return 0
        return 1 if node.children else 2

    def by_word(self, node: Node, name: str, column: Words, rows: Rows) -> Mask:
        codes = column.codes[rows]
        seen = np.flatnonzero(np.bincount(codes + 1, minlength=1))
        table = np.zeros(len(column.words) + 1, dtype=np.bool_)
        for code in seen.tolist():
            word = column.words[code - 1] if code else None
            table[code] = bool(node.run(lambda _name, word=word: word))  # type: ignore[misc]
        answer: Mask = table[codes + 1]
        return answer

    def by_row(self, nodes: list[Node], rows: Rows, *, every: bool) -> Mask:
        """Evaluate parts row by row, decoding each payload at most once; `every`: all must be true, else one."""
        combine = all if every else any
        runs = [node.run for node in nodes]
        result = np.empty(len(rows), dtype=np.bool_)
        for position, row in enumerate(rows.tolist()):
            look = _Row(self, row).look
            result[position] = combine(run(look) for run in runs)
        return result

    def doubles(self, name: str, rows: Rows) -> npt.NDArray[np.float64]:
        column = self.columns[name]
        if isinstance(column, Whole):
            return column.doubles(rows)
        return np.asarray(column)[rows].astype(np.float64)


class _Row:
    """The names of one row: its columns, else the keys of its payload."""

    __slots__ = ("_decoded", "_table", "_value", "row")

    def __init__(self, table: _Table, row: int) -> None:
        self._table = table
        self.row = row
        self._decoded = False
        self._value: Any = None

    def look(self, name: str) -> Any:
        column = self._table.columns.get(name)
        if isinstance(column, Words):
            code = int(column.codes[self.row])
            return column.words[code] if code >= 0 else None
        if isinstance(column, Whole):
            return None if column.missing[self.row] else int(column.numbers[self.row])
        if column is not None:
            return column[self.row]
        if not self._decoded:
            self._value = self._table.payload(self.row)
            self._decoded = True
        return in_payload(self._value, name, self.type)

    def type(self) -> Any:
        """Return the event's type, if there is such a column."""
        column = self._table.types
        if isinstance(column, Words):
            code = int(column.codes[self.row])
            return column.words[code] if code >= 0 else None
        return None if column is None else column[self.row]


def _is_double(column: Column) -> bool:
    if isinstance(column, Whole):
        return column.exact
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        return Whole(column, np.zeros(len(column), np.bool_)).exact
    return isinstance(column, np.ndarray) and column.dtype.kind == "f"


def _truth(values: Any, rows: int) -> Mask:
    array = np.asarray(values)
    if array.dtype != np.bool_:
        array = (array < 0) | (array > 0)  # NaN (null) is false
    return np.broadcast_to(array, rows).copy()


def _nothing(name: str) -> None:
    return None
