"""The store that follows what a recorder writes: it makes the columns of a segment, and the summary at its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from ..store.characters import CharacterTable
from ..store.columns import Dictionary
from ..store.ingested import Ingested
from ..store.schema import CATEGORIES, Codes
from ..store.table import Array
from .arrow_messages import Packed, RecordedMessage
from .columns import EventSlice
from .index_file import MEANING
from .summaries import Summary, Town, packed_arrays
from .whole_run import EVERYTHING, WholeRun, index_heads

ROWS_A_CHARACTER: Final = 52
"""Events between two towns, for each character: of a large town, they take some 4 % of the bytes."""
NO_NUMBERS: Final[Array] = np.zeros(0, np.int64)


class Follower:
    """A store that holds the events of the segment being written, and counts since the segment began.

    Its characters, states and words are those of the whole run.
    """

    def __init__(self, run: WholeRun | None = None) -> None:
        self.run = WholeRun(EVERYTHING) if run is None else run
        self._town_row = self._told_town = self.run.next_row
        self._known: dict[str, int] = {}
        self._translated: dict[str, tuple[Dictionary, Codes]] = {}
        self._codes = self._gaps = self._controls = 0
        self._names: set[str] = set()
        self._said: set[str] = set()
        self.begin_segment()

    @classmethod
    def at(cls, row: int) -> Follower:
        """Return a follower that knows nothing of what was before an event."""
        run = WholeRun(EVERYTHING)
        run.begin_at(row)
        return cls(run)

    def append(self, entries: Iterable[RecordedMessage]) -> None:
        """Follow messages."""
        for entry in entries:
            self.run.append(list(entry.messages), entry.received, entry.epoch)

    def append_packed(self, part: Packed) -> bool:
        """Follow messages that another store has read; return False if they must be read again."""
        taken = part.taken
        if taken is None or taken.lists is not None or len(part.came) != 1:
            return False
        _, received, epoch = part.came[0]
        codes = {name: self._codes_of(name, taken.words[name]) for name in CATEGORIES if name != "time_source"}
        columns = {
            name: codes[name][values] if name in codes and name != "epoch" else values
            for name, values in taken.batch.columns.items()
        }
        columns["epoch"] = np.int32(self.run.words["epoch"][epoch])  # type: ignore[assignment]  # one for all rows
        who = codes["character_id"]
        ends = np.cumsum(taken.lengths).tolist()
        data = memoryview(part.data)
        found = replace(
            taken,
            batch=replace(taken.batch, columns=columns),
            payloads=[data[start:end] for start, end in zip([0, *ends], ends, strict=False)],
            words=self.run.words,
            updates=[(row, int(who[code]), attributes) for row, code, attributes in taken.updates],
        )
        self._learn(taken)
        return self.run.writer.append_ingested(found, received, epoch)

    def _codes_of(self, name: str, words: Dictionary) -> Codes:
        """Return this store's codes of another store's words, the last one for none; words keep their order."""
        known = self._translated.get(name)
        if known is None or known[0] is not words:
            known = self._translated[name] = (words, np.array([-1], np.int32))
        codes = known[1]
        count = len(words.words)
        if count >= len(codes):
            mine = self.run.words[name]
            new = [mine[word] for word in words.words[len(codes) - 1 : count]]
            codes = np.concatenate([codes[:-1], np.array([*new, -1], np.int32)])
            self._translated[name] = (words, codes)
        return codes

    def _learn(self, taken: Ingested) -> None:
        """Note the keys of updates, as reading the messages does."""
        if not taken.updates:
            return
        said = self.run.parts.names.said
        said.add("character_id")
        rows = [row for row, _, _ in taken.updates]
        for name in ("state", "location"):  # which are no attributes any more
            if name in taken.batch.columns and (taken.batch.columns[name][rows] >= 0).any():
                said.add(name)
        for _, _, attributes in taken.updates:
            said.update(attributes)

    @property
    def next_row(self) -> int:
        """Return the row that the next event will have."""
        return self.run.next_row

    def events(self) -> EventSlice:
        """Return the events of the segment."""
        columns, masks = self.run.parts.table.arrays()
        return EventSlice(columns, masks, self.run.words, self.run.parts.links.view(), self.run.first_row)

    def begin_segment(self) -> None:
        """Forget the events and the counts, which the last segment has."""
        parts = self.run.parts
        parts.derived.catch_up()
        stream = self._stream_present()
        self.run.writer.evict(len(parts.table))
        parts.derived.checkpoints.restart(self.run.next_row, stream)
        for tally in parts.derived.tallies.values():
            tally.restore(NO_NUMBERS, NO_NUMBERS)
        parts.derived.transitions.forget_counts()
        self._first_row, self._town_row = self.run.next_row, self._told_town
        self._known = {name: len(words.words) for name, words in self.run.words.items()}
        self._codes = len(parts.derived.codes.words)
        self._names, self._said = set(parts.names.known), set(parts.names.said)
        # gaps before the first time of the stream are dated once more when it is known
        dated = parts.controls.clock is not None
        self._gaps = len(parts.controls.gaps) if dated else 0
        self._controls = len(parts.controls.rows) if dated else 0

    def summary(self, number: int, digest: str, messages: int) -> Summary:
        """Return what is known at the end of a segment, and counted since its beginning."""
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
        """Return the towns that are due: those that snapshots set, and that at the end from time to time or at last."""
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
        self._told_town = found[-1].row if found else self._town_row  # a full disk may ask again
        return found

    def _stream_present(self) -> CharacterTable:
        """Return the characters as the stream has told of them; a snapshot may be ahead of it."""
        run = self.run
        if not run.is_ahead:
            run.parts.derived.catch_up()
            return run.parts.derived.present
        return run.questions.as_it_was(run.view(), run.next_row)
