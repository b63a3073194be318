"""Ctrl-C during a wait: the `KeyboardInterrupt` says what happens to the command or connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupt_says(text: str, leave: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Call `leave` when Ctrl-C interrupts the `with` block, and raise the `KeyboardInterrupt` with this text."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        leave()
        interrupt.args = (text,)
        raise
