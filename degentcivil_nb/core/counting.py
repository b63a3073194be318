"""Numbers with what they count, as people write them."""

from __future__ import annotations


def counted(number: float, one: str, several: str | None = None) -> str:
    """Write a number with what it counts, `1 gap` and `2 gaps`; `several` where it is not `one` with an s."""
    shown = f"{number:,}" if isinstance(number, int) else f"{number:,.0f}"  # `.0f` would make a float of it first
    return f"{shown} {one if number == 1 else several or f'{one}s'}"
