"""Short tracebacks in a notebook: the user's own line and one sentence, without the frames of this package.

Nothing is caught and no exception is changed. Only IPython's display is shortened, for an error that this package
raised on purpose, and for an interrupt while it waited. `%tb Verbose` shows the whole traceback.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

PACKAGE: Final = __name__.partition(".")[0]
MISTAKES: Final = (ValueError, TypeError, LookupError, AttributeError, OSError, RuntimeError)
"""The built-in kinds of exceptions that this package raises for users, beside its own."""
WHOLE: Final = "Verbose"
"""The mode of IPython's tracebacks in which nothing is left out."""
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_STANDARD: Final = sys.stdlib_module_names - {"__main__"}

Entry = tuple[FrameType, TracebackType]


def shorten_in_notebooks() -> bool:
    """Make the kernel of this process show short tracebacks; return False outside a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return False
    shorten(shell)
    return True


def shorten(shell: Any) -> None:
    """Make an IPython shell show short tracebacks; a second call changes nothing."""
    shows = shell.InteractiveTB
    original: Callable[..., list[str]] = shows.structured_traceback
    if getattr(original, "shortens", False):
        return

    @wraps(original)
    def structured_traceback(etype: Any, evalue: Any = None, etb: Any = None, *more: Any, **options: Any) -> list[str]:
        chained = not isinstance(etb, TracebackType)
        users = None if chained or shows.mode == WHOLE else users_part(evalue, etb)
        if users is None:
            return original(etype, evalue, etb, *more, **options)
        before = evalue.__cause__, evalue.__suppress_context__
        evalue.__cause__, evalue.__suppress_context__ = None, True
        try:
            return original(etype, evalue, users, *more, **options)
        finally:
            evalue.__cause__, evalue.__suppress_context__ = before

    structured_traceback.shortens = True  # type: ignore[attr-defined]
    shows.structured_traceback = structured_traceback


def stop_shortening(shell: Any) -> None:
    """Make a shell show tracebacks as it did before."""
    if getattr(shell.InteractiveTB.structured_traceback, "shortens", False):
        del shell.InteractiveTB.structured_traceback  # the class's own shows again


def users_part(error: object, traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without this package's frames, if only these follow the user's frames; else `None`."""
    frames = list(_frames(traceback))
    first = next((place for place, (frame, _) in enumerate(frames) if is_ours(frame)), 0)
    if not first or not _says_enough(error, frames[first:]):
        return None
    short: TracebackType | None = None
    for frame, entry in reversed(frames[:first]):
        short = TracebackType(short, frame, entry.tb_lasti, entry.tb_lineno)
    return short


def is_deliberate(error: BaseException) -> bool:
    """Return whether this package raised an exception on purpose, so that its text is for the user."""
    frames = list(_frames(error.__traceback__))
    first = next((place for place, (frame, _) in enumerate(frames) if is_ours(frame)), len(frames))
    return _says_enough(error, frames[first:])


def _says_enough(error: object, inside: list[Entry]) -> bool:
    """Return whether an exception is clear without these frames: all are this package's, and it is not a bug."""
    if not inside or not all(is_ours(frame) or is_library(frame) for frame, _ in inside):
        return False
    if isinstance(error, KeyboardInterrupt) or _package(type(error).__module__) == PACKAGE:
        return True
    frame, entry = inside[-1]
    raised = linecache.getline(frame.f_code.co_filename, entry.tb_lineno).lstrip().startswith("raise ")
    return isinstance(error, MISTAKES) and is_ours(frame) and raised


def is_ours(frame: FrameType) -> bool:
    """Return whether a frame belongs to this package."""
    return _package(frame.f_globals.get("__name__")) == PACKAGE


def is_library(frame: FrameType) -> bool:
    """Return whether a frame belongs to Python or to an installed library, and so is not the user's."""
    package = _package(frame.f_globals.get("__name__"))
    origin = getattr(sys.modules.get(package), "__file__", None) or ""  # code that Cython compiled names no whole path
    installed = any(not _INSTALLED.isdisjoint(Path(path).parts) for path in (frame.f_code.co_filename, origin))
    return installed or package in _STANDARD


def _package(module: object) -> str:
    return str(module).partition(".")[0]


def _frames(traceback: TracebackType | None) -> Iterator[Entry]:
    while traceback is not None:
        yield traceback.tb_frame, traceback
        traceback = traceback.tb_next
