"""Sums by which the ticks of two runs can be compared without their events, and how many events there are of each kind.

The sum of a tick depends on the type, payload and order of its events. Left out are values of watches and what commands
made, and of payloads the keys with times by the wall clock. Equal sums prove that all of this is equal; different ones
prove nothing. The sum of a tick that is cut in two follows from the sums of its parts (`joined_sums`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pandas.util import hash_array

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import MessageTypes
from .pieces import Extract, Extracted, Piece, used_words
from .schema import NAT, Ints
from .table import Array, View
from .tick_extract import changes_of_tick

WALL_CLOCK: Final = ("timestamp", "latency_s")
"""Keys of payloads with times or durations by the wall clock."""
MARKS: Final = tuple(f'"{key}"'.encode() for key in WALL_CLOCK)
BASE: Final = np.uint64(0x9E3779B97F4A7C15)
NO_TICK: Final = np.uint64(0xD1B54A32D192ED03)
FEWEST: Final = 8
"""Events of a tick on average; with fewer, the sums would take more room than they save time."""
SAMPLE: Final = 50
"""Payloads of a type that are asked whether they have times; if none has, the others are not looked at."""
Sums = npt.NDArray[np.uint64]


def _make(piece: Piece) -> Extracted:
    view = piece.view()
    size = view.next_row - view.first_row
    if not size:
        return SUMS.empty()
    starts = changes_of_tick(view)
    if len(starts) * FEWEST > size:
        return SUMS.empty()
    changed = np.zeros(size, np.bool_)
    changed[view.links.interventions.between(view.first_row, view.next_row)[0] - view.first_row] = True
    compared = np.flatnonzero(~changed & (view.columns["type"] != view.code("type", MessageTypes.WATCH)))
    first = np.searchsorted(compared, starts)
    counts = np.diff(np.append(first, len(compared)))
    hashes = _hashes(view, compared, piece.payloads(compared))
    order = np.arange(len(compared)) - np.repeat(first, counts)
    terms = hashes * powers(int(counts.max(initial=0)))[order]
    ends = np.append(np.uint64(0), np.cumsum(terms, dtype=np.uint64))  # sums go on from 0 where they are too large
    told = ~view.masks["tick"][starts]
    return Extracted(
        {
            "place": starts,
            "tick": np.where(told, view.columns["tick"][starts], 0).astype(np.int64),
            "told": told,
            "count": counts,
            "changed": np.add.reduceat(changed, starts, dtype=np.int64),
            "sum": (ends[first + counts] - ends[first]).view(np.int64),
        }
    )


def _hashes(view: View, places: Array, payloads: Sequence[bytes]) -> Sums:
    """Return a number for each event, equal for equal ones."""
    cells = np.empty(len(payloads), object)
    cells[:] = payloads
    types = view.columns["type"][places]
    for code in np.flatnonzero(np.bincount(types)).tolist():
        mine = np.flatnonzero(types == code)
        if any(map(_has_times, cells[mine[:: 1 + len(mine) // SAMPLE]])):  # others keep their times: nothing is proved
            cells[mine] = np.fromiter(map(_without_times, cells[mine]), object, len(mine))
    found: Sums = hash_array(cells, categorize=False)
    names = hash_array(np.array([*view.dictionaries["type"].words, ""], object), categorize=False)
    found ^= names[types] * BASE
    found[view.masks["tick"][places]] ^= NO_TICK
    return found


def _has_times(payload: bytes) -> bool:
    return MARKS[0] in payload or MARKS[1] in payload


def _without_times(payload: bytes) -> bytes:
    if not _has_times(payload):
        return payload
    try:
        value: Any = decode(Any, payload)
    except WebSocketError:
        return payload
    if not isinstance(value, dict):
        return payload
    return encode({key: item for key, item in value.items() if key not in WALL_CLOCK})


def powers(most: int) -> Sums:
    """Return the powers of the base up to one less than the most."""
    found = np.full(max(1, most), BASE)
    found[0] = 1
    return np.cumprod(found, dtype=np.uint64)


def joined_sums(sums: Sums, counts: Ints, starts: Ints) -> Sums:
    """Return the sums of ticks from those of their parts, which begin at `starts`; each part has so many events."""
    ends = np.cumsum(counts)
    before = ends - counts
    before -= np.repeat(before[starts], np.diff(np.append(starts, len(counts))))
    found: Sums = np.add.reduceat(sums * _power(before), starts, dtype=np.uint64)
    return found


def _power(exponents: Ints) -> Sums:
    found, square = np.ones(len(exponents), np.uint64), np.full(1, BASE)
    for bit in range(int(exponents.max(initial=0)).bit_length()):
        found[(exponents >> bit) & 1 == 1] *= square[0]
        square *= square
    return found


def _check(columns: Mapping[str, Array]) -> bool:
    places = columns["place"]
    ascending = not len(places) or (places[0] == 0 and bool((np.diff(places) > 0).all()))
    return ascending and bool((columns["count"] >= 0).all() and (columns["changed"] >= 0).all())


SUMS: Final = Extract(
    "sums",
    1,
    {"place": "i8", "tick": "i8", "told": "?", **dict.fromkeys(("count", "changed", "sum"), "i8")},
    frozenset(),
    _make,
    check=_check,
)
"""A row for the first event of the piece, and for each whose tick is another than the one before, as in `TICKS`.

`count` is how many events are in the sum, and `changed` how many commands made. There are no rows if most ticks have
few events.
"""


def _make_kinds(piece: Piece) -> Extracted:
    view = piece.view()
    if view.next_row == view.first_row:
        return KINDS.empty()
    types, who = view.columns["type"].astype(np.int64), view.columns["character_id"].astype(np.int64)
    most = int(who.max()) + 2
    at = types * most + who + 1
    found, counts = _counted(at)
    times = view.columns["time"][view.columns["time"] != NAT]
    first, last = (times.min(), times.max()) if len(times) else (np.iinfo(np.int64).max, np.iinfo(np.int64).min)
    columns: dict[str, Array] = {"count": counts}
    columns |= {name: np.full(len(found), time, np.int64) for name, time in (("first", first), ("last", last))}
    words: dict[str, list[str]] = {}
    for name, codes in (("type", found // most), ("character_id", found % most - 1)):
        columns[name], words[name] = used_words(codes, view.dictionaries[name].words)
    return Extracted(columns, words)


def _counted(keys: Ints) -> tuple[Ints, Ints]:
    if int(keys.max()) > MOST_KEYS:
        found, counts = np.unique(keys, return_counts=True)
        return found, counts
    counts = np.bincount(keys)
    found = np.flatnonzero(counts)
    return found, counts[found]


MOST_KEYS: Final = 1 << 20
"""Up to this number keys are counted without being sorted."""
KINDS: Final = Extract(
    "kinds",
    1,
    {"type": "i4", "character_id": "i4", **dict.fromkeys(("count", "first", "last"), "i8")},
    frozenset(("type", "character_id")),
    _make_kinds,
    check=lambda columns: bool((columns["count"] >= 0).all()),
)
"""How many events there are of each type and character, and in each row the earliest and latest time of the piece."""
