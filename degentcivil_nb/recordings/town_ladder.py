"""Copies of a recorded town, made as moments are looked at, so that a moment near another one is replayed soon."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ..store.characters import CharacterTable
from ..store.checkpoints import EVERY_ROWS

MOST: Final = 64
"""The most copies that are kept; one that was not used for longest goes first."""


class TownLadder:
    """Towns as they were before every so many events, of the parts of a recording that were looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._towns: OrderedDict[int, CharacterTable] = OrderedDict()

    def town(
        self, start: int, stop: int, first: Callable[[], CharacterTable], replay: Callable[..., None]
    ) -> CharacterTable:
        """Return the town before the event `stop`, from `first`, the one before `start`, or from a later copy.

        `replay(town, start, stop)` applies events to a town.
        """
        known = self._last(start, stop)
        present, at = (first(), start) if known is None else known
        for row in range((at // EVERY_ROWS + 1) * EVERY_ROWS, stop, EVERY_ROWS):
            replay(present, at, row)
            self._keep(row, present)
            at = row
        replay(present, at, stop)
        return present

    def _last(self, start: int, stop: int) -> tuple[CharacterTable, int] | None:
        with self._lock:
            for row in range(stop // EVERY_ROWS * EVERY_ROWS, start, -EVERY_ROWS):
                if row in self._towns:
                    self._towns.move_to_end(row)
                    return self._towns[row].copy(), row
        return None

    def _keep(self, row: int, town: CharacterTable) -> None:
        with self._lock:
            self._towns[row] = town.copy()
            self._towns.move_to_end(row)
            while len(self._towns) > MOST:
                self._towns.popitem(last=False)
