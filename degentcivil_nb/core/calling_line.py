"""The line of the simulation's own code that called the probe, for complaints about wrong use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_NOT_THE_SIMULATION: Final = {
    __name__.partition(".")[0],
    *("asyncio", "concurrent", "contextlib", "functools", "logging", "threading"),
}
"""This package, and what only passes a call on."""


def calling_line() -> str:
    """Return where the simulation called this package, such as ``" (town.py, line 12)"``; empty if it did not.

    Looked up only when there is something to complain about, which is once a kind.
    """
    frame = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _NOT_THE_SIMULATION:
        frame = frame.f_back  # type: ignore[assignment]
    return "" if frame is None else f" ({Path(frame.f_code.co_filename).name}, line {frame.f_lineno})"
