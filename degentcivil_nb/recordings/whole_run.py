"""The store that follows a whole recording: it holds the last events, counts all, can be saved and restored."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any, Final

import numpy as np
from msgspec import Struct

from ..core.event_columns import CATEGORIES
from ..protocol.control_payloads import Gap, RunState, Snapshot, SnapshotCharacter
from ..protocol.json_text import encode
from ..store.characters import CharacterColumns
from ..store.checkpoints import Checkpoints
from ..store.controls import ControlRow, GapRow, StreamPosition
from ..store.counters import CODE_BITS
from ..store.event_store import EventStore
from ..store.llm import ModelTotals
from ..store.schema import NAT, SECOND, Ints
from ..store.timeline import Extra
from .manifest import Count

HELD_ROWS: Final = 65_536  # the last events, for questions about the present
EVERYTHING: Final = 1 << 40
"""More rows than any store can hold."""
PENDING: Final = ("pending.who", "pending.state", "pending.location", "pending.since")


class IndexHead(Struct, array_like=True):
    """One character of the present; times in nanoseconds."""

    character_id: str
    state: str | None
    location: str | None
    since: int
    last_seen: int
    attributes: dict[str, Any]


class IndexState(Struct):
    """The state of a `WholeRun` except its events and what is stored in arrays."""

    row: Count
    words: dict[str, list[str]]
    codes: list[str]
    names: list[str]
    said: list[str]
    characters: list[IndexHead]
    snapshot: tuple[str | None, int] | None
    parts: list[SnapshotCharacter]
    controls: list[tuple[Count, str, int, str | None, bytes]]
    gaps: list[tuple[Count, Gap, int]]
    missing: int | None
    run_state: RunState | None
    told: list[tuple[str | None, str]]
    accounted: dict[str, int]
    places: list[tuple[str, dict[str, Any]]]
    llm: list[tuple[str | None, tuple[Any, ...]]]
    errors: Count
    malformed: Count
    tick: int | None
    clock: tuple[int, int] | None


class WholeRun(EventStore):
    """A store that counts all events and holds the last ones."""

    def __init__(self, max_rows: int | None = None) -> None:
        super().__init__(max_rows=HELD_ROWS if max_rows is None else max_rows, keep_all=True)

    def town(self) -> tuple[bytes, str | None]:
        """Return the present as a list of snapshots, and their epoch.

        One snapshot is the present. If the stream has not reached the snapshot that set the present, the characters as
        of the stream come first. The parts of a snapshot whose other parts follow come last.
        """
        at = self.parts.snapshot
        towns = [Snapshot(0 if at is None else at.seq, 0, True, snapshot_characters(self.present_columns()))]
        if self.parts.snapshot_states is not None:
            try:
                told = self.questions.as_it_was(self.view(), self.next_row).columns()
            except ValueError:  # those events are no longer held
                pass
            else:
                towns.insert(0, Snapshot(0, 0, True, snapshot_characters(told)))
        if self.parts.controls.parts:
            towns.append(Snapshot(0, 0, False, self.parts.controls.parts))
        return encode(towns), None if at is None else at.epoch

    def extra(self) -> tuple[Extra, Any]:
        """Return the changes that no row names, and the rows that gaps come before."""
        with self.parts.changed:
            self.parts.derived.catch_up()
            return Extra.of(
                self.parts.derived.transitions, self.parts.snapshot_states, self.next_row
            ), self.parts.controls.gap_rows()

    @property
    def is_ahead(self) -> bool:
        """Whether a snapshot is ahead of the stream, so that there are two sets of characters."""
        return self.parts.snapshot_states is not None

    @property
    def errors_so_far(self) -> int:
        """Return the number of errors."""
        return self.parts.errors

    # --- saving and restoring -----------------------------------------------------------------------------------------

    def begin_at(self, row: int) -> None:
        """Set the row of the first event, before anything was appended."""
        self.parts.table.begin(row)
        self.parts.payloads.begin(row)
        self.parts.derived.caught_up_to = self.parts.derived.counted_from = row

    def keep(self) -> tuple[IndexState, dict[str, Ints]]:
        """Return the whole state except the events, for `restore`."""
        self.parts.derived.catch_up()
        row, controls, at = self.next_row, self.parts.controls, self.parts.snapshot
        kept = IndexState(
            row,
            {name: words.words for name, words in self.parts.table.dictionaries.items()},
            self.parts.derived.codes.words,
            sorted(self.parts.names.known),
            sorted(self.parts.names.said),
            index_heads(self.present_columns()),
            None if at is None else (at.epoch, at.seq),
            controls.parts,
            [one for one in self.kept_controls() if one[0] >= row],
            [(gap.row, gap.gap, gap.time) for gap in controls.gaps],
            controls.missing,
            controls.run_state,
            list(controls.run_state_causes),
            controls.accounted,
            self.parts.places.items(),
            [(model, astuple(totals)) for model, totals in self.parts.llm.copy()],
            self.parts.errors,
            self.parts.malformed,
            self.parts.tick,
            controls.clock,
        )
        arrays: dict[str, Any] = {}
        for by, tally in self.parts.derived.tallies.items():
            arrays[f"{by}.keys"], arrays[f"{by}.counts"] = tally.merged()
        arrays |= self.parts.derived.transitions.arrays(len(self.parts.table.dictionaries["character_id"].words))
        if self.parts.snapshot_states is not None:
            arrays |= dict(zip(PENDING, self.parts.snapshot_states, strict=True))
        return kept, arrays

    def kept_controls(self) -> list[tuple[int, str, int, str | None, bytes]]:
        """Return all ordered control messages, in the form in which `keep` returns those after the last event."""
        return [(one.row, one.type, one.time, one.epoch, one.data) for one in self.parts.controls.rows]

    def restore(self, kept: IndexState, arrays: dict[str, Ints]) -> None:
        """Set the state that `keep` returned, before anything was appended; `ValueError` if it is invalid.

        Everything is validated: the file may have been written by anyone.
        """
        for name in CATEGORIES:
            self.parts.table.dictionaries[name].restore(kept.words.get(name, []))
        self.parts.derived.codes.restore(kept.codes)
        words = {name: len(dictionary.words) for name, dictionary in self.parts.table.dictionaries.items()}
        self.begin_at(kept.row)
        self.parts.derived.present.restore(present_of(kept.characters))
        self.parts.names.known.update(kept.names)
        self.parts.names.said.update(kept.said)
        for by, tally in self.parts.derived.tallies.items():
            keys, counts = arrays[f"{by}.keys"], arrays[f"{by}.counts"]
            if len(keys) != len(counts):
                raise ValueError("counts are missing")
            _require_codes(
                keys & ((1 << CODE_BITS) - 1), len(self.parts.derived.codes.words) if by == "code" else words[by]
            )
            tally.restore(keys, counts)
        for name, array in arrays.items():
            if name.endswith((".who", ".state", ".location", ".was", ".now")):
                column = {"who": "character_id", "location": "location"}.get(name.partition(".")[2], "state")
                _require_codes(array, words[column], 0 if column == "character_id" else -1)
        self.parts.derived.transitions.restore(arrays)
        if PENDING[0] in arrays:
            who, state, location, since = (arrays[name] for name in PENDING)
            if not len(who) == len(state) == len(location) == len(since):
                raise ValueError("states are missing")
            codes = (column.astype(np.int32) for column in (who, state, location))
            self.parts.snapshot_states = (*codes, since)  # type: ignore[assignment]  # three arrays of codes and one of times
        self.parts.snapshot = None if kept.snapshot is None else StreamPosition(*kept.snapshot)
        controls = self.parts.controls
        controls.parts = kept.parts
        controls.rows = [ControlRow(*one) for one in kept.controls]
        controls.gaps = [GapRow(*one) for one in kept.gaps]
        controls.missing, controls.run_state, controls.accounted = kept.missing, kept.run_state, kept.accounted
        controls.run_state_causes.extend(kept.told)
        controls.clock = kept.clock
        self.parts.places.restore(kept.places)
        self.parts.llm.restore([(model, ModelTotals.of(totals)) for model, totals in kept.llm])
        self.parts.errors, self.parts.malformed, self.parts.tick = kept.errors, kept.malformed, kept.tick
        self.parts.derived.checkpoints = Checkpoints(self.parts.derived.present.copy(), kept.row)


def index_heads(present: CharacterColumns) -> list[IndexHead]:
    """Return the characters of a present, as an index keeps them."""
    lists = (present.character_id, present.state, present.location, present.since.tolist(), present.last_seen.tolist())
    return [IndexHead(*one) for one in zip(*lists, present.attributes, strict=True)]


def present_of(known: list[IndexHead]) -> CharacterColumns:
    """Return the present that `index_heads` returned."""
    return CharacterColumns(
        0,
        True,
        [one.character_id for one in known],
        [one.state for one in known],
        [one.location for one in known],
        np.array([one.since for one in known], np.int64),
        np.array([one.last_seen for one in known], np.int64),
        [one.attributes for one in known],
    )


def _require_codes(codes: Ints, words: int, lowest: int = 0) -> None:
    if len(codes) and not lowest <= int(codes.min()) <= int(codes.max()) < words:
        raise ValueError("words are missing")


def snapshot_characters(columns: CharacterColumns) -> list[SnapshotCharacter]:
    """Convert the columns of a present to the characters of a snapshot."""
    return [
        SnapshotCharacter(character, state, location, _seconds(since), _seconds(seen), attributes)
        for character, state, location, since, seen, attributes in zip(
            columns.character_id,
            columns.state,
            columns.location,
            columns.since.tolist(),
            columns.last_seen.tolist(),
            columns.attributes,
            strict=True,
        )
    ]


def _seconds(nanoseconds: int) -> float | None:
    return None if nanoseconds == NAT else nanoseconds / SECOND
