"""Validation of the arguments that a user passes: each is checked at the call and refused with one clear sentence.

Scalars of Python, numpy and pandas are treated alike. A bool is not accepted as a number.
"""

from __future__ import annotations

import math
import operator
import os
from datetime import timedelta
from enum import Enum
from numbers import Real
from typing import Any, TypeVar

_F = TypeVar("_F")


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """Return a whole number, of at least `least` if that is given; raise `ValueError` for anything else."""
    try:
        number = None if _is_flag(value) else operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        limit = "" if least is None else f" of at least {least}"
        raise ValueError(f"{name} must be a whole number{limit}, not {_shown(value)}")
    return number


def positive_number(name: str, value: Any, unit: str = "") -> float:
    """Return a number above 0, or a duration in seconds; raise `ValueError` for anything else."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        found = math.nan if _is_flag(number) or not isinstance(number, Real) else float(number)
    except OverflowError:  # a whole number beyond all floats
        found = math.inf
    if not 0 < found < math.inf:
        raise ValueError(f"{name} must be a number{unit and f' of {unit}'} above 0, not {_shown(value)}")
    return found


def flag(name: str, value: Any) -> bool:
    """Return a bool; raise `ValueError` for anything else, such as the text "false", which would be true."""
    if not _is_flag(value):
        raise ValueError(f"{name} must be True or False, not {_shown(value)}")
    return bool(value)


def text(name: str, value: Any) -> str:
    """Return a text that is not empty; raise `ValueError` for anything else."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text that is not empty, not {_shown(value)}")
    return str.__str__(value)  # numpy's texts are texts, but cannot be written as JSON


def text_or_none(name: str, value: Any) -> str | None:
    """Return a text that is not empty, or `None`; raise `ValueError` for anything else."""
    return None if value is None else text(name, value)


def word(name: str, value: Any) -> str:
    """Return an id or another name as text: a text, a number or an Enum; raise `ValueError` for anything else."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, str):
        return text(name, value)
    single: Any = value.item() if getattr(value, "ndim", None) == 0 else value
    if _is_flag(single) or not isinstance(single, Real) or not math.isfinite(single):
        raise ValueError(f"{name} must be a text or a number, not {_shown(value)}")
    return str(math.floor(single)) if single == math.floor(single) else str(single)


def word_or_none(name: str, value: Any) -> str | None:
    """Return an id or another name as text, or `None`; raise `ValueError` for anything else."""
    return None if value is None else word(name, value)


def number(name: str, value: Any, least: float = 0, unit: str = "") -> float:
    """Return a finite number of at least `least`; raise `ValueError` for anything else."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if _is_flag(seconds) or not isinstance(seconds, Real) or not least <= float(seconds) < math.inf:
        raise ValueError(f"{name} must be a number{unit and f' of {unit}'} of at least {least}, not {_shown(value)}")
    return float(seconds)


def port(name: str, value: Any) -> int:
    """Return a port number, 0 for a free one; raise `ValueError` for anything else."""
    try:
        number = -1 if _is_flag(value) else operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number <= 65535:
        raise ValueError(f"{name} must be a number from 1 to 65535, or 0 for a free one, not {_shown(value)}")
    return number


def path(name: str, value: Any) -> str:
    """Return a path as text; raise `TypeError` for anything that is not a path, and `ValueError` for an empty one."""
    try:
        found = os.fsdecode(value)
    except TypeError:
        raise TypeError(f"{name} must be a path, not {_shown(value)}") from None
    if not found:
        raise ValueError(f"{name} must be a path that is not empty")
    return found


def function(name: str, value: _F) -> _F:
    """Return a function; raise `TypeError` for anything that cannot be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, not {_shown(value)}")
    return value


def instance(name: str, value: Any, kind: type, what: str) -> Any:
    """Return an object of a class, or `None`; raise `TypeError` for anything else."""
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} must be {what}, not {_shown(value)}")
    return value


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")  # numpy's, without numpy


def _shown(value: Any) -> str:
    try:
        return repr(value)[:80]
    except Exception:  # noqa: BLE001 — any object may be passed, and its repr is foreign code
        return f"an object of {type(value).__name__}"
