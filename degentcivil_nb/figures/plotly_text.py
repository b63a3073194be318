"""The one way from the wire's text into a figure: plotly reads pseudo-HTML and formulas, and here it finds none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..core.escaping import visible

CAP: Final = 60
"""Characters of a name in a figure."""

_INERT: Final = str.maketrans(
    {
        "&": "&amp;",  # first of all, so that no entity of the wire's is decoded
        "<": "&lt;",
        ">": "&gt;",
        "$": "&#36;",  # plotly hands a text to MathJax when it finds a pair of dollars, before it decodes entities
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
"""What every JavaScript object has: plotly keeps an axis' categories as keys of one, and takes these for known."""


def plotly_text(value: Any, cap: int = CAP) -> str:
    """Make text of a value that plotly draws as it stands, wherever it takes text: names, ticks, titles, hovers.

    At most `cap` characters are kept before escaping; an ellipsis says that there was more.
    """
    text = value if isinstance(value, str) else str(value)
    shown = visible(text[:cap]).translate(_INERT) + ("…" if len(text) > cap else "")
    if shown in _KEYS:
        return f"&#{ord(shown[0])};{shown[1:]}"  # the same text, and another key
    return shown


def distinct_texts(values: Iterable[Any], cap: int = CAP) -> list[str]:
    """Make such text of several values so that two different ones never look alike (categories of an axis)."""
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
