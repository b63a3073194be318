"""The registry of open objects: closed at exit or when their name is reused, and abandoned in a forked child."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

_logger = logging.getLogger("degentcivil_nb.core")
_T = TypeVar("_T")


class _Entry(NamedTuple):
    close: Callable[[Any], None] | None
    inherited: Callable[[Any], None] | None
    name: str | None


_open: Final[dict[weakref.ref[Any], _Entry]] = {}
"""Open objects in the order of opening; each access is one operation of the dict, so no lock is ever inherited."""

_exiting: Final = threading.Event()


def register(
    thing: _T,
    *,
    close: Callable[[_T], None] | None = None,
    inherited: Callable[[_T], None] | None = None,
    name: str | None = None,
) -> None:
    """Register an open object, weakly.

    At the interpreter's exit `close` is called, for the objects opened last first, so that a session is closed before
    the server that it is connected to. Without `close` nothing happens at the exit: the owner closes it. In a forked
    child, whose threads and sockets stayed in the parent, everything counts as released, and `inherited` is called. An
    earlier object of the same class and `name` is closed.
    """
    close_named(type(thing), name)
    _open[weakref.ref(thing, _forget)] = _Entry(close, inherited, name)


def release(thing: object) -> bool:
    """Remove an open object; return `False` if it was released before, or belongs to the parent of this process."""
    return _open.pop(weakref.ref(thing), None) is not None


def close_named(kind: type, name: str | None) -> None:
    """Close what is open of a class under a name, before another is opened under it."""
    for reference, entry in _open.copy().items():
        thing = reference()
        if name is not None and entry.name == name and isinstance(thing, kind) and entry.close is not None:
            entry.close(thing)


def held(kind: type[_T]) -> list[_T]:
    """List the open objects of a class, in the order of opening."""
    return [thing for thing in (reference() for reference in list(_open)) if isinstance(thing, kind)]


def _forget(reference: weakref.ref[Any]) -> None:
    _open.pop(reference, None)


def exiting() -> bool:
    """Return whether the interpreter is at its exit, and what was open has been closed."""
    return _exiting.is_set()


@atexit.register
def _close_all() -> None:
    _exiting.set()
    for reference, entry in reversed(_open.copy().items()):
        _call(entry.close, reference, "did not close in order at exit")


def _give_up_in_child() -> None:
    entries = _open.copy()
    _open.clear()
    for reference, entry in entries.items():
        _call(entry.inherited, reference, "could not be released after a fork")


def _call(function: Callable[[Any], None] | None, reference: weakref.ref[Any], failed: str) -> None:
    thing = reference()
    if thing is None or function is None:
        return
    try:
        function(thing)
    except Exception:  # an object that fails to close must not prevent the others from closing
        _logger.exception("a %s %s", type(thing).__name__, failed)


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_give_up_in_child)
