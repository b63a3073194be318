"""Transition counts, and changes that have no row of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .changes import Changes
from .columns import Dictionary, Growing
from .counters import count_pairs
from .schema import Codes, Ints, Mask


class TransitionTracker:
    """Each character's state along the stream, reset by a gap; the present may be ahead of it."""

    def __init__(self, states: Dictionary) -> None:
        self._states = states
        self._state: Codes = np.zeros(0, np.int32)  # as of the last row; -1 behind a gap
        self._counts: Counter[tuple[int, int]] = Counter()
        self.extra_rows = Growing()
        """Rows at which characters changed that the row does not name; the next arrays have who changed to what."""
        self.extra_characters = Growing(np.int32)
        self.extra_states = Growing(np.int32)
        self.extra_locations = Growing(np.int32)
        self.extra_times = Growing()

    def _fit(self, size: int) -> None:
        if size > len(self._state):
            more = max(size - len(self._state), len(self._state), 64)
            self._state = np.concatenate([self._state, np.full(more, -1, np.int32)])

    def follow(self, changes: Changes, listed: Mask | None, times: Ints, first_row: int) -> None:
        """Apply changes and count the transitions; previous states that senders reported fill gaps.

        Rows that are `listed` name no character themselves, so their changes are stored for the timeline.
        """
        who, what = changes.who, changes.what
        if not len(who):
            return
        self._fit(int(who[-1]) + 1)
        before = changes.before(self._state)
        if listed is not None:
            new = np.sort(changes.order[(before != what) & listed[changes.index[changes.order]]])
            at = changes.index[new].astype(np.int64)
            self.note(first_row + at, changes.character[new], changes.state[new], changes.location[new], times[at])
        unknown = before < 0
        if unknown.any():
            before[unknown] = changes.previous(changes.index[changes.order[unknown]])
        moved = (before != what) & (before >= 0)
        left = before[moved].astype(np.int64)
        if len(left):
            for was, now, count in np.stack(count_pairs(left, what[moved], int(left.max()) + 1), 1).tolist():
                self._counts[was, now] += count
        self._state[who[changes.last]] = what[changes.last]

    def interrupt(self) -> None:
        """Reset all states: messages are missing here."""
        self._state[:] = -1

    def restore_snapshot(self, row: int, characters: Codes, states: Codes, locations: Codes, since: Ints) -> None:
        """Apply a snapshot's states to characters without a known state."""
        known = states >= 0
        characters, states, locations, since = characters[known], states[known], locations[known], since[known]
        if not len(characters):
            return
        self._fit(int(characters.max()) + 1)
        new = self._state[characters] < 0
        characters, states, locations, since = characters[new], states[new], locations[new], since[new]
        self._state[characters] = states
        self.note(np.full(len(characters), row), characters, states, locations, since)

    def note(self, rows: Ints, characters: Codes, states: Codes, locations: Codes, times: Ints) -> None:
        """Store changes that the columns do not contain, for the timeline."""
        self.extra_rows.extend(rows)
        self.extra_characters.extend(characters)
        self.extra_states.extend(states)
        self.extra_locations.extend(locations)
        self.extra_times.extend(times)

    def arrays(self, characters: int) -> dict[str, npt.NDArray[Any]]:
        """Return the state of so many characters as arrays, for `restore`."""
        pairs = np.array([(*pair, count) for pair, count in self._counts.items()], np.int64).reshape(-1, 3)
        return {
            "stays.state": self._state[:characters].copy(),
            **dict(zip(("moves.was", "moves.now", "moves.count"), pairs.T, strict=True)),
            **{f"extra.{name}": column.values for name, column in self._extra().items()},
        }

    def _extra(self) -> dict[str, Growing]:
        return {
            "rows": self.extra_rows,
            "who": self.extra_characters,
            "state": self.extra_states,
            "location": self.extra_locations,
            "times": self.extra_times,
        }

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Continue from what `arrays` returned; raise `ValueError` for anything else."""
        columns = {name: arrays[f"extra.{name}"] for name in self._extra()}
        if len({len(values) for values in columns.values()}) != 1:
            raise ValueError("changes are missing")
        for name, column in self._extra().items():
            column.extend(columns[name])
        self._state = arrays["stays.state"].astype(np.int32)
        moves = (arrays[f"moves.{name}"].tolist() for name in ("was", "now", "count"))
        self._counts = Counter()
        for was, now, count in zip(*moves, strict=True):
            self._counts[was, now] += count

    def unknown(self, characters: Codes) -> Mask:
        """Return a mask of the characters without a known state since the last gap."""
        size = len(self._state)
        return np.array([code >= size or self._state[code] < 0 for code in characters.tolist()], np.bool_)

    def forget(self, first_row: int) -> None:
        """Drop the changes noted before a row, once they are the greater part."""
        gone = int(np.searchsorted(self.extra_rows.values, first_row))
        if gone > 1_024 and gone > self.extra_rows.size // 2:
            for column in self._extra().values():
                column.drop(gone)

    def forget_counts(self) -> None:
        """Drop the counts and the changes noted; the states stay."""
        self._counts.clear()
        for column in self._extra().values():
            column.drop(column.size)

    def counts(self) -> dict[tuple[int, int], int]:
        """Copy the counts by pair of codes, for `transition_table`."""
        return dict(self._counts)


def transition_table(counts: dict[tuple[int, int], int], states: Dictionary) -> pd.DataFrame:
    """Return the square table of counts: from-states as rows, to-states as columns, in order of appearance."""
    codes = sorted({code for pair in counts for code in pair})
    names = [states.words[code] for code in codes]
    place = {code: position for position, code in enumerate(codes)}
    table = np.zeros((len(names), len(names)), np.int64)
    for (before, after), count in counts.items():
        table[place[before], place[after]] += count
    index = pd.Index(names, dtype="str", name="from")
    return pd.DataFrame(table, index=index, columns=pd.Index(names, dtype="str", name="to"))
