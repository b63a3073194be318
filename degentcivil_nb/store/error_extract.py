"""The errors of a run with their codes and messages."""

from __future__ import annotations

from typing import Final

import numpy as np

from ..protocol.messages import MessageTypes
from .pieces import Extract, Extracted, Piece, used_words
from .selection import has_word

WORDS: Final = ("character_id", "message")


def _make(piece: Piece) -> Extracted:
    view = piece.view()
    places = np.flatnonzero(has_word(view, "type", MessageTypes.ERROR))
    columns = {"place": places, "code": view.columns["code"][places], "no_code": view.masks["code"][places]}
    words: dict[str, list[str]] = {}
    for name in WORDS:
        columns[name], words[name] = used_words(view.columns[name][places], view.dictionaries[name].words)
    return Extracted(columns, words)


ERRORS: Final = Extract(
    "errors",
    1,
    {"place": "i8", "code": "i8", "no_code": "?", **dict.fromkeys(WORDS, "i4")},
    frozenset(WORDS),
    _make,
)
"""The errors; also those that a message became whose payload does not have the shape of its type."""
