"""The check of a command's arguments: JSON has no NaN and no infinity, and would silently send null (issue 10)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def refuse_not_finite(name: str, value: Any) -> None:
    """Raise `ValueError` if an argument of a command is NaN or infinite, or holds such a number."""
    for number in _floats(value, set()):
        if not math.isfinite(number):
            raise ValueError(
                f"the argument {name!r:.80} holds {number}, which cannot be sent; pass None for a missing number"
            )


def _floats(value: Any, inside: set[int]) -> Any:
    if isinstance(value, float):
        yield value
    elif isinstance(value, Mapping | list | tuple | set | frozenset):
        if id(value) not in inside:  # a value that contains itself is refused when it is encoded
            inside.add(id(value))
            for item in value.values() if isinstance(value, Mapping) else value:
                yield from _floats(item, inside)
    elif getattr(getattr(value, "dtype", None), "kind", "") == "f":
        listed = value.tolist()  # an array, a Series or a scalar of numpy
        if type(listed) is type(value):  # a long double, which has no number of Python
            listed = float(value)
        yield from listed if isinstance(listed, list) and value.ndim == 1 else _floats(listed, inside)
