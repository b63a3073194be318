"""Values and operators of the condition language: whole numbers are exact, missing values are null.

Nothing here raises: an operation that makes no sense results in null, such a comparison in false.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

EXACT: Final = 1 << 53
"""The largest whole number up to which all are exact as doubles."""
MAX_BITS: Final = 4_096
"""The most bits of an exact whole number; a larger one becomes a double, so that none grows without limit."""
MAX_TEXT: Final = 1_000_000
"""The longest text that `+` makes; a longer one is null."""

_PLAIN: Final = frozenset({str, int, bool, list, dict, type(None)})
_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
QUICK: Final = {symbol: apply for symbol, apply in _ORDER.items() if symbol != "!="}
"""Comparisons that are false for NaN too, so that only an answer of true has to be looked at for infinity."""
ELEMENTWISE: Final = frozenset({*_ARITHMETIC, *_ORDER})
"""The operators that also exist over whole columns (`columns.OPERATORS`)."""
OF_TYPES: Final = {"data": ("event_notification",), "previous_state": ("state_change", "character_update")}
"""Names of payloads' keys that have a value only in messages of these types, as columns have."""


def plain(value: Any) -> Any:
    """Convert a value to a type of the language: null, bool, int, float, str, list or dict.

    A time becomes seconds since the Unix epoch, and any other type null. So do NaN and infinity, which JSON lacks: a
    breakpoint sees them before they are sent, and everything else sees null.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, (str, bool, int, list, dict)):
        return value
    if isinstance(value, datetime):
        if value != value:  # pandas' missing time does not equal itself
            return None
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
    item = getattr(value, "item", None)  # a scalar of numpy
    if item is None or getattr(value, "ndim", 1) != 0:
        return None
    got = item()
    if isinstance(got, int) and getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M"):
        return got / 1e9 if got >= 0 else None  # a time in nanoseconds, for which Python has no type
    return plain(got) if isinstance(got, (str, bool, int, float, datetime)) else None


def in_payload(payload: Any, name: str, type: Callable[[], Any]) -> Any:
    """Return a payload's value of a key; `payload` is all of it, `data` the inner value of an event notification."""
    if name == "payload":
        return payload
    if not isinstance(payload, dict) or (name in OF_TYPES and type() not in (*OF_TYPES[name], None)):
        return None
    return payload.get(name)


