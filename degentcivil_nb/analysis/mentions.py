"""Events whose payload may contain a text, found without decoding all of them."""

from __future__ import annotations

import re

import pandas as pd

from ..store.interfaces import RunStore
from ..store.payloads import read_payload
from ..store.pieces import Pattern, Pieces
from .kinds import kind_table


def says(text: str) -> Pattern | None:
    """Return a pattern of payloads: it is in each of which one of the texts has this one, in any case.

    `None` if all must be decoded.
    """
    if not text or not all(letter.isascii() and (letter.isalpha() or letter == " ") for letter in text):
        return None
    # letters beyond ASCII can be folded into it, such as the Kelvin sign; an escaped one may be any
    return re.compile(re.escape(text.encode()) + rb"|\\|[^\x00-\x7f]", re.IGNORECASE)


def kind_that(store: RunStore, kind: str, pattern: Pattern) -> pd.DataFrame:
    """Return the table of a kind (`kind_table`) with the events whose payloads have a pattern."""

    def ask(pieces: Pieces) -> tuple[list[int], list[bytes]]:
        found: list[int] = []
        payloads: list[bytes] = []
        for part in pieces.parts:
            places, texts = part.payloads_with(kind, pattern)
            found += (places + part.first_row).tolist()
            payloads += texts
        return found, payloads

    found, payloads = store.by_pieces(ask)
    frame = store.frame_of(found)
    known = dict(zip(found, payloads, strict=True))  # rows of a live run may be gone meanwhile
    values = [read_payload(known[row]) for row in frame.index.tolist()]
    return kind_table(frame.assign(payload=pd.Series(values, frame.index, dtype="object")), kind)
