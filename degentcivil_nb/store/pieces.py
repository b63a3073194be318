"""The events of a run in pieces, for questions that look at all of them and hold few at a time.

An extract of a piece is what some questions need of it, in a few small arrays. Recordings keep those of their sealed
segments in files; elsewhere they are made when they are asked for, by the same function.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal, Protocol

import numpy as np

from .columns import Dictionary
from .rows import part_of
from .schema import Ints
from .table import Array, View
from .timeline import Extra

PIECE_ROWS: Final = 65_536
"""Events of a piece of a store in memory; what is made of the newest piece, which grows, is made anew each time."""


CHUNK: Final = 16_384
"""How many payloads are held at a time, about."""
Pattern = re.Pattern[bytes]
Width = Literal["?", "i4", "i8", "f8"]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The arrays of an extract, by name and all of one length, and the words of those that are codes (−1: none)."""

    columns: dict[str, Array]
    words: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def codes(self, column: str, words: Dictionary) -> Array:
        """Return a column of codes as those of a dictionary."""
        known = [words.get(word, -1) for word in self.words[column]]
        codes: Array = np.array([*known, -1], np.int32)[self.columns[column]]
        return codes


@dataclass(frozen=True, slots=True)
class Extract:
    """The definition of an extract.

    `make` reads a piece and returns `columns` with these types, `coded` ones with their words. `place`, if it is among
    them, is the place of an event in the piece. It has rows for events of `types` alone, if these are given.
    """

    name: str
    version: int
    """Raised whenever `make` returns something else for the same events."""
    columns: Mapping[str, Width]
    coded: frozenset[str]
    make: Callable[[Piece], Extracted]
    types: Sequence[str] | None = None
    check: Callable[[Mapping[str, Array]], bool] | None = None
    """Whether columns with rows are such as `make` returns: those of a file may be anyone's."""

    def empty(self) -> Extracted:
        """Return the extract of a piece that has nothing for it."""
        columns = {name: np.zeros(0, width) for name, width in self.columns.items()}
        return Extracted(
            columns, {name: [] for name in sorted(self.coded)}
        )  # in an order that is the same in each process


class Piece(Protocol):
    """Some events that follow each other."""

    @property
    def first_row(self) -> int: ...
    @property
    def next_row(self) -> int: ...
    def view(self) -> View: ...
    def payloads(self, places: Array) -> list[bytes]: ...
    def extracted(self, extract: Extract) -> Extracted: ...
    def payloads_with(self, type: str, pattern: Pattern) -> tuple[Array, list[bytes]]: ...


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


class KeptExtracts:
    """The extracts of a store's pieces: a piece that is full stays as it is until its events are dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[int, int], dict[str, Extracted]] = {}

    def keep_only(self, pieces: Iterable[Piece]) -> None:
        """Forget the extracts of all other pieces."""
        held = {(piece.first_row, piece.next_row) for piece in pieces}
        with self._lock:
            self._made = {place: made for place, made in self._made.items() if place in held}

    def of(self, extract: Extract, piece: Piece) -> Extracted:
        """Return the extract of a piece, made once; several threads may make it at the same time."""
        place = (piece.first_row, piece.next_row)
        with self._lock:
            found = self._made.get(place, {}).get(extract.name)
        if found is None:
            found = extract.make(piece)
            with self._lock:
                self._made.setdefault(place, {})[extract.name] = found
        return found


class StorePiece:
    """Some events of a store in memory."""

    def __init__(
        self, view: View, take: Callable[[Sequence[int]], list[bytes]], kept: KeptExtracts | None = None
    ) -> None:
        self._view = view
        self._take = take
        self._kept = kept

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

    def extracted(self, extract: Extract) -> Extracted:
        """Return an extract of the events; it is nobody's to change."""
        return extract.make(self) if self._kept is None else self._kept.of(extract, self)

    def payloads_with(self, type: str, pattern: Pattern) -> tuple[Array, list[bytes]]:
        """Return the places and payloads of the events of a type whose payloads have a pattern."""
        return payloads_with(self, type, pattern)


def payloads_with(piece: Piece, type: str, pattern: Pattern) -> tuple[Array, list[bytes]]:
    """Return the places and payloads of the events of a type whose payloads have a pattern; each is looked at."""
    view = piece.view()
    places = np.flatnonzero(view.columns["type"] == view.code("type", type))
    found: list[int] = []
    payloads: list[bytes] = []
    for some in np.array_split(places, max(1, len(places) // CHUNK)):
        for place, payload in zip(some.tolist(), piece.payloads(some) if len(some) else (), strict=True):
            if pattern.search(payload):
                found.append(place)
                payloads.append(payload)
    return np.array(found, np.int64), payloads


def pieces_of(
    view: View,
    take: Callable[[Sequence[int]], list[bytes]],
    extra: Extra,
    gap_rows: Ints,
    size: int = PIECE_ROWS,
    kept: KeptExtracts | None = None,
) -> Pieces:
    """Cut the events of a store into pieces of a size, at rows that stay the same when the oldest are dropped."""
    starts = [*range((view.first_row // size + 1) * size, view.next_row, size)]
    bounds = [view.first_row, *starts, view.next_row] if view.next_row > view.first_row else []
    parts = [StorePiece(part_of(view, *bound), take, kept) for bound in pairwise(bounds)]
    if kept is not None:
        kept.keep_only(parts)
    return Pieces(parts, view.dictionaries, extra, gap_rows)


class Numbered(dict[str | None, int]):
    """Words by number, in the order of their first appearance; `None` is −1."""

    def __init__(self) -> None:
        super().__init__({None: -1})
        self.words: list[str] = []

    def __missing__(self, word: str | None) -> int:
        found = self[word] = len(self.words)
        self.words.append(str(word))
        return found

    def codes(self, words: Iterable[str | None]) -> Array:
        """Return the numbers of words."""
        return np.array([self[word] for word in words], np.int32)

    def among(self, extracted: Extracted, column: str) -> Array:
        """Return the numbers of the words of a column of codes."""
        codes: Array = np.append(self.codes(extracted.words[column]), np.int32(-1))[extracted.columns[column]]
        return codes


def used_words(codes: Array, words: Sequence[str]) -> tuple[Array, list[str]]:
    """Return codes of the words that are used alone, with these."""
    used, places = np.unique(codes, return_inverse=True)
    none = int(np.count_nonzero(used < 0))
    return (places - none).astype(np.int32), [words[code] for code in used[none:].tolist()]
