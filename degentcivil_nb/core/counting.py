"""Numbers with a noun in the singular or plural."""

from __future__ import annotations


def counted(number: float, one: str, several: str | None = None) -> str:
    """Format a number with its noun, `1 gap` and `2 gaps`; `several` is the plural where it is not `one` with an s."""
    shown = f"{number:,}" if isinstance(number, int) else f"{number:,.0f}"  # `.0f` would make a float of it first
    return f"{shown} {one if number == 1 else several or f'{one}s'}"
