"""Events whose payload may contain a text, found without decoding all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

import numpy as np
import pandas as pd

from ..store.interfaces import RunStore
from ..store.payloads import read_payload
from .kinds import kind_table

BLOCK: Final = 1 << 17
"""How many payloads are held at a time."""
May = Callable[[bytes], object]


def names_any(words: Collection[str]) -> May | None:
    """Return a test of payloads: nothing only if one names none of these words. `None` if all must be decoded."""
    # a name is a text of its own in a payload; one of digits may be a number there
    needles = [f'"{word}"'.encode() if any(map(str.isalpha, word)) else word.encode() for word in words]
    if not needles or len(needles) > MANY or not all(word.isascii() and word.isprintable() for word in words):
        return None
    # an escaped letter may be any
    return re.compile(b"|".join(map(re.escape, [*needles, b"\\"]))).search


MANY: Final = 50


def says(text: str) -> May | None:
    """Return a test of payloads as `names_any` does: nothing only if none of its texts has this one, in any case."""
    if not text or not all(letter.isascii() and (letter.isalpha() or letter == " ") for letter in text):
        return None
    # letters beyond ASCII can be folded into it, such as the Kelvin sign and ligatures
    return re.compile(re.escape(text.encode()) + rb"|\\|[\x80-\xff]", re.IGNORECASE).search


def kind_that(store: RunStore, kind: str, may: May) -> pd.DataFrame:
    """Return the table of a kind (`kind_table`) with the events whose payloads pass a test."""
    rows = np.asarray(store.rows_of([kind]), np.int64)
    found: list[int] = []
    payloads: list[bytes] = []
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK].tolist()
        for row, payload in zip(some, store.take_payloads(some), strict=True):
            if may(payload):
                found.append(row)
                payloads.append(payload)
    frame = store.frame_of(found)
    known = dict(zip(found, payloads, strict=True))  # rows of a live run may be gone meanwhile
    values = [read_payload(known[row]) for row in frame.index.tolist()]
    return kind_table(frame.assign(payload=pd.Series(values, frame.index, dtype="object")), kind)
