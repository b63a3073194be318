"""How long characters were silent: from each event of a character to its next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ..protocol.messages import MessageTypes
from .pieces import Extract, Extracted, Piece, used_words
from .table import Array, View
from .tick_extract import moments_within
from .timeline import carried, differs

FIRST, LAST, COUNTED, LONG = range(4)
"""What a row of the extract stands for: a character's first or last event, silences of one length, or a long one."""
KEPT_ABOVE: Final = 20
"""In ticks: of silences up to this long only their number is kept."""


def _make(piece: Piece) -> Extracted:
    view = piece.view()
    named = view.columns["character_id"]
    at = np.flatnonzero(named >= 0)
    if not len(at):
        return SILENCES.empty()
    at = at[np.argsort(named[at], kind="stable")]
    who = named[at].astype(np.int64)
    first = differs(who)
    starts = np.flatnonzero(first)
    sizes = np.diff(np.append(starts, len(at)))
    left = view.columns["type"][at] == view.code("type", MessageTypes.CHARACTER_LEFT)
    told: dict[str, Array] = {
        "character_id": who,
        "state": carried(view.columns["state"][at].astype(np.int32), first),
        "place": at,
        "time": np.maximum.accumulate(view.columns["time"])[at],
        "moment": _moments(view)[at],
        "count": np.arange(len(at)) - np.repeat(starts, sizes) + 1,
        "left": left,
    }
    last = starts + sizes - 1
    begin = np.flatnonzero(~np.append(first[1:], True))
    length = told["moment"][begin + 1] - told["moment"][begin]
    long = length > KEPT_ABOVE
    until = told["time"][begin[long] + 1]
    tables = [
        _rows(told, starts, FIRST),
        _rows(told, last, LAST),
        _counted(told, begin[~long], length[~long]),
        _rows(told, begin[long], LONG) | {"length": length[long], "until": until},
    ]
    columns = {name: np.concatenate([table[name] for table in tables]) for name in SILENCES.columns}
    words: dict[str, list[str]] = {}
    for name in CODED:
        columns[name], words[name] = used_words(columns[name], view.dictionaries[name].words)
    return Extracted(columns, words)


def _moments(view: View) -> Array:
    """Return the ticks of a view's events as they go on; if the first event has no tick, nobody asks for them."""
    if view.masks["tick"][0]:
        return np.zeros(view.next_row - view.first_row, np.int64)
    return moments_within(view)


def _rows(told: dict[str, Array], at: Array, role: int) -> dict[str, Array]:
    nothing = np.zeros(len(at), np.int64)
    return {name: values[at] for name, values in told.items()} | {
        "role": np.full(len(at), role),
        "length": nothing,
        "until": nothing,
    }


def _counted(told: dict[str, Array], begin: Array, length: Array) -> dict[str, Array]:
    """Count the silences of a character in a state that are equally long."""
    states = int(told["state"].max()) + 2
    keys = (told["character_id"][begin] * states + told["state"][begin] + 1) * (KEPT_ABOVE + 1) + length
    found, counts = np.unique(keys, return_counts=True)
    pairs, lengths = np.divmod(found, KEPT_ABOVE + 1)
    nothing = np.zeros(len(found), np.int64)
    return {
        **dict.fromkeys(("place", "time", "moment", "until"), nothing),
        "character_id": pairs // states,
        "state": pairs % states - 1,
        "length": lengths,
        "count": counts,
        "left": np.zeros(len(found), np.bool_),
        "role": np.full(len(found), COUNTED),
    }


def _check(columns: Mapping[str, Array]) -> bool:
    told = all(bool((columns[name] >= 0).all()) for name in ("role", "character_id", "length", "count"))
    return told and bool((columns["role"] <= LONG).all() and (columns["length"] <= HIGHEST).all())


HIGHEST: Final = 1 << 53
"""The longest silence in ticks: a number of more digits is none."""
CODED: Final = ("character_id", "state")
SILENCES: Final = Extract(
    "silences",
    1,
    {
        **dict.fromkeys(("role", *CODED), "i4"),
        **dict.fromkeys(("place", "time", "until", "moment", "length", "count"), "i8"),
        "left": "?",
    },
    frozenset(CODED),
    _make,
    check=_check,
)
"""The silences of characters by `role`. Those between two pieces follow from the last and first events in them.

`state` is −1 before the character's first state in the piece. `moment` and `length` are in ticks (`moments_within`).
`count` is the number of the event among those of the character, or of the silences that are counted together.
"""
