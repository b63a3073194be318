"""How a store is, and waiting until it is otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .characters import CharacterColumns
from .controls import Controls
from .derived_state import DerivedState
from .schema import StoreStats


class StoreState(DerivedState):
    """Say how a store is, at once and from any thread."""

    version: int
    """Grows with every change."""
    _changed: threading.Condition
    _controls: Controls
    _tick: int | None
    _errors: int
    _malformed: int

    def __len__(self) -> int:
        """Count the events held."""
        return len(self._table)

    @property
    def first_row(self) -> int:
        """Give the row number of the oldest event held."""
        return self._table.first_row

    @property
    def next_row(self) -> int:
        """Give the row number that the next event will have."""
        return self._table.next_row

    @property
    def run_state(self) -> str | None:
        """Give the state of the run as of the last word on it; `None` before any."""
        state = self._controls.run_state
        return None if state is None else state.state

    @property
    def tick(self) -> int | None:
        """Give the last tick heard of."""
        return self._tick

    def has_accounted(self, epoch: str | None, seq: int) -> bool:
        """Say whether everything up to a position is stored, declared missing, or filtered."""
        return epoch is not None and self._controls.accounted.get(epoch, 0) >= seq

    def row_of(self, epoch: str | None, seq: int) -> int | None:
        """Give the row of a position in the stream; `None` if no event of it is held."""
        with self._changed:
            view = self._table.view()
        at = (view.columns["seq"] == seq) & ~view.masks["seq"]
        found = np.flatnonzero(at & (view.columns["epoch"] == view.code("epoch", epoch or "")))
        return int(found[-1]) + view.first_row if len(found) else None

    def run_state_confirmed(self, command_id: str, state: str) -> bool:
        """Say whether the run was said to be in a state because of a command."""
        return (command_id, state) in self._controls.run_state_causes

    def wait(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `predicate` (asked after each change) holds; false if it does not within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout)

    def wait_version(self, version: int, timeout: float | None = None) -> bool:
        """Wait until the store has changed since `version`; false if it does not within `timeout` seconds."""
        return self.wait(lambda: self.version > version, timeout)

    def stats(self) -> StoreStats:
        """Say how much is held, and what was lost or let go."""
        with self._changed:
            self._settle()
            table = self._table
            tallies = sum(tally.memory_bytes for tally in self._tallies.values())
            return StoreStats(
                rows=len(table),
                first_row=table.first_row,
                next_row=table.next_row,
                evicted=table.first_row,
                memory_bytes=table.memory_bytes
                + self._payloads.memory_bytes
                + tallies
                + self._checkpoints.memory_bytes,
                payload_bytes=self._payloads.nbytes,
                characters=len(self._present),
                errors=self._errors,
                malformed=self._malformed,
                gaps=len(self._controls.gaps),
                missing=self._controls.missing,
            )

    def attribute(self, character: str, name: str) -> Any:
        """Give an attribute of a character now; `None` where it is not known."""
        with self._changed:
            return self._present.attribute(character, name)

    def present_columns(self, since_version: int = 0) -> CharacterColumns:
        """Copy out the present as columns: of all characters, or of those that changed after a version of it."""
        with self._changed:
            self._settle()
            return self._present.columns(since_version)
