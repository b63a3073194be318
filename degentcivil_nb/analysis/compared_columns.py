"""The columns of a run by which it is compared with another: codes of words, ticks, and what commands changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..core import event_columns
from ..recordings.column_parts import each
from ..store.interfaces import RunStore
from ..store.pieces import Piece, Pieces
from ..store.schema import NAT, Ints
from ..store.table import Array

COMPARED: Final = {
    column.name: column.key or column.name
    for column in event_columns.COLUMNS
    if column.of_payload and column.noun is not None and column.name != "character_id"
}
"""Columns in which events can differ visibly, each with the key of the payload that it is read from."""
WORDS: Final = ("type", "character_id", *COMPARED)


class ComparedColumns(NamedTuple):
    """The columns of a run, which have an entry for each event, as narrow as their values are."""

    first_row: int
    codes: Mapping[str, Array]
    words: Mapping[str, list[str]]
    ticks: Array
    """−1 where an event has none."""
    has_tick: npt.NDArray[np.bool_]
    changed: Ints
    """The indices of the events that commands made."""
    first_seq: int | None
    span_s: float
    """The seconds from the first event to the last; NaN for less than two moments."""

    def __len__(self) -> int:
        return len(self.ticks)

    def counted(self, name: str) -> dict[str, int]:
        """Count the events of each word, in the order in which the words first appeared."""
        codes, words = self.codes[name], self.words[name]
        counts = np.bincount(codes[codes >= 0], minlength=len(words)).tolist()
        return {word: count for word, count in zip(words, counts, strict=True) if count}

    def words_at(self, name: str, places: Array) -> list[Any]:
        """Return the words of some events, NaN where there is none."""
        words = np.array([*self.words[name], np.nan], object)
        found: list[Any] = words[self.codes[name][places]].tolist()
        return found


def columns_of(store: RunStore) -> ComparedColumns:
    """Read the columns of a run, a piece at a time."""
    return store.by_pieces(_read)


def positions_of(store: RunStore, columns: ComparedColumns) -> Ints | None:
    """Return the positions of a run's events; `None` if one has none, or if they are not of a single epoch."""

    def read(pieces: Pieces) -> Ints | None:
        views = [piece.view() for piece in pieces.parts]
        epochs = {code for view in views for code in np.unique(view.columns["epoch"]).tolist()}
        if any(view.masks["seq"].any() for view in views) or len(epochs - {-1}) != 1:
            return None
        found = np.concatenate([view.columns["seq"] for view in views])
        start = columns.first_row - views[0].first_row  # a live run may have gone on since
        return found[start : start + len(columns)] if start >= 0 else None

    return store.by_pieces(read) if len(columns) else None


def _read(pieces: Pieces) -> ComparedColumns:
    read = each(pieces.parts, _of_piece)
    first = pieces.parts[0].view() if pieces.parts else None
    times = [time for one in read for time in one["times"].tolist()]
    span = (max(times) - min(times)) / 1e9 if times else 0.0
    return ComparedColumns(
        pieces.parts[0].first_row if pieces.parts else 0,
        {name: _together([one[name] for one in read], np.int8) for name in WORDS},
        {name: list(pieces.words[name].words) for name in WORDS},
        narrow(_together([one["tick"] for one in read], np.int64)),
        _together([one["has_tick"] for one in read], np.bool_),
        _together([one["changed"] for one in read], np.int64) - (pieces.parts[0].first_row if pieces.parts else 0),
        None if first is None or first.masks["seq"][0] else int(first.columns["seq"][0]),
        span if span > 0 else float("nan"),
    )


def _of_piece(piece: Piece) -> dict[str, Array]:
    view = piece.view()
    times, missing = view.columns["time"], view.masks["tick"]
    times = times[times != NAT]
    return {
        **{name: view.columns[name] for name in WORDS},
        "tick": narrow(np.where(missing, -1, view.columns["tick"])),
        "has_tick": ~missing,
        "changed": view.links.interventions.between(view.first_row, view.next_row)[0],
        "times": times[[times.argmin(), times.argmax()]] if len(times) else times,
    }


def narrow(values: Array) -> Array:
    """Return whole numbers in 32 bits if they fit."""
    if len(values) and (values.max() > np.iinfo(np.int32).max or values.min() < np.iinfo(np.int32).min):
        return values
    return values.astype(np.int32, copy=False)


def _together(arrays: list[Array], kind: Any) -> Array:
    return np.concatenate(arrays) if arrays else np.zeros(0, kind)


def joined(a: ComparedColumns, b: ComparedColumns, name: str) -> tuple[Array, int]:
    """Return the code in `a` of each word of `b`, −1 at the end for none, and the number of words of both."""
    known = {word: code for code, word in enumerate(a.words[name])}
    codes = [known.setdefault(word, len(known)) for word in b.words[name]]
    return np.array([*codes, -1], np.int32), len(known)
