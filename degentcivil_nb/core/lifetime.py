"""What is open in this process: closed at its exit or by what takes its name, and given up in a forked child."""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

_logger = logging.getLogger("degentcivil_nb.core")
_T = TypeVar("_T")


class _Ends(NamedTuple):
    close: Callable[[Any], None] | None
    inherited: Callable[[Any], None] | None
    name: str | None


_open: Final[dict[weakref.ref[Any], _Ends]] = {}
"""In the order of opening. Each access is one operation of the dict, so a fork never inherits a held lock."""


def register(
    thing: _T,
    *,
    close: Callable[[_T], None] | None = None,
    inherited: Callable[[_T], None] | None = None,
    name: str | None = None,
) -> None:
    """Remember something open, weakly.

    `close` is called at the interpreter's exit, for what was opened last first, so that a session is closed before the
    server it is connected to. Without it nothing happens at the exit: the owner closes it. In a forked child, where
    threads and sockets are the parent's, everything counts as released, and `inherited` is called. A `name` is taken
    from what came in between.
    """
    close_named(type(thing), name)
    _open[weakref.ref(thing, _forget)] = _Ends(close, inherited, name)


def release(thing: object) -> bool:
    """Forget something open; `False` if it was released before, or belongs to the parent of this process."""
    return _open.pop(weakref.ref(thing), None) is not None


def close_named(kind: type, name: str | None) -> None:
    """Close what is open of a kind under a name, before another is opened under it."""
    for reference, ends in _open.copy().items():
        thing = reference()
        if name is not None and ends.name == name and isinstance(thing, kind) and ends.close is not None:
            ends.close(thing)


def held(kind: type[_T]) -> list[_T]:
    """List what is open of a kind, in the order of opening."""
    return [thing for thing in (reference() for reference in list(_open)) if isinstance(thing, kind)]


def _forget(reference: weakref.ref[Any]) -> None:
    _open.pop(reference, None)


@atexit.register
def _close_all() -> None:
    for reference, ends in reversed(_open.copy().items()):
        _call(ends.close, reference, "did not close in order at exit")


def _give_up_in_child() -> None:
    entries = _open.copy()
    _open.clear()
    for reference, ends in entries.items():
        _call(ends.inherited, reference, "could not be given up after a fork")


def _call(function: Callable[[Any], None] | None, reference: weakref.ref[Any], failed: str) -> None:
    thing = reference()
    if thing is None or function is None:
        return
    try:
        function(thing)
    except Exception:  # a boundary: one that fails must not keep the others from their end
        _logger.exception("a %s %s", type(thing).__name__, failed)


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_give_up_in_child)
