"""The events that change a character's state or place, without those that only repeat them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from .columns import Dictionary
from .pieces import Extract, Extracted, Piece, used_words
from .schema import Ints, Mask
from .table import Array
from .timeline import NO_EXTRA, Extra, ToldRows, carried, differs, told_rows

WORDS: Final = {"character_id": "who", "state": "what", "location": "where"}


def _make(piece: Piece) -> Extracted:
    view = piece.view()
    told = told_rows(view, NO_EXTRA)
    told = told.at(_news(told))
    columns: dict[str, Array] = {"place": told.rows - view.first_row}
    words: dict[str, list[str]] = {}
    for name, field in WORDS.items():
        columns[name], words[name] = used_words(getattr(told, field), view.dictionaries[name].words)
    return Extracted(columns | {"time": told.when, "tick": told.tick, "left": told.left}, words)


def _news(told: ToldRows) -> Mask:
    """Return a mask of the rows that say something else than the row of the same character before them."""
    order = np.argsort(told.who, kind="stable")
    who, left = told.who[order], told.left[order]
    fresh = differs(who)
    fresh[1:] |= left[:-1]
    news = fresh | left
    for values in (told.what[order], told.where[order]):
        news |= differs(carried(values, fresh))
    found = np.zeros(len(order), np.bool_)
    found[order] = news
    return found


CHANGES: Final = Extract(
    "changes",
    1,
    {
        "place": "i8",
        **dict.fromkeys(WORDS, "i4"),
        "time": "i8",
        "tick": "i8",
        "left": "?",
    },
    frozenset(WORDS),
    _make,
)
"""The rows of `told_rows`, without those that repeat the state and place of the character's row before."""


def changes_of(piece: Piece, words: Mapping[str, Dictionary], extra: Extra, gap_rows: Ints) -> ToldRows:
    """Return the facts about stays of a piece, as `told_rows` does, mostly without repetitions.

    A repetition behind a gap says that a character is still there, and so may one behind a list of characters.
    """
    if len(extra.rows) or is_cut(piece, gap_rows):
        return told_rows(piece.view(), extra)
    return changes_in(piece, words)


def is_cut(piece: Piece, gap_rows: Ints) -> bool:
    """Return whether there is a gap between events of a piece."""
    return bool(((gap_rows > piece.first_row) & (gap_rows < piece.next_row)).any())


def changes_in(piece: Piece, words: Mapping[str, Dictionary]) -> ToldRows:
    """Return the facts about stays of a piece without a gap, without those that only repeat others."""
    made = piece.extracted(CHANGES)
    columns = made.columns
    who, what, where = (made.codes(name, words[name]) for name in WORDS)
    return ToldRows(
        columns["place"] + piece.first_row, who, what, where, columns["time"], columns["tick"], columns["left"]
    )
