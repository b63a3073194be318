"""The text of a log point, with `{expressions}` of the condition language, limited in length and rate."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..core.text_of import text_of
from ..expressions.conditions import Condition, compile_condition
from ..expressions.mistakes import ConditionError

MAX_TEXT: Final = 1_000
MAX_VALUE: Final = 200
A_SECOND: Final = 20
"""The most texts of one log point each second; the next text begins with the number of those left out."""
_PART: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class LogText:
    """A checked text; `{{` and `}}` are braces."""

    def __init__(self, text: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Check the text; `ValueError` points at what is wrong in one of its expressions."""
        self._parts: list[str | Condition] = []
        self._clock = clock
        self._begun = -1.0
        self._told = 0
        self._left_out = 0
        at = 0
        for found in _PART.finditer(text):
            self._parts.append(text[at : found.start()])
            at = found.end()
            if found.group() in ("{{", "}}"):
                self._parts.append(found.group()[0])
            elif found.group(1) is None:
                raise ConditionError(
                    f"a single brace is at position {found.start()} of the log text; write {{{{ or }}}}", 0
                )
            else:
                self._parts.append(compile_condition(found.group(1)).fresh())
        self._parts.append(text[at:])

    @property
    def expressions(self) -> list[Condition]:
        """List the expressions of the text."""
        return [part for part in self._parts if isinstance(part, Condition)]

    @property
    def names(self) -> frozenset[str]:
        """Return the names that the expressions use."""
        return frozenset().union(*(part.names for part in self.expressions))

    def text(self, scope: Mapping[str, Any]) -> str | None:
        """Return the text with the expressions' values; `None` if there were too many texts in this second."""
        now = self._clock()
        if now - self._begun >= 1.0:
            self._begun, self._told = now, 0
        if self._told >= A_SECOND:
            self._left_out += 1
            return None
        self._told += 1
        text = "".join(part if isinstance(part, str) else _shown(part.evaluate(scope)) for part in self._parts)
        if self._left_out:
            text = f"({self._left_out} more left out) {text}"
            self._left_out = 0
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else text_of(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
