"""The store that follows a recorder's messages: it makes the columns of a segment, and the summary at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from ..protocol.messages import MessageTypes
from ..store.characters import CharacterTable
from ..store.columns import MAX_TEXT, OTHER
from ..store.ingested import Ingested
from ..store.schema import Codes
from ..store.table import Array
from .arrow_messages import RecordedMessage
from .columns import UNREAD, EventSlice
from .index_file import MEANING
from .summaries import Summary, Town, packed_arrays
from .taken import Translation, put_together
from .whole_run import EVERYTHING, WholeRun, index_heads

ROWS_A_CHARACTER: Final = 52
"""Events between two stored towns, for each character: stored towns take some 4 % of the bytes of a large run."""
NO_NUMBERS: Final[Array] = np.zeros(0, np.int64)


class Follower:
    """A store that holds the events of the segment being written, and counts since the segment began.

    Its characters, states and words are those of the whole run.
    """

    def __init__(self, run: WholeRun | None = None) -> None:
        self.run = WholeRun(EVERYTHING) if run is None else run
        self._town_row = self._told_town = self.run.next_row
        self._known: dict[str, int] = {}
        self._translation: Translation | None = None
        self._previous: list[tuple[int, int, tuple[Array, Codes] | None]] = []
        self._codes = self._gaps = self._controls = 0
        self._names: set[str] = set()
        self._said: set[str] = set()
        self.begin_segment()

    @classmethod
    def at(cls, row: int) -> Follower:
        """Return a follower that begins at an event, without anything before it."""
        run = WholeRun(EVERYTHING)
        run.begin_at(row)
        return cls(run)

    def append(self, entries: Iterable[RecordedMessage]) -> None:
        """Follow messages."""
        for entry in entries:
            row = self.run.next_row
            for found in self.run.take(list(entry.messages), entry.received, entry.epoch):
                self._note_previous(row, found)
                row += found.batch.size

    def append_taken(self, taken: Sequence[Ingested], epoch: str | None, payloads: memoryview) -> bool:
        """Follow messages that another store has read; return False if they must be read again.

        The messages are of one epoch, and their payloads are given end to end.
        """
        translate = self._translation
        if translate is None or translate.theirs is not taken[0].words:
            translate = self._translation = Translation(taken[0].words, self.run.words)
        if not self.run.writer.takes(np.concatenate([part.seqs for part in taken]), epoch):
            return False
        for parts in _up_to_departures(taken):
            row = self.run.next_row
            found = put_together(parts, self.run.words["epoch"][epoch], translate)
            self._learn(found)
            size = int(found.lengths.sum())
            self.run.writer.append_ingested(found, payloads[:size], epoch)
            payloads = payloads[size:]
            self._note_previous(row, found)
        return True

    def _learn(self, taken: Ingested) -> None:
        """Note the keys of updates, as reading the messages does."""
        if not taken.updates:
            return
        said = self.run.parts.names.said
        said.add("character_id")
        rows = taken.updates.rows
        for name in ("state", "location"):  # these two are not attributes
            if name in taken.batch.columns and (taken.batch.columns[name][rows] >= 0).any():
                said.add(name)
        said.update(*taken.updates.attributes)

    def _note_previous(self, row: int, found: Ingested) -> None:
        """Note the previous states in the payloads of events that begin at a row."""
        self._previous.append((row, row + found.batch.size, found.previous_states()))

    def _previous_states(self) -> Codes:
        """Return the code of the previous state in each event of the segment; `UNREAD` where it was not read."""
        first, words = self._first_row, self.run.words["state"].words
        codes = np.full(self.run.next_row - first, UNREAD, np.int32)
        for start, stop, told in self._previous:
            codes[start - first : stop - first] = -1
            if told is not None:
                codes[told[0] + (start - first)] = told[1]
        cut = [code for code, word in enumerate(words) if len(word) >= MAX_TEXT or word == OTHER]
        if cut:  # only the payload has these whole
            codes[np.isin(codes, cut)] = UNREAD
        return codes

    @property
    def next_row(self) -> int:
        """Return the row that the next event will have."""
        return self.run.next_row

    def events(self) -> EventSlice:
        """Return the events of the segment."""
        columns, masks = self.run.parts.table.arrays()
        links = self.run.parts.links.view()
        return EventSlice(columns, masks, self.run.words, links, self.run.first_row, self._previous_states())

    def begin_segment(self) -> None:
        """Drop the events and the counts, which belong to the last segment."""
        parts = self.run.parts
        parts.derived.catch_up()
        stream = self._stream_present()
        self.run.writer.evict(len(parts.table))
        parts.derived.checkpoints.restart(self.run.next_row, stream)
        for tally in parts.derived.tallies.values():
            tally.restore(NO_NUMBERS, NO_NUMBERS)
        parts.derived.transitions.forget_counts()
        self._previous.clear()
        self._first_row, self._town_row = self.run.next_row, self._told_town
        self._known = {name: len(words.words) for name, words in self.run.words.items()}
        self._codes = len(parts.derived.codes.words)
        self._names, self._said = set(parts.names.known), set(parts.names.said)
        # gaps before the first time of the stream are dated once more when it is known
        dated = parts.controls.clock is not None
        self._gaps = len(parts.controls.gaps) if dated else 0
        self._controls = len(parts.controls.rows) if dated else 0

    def summary(self, number: int, digest: str, messages: int) -> Summary:
        """Return the state at the end of a segment, and the counts since its beginning."""
        run = self.run
        kept, arrays = run.keep()
        kept.words = {name: words[self._known[name] :] for name, words in kept.words.items()}
        kept.codes = kept.codes[self._codes :]
        kept.names = sorted(run.parts.names.known - self._names)
        kept.said = sorted(run.parts.names.said - self._said)
        kept.gaps = kept.gaps[self._gaps :]
        kept.controls = run.kept_controls()[self._controls :]
        kept.told = []
        if not any(place["row"] >= self._first_row for _, place in kept.places):
            kept.places = []
        if not run.is_ahead:
            kept.characters = []
        for name in ("character_id.keys", "character_id.counts"):
            arrays[name] = NO_NUMBERS
        return Summary(
            number, digest, messages, self._first_row, self._gaps, self._controls, kept, packed_arrays(arrays), MEANING
        )

    def towns(self, *, last: bool) -> list[Town]:
        """Return the towns to store: those that snapshots set, and at intervals, or with `last`, the present one."""
        run = self.run
        found = [
            Town(row, index_heads(present.columns(0)))
            for row, present in run.parts.derived.checkpoints.from_snapshots()
        ]
        end = run.next_row
        rows = end - self._town_row
        due = rows > 0 if last else rows >= ROWS_A_CHARACTER * max(1, len(run.parts.derived.present))
        if due and not any(town.row == end for town in found):
            found.append(Town(end, index_heads(self._stream_present().columns(0))))
        self._told_town = found[-1].row if found else self._town_row  # after a full disk this may be called again
        return found

    def _stream_present(self) -> CharacterTable:
        """Return the characters as of the stream; a snapshot may be ahead of it."""
        run = self.run
        if not run.is_ahead:
            run.parts.derived.catch_up()
            return run.parts.derived.present
        return run.questions.as_it_was(run.view(), run.next_row)


def _up_to_departures(taken: Sequence[Ingested]) -> Iterator[Sequence[Ingested]]:
    """Cut lists behind departures: a character that comes back must not get its earlier attributes."""
    left = taken[0].words["type"].get(MessageTypes.CHARACTER_LEFT, -2)
    start = 0
    for stop, part in enumerate(taken, 1):
        if stop == len(taken) or part.batch.columns["type"][-1] == left:
            yield taken[start:stop]
            start = stop