def id_text(value: Any) -> Any:
    """Return a whole number as the text of an id, also within a list."""
    if isinstance(value, list):
        return [id_text(item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def number(value: Any) -> float | None:
    """Return a number as a double; null for anything else, for bools, and if the double would be inexact."""
    if not is_number(value):
        return None
    if isinstance(value, int) and abs(value) > EXACT:
        return None
    return float(value)


def is_number(value: Any) -> bool:
    """Return whether a value is a number; a bool is not, and NaN and infinity are null."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def arithmetic(symbol: str) -> Callable[[Any, Any], Any]:
    """Apply one of `+ - * / %` to two values; for whole numbers all but division is exact."""
    apply = _ARITHMETIC[symbol]

    def calculate(left: Any, right: Any) -> Any:
        if symbol == "+" and isinstance(left, str) and isinstance(right, str):
            return left + right if len(left) + len(right) <= MAX_TEXT else None
        if not is_number(left) or not is_number(right) or (right == 0 and symbol in "/%"):
            return None
        whole = isinstance(left, int) and isinstance(right, int) and symbol != "/"
        if whole and left.bit_length() + right.bit_length() <= MAX_BITS:
            return apply(left, right)
        try:
            result = float(apply(left, right) if symbol == "/" else apply(float(left), float(right)))
        except OverflowError:
            return None
        return result if math.isfinite(result) else None

    return calculate


def negative(value: Any) -> Any:
    """Negate a number."""
    return -value if is_number(value) else None


def positive(value: Any) -> Any:
    """Return a number unchanged, and null for anything else."""
    return value if is_number(value) else None


def compare(symbol: str) -> Callable[[Any, Any], bool]:
    """Apply one of `== != < <= > >= in` or `not in` to two values."""
    if symbol == "in":
        return contains_in
    if symbol == "not in":
        return _not_in
    apply = _ORDER[symbol]
    equality = symbol in ("==", "!=")

    def test(left: Any, right: Any) -> bool:
        if isinstance(left, str):
            return isinstance(right, str) and apply(left, right)
        if is_number(left) and is_number(right):
            return apply(left, right)  # Python compares whole numbers and doubles exactly
        if not equality:
            return False
        for kind in (bool, list, dict):
            if isinstance(left, kind) and isinstance(right, kind):
                try:
                    return bool(apply(left, right))
                except RecursionError:
                    return False
        return False

    return test


_equal = compare("==")


def contains_in(item: Any, container: Any) -> bool:
    """Return whether a text contains a text, a list an equal item, or an object a key."""
    if isinstance(container, str):
        return isinstance(item, str) and item in container
    if isinstance(container, dict):
        return isinstance(item, str) and item in container
    return isinstance(container, list) and any(_equal(item, other) for other in container)


def _not_in(item: Any, container: Any) -> bool:
    if isinstance(container, (str, dict)):
        return isinstance(item, str) and item not in container
    return item is not None and isinstance(container, list) and not contains_in(item, container)


def subscript(container: Any, key: Any) -> Any:
    """Return an object's value of a key, or a list's item at an index from 0 (from the end if negative)."""
    if isinstance(container, dict):
        return plain(container.get(key)) if isinstance(key, str) else None
    if isinstance(container, list) and isinstance(key, int) and not isinstance(key, bool):
        return plain(container[key]) if -len(container) <= key < len(container) else None
    return None


def length(value: Any) -> int | None:
    """Count the characters of a text, the items of a list or the keys of an object."""
    return len(value) if isinstance(value, (str, list, dict)) else None


def absolute(value: Any) -> Any:
    """Return a number without its sign."""
    return abs(value) if is_number(value) else None


def lower(value: Any) -> str | None:
    """Return a text in lower case."""
    return value.lower() if isinstance(value, str) else None


def contains(container: Any, item: Any) -> bool:
    """Evaluate `item in container`."""
    return contains_in(item, container)


def startswith(text: Any, prefix: Any) -> bool:
    """Return whether a text starts with another."""
    return isinstance(text, str) and isinstance(prefix, str) and text.startswith(prefix)


def least(*values: Any) -> Any:
    """Return the smallest of some numbers or texts, or of one list of them."""
    return _extreme(min, values)


def greatest(*values: Any) -> Any:
    """Return the largest of some numbers or texts, or of one list of them."""
    return _extreme(max, values)


def _extreme(choose: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    items = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
    if items and all(isinstance(item, str) for item in items):
        return choose(items)
    if items and all(is_number(item) for item in items):
        return choose(items)
    return None


class Function(NamedTuple):
    """A function of the language: its implementation, and the kinds of value that each argument may have (none: any).

    `more` are the kinds of any number of further arguments; `None` if no further ones are allowed.
    """

    run: Callable[..., Any]
    takes: tuple[tuple[str, ...], ...]
    gives: str | None = None
    more: tuple[str, ...] | None = None


_TEXT, _NUMBER, _HOLDS = ("text",), ("number",), ("text", "list", "object")
_ORDERED = ("number", "text", "list")

FUNCTIONS: Final[dict[str, Function]] = {
    "len": Function(length, (_HOLDS,), "number"),
    "abs": Function(absolute, (_NUMBER,), "number"),
    "min": Function(least, (_ORDERED,), more=("number", "text")),
    "max": Function(greatest, (_ORDERED,), more=("number", "text")),
    "lower": Function(lower, (_TEXT,), "text"),
    "contains": Function(contains, (_HOLDS, ()), "truth value"),
    "startswith": Function(startswith, (_TEXT, _TEXT), "truth value"),
}
"""The plain functions of the language, with the kinds of values they take and give; `calls.py` has the others."""


def kind_of(value: Any) -> str:
    """Name the kind of a plain value, as error messages do."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "truth value"
    if isinstance(value, dict):
        return "object"
    return "text" if isinstance(value, str) else "number" if isinstance(value, (int, float)) else "list"
