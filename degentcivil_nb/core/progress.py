"""Progress of work that takes over a second: a bar in a notebook or on a terminal, else lines in the log."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from .arguments import function

logger = logging.getLogger("degentcivil_nb.core")

PATIENCE_S: Final = 1.0
"""Work that is done within this many seconds shows nothing, and does not import tqdm."""
Progress = Callable[[int, int], None]
"""A callback that receives how much of the total is done."""
Clock = Callable[[], float]


@contextmanager
def following(
    what: str, progress: Progress | None = None, *, clock: Clock = time.monotonic, patience_s: float | None = None
) -> Iterator[Progress]:
    """Yield a callback for the progress of `what` (such as `reading runs/a`): `progress` itself if it is given.

    Work known to be long, whose steps take seconds each, is shown from its first step with a `patience_s` of 0.
    """
    if progress is not None:
        yield function("progress", progress)
    elif is_in_notebook() or is_terminal():
        bar = Bar(what, clock, patience_s)
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield LogLines(what, clock)


def following_cell(what: str, *, patience_s: float | None = None) -> AbstractContextManager[Progress]:
    """Return `following` for what a cell waits for: on other threads, such as those of panels, it shows nothing."""
    is_main = threading.current_thread() is threading.main_thread()
    return following(what, None if is_main else _silent, patience_s=patience_s)


def _silent(done: int, total: int) -> None:
    """Show nothing."""


def is_in_notebook() -> bool:
    """Return whether this runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")  # a notebook has imported it already; other programs need not
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def is_terminal() -> bool:
    """Return whether standard error is shown on a terminal; under pythonw and in daemons it is `None`."""
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


class LogLines:
    """Progress as one line in the log each second."""

    def __init__(self, what: str, clock: Clock) -> None:
        self._what = what
        self._clock = clock
        self._due = clock() + PATIENCE_S

    def __call__(self, done: int, total: int) -> None:
        """Record that `done` of `total` is done."""
        if self._clock() >= self._due:
            self._due = self._clock() + PATIENCE_S
            logger.info("%s: %s of %s", self._what, f"{done:,}", f"{total:,}")


class Bar:
    """A tqdm bar, shown once the work takes over a second and removed at its end."""

    def __init__(self, what: str, clock: Clock, patience_s: float | None = None) -> None:
        self._what = what
        self._clock = clock
        self._due = clock() + (PATIENCE_S if patience_s is None else patience_s)
        self._bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Record that `done` of `total` is done."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        elif self._clock() >= self._due:
            bar = _bar_class()(initial=done, total=total, leave=False, dynamic_ncols=True, miniters=0)
            bar.set_description_str(self._what)  # tqdm.notebook does not escape a description passed to its constructor
            self._bar = bar

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.total = self._bar.n  # else tqdm leaves the bar of failed work on the screen
            self._bar.close()
            self._bar = None


class StatusLine:
    """A line on a terminal that each new text replaces; nothing is written where standard error is no terminal."""

    def __init__(self) -> None:
        self._line = None
        if is_terminal():
            self._line = _bar_class()(bar_format="{desc}", leave=False, dynamic_ncols=True)

    def show(self, text: str) -> None:
        """Replace the line by a text, cut to the width of the terminal."""
        if self._line is not None:
            self._line.set_description_str(text)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Clear the line while other lines are written."""
        if self._line is None:
            yield
        else:
            self._line.clear()
            yield
            self._line.refresh()

    def close(self) -> None:
        """Remove the line."""
        if self._line is not None:
            self._line.close()
            self._line = None


def _bar_class() -> Any:
    module = importlib.import_module("tqdm.notebook" if is_in_notebook() else "tqdm")
    # without tqdm's monitor thread, which would outlive the bars
    return type("Unwatched", (module.tqdm,), {"monitor_interval": 0})
