"""State derived from the columns, updated when it is read or once thousands of rows wait, all at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ..protocol.errors import WebSocketError
from ..protocol.messages import MessageTypes
from ..protocol.repairing import decode_repaired
from ..protocol.stream_payloads import StateChange
from .changes import CharacterLists, changes_in, departed, merged, named_in, no_previous_states
from .characters import AttributeNames, CharacterTable
from .checkpoints import Checkpoints
from .columns import Dictionary
from .counters import Seconds, Tally
from .payloads import Payloads
from .schema import Codes
from .table import Array, Table
from .transitions import TransitionTracker

WAITING_ROWS: Final = 8_192
"""The most rows that wait: updating for so many takes less than a millisecond."""

COUNTED: Final = ("type", "code", "character_id", "state")
"""The columns whose values are counted by second."""


class DerivedState:
    """Characters, transitions and counts, as of the rows before `caught_up_to`.

    A live stream arrives a hundred rows at a time, for which a call of numpy costs more than the rows do. Every reader
    calls `catch_up` first, under the store's lock; so does every control message (a gap, a snapshot), since it applies
    between two rows.
    """

    def __init__(self, table: Table, payloads: Payloads, names: AttributeNames, *, keep_all: bool = False) -> None:
        words = table.dictionaries
        self._table = table
        self._payloads = payloads
        self._keep_all = keep_all
        self.present = CharacterTable(words["character_id"], words["state"], words["location"], names)
        self.transitions = TransitionTracker(words["state"])
        self.tallies = {by: Tally() for by in COUNTED}
        self.codes = Dictionary()
        self.checkpoints = Checkpoints(self.present.copy())
        self.caught_up_to = 0
        self.counted_from = 0
        """Rows before this one were evicted, and subtracted from the counts."""

    def forget(self, first_row: int) -> None:
        """Drop what is known of rows before `first_row`."""
        if not self._keep_all:
            self.transitions.forget(first_row)
        self.checkpoints.forget(first_row)

    def catch_up(self, lists: CharacterLists | None = None, live: bool = True) -> None:
        """Apply the rows that were appended meanwhile, with their `lists`; to the present only if `live`."""
        table = self._table
        start, stop = self.caught_up_to, table.next_row
        if start < stop:
            rows = table.between(start, stop)
            self._count_rows(rows, 1)
            self._follow(rows, start, lists, live)
            self.caught_up_to = stop
        if self.counted_from < table.first_row:
            self._count_rows(table.between(self.counted_from, table.first_row), -1)
            self.counted_from = table.first_row

    def catch_up_before(self, first_row: int, more: int) -> None:
        """Catch up if rows not applied yet would be lost by dropping those before `first_row` or appending `more`."""
        if first_row > self.caught_up_to or not self._table.fits(more):
            self.catch_up()

    def _count_rows(self, rows: dict[str, Array], sign: int) -> None:
        codes = {by: rows[by] for by in ("type", "character_id", "state")}
        self._count(Seconds(rows["time"]), codes, (rows["code"], ~rows["code_missing"]), sign)

    def _count(self, seconds: Seconds, codes: dict[str, Array], errors: tuple[Any, Any], sign: int) -> None:
        if sign < 0 and self._keep_all:
            return
        for by, values in codes.items():
            self.tallies[by].add(seconds, values, sign)
        if errors[1].any():
            numbers = self.codes
            which = np.array([numbers[code] for code in errors[0][errors[1]].tolist()], np.int64)
            self.tallies["code"].add(seconds[errors[1]], which, sign)

    def _follow(self, rows: dict[str, Array], start: int, lists: CharacterLists | None, live: bool) -> None:
        times = rows["time"]
        self.present.fit()
        changes = changes_in(rows, lambda which: self._reported_previous(rows["type"], start, which))
        listed = None
        if lists is not None and lists.moves:
            changes, listed = merged(changes, lists.changes()), lists.rows(len(times))
        if len(changes):
            self.transitions.follow(changes, listed, times, start)
        if not live:
            return
        if len(changes):
            self.present.change(changes, times[changes.index])
        index, who = named_in(rows, lists)
        if len(index):
            self.present.note_mentions(who, times[index])
            self.present.forget(departed(rows, self._table.dictionaries["type"], index, who))
        end = start + len(times)
        if self.checkpoints.due(end, len(self.present)):
            self.checkpoints.add(end, self.present)

    def _reported_previous(self, types: Array, start: int, which: Array) -> Codes:
        """Return the states before changes that senders reported; −1 where they did not."""
        told = np.sort(which[types[which] == self._table.dictionaries["type"].get(MessageTypes.STATE_CHANGE, -2)])
        said = no_previous_states(types)
        said[told] = [self._previous(text) for text in self._payloads.take((told + start).tolist())]
        return said[which]

    def _previous(self, text: bytes) -> int:
        try:
            return self._table.dictionaries["state"][decode_repaired(StateChange, text).previous_state]
        except WebSocketError:  # the payload was evicted
            return -1
