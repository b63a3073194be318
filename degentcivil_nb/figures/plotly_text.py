"""Escaping of text from the wire for plotly, which interprets pseudo-HTML and formulas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..core.escaping import visible

CAP: Final = 60
"""The most characters of a name in a figure."""

_INERT: Final = str.maketrans(
    {
        "&": "&amp;",  # first, so that no entity from the wire is decoded
        "<": "&lt;",
        ">": "&gt;",
        "$": "&#36;",  # plotly passes text with a pair of dollars to MathJax, before it decodes entities
        "%": "&#37;",  # in hover templates %{…} is a variable
    }
)

_KEYS: Final = frozenset(
    [
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
        "__proto__",
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
    ]
)
"""Keys of every JavaScript object: plotly stores an axis' categories as keys, and takes these for existing ones."""


def plotly_text(value: Any, cap: int = CAP) -> str:
    """Return a value as text that plotly draws literally, wherever it takes text: names, ticks, titles, hovers.

    At most `cap` characters are kept before escaping; an ellipsis marks a cut.
    """
    text = value if isinstance(value, str) else str(value)
    shown = visible(text[:cap]).translate(_INERT) + ("…" if len(text) > cap else "")
    if shown in _KEYS:
        return f"&#{ord(shown[0])};{shown[1:]}"  # the same text under a different key
    return shown


def distinct_texts(values: Iterable[Any], cap: int = CAP) -> list[str]:
    """Return such texts for several values, distinct for different values (categories of an axis)."""
    taken: set[str] = set()
    texts = []
    for value in values:
        text, count = plotly_text(value, cap), 1
        shown = text
        while shown in taken:
            count += 1
            shown = f"{text} ({count})"
        taken.add(shown)
        texts.append(shown)
    return texts
