"""Parsing of the names, whole numbers, durations and moments that a researcher passes.

Scalars of Python, numpy and pandas are treated alike. A bool is not accepted as a number, a duration or a moment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any, Final

import numpy as np
import pandas as pd

from .schema import LATEST_S, NAT, SECOND, to_ns

Names = Any
"""One name, any list-like of names, or `None` for all."""
Moment = Any
"""A time, its text, seconds since 1970, or a duration before the newest event (a timedelta or text like `"-30s"`)."""
LongTime = Any
"""Seconds, a timedelta, or a text such as `"5min"`."""

MOST: Final = 1 << 53
"""The largest whole number that every reader of JSON keeps exact: more than there are messages or ticks."""
_AGO: Final = re.compile(r"\s*ago$", re.IGNORECASE)
_LENGTH: Final = re.compile(r"[+-]?\s*(\d|P).*[a-z:].*", re.IGNORECASE)
"""A duration as text: it begins with a number and names a unit; a number without a unit is not a duration."""
_SPOKEN: Final[dict[str, str]] = {
    r"^(an?|one)\s+": "1 ",
    r"\b(\d+(?:\.\d+)?)\s*(?:weeks?|wks?)\b": r"\1 W",
    r"(?<=[\d\s])(sec|min|hr)s\b": r"\1",
}
"""Common units of durations that pandas does not read."""
_OF_DAY: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")


def _plain(value: Any) -> Any:
    """Convert a numpy scalar or an array without dimensions to a Python scalar; return all else unchanged."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0 and value.dtype.kind in "biufU":
        return value.item()
    return value


def name_of(value: Any) -> str:
    """Return a name as text: ids compare as text, an Enum becomes its name, a whole float loses its point."""
    value = _plain(value)
    if isinstance(value, bytes) or _is_missing(value) or getattr(type(value), "__repr__", None) is object.__repr__:
        raise ValueError(f"{value!r:.200} is not a name; pass a text, or a number that stands for it")
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # an id from a column of numbers with missing values, which pandas keeps as floats
    if isinstance(value, int | float | Decimal) or not _is_listlike(value):
        return str(value)
    raise ValueError(f"{value!r:.200} is not one name; pass a text, or a number that stands for it")


def names_of(names: Names) -> list[str] | None:
    """Return names as a list of texts, each once, in order; `None` for `None`, which means all.

    One name is any scalar; a list of names is anything iterable: a set, an array, an Index, a Series, a generator.
    Missing values among them are left out.
    """
    if names is None:
        return None
    if isinstance(names, bytes):
        raise ValueError(f"{names!r:.80} is not a name; pass a text or any list of texts")
    if not _is_listlike(names):
        return [] if _is_missing(names) else [name_of(names)]
    if isinstance(names, pd.DataFrame):
        raise ValueError("a DataFrame is not a list of names; pass one of its columns")
    return list(dict.fromkeys(name_of(name) for name in names if not _is_missing(name)))


def _is_listlike(value: Any) -> bool:
    if isinstance(value, str | bytes | Enum) or getattr(value, "ndim", None) == 0:
        return False
    return isinstance(value, Iterable)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def whole(value: Any, what: str, *, least: int | None = 0) -> int:
    """Return a whole number, also if it is given as `2.0`; raise `ValueError` for anything else, or below `least`."""
    number: Any = _plain(value)
    if not _is_number(number) or number != number or number % 1 != 0:
        raise ValueError(f"{what} must be a whole number, not {value!r:.80}")
    if least is not None and number < least:
        raise ValueError(f"{what} must be {'zero' if least == 0 else least} or more, not {value!r:.80}")
    given: int = int(number)
    return given


def not_held(row: int, first: int, after: int) -> KeyError:
    """Return the error for a row that is not held, of which those from `first` to before `after` are."""
    held = f"rows {first:,} to {after - 1:,} are" if after > first else "none are"
    return KeyError(f"row {row:,} is not held; {held}")


