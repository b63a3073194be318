"""Warnings at the line of the user's own code."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Final, cast

PACKAGE: Final = __name__.partition(".")[0]


def warn_user(text: str) -> None:
    """Warn at the user's line: the first of the stack outside this package, and outside IPython, which runs `%dc`."""
    level, frame = 1, cast("FrameType | None", sys._getframe())
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in (PACKAGE, "IPython"):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)
