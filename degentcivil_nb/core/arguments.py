"""Validation of the arguments that a user passes: each is checked at the call and refused with one clear sentence.

Scalars of Python, numpy and pandas are treated alike. A bool is not accepted as a number.
"""

from __future__ import annotations

import math
import operator
import os
from datetime import timedelta
from numbers import Real
from typing import Any


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
    if _is_flag(number) or not isinstance(number, Real) or not 0 < float(number) < math.inf:
        raise ValueError(f"{name} must be a number{unit and f' of {unit}'} above 0, not {_shown(value)}")
    return float(number)


def flag(name: str, value: Any) -> bool:
    """Return a bool; raise `ValueError` for anything else, such as the text "false", which would be true."""
    if not _is_flag(value):
        raise ValueError(f"{name} must be True or False, not {_shown(value)}")
    return bool(value)


def text(name: str, value: Any) -> str:
    """Return a text that is not empty; raise `ValueError` for anything else."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text that is not empty, not {_shown(value)}")
    return value


def text_or_none(name: str, value: Any) -> str | None:
    """Return a text that is not empty, or `None`; raise `ValueError` for anything else."""
    return None if value is None else text(name, value)


def path(name: str, value: Any) -> str:
    """Return a path as text; raise `TypeError` for anything that is no path, and `ValueError` for an empty one."""
    try:
        found = os.fsdecode(value)
    except TypeError:
        raise TypeError(f"{name} must be a path, not {_shown(value)}") from None
    if not found:
        raise ValueError(f"{name} must be a path that is not empty")
    return found


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")  # numpy's, without numpy


def _shown(value: Any) -> str:
    try:
        return repr(value)[:80]
    except Exception:  # noqa: BLE001 — any object may be passed, and its repr is foreign code
        return f"an object of {type(value).__name__}"
