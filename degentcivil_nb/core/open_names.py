"""What is open under a name in this process, so that a cell which is run again replaces what it made before."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class OpenNames(Generic[_T]):
    """A table of what is open under which name; whoever takes a name closes the one that had it.

    In a forked child it is empty: what is open stayed with the parent.
    """

    def __init__(self, close: Callable[[_T], None]) -> None:
        self._close = close
        self._open: dict[str, _T] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def take(self, name: str | None) -> None:
        """Close what is open under a name, before another is opened under it."""
        older = self._pop(name)
        if older is not None:
            self._close(older)

    def add(self, name: str | None, one: _T) -> None:
        """Note what is open under a name; one that came in between is closed."""
        if name is None:
            return
        self.take(name)
        with self._lock:
            self._open[name] = one

    def discard(self, name: str | None, one: _T) -> None:
        """Forget what was closed, unless another has its name."""
        with self._lock:
            if name is not None and self._open.get(name) is one:
                del self._open[name]

    def _pop(self, name: str | None) -> _T | None:
        if self._pid != os.getpid():
            self._open, self._lock, self._pid = {}, threading.Lock(), os.getpid()
        with self._lock:
            return None if name is None else self._open.pop(name, None)
