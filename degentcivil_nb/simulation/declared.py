"""What clients have declared as a whole each, and how long it outlives their connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")

GONE_S: Final = 60.0
"""How long what a client declared outlives its connection."""
LOOK_S: Final = 5.0
"""How often absent owners are looked for."""


class DeclaredSets(Generic[_T]):
    """The sets of all clients by the owner's id. Not safe for several threads by itself."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sets: dict[str, list[_T]] = {}
        self._gone: dict[str, float] = {}

    def __iter__(self) -> Iterator[_T]:
        return (one for declared in list(self._sets.values()) for one in declared)

    def __bool__(self) -> bool:
        return bool(self._sets)

    def of(self, owner_id: str) -> list[_T]:
        """Give what one client declared."""
        return self._sets.get(owner_id, [])

    def put(self, owner_id: str, declared: list[_T]) -> None:
        """Set what one client declares now; an empty list counts as a set."""
        self._sets[owner_id] = declared
        self._gone.pop(owner_id, None)

    def of_others(self, owner_id: str) -> list[_T]:
        """Give what all other clients declared."""
        return [one for id, declared in self._sets.items() if id != owner_id for one in declared]

    def look_after(self, present: set[str]) -> bool:
        """Take note of who is connected now; say whether something was let go because its owner is gone for long."""
        now, let_go = self._clock(), False
        for id in list(self._sets):
            if id in present:
                self._gone.pop(id, None)
            elif now - self._gone.setdefault(id, now) >= GONE_S:
                del self._sets[id], self._gone[id]
                let_go = True
        return let_go
