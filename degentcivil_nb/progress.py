"""How far work is that takes over a second: a bar below a notebook's cell or on a terminal, and else in the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

logger = logging.getLogger("degentcivil_nb.progress")

PATIENCE_S: Final = 1.0
REDRAW_S: Final = 0.2
Progress = Callable[[int, int], None]
"""Is told how much of how much is done."""
Clock = Callable[[], float]


class Shown(Protocol):
    """Be shown somewhere until it is closed."""

    def __call__(self, done: int, total: int) -> None:
        """Take note of how much of how much is done."""

    def close(self) -> None:
        """Take it away."""


@contextmanager
def following(what: str, progress: Progress | None = None) -> Iterator[Progress]:
    """Give what is to be told of the progress of `what` (such as `reading runs/a`): `progress` if there is one."""
    if progress is not None:
        yield progress
        return
    shown: Shown
    if _is_in_notebook():
        shown = CellBar(what)
    elif sys.stderr.isatty():
        from .shell import Progress as Bar  # a notebook has no use for the shell's words

        shown = Bar(what, sys.stderr)
    else:
        shown = LogLines(what)
    try:
        yield shown
    finally:
        shown.close()


def _is_in_notebook() -> bool:
    ipython = sys.modules.get("IPython")  # a notebook has imported it, and others need not
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class LogLines:
    """Tell the log each second how far it is."""

    def __init__(self, what: str, *, clock: Clock = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._due = clock() + PATIENCE_S

    def __call__(self, done: int, total: int) -> None:
        """Take note that `done` of `total` is done."""
        if self._clock() >= self._due:
            self._due = self._clock() + PATIENCE_S
            logger.info("%s: %s of %s", self._what, f"{done:,}", f"{total:,}")

    def close(self) -> None:
        """Do nothing: what was logged stays."""


class CellBar:
    """Show a bar below the cell that runs, once that takes over a second."""

    def __init__(self, what: str, *, clock: Clock = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._due = clock() + PATIENCE_S
        self._bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Take note that `done` of `total` is done."""
        if self._clock() < self._due:
            return
        self._due = self._clock() + REDRAW_S
        if self._bar is None:
            self._bar = self._made()
        bar, label = self._bar.children
        bar.value = min(1.0, done / total) if total else 1.0
        label.value = f"{self._what}: {done:,} of {total:,}"

    def _made(self) -> Any:
        import ipywidgets  # type: ignore[import-untyped]  # ships no types; both are imported when first used
        from IPython.display import display

        made = ipywidgets.HBox([ipywidgets.FloatProgress(max=1.0), ipywidgets.Label()])
        display(made)  # type: ignore[no-untyped-call]
        return made

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
