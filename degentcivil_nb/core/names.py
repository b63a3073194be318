"""Names that are not known, and the known one that may be meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

MOST_COMPARED: Final = 5_000
"""Comparing with more names takes over 50 ms."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Give the known name that is most like another; `None` where none is like it."""
    near = [word for word in known if abs(len(word) - len(name)) <= max(3, len(name) // 2)]
    folded = {word.casefold(): word for word in reversed(near[:MOST_COMPARED])}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Write the end of a sentence that says that there is no such name; empty where no known one is like it."""
    meant = nearest(name[:200], known)
    return "" if meant is None else f"; did you mean {meant[:80]!r}?"
