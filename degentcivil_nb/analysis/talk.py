"""Who spoke to whom, in arrays."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..store.chat_extract import CHAT
from ..store.interfaces import RunStore
from ..store.pieces import Numbered, Pieces

Array = npt.NDArray[np.int64]


class Talk(NamedTuple):
    """What was said to others, in the order of the events: a row for each receiver."""

    speaker: Array
    receiver: Array
    time: Array
    """In nanoseconds since 1970."""
    names: list[str]
    """The names of speakers and receivers."""


def talk_of(store: RunStore, wanted: Collection[str] | None) -> Talk:
    """Return what was said by or to one of these, or by and to all; a message without a list of receivers is left out.

    What somebody said to themselves is no talk.
    """

    def ask(pieces: Pieces) -> Talk:
        names = Numbered()
        asked = None if wanted is None else names.codes(wanted)
        found = [np.zeros((3, 0), np.int64)]
        for part in pieces.parts:
            told = part.extracted(CHAT)
            one, other = names.among(told, "character_id"), names.among(told, "receiver")
            chosen = told.columns["listed"] & (one >= 0) & (one != other)
            if asked is not None:
                chosen &= np.isin(one, asked) | np.isin(other, asked)
            if chosen.any():
                found.append(np.stack([one[chosen], other[chosen], told.columns["time"][chosen]]))
        speaker, receiver, time = np.concatenate(found, axis=1)
        return Talk(speaker, receiver, time, names.words)

    return store.by_pieces(ask)
