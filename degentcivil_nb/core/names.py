"""Suggestions for unknown names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

MOST_COMPARED: Final = 5_000
"""How many known names are compared at most: more would take over 50 ms."""

NEARLY: Final = 0.8
"""How similar a typo is to its name where new names are allowed: `mony` to `money`, but not `weather` to `watch`."""


def nearest(name: str, known: Iterable[Any], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar to another, or `None` if none is similar enough (1: the same).

    Ids that are no texts resemble nothing.
    """
    texts = (word for word in known if isinstance(word, str))
    near = [word for word in texts if abs(len(word) - len(name)) <= max(3, len(name) // 2)]
    folded = {word.casefold(): word for word in reversed(near[:MOST_COMPARED])}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[Any], cutoff: float = 0.6) -> str:
    """Return the end of a sentence that suggests a similar known name; empty if there is none."""
    meant = nearest(name[:200], known, cutoff)
    return "" if meant is None else f"; did you mean {meant[:80]!r}?"
