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
from ..store.sum_extract import WALL_CLOCK
from ..store.table import Array
from .equal_beginning import Beginning, equal_beginnings

COMPARED: Final = {
    column.name: column.key or column.name
    for column in event_columns.COLUMNS
    if column.of_payload and column.noun is not None and column.name != "character_id"
}
"""Columns in which events can differ visibly, each with the key of the payload that it is read from."""
WORDS: Final = ("type", "character_id", *COMPARED)


class ComparedColumns(NamedTuple):
    """The columns of a run, which have an entry for each event, as narrow as their values are.

    Events of a beginning that the other run has as well are not in them, but counted.
    """

    first_row: int
    before: Beginning | None
    codes: Mapping[str, Array]
    words: Mapping[str, list[str]]
    ticks: Array
    """−1 where an event has none."""
    has_tick: npt.NDArray[np.bool_]
    changed: Ints
    """The indices of the events that commands made."""
    changed_rows: Ints
    """The rows of all events that commands made."""
    first_seq: int | None
    span_s: float
    """The seconds from the first event to the last; NaN for less than two moments."""

    def __len__(self) -> int:
        return len(self.ticks)

    @property
    def events(self) -> int:
        """How many events the run has."""
        return len(self) + (0 if self.before is None else self.before.rows)

    def counted(self, name: str) -> dict[str, int]:
        """Count the events of each type or character, in the order in which the words first appeared."""
        codes, words = self.codes[name], self.words[name]
        counts = np.bincount(codes[codes >= 0], minlength=len(words)).tolist()
        if self.before is not None:
            earlier = self.before.counts[name]
            counts = [count + earlier.get(word, 0) for count, word in zip(counts, words, strict=True)]
        return {word: count for word, count in zip(words, counts, strict=True) if count}

    def words_at(self, name: str, places: Array) -> list[Any]:
        """Return the words of some events, NaN where there is none."""
        words = np.array([*self.words[name], np.nan], object)
        found: list[Any] = words[self.codes[name][places]].tolist()
        return found


def columns_beside(
    a: RunStore, b: RunStore, align: str, *, without_changed: bool, ignore: frozenset[str]
) -> tuple[ComparedColumns, ComparedColumns]:
    """Read the columns of two runs, without a beginning that is known to be the same."""
    both: tuple[Beginning, Beginning] | None = None
    if align == "tick" and ignore.issuperset(WALL_CLOCK):
        both = equal_beginnings(a, b, until_changed=not without_changed)
    if both is not None:
        columns = columns_of(a, both[0]), columns_of(b, both[1])
        if all(_is_later(one) for one in columns):
            return columns
    return columns_of(a), columns_of(b)


def _is_later(columns: ComparedColumns) -> bool:
    """Return whether no tick is from before the end of the beginning, as may be where ticks go back step by step."""
    before, known = columns.before, columns.ticks[columns.has_tick]
    back = np.diff(known.astype(np.int64), prepend=known[:1])
    lost = np.cumsum(np.where(back < -1, -back, 0)) + (0 if before is None else before.lost)
    return before is None or not len(known) or bool((known + lost).min() > before.clock[-1])


def columns_of(store: RunStore, before: Beginning | None = None) -> ComparedColumns:
    """Read the columns of a run, a piece at a time, behind a beginning."""
    return store.by_pieces(lambda pieces: _read(pieces, before))


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


def _read(pieces: Pieces, before: Beginning | None) -> ComparedColumns:
    first_row = pieces.parts[0].first_row if pieces.parts else 0
    start = first_row + (0 if before is None else before.rows)
    read = each([part for part in pieces.parts if part.next_row > start], lambda piece: _of_piece(piece, start))
    first = pieces.parts[0].view() if pieces.parts else None
    times = [time for one in read for time in one["times"].tolist()] + [*(before.times or () if before else ())]
    span = (max(times) - min(times)) / 1e9 if times else 0.0
    changed = _together([one["changed"] for one in read], np.int64)
    return ComparedColumns(
        start,
        before,
        {name: _together([one[name] for one in read], np.int8) for name in WORDS},
        {name: list(pieces.words[name].words) for name in WORDS},
        narrow(_together([one["tick"] for one in read], np.int64)),
        _together([one["has_tick"] for one in read], np.bool_),
        changed - start,
        changed if before is None else np.concatenate([before.changed, changed]),
        None if first is None or first.masks["seq"][0] else int(first.columns["seq"][0]),
        span if span > 0 else float("nan"),
    )


def _of_piece(piece: Piece, start: int) -> dict[str, Array]:
    view = piece.view()
    place = max(0, start - view.first_row)
    times, missing = view.columns["time"][place:], view.masks["tick"][place:]
    times = times[times != NAT]
    return {
        **{name: view.columns[name][place:] for name in WORDS},
        "tick": narrow(np.where(missing, -1, view.columns["tick"][place:])),
        "has_tick": ~missing,
        "changed": view.links.interventions.between(view.first_row + place, view.next_row)[0],
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
