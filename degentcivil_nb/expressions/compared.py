"""The values that a condition compares names with, checked when it is parsed: a typo would never match (issue 10)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

EVERYWHERE: Final = frozenset({"tick", "time", "code", "sim_time"})
"""Columns of numbers in events and messages alike."""
TIMES: Final = frozenset({"time", "received"})


class Compared(NamedTuple):
    """A name and a value that it is compared with, and the place of the value in the text."""

    name: str
    symbol: str
    value: Any
    at: int

    def problem(self, numbers: Collection[str] = EVERYWHERE) -> str | None:
        """Return what is wrong if a column of numbers is compared with a text; `None` if nothing is."""
        if self.name not in numbers or not isinstance(self.value, str):
            return None
        if self.name == "time":
            return "this is not a time; write it like '2026-01-31 12:00' (UTC), or as seconds since 1970"
        number = "a number of seconds since 1970" if self.name in TIMES else "a number"
        return f"{self.name} is {number}, so it cannot be compared with a text; leave the quotes out"


def compared(name: str, symbol: str, value: Any, at: int) -> list[Compared]:
    """List the values that a name is compared with: the value, or for `in` each item of a list."""
    if symbol in ("in", "not in"):
        return [Compared(name, symbol, item, at) for item in value] if isinstance(value, list) else []
    return [Compared(name, symbol, value, at)]


def time_of(text: str) -> float | None:
    """Read a time (ISO 8601, naive is UTC) as seconds since 1970; `None` if the text is not a time."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
