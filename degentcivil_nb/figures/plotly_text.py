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


def plotly_text(value: Any, cap: int = CAP) -> str:
    """Make text of a value that plotly draws as it stands, wherever it takes text: names, ticks, titles, hovers.

    At most `cap` characters are kept before escaping; an ellipsis says that there was more.
    """
    text = value if isinstance(value, str) else str(value)
    shown = visible(text[:cap])
    return shown.translate(_INERT) + ("…" if len(text) > cap else "")


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
