"""Mistakes in conditions, shown where they are."""

from __future__ import annotations


class ConditionError(ValueError):
    """A mistake in a condition; `at` is the position of the character that is wrong, from 0."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def mistake(text: str, at: int, message: str) -> ConditionError:
    """Return an error that shows the text with a caret under the mistake."""
    start = max(0, min(at - 40, len(text) - 80))
    shown = "".join(c if c.isprintable() else "?" for c in text[start : start + 80])
    lead, tail = "…" * (start > 0), "…" * (start + 80 < len(text))
    return ConditionError(f"{message}\n  {lead}{shown}{tail}\n  {' ' * (at - start + len(lead))}^", at)
