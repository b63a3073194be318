"""Tracking of objects: their changed attributes are published after each checkpoint."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ..core.plain import plain
from ..core.text_of import class_name, text_of
from ..protocol.errors import WebSocketError
from .values import each, id_of

_MISSING: Final = object()


def _never_mind(kind: str, name: str) -> None:
    """Do nothing."""


class Tracker:
    """The tracked objects, which tracking does not keep alive."""

    def __init__(
        self, update: Callable[[Any, Mapping[str, Any]], None], absent: Callable[[str, str], None] = _never_mind
    ) -> None:
        """Publish with `update`; `absent` is called with the class and the name of an attribute that is missing."""
        self._update = update
        self._absent = absent
        self._tracked: dict[Any, tuple[Callable[[], Any], tuple[str, ...], dict[str, Any]]] = {}

    def __len__(self) -> int:
        return len(self._tracked)

    def track(self, character_id: Any, thing: Any, attributes: Iterable[str]) -> None:
        """Track attributes (or keys) of an object from now on, and publish their current values."""
        names = tuple(each(attributes))
        if not names or any(type(name) is not str and not isinstance(thing, Mapping) for name in names):
            raise WebSocketError(
                WebSocketError.INVALID_MESSAGE,
                f"track() needs the names of attributes, not {text_of(attributes)[:100]}",
            )
        try:
            find: Callable[[], Any] = weakref.ref(thing)
        except TypeError:  # a dict or an object with slots cannot be referred to weakly
            find = lambda: thing  # noqa: E731
        known = _known(character_id)
        self._tracked[known] = (find, names, {})
        for name in names:
            if _read(thing, name) is _MISSING:
                self._absent(class_name(type(thing)), name)
        self._look(known)

    def forget(self, character_id: Any) -> None:
        """Stop tracking the objects of a character."""
        self._tracked.pop(_known(character_id), None)

    def look(self) -> None:
        """Publish what has changed since the last call."""
        for character_id in list(self._tracked):
            self._look(character_id)

    def _look(self, character_id: Any) -> None:
        find, names, before = self._tracked[character_id]
        thing = find()
        if thing is None:
            del self._tracked[character_id]
            return
        changed: dict[str, Any] = {}
        for name in names:
            value = _read(thing, name)
            value = None if value is _MISSING else plain(value)
            if name not in before or before[name] != value:
                before[name] = changed[name] = value
        if changed:
            self._update(character_id, changed)


def _known(character_id: Any) -> str | int:
    """Return the id under which a character is tracked; `WebSocketError` if it is missing."""
    known = id_of(character_id)
    if known is None:
        raise WebSocketError(WebSocketError.INVALID_MESSAGE, "the id of the character is missing")
    return known


def _read(thing: Any, name: str) -> Any:
    try:
        return thing.get(name, _MISSING) if isinstance(thing, Mapping) else getattr(thing, name, _MISSING)
    except Exception as error:  # noqa: BLE001 — a property of the simulation's own
        return f"… (cannot be read: {type(error).__name__})"
