"""Arguments that a person gives: read where they are given, and refused in one sentence that says what would be right.

Scalars of Python, numpy and pandas are alike. A truth value is no number.
"""

from __future__ import annotations

import math
import operator
from datetime import timedelta
from numbers import Real
from typing import Any


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """Read a whole number; `ValueError` for anything else."""
    try:
        number = None if _is_flag(value) else operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        limit = "" if least is None else f" from {least} on"
        raise ValueError(f"{name} is a whole number{limit}, not {_shown(value)}")
    return number


def positive_number(name: str, value: Any, unit: str = "") -> float:
    """Read a number above 0, or a length of time in seconds; `ValueError` for anything else."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if _is_flag(number) or not isinstance(number, Real) or not 0 < float(number) < math.inf:
        raise ValueError(f"{name} is a number{unit and f' of {unit}'} above 0, not {_shown(value)}")
    return float(number)


def flag(name: str, value: Any) -> bool:
    """Read a truth value; `ValueError` for anything else, such as the text "false", which would be true."""
    if not _is_flag(value):
        raise ValueError(f"{name} is True or False, not {_shown(value)}")
    return bool(value)


def text(name: str, value: Any) -> str:
    """Read a text that is not empty; `ValueError` for anything else."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is a text, not {_shown(value)}")
    return value


def text_or_none(name: str, value: Any) -> str | None:
    """Read a text that may be left out; `ValueError` for anything else."""
    return None if value is None else text(name, value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")  # numpy's, without numpy


def _shown(value: Any) -> str:
    try:
        return repr(value)[:80]
    except Exception:  # noqa: BLE001 — anything may be given, and its repr is foreign code
        return f"an object of {type(value).__name__}"
