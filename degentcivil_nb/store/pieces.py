"""The events of a run in pieces, for questions that look at all of them and hold few at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from .columns import Dictionary
from .rows import part_of
from .schema import Ints
from .table import Array, View
from .timeline import Extra

PIECE_ROWS: Final = 262_144
"""Events of a piece of a store in memory: few enough that what is made of them is small, too many to count steps."""


class Piece(Protocol):
    """Some events that follow each other."""

    @property
    def first_row(self) -> int: ...
    @property
    def next_row(self) -> int: ...
    def view(self) -> View: ...
    def payloads(self, places: Array) -> list[bytes]: ...


@dataclass(frozen=True, slots=True)
class Pieces:
    """All events of a run, with changes that are in no row, and the places of gaps."""

    parts: Sequence[Piece]
    words: Mapping[str, Dictionary]
    extra: Extra
    gap_rows: Ints

    def extra_of(self, number: int) -> Extra:
        """Return the changes that belong to a part; those behind the last event belong to the last part."""
        rows, part = self.extra.rows, self.parts[number]
        mine = rows >= part.first_row
        if number < len(self.parts) - 1:
            mine &= rows < part.next_row
        one = self.extra
        return Extra(rows[mine], one.characters[mine], one.states[mine], one.locations[mine], one.times[mine])


class StorePiece:
    """Some events of a store in memory."""

    def __init__(self, view: View, take: Callable[[Sequence[int]], list[bytes]]) -> None:
        self._view = view
        self._take = take

    @property
    def first_row(self) -> int:
        """Return the row of the first event."""
        return self._view.first_row

    @property
    def next_row(self) -> int:
        """Return the row behind the last event."""
        return self._view.next_row

    def view(self) -> View:
        """Return the events."""
        return self._view

    def payloads(self, places: Array) -> list[bytes]:
        """Return payloads of events, given by their places."""
        return self._take((np.asarray(places, np.int64) + self.first_row).tolist())


def pieces_of(
    view: View,
    take: Callable[[Sequence[int]], list[bytes]],
    extra: Extra,
    gap_rows: Ints,
    size: int = PIECE_ROWS,
) -> Pieces:
    """Cut the events of a store into pieces of a size."""
    starts = range(view.first_row, view.next_row, size)
    parts = [StorePiece(part_of(view, start, start + size), take) for start in starts]
    return Pieces(parts, view.dictionaries, extra, gap_rows)
