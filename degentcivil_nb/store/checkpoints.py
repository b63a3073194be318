"""The town at an earlier time: copies of the present at intervals, and the events since the nearest one."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import numpy as np
from msgspec import Raw

from ..protocol.messages import MessageTypes, RawMessage
from .changes import CharacterLists, changes_in, departed, merged, named_in
from .characters import CharacterTable
from .ingest import Ingest
from .schema import Mask
from .selection import TakePayloads
from .table import Array, View

EVERY_ROWS: Final = 16_384  # between two copies: replaying so many takes some milliseconds
ROWS_A_CHARACTER: Final = 8
"""Rows between two copies for each character: a copy takes memory by the character."""
SEARCH_ROWS: Final = 65_536  # searched at a time, from the newest on


class Checkpoints:
    """Copies of the present, each as it was before an event."""

    def __init__(self, first: CharacterTable, row: int = 0) -> None:
        self._rows = [row]
        self._presents = [first]
        self._snapshots: set[int] = (
            set()
        )  # rows of copies made by snapshots, which know more than the events before them

    def due(self, row: int, characters: int) -> bool:
        """Return whether another copy is due."""
        return row - self._rows[-1] >= max(EVERY_ROWS, ROWS_A_CHARACTER * characters)

    def add(self, row: int, present: CharacterTable, *, from_snapshot: bool = False) -> None:
        """Store a copy of the present as of before event `row`."""
        if from_snapshot:
            self._snapshots.add(row)
        if self._rows and self._rows[-1] == row:
            self._presents[-1] = present.copy()
        else:
            self._rows.append(row)
            self._presents.append(present.copy())

    def restart(self, row: int, present: CharacterTable) -> None:
        """Drop all copies, and store one of the present as of before event `row`."""
        self._rows, self._presents = [row], [present.copy()]
        self._snapshots.clear()

    def from_snapshots(self) -> list[tuple[int, CharacterTable]]:
        """Return the copies that snapshots made, with their rows."""
        return [pair for pair in zip(self._rows, self._presents, strict=True) if pair[0] in self._snapshots]

    def forget(self, first_row: int) -> None:
        """Drop the copies whose following events are no longer held."""
        gone = min(bisect_right(self._rows, first_row - 1), len(self._rows) - 1)
        if gone:
            del self._rows[:gone], self._presents[:gone]

    def before(self, row: int) -> tuple[int, CharacterTable] | None:
        """Return the last copy made before event `row`, with the row of the event that follows the copy."""
        place = bisect_right(self._rows, row) - 1
        return None if place < 0 else (self._rows[place], self._presents[place].copy())

    @property
    def first_row(self) -> int:
        """Return the row of the event that follows the oldest copy."""
        return self._rows[0]

    @property
    def memory_bytes(self) -> int:
        """Estimate the memory of the copies, without the attributes that they share."""
        return sum(33 * len(present.state) for present in self._presents)


def last_where(values: Array, mask: Mask | None, limit: int) -> int:
    """Return the last index whose value is at most `limit` (masked ones have no value); −1 if there is none."""
    for stop in range(len(values), 0, -SEARCH_ROWS):
        start = max(0, stop - SEARCH_ROWS)
        held = values[start:stop] <= limit
        if mask is not None:
            held &= ~mask[start:stop]
        if held.any():
            return stop - 1 - int(np.argmax(held[::-1]))
    return -1


def replay(present: CharacterTable, view: View, start: int, stop: int, ingest: Ingest, payloads: TakePayloads) -> None:
    """Apply the events from row `start` to before `stop` to a present."""
    for end in [*_behind_departures(view, start, stop), stop]:
        _replay(present, view, start, end, ingest, payloads)
        start = end


def _behind_departures(view: View, start: int, stop: int) -> list[int]:
    """Return the rows after each series of departures, since later events may name the same characters again."""
    held = view.rows(start, stop)
    left = view.columns["type"][held] == view.code("type", MessageTypes.CHARACTER_LEFT)
    return [int(row) + 1 + held.start + view.first_row for row in np.flatnonzero(left[:-1] & ~left[1:])]


def _replay(present: CharacterTable, view: View, start: int, stop: int, ingest: Ingest, payloads: TakePayloads) -> None:
    held = view.rows(start, stop)
    rows = {name: view.columns[name][held] for name in ("type", "character_id", "state", "location", "time")}
    types, times = rows["type"], rows["time"]
    present.fit()
    changes, lists = changes_in(rows), None
    updates = view.code("type", MessageTypes.CHARACTER_UPDATE), view.code("type", MessageTypes.ALL_CHARACTERS)
    told = np.flatnonzero((types == updates[0]) | (types == updates[1]))
    if len(told):
        texts = payloads((told + held.start + view.first_row).tolist())
        words = view.dictionaries["type"].words
        messages = [RawMessage(words[type], Raw(text)) for type, text in zip(types[told].tolist(), texts, strict=True)]
        found = ingest(messages, 0, None)
        present.update(found.updates.characters, found.updates.attributes)
        if found.lists is not None:
            at = told.tolist()
            lists = CharacterLists(
                [(at[row], who, what, where) for row, who, what, where in found.lists.moves],
                [(at[row], who) for row, who in found.lists.mentioned],
            )
            changes = merged(changes, lists.changes())
    if len(changes):
        present.change(changes, times[changes.index])
    index, who = named_in(rows, lists)
    if len(index):
        present.note_mentions(who, times[index])
        present.forget(departed(rows, view.dictionaries["type"], index, who))
