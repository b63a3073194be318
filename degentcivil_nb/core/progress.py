"""How far work is that takes over a second: a bar below a notebook's cell or on a terminal, and else in the log."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

logger = logging.getLogger("degentcivil_nb.core")

PATIENCE_S: Final = 1.0
"""Work that is done by then shows nothing, and costs no import of tqdm."""
Progress = Callable[[int, int], None]
"""Is told how much of how much is done."""
Clock = Callable[[], float]


@contextmanager
def following(what: str, progress: Progress | None = None, *, clock: Clock = time.monotonic) -> Iterator[Progress]:
    """Give what is to be told of the progress of `what` (such as `reading runs/a`): `progress` if there is one."""
    if progress is not None:
        yield progress
    elif is_in_notebook() or is_terminal():
        bar = Bar(what, clock)
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield LogLines(what, clock)


def is_in_notebook() -> bool:
    """Say whether a kernel runs this."""
    ipython = sys.modules.get("IPython")  # a notebook has imported it, and others need not
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def is_terminal() -> bool:
    """Say whether somebody can see what standard error shows; under pythonw and in daemons there is none."""
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


class LogLines:
    """A line in the log each second."""

    def __init__(self, what: str, clock: Clock) -> None:
        self._what = what
        self._clock = clock
        self._due = clock() + PATIENCE_S

    def __call__(self, done: int, total: int) -> None:
        """Take note that `done` of `total` is done."""
        if self._clock() >= self._due:
            self._due = self._clock() + PATIENCE_S
            logger.info("%s: %s of %s", self._what, f"{done:,}", f"{total:,}")


class Bar:
    """A bar of tqdm, made once the work takes over a second and taken away at its end."""

    def __init__(self, what: str, clock: Clock) -> None:
        self._what = what
        self._clock = clock
        self._due = clock() + PATIENCE_S
        self._bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Take note that `done` of `total` is done."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        elif self._clock() >= self._due:
            bar = _bar_class()(initial=done, total=total, leave=False, dynamic_ncols=True, miniters=0)
            bar.set_description_str(self._what)  # a cell's bar would not escape what it is made with
            self._bar = bar

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.total = self._bar.n  # the bar of work that failed would stay
            self._bar.close()
            self._bar = None


class StatusLine:
    """A line on a terminal that each new text replaces; nothing where nobody looks."""

    def __init__(self) -> None:
        self._line = None
        if is_terminal():
            self._line = _bar_class()(bar_format="{desc}", leave=False, dynamic_ncols=True)

    def show(self, text: str) -> None:
        """Put a text in the place of the last one, cut to the width of the terminal."""
        if self._line is not None:
            self._line.set_description_str(text)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Make room for other lines."""
        if self._line is None:
            yield
        else:
            self._line.clear()
            yield
            self._line.refresh()

    def close(self) -> None:
        """Take the line away."""
        if self._line is not None:
            self._line.close()
            self._line = None


def _bar_class() -> Any:
    module = importlib.import_module("tqdm.notebook" if is_in_notebook() else "tqdm")
    # tqdm's thread that watches for stalled bars would outlive them
    return type("Unwatched", (module.tqdm,), {"monitor_interval": 0})
