"""The sets that clients declare (breakpoints, watches), which outlive their connections for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")

GONE_S: Final = 60.0
"""How many seconds a client's set outlives its connection."""
LOOK_S: Final = 5.0
"""How often absent owners are looked for."""


class DeclaredSets(Generic[_T]):
    """The sets of all clients by the owner's id. Callers on several threads need a lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sets: dict[str, list[_T]] = {}
        self._gone: dict[str, float] = {}

    def __iter__(self) -> Iterator[_T]:
        return (one for declared in list(self._sets.values()) for one in declared)

    def __bool__(self) -> bool:
        return bool(self._sets)

    def of(self, owner_id: str) -> list[_T]:
        """Return the set of one client."""
        return self._sets.get(owner_id, [])

    def put(self, owner_id: str, declared: list[_T]) -> None:
        """Replace the set of one client; an empty list counts as a set."""
        self._sets[owner_id] = declared
        self._gone.pop(owner_id, None)

    def give_up(self, owner_id: str, present: set[str], is_wanted: Callable[[_T], bool]) -> list[_T]:
        """Drop what another client, gone now, has declared under a wanted name; return what those present have of it.

        A kernel that was restarted is another client: its own names must not be refused to it.
        """
        taken = []
        for id, declared in self._sets.items():
            wanted = [] if id == owner_id else [one for one in declared if is_wanted(one)]
            if id in present:
                taken += wanted
            elif wanted:
                self._sets[id] = [one for one in declared if not is_wanted(one)]
        return taken

    def of_others(self, owner_id: str) -> list[_T]:
        """Return the items of all other clients."""
        return [one for id, declared in self._sets.items() if id != owner_id for one in declared]

    def look_after(self, present: set[str]) -> bool:
        """Note which clients are connected now; return whether a set was dropped, its owner being gone for long."""
        now, let_go = self._clock(), False
        for id in list(self._sets):
            if id in present:
                self._gone.pop(id, None)
            elif now - self._gone.setdefault(id, now) >= GONE_S:
                del self._sets[id], self._gone[id]
                let_go = True
        return let_go
