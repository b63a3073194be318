"""The check of a command's arguments: JSON has no NaN and no infinity, and would silently send null (issue 10)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..protocol.errors import WebSocketError
from ..protocol.json_text import encode


def refuse_unsendable(name: str, value: Any) -> None:
    """Raise `ValueError` if an argument of a command has no JSON form, such as NaN."""
    for number in _floats(value, set()):
        if not math.isfinite(number):
            raise ValueError(
                f"the argument {name!r:.80} holds {number}, which cannot be sent; pass None for a missing number"
            )
    try:
        encode(value)
    except WebSocketError as error:
        raise ValueError(f"the argument {name!r:.80} {error.message}") from None


def refuse_longer(name: str, value: str | None, most: int) -> None:
    """Raise `ValueError` if a text is longer than a simulation accepts it."""
    if value is not None and len(value) > most:
        raise ValueError(f"{name} has {len(value):,} characters, and at most {most:,} are possible")


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