def seconds_of(value: LongTime, what: str) -> float:
    """Return a duration in seconds; raise `ValueError` for anything else. A real number is seconds already."""
    number = _plain(value)
    if _is_number(number):
        return float(number)
    length = _length(number)
    if length is None:
        raise ValueError(f"{what} of {value!r:.80} is not a duration; pass seconds, a timedelta, or text like '5min'")
    return length.total_seconds()


def wait_s(value: LongTime, what: str = "a timeout") -> float:
    """Return a timeout in seconds; raise `ValueError` for anything that is not a duration, or is below zero."""
    seconds = seconds_of(value, what)
    if not seconds >= 0:
        raise ValueError(f"{what} of {value!r:.80} is too short: it must be zero or more seconds")
    return seconds


def bucket_s(value: LongTime, what: str) -> int:
    """Return a duration in whole seconds, at least one; raise `ValueError` otherwise."""
    seconds = seconds_of(value, what)
    if not (1 <= seconds < LATEST_S and seconds % 1 == 0):
        raise ValueError(f"{what} of {value!r:.80} is not possible: it must be whole seconds, at least one")
    return int(seconds)


def moment_ns(moment: Moment, newest: int | None = None) -> int:
    """Return a moment in nanoseconds since 1970.

    A moment is a time (naive: UTC), its text, or any real number of seconds since 1970. A timedelta, `"10 min ago"` and
    `"-30s"` count back from `newest`, the time of the newest event, so that they mean the same for a live run, a
    finished one, and one with a simulated clock. Raises `ValueError` for anything else.
    """
    value = _plain(moment)
    if _is_number(value):
        nanoseconds = to_ns(float(value))
    elif (back := _before(value)) is not None:
        if newest is None or newest == NAT:
            raise ValueError(f"{moment!r:.80} counts back from the newest event, but there is no event yet")
        nanoseconds = max(0, newest - abs(round(back.total_seconds() * SECOND)))
    else:
        nanoseconds = _time_ns(value, moment, newest)
    if nanoseconds == NAT:
        raise ValueError(f"{moment!r:.80} is not a time between 1970 and 2262")
    return nanoseconds


def _time_ns(value: Any, moment: Any, newest: int | None) -> int:
    try:
        if not isinstance(value, str | date | np.datetime64):
            raise TypeError
        stamp = pd.Timestamp(_dated(value.strip(), newest) if isinstance(value, str) else value)
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        nanoseconds = int(stamp.as_unit("ns").value)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"{moment!r:.80} is not a time; pass a datetime, its text, seconds since 1970, or a text like '10 min ago'"
        ) from error
    return nanoseconds if nanoseconds >= 0 else NAT


def _dated(text: str, newest: int | None) -> Any:
    """Add the date to a text that has none: pandas would use the machine's own time zone."""
    now = pd.Timestamp.now("UTC")
    if text.lower() == "now":
        return now
    if text.lower() in ("today", "yesterday"):
        return now.normalize() - pd.Timedelta(days=int(text.lower() == "yesterday"))
    if _OF_DAY.fullmatch(text):
        day = now if newest is None or newest == NAT else pd.Timestamp(newest, unit="ns", tz="UTC")
        return f"{day:%Y-%m-%d} {text}"
    return text


def _is_number(value: Any) -> bool:
    # numpy's timedeltas count as its whole numbers
    return isinstance(value, Real | Decimal) and not isinstance(value, bool | np.timedelta64)


def _before(value: Any) -> timedelta | None:
    """Return how long ago a moment is; `None` if it is not given as a duration."""
    if not isinstance(value, str):
        return _length(value)
    text = _AGO.sub("", value.strip())
    # `P…` is the ISO 8601 form of a duration, which JSON uses too
    return _length(text) if text != value.strip() or text.startswith(("-", "P")) else None


def _length(value: Any) -> timedelta | None:
    if isinstance(value, str):
        for spoken, written in _SPOKEN.items():
            value = re.sub(spoken, written, value.strip(), flags=re.IGNORECASE)
        if not _LENGTH.fullmatch(value):
            return None
    elif not isinstance(value, timedelta | np.timedelta64 | pd.offsets.BaseOffset):
        return None
    try:
        length = pd.Timedelta(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return None if pd.isna(length) else length
