"""The state of a store, and waiting for it to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .characters import CharacterColumns
from .parts import StoreParts
from .schema import StoreStats


class StoreStatus:
    """The state of a store, for any thread, without waiting."""

    def __init__(self, parts: StoreParts) -> None:
        self._parts = parts

    def has_accounted(self, epoch: str | None, seq: int) -> bool:
        """Return whether everything up to a position is stored, declared missing, or filtered."""
        return epoch is not None and self._parts.controls.accounted.get(epoch, 0) >= seq

    def row_of(self, epoch: str | None, seq: int) -> int | None:
        """Return the row of a position in the stream; `None` if no event with that position is held."""
        with self._parts.changed:
            view = self._parts.table.view()
        at = (view.columns["seq"] == seq) & ~view.masks["seq"]
        found = np.flatnonzero(at & (view.columns["epoch"] == view.code("epoch", epoch or "")))
        return int(found[-1]) + view.first_row if len(found) else None

    def run_state_in(self, epoch: str | None) -> str | None:
        """Return the last state of the run in the stream of an epoch; `None` if the stream has none."""
        with self._parts.changed:
            controls = self._parts.controls
            told = controls.run_state if controls.run_state_epoch == epoch else None
        return None if told is None else told.state

    def run_state_confirmed(self, command_id: str, state: str) -> bool:
        """Return whether a `run_state` message has reported that a command brought the run into a state."""
        return (command_id, state) in self._parts.controls.run_state_causes

    def wait(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `predicate` (called after each change) holds; return False if `timeout` seconds pass before."""
        with self._parts.changed:
            return self._parts.changed.wait_for(predicate, timeout)

    def wait_version(self, version: int, timeout: float | None = None) -> bool:
        """Wait until the store has changed since `version`; return False if `timeout` seconds pass before."""
        return self.wait(lambda: self._parts.version > version, timeout)

    def stats(self) -> StoreStats:
        """Return how much is held, and what was lost or evicted."""
        with self._parts.changed:
            self._parts.derived.catch_up()
            table = self._parts.table
            tallies = sum(tally.memory_bytes for tally in self._parts.derived.tallies.values())
            return StoreStats(
                rows=len(table),
                first_row=table.first_row,
                next_row=table.next_row,
                evicted=table.first_row,
                memory_bytes=table.memory_bytes
                + self._parts.payloads.memory_bytes
                + self._parts.links.memory_bytes
                + tallies
                + self._parts.derived.checkpoints.memory_bytes,
                payload_bytes=self._parts.payloads.nbytes,
                characters=len(self._parts.derived.present),
                errors=self._parts.errors,
                malformed=self._parts.malformed,
                gaps=len(self._parts.controls.gaps),
                missing=self._parts.controls.missing,
            )

    def attribute(self, character: str, name: str) -> Any:
        """Return a character's current attribute; `None` if it is unknown."""
        with self._parts.changed:
            return self._parts.derived.present.attribute(character, name)

    def present_columns(self, since_version: int = 0) -> CharacterColumns:
        """Copy the present as columns: of all characters, or of those that changed after a version."""
        with self._parts.changed:
            self._parts.derived.catch_up()
            return self._parts.derived.present.columns(since_version)
