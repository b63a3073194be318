"""A sentence for an interrupt (Ctrl-C): what became of what was waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupt_says(text: str, leave: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Have an interrupt inside of a `with` block leave in order, and say what that means."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        leave()
        interrupt.args = (text,)
        raise
