"""Tracking of objects: their changed attributes are published after each checkpoint."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ..core.plain import plain

_MISSING: Final = object()


class Tracker:
    """The tracked objects, which tracking does not keep alive."""

    def __init__(self, update: Callable[[Any, Mapping[str, Any]], None]) -> None:
        self._update = update
        self._tracked: dict[Any, tuple[Callable[[], Any], tuple[str, ...], dict[str, Any]]] = {}

    def __len__(self) -> int:
        return len(self._tracked)

    def track(self, character_id: Any, thing: Any, attributes: Iterable[str]) -> None:
        """Track attributes (or keys) of an object from now on, and publish their current values."""
        names = (attributes,) if isinstance(attributes, str) else tuple(attributes)
        try:
            find: Callable[[], Any] = weakref.ref(thing)
        except TypeError:  # a dict or an object with slots cannot be referred to weakly
            find = lambda: thing  # noqa: E731
        self._tracked[plain(character_id) if isinstance(character_id, list) else character_id] = (find, names, {})
        self._look(character_id)

    def forget(self, character_id: Any) -> None:
        """Stop tracking the objects of a character."""
        self._tracked.pop(character_id, None)

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
            value = plain(_read(thing, name))
            if name not in before or before[name] != value:
                before[name] = changed[name] = value
        if changed:
            self._update(character_id, changed)


def _read(thing: Any, name: str) -> Any:
    try:
        return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
    except Exception as error:  # noqa: BLE001 — a property of the simulation's own
        return f"… (cannot be read: {type(error).__name__})"
