"""The town as it was: copies of the present every so often, and the events since the nearest one played over it."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import numpy as np
from msgspec import Raw

from ..protocol.messages import MessageTypes, RawMessage
from .changes import Lists, changes_in, departed, merged, named_in
from .characters import CharacterTable
from .ingest import Ingest
from .schema import Mask
from .selection import TakePayloads
from .table import Array, View

EVERY_ROWS: Final = 16_384
ROWS_A_CHARACTER: Final = 8
"""A copy costs memory by the character, so that a crowded town is copied less often."""
SEARCH_ROWS: Final = 65_536


class Checkpoints:
    """Keep copies of the present, each as it was before an event."""

    def __init__(self, first: CharacterTable, row: int = 0) -> None:
        self._rows = [row]
        self._presents = [first]

    def due(self, row: int, characters: int) -> bool:
        """Say whether it is time for another copy."""
        return row - self._rows[-1] >= max(EVERY_ROWS, ROWS_A_CHARACTER * characters)

    def add(self, row: int, present: CharacterTable) -> None:
        """Keep a copy of the present as it is before event `row`."""
        if self._rows and self._rows[-1] == row:
            self._presents[-1] = present.copy()
        else:
            self._rows.append(row)
            self._presents.append(present.copy())

    def forget(self, first_row: int) -> None:
        """Let those go from which events that are not held any more would have to be played."""
        gone = min(bisect_right(self._rows, first_row - 1), len(self._rows) - 1)
        if gone:
            del self._rows[:gone], self._presents[:gone]

    def before(self, row: int) -> tuple[int, CharacterTable] | None:
        """Give the last copy made before event `row`, and which event it was made before."""
        place = bisect_right(self._rows, row) - 1
        return None if place < 0 else (self._rows[place], self._presents[place].copy())

    @property
    def first_row(self) -> int:
        """Give the event before which the oldest copy was made."""
        return self._rows[0]

    @property
    def memory_bytes(self) -> int:
        """Estimate what the copies take, without the attributes that they share."""
        return sum(33 * len(present.state) for present in self._presents)


def last_where(values: Array, mask: Mask | None, limit: int) -> int:
    """Give the last position whose value is not above `limit` (where `mask` is true there is no value); −1 if none."""
    for stop in range(len(values), 0, -SEARCH_ROWS):
        start = max(0, stop - SEARCH_ROWS)
        held = values[start:stop] <= limit
        if mask is not None:
            held &= ~mask[start:stop]
        if held.any():
            return stop - 1 - int(np.argmax(held[::-1]))
    return -1


def replay(present: CharacterTable, view: View, start: int, stop: int, ingest: Ingest, payloads: TakePayloads) -> None:
    """Play the events from row `start` to before `stop` over a present."""
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
        for _, character, attributes in found.updates:
            present.update(character, attributes)
        if found.lists is not None:
            at = told.tolist()
            lists = Lists(
                [(at[row], who, what, where) for row, who, what, where in found.lists.moves],
                [(at[row], who) for row, who in found.lists.heard],
            )
            changes = merged(changes, lists.changes())
    if len(changes):
        present.change(changes, times[changes.index])
    index, who = named_in(rows, lists)
    if len(index):
        present.see(who, times[index])
        present.forget(departed(rows, view.dictionaries["type"], index, who))
