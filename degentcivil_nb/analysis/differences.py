"""The differences of two paired runs: the first one, and how many there are in each tick and of each character."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]

from ..core.progress import Progress
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from ..recordings.column_store import ColumnStore
from ..store.schema import Ints
from .alignment import Alignment, Places, Side
from .compared_columns import COMPARED, joined

CHUNK: Final = 8_192
LARGEST: Final = 131_072
"""How many pairs are compared at a time: few at first, since runs often differ soon."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""So many bytes of payloads are compared at a time, or few pairs if they are larger than those before."""
MANY: Final = 1 << 20
"""How many pairs are compared by their columns at a time."""


class Divergence(NamedTuple):
    """A difference of two runs."""

    place: int
    """The number of equal events before the difference."""
    tick: int | None
    a: dict[str, Any] | None
    b: dict[str, Any] | None
    """The two events, with `row`, `payload` and `data`; `None` where a run has no such event at that moment."""
    differs: list[str]
    """What differs: `type`, `tick`, `character_id`, keys of the payload, or `only in a`, `only in b`."""


class Difference(NamedTuple):
    """The place of a difference in the first run, and which pair or event it is."""

    at: float
    """An index of the first run; between two of them for an event of the second run."""
    run: int | None
    """The run that alone has such an event; `None` if the events of a pair differ."""
    number: int
    """The pair, or the index of the event in its run."""
    before: int
    """How many pairs are before it."""


class Pairs:
    """Two runs and how their events correspond."""

    def __init__(self, sides: tuple[Side, Side], alignment: Alignment, ignore: frozenset[str]) -> None:
        self.sides, self.alignment, self.ignore = sides, alignment, ignore
        before = sides[0].columns.before
        self.before = 0 if before is None else before.compared
        """How many pairs are equal before those of the alignment."""

    @property
    def compared(self) -> int:
        """How many pairs there are."""
        return self.before + len(self.alignment.a)

    def first(self, progress: Progress, after: float = -1.0) -> Difference | None:
        """Return the place of the first difference after an index of the first run."""
        alone = min(self._first_alone(after), default=None)
        start = int(np.searchsorted(self.alignment.a, after, "right"))
        stop = len(self.alignment.a) if alone is None else int(np.searchsorted(self.alignment.a, alone[0]))
        pair = self._first_pair(start, stop, progress)
        if pair is not None:
            return Difference(float(self.alignment.a[pair]), None, pair, pair)
        return None if alone is None else Difference(*alone, stop)

    def _first_alone(self, after: float) -> Iterator[tuple[float, int, int]]:
        """Yield of each run the first event without a counterpart after an index of the first run."""
        for run, alone in enumerate((self.alignment.alone_a, self.alignment.alone_b)):
            at = self.in_a(alone) if run else alone.astype(np.float64)
            at[at <= after] = np.inf
            if len(at) and at.min() < np.inf:
                yield float(at.min()), run, int(alone[at.argmin()])

    def in_a(self, places: Ints | Places) -> npt.NDArray[np.float64]:
        """Return the indices in the first run at which events of the second belong: after the last paired one."""
        if not len(places):
            return np.zeros(0)
        return self._last_in_a[places].astype(np.float64) + 0.5

    @cached_property
    def _last_in_a(self) -> Places:
        """The index of the last paired event of the first run up to each event of the second."""
        last = np.full(len(self.sides[1].columns), -1, np.int32)
        last[self.alignment.b] = self.alignment.a
        return np.maximum.accumulate(last, out=last)

    def _first_pair(self, start: int, stop: int, progress: Progress) -> int | None:
        pairs = self.alignment
        first, size = start, CHUNK
        while first < stop:
            last = min(first + size, stop)
            visibly = self._visibly(first, last)
            until = first + int(visibly[0]) if len(visibly) else last
            one, other = (
                _payloads(side, places[first:until])
                for side, places in zip(self.sides, (pairs.a, pairs.b), strict=True)
            )
            for place in np.flatnonzero(pc.not_equal(one, other).to_numpy(zero_copy_only=False)).tolist():
                if not alike(_read(one[place].as_py(), self.ignore), _read(other[place].as_py(), self.ignore)):
                    return int(first + place)
            if until < last:
                return until
            progress(last, len(pairs.a))
            read = one.nbytes + other.nbytes
            first, size = last, max(1, min(2 * size, LARGEST, MOST_BYTES * (last - first) // max(read, 1)))
        return None

    def _visibly(self, first: int, last: int) -> Ints:
        """Return which of some pairs, counted from the first, differ in their type or their tick."""
        (a, b), in_a, in_b = self.sides, self.alignment.a[first:last], self.alignment.b[first:last]
        types, _ = self._joined["type"]
        differ = a.columns.codes["type"][in_a] != types[b.columns.codes["type"][in_b]]
        differ |= a.columns.ticks[in_a] != b.columns.ticks[in_b]
        found: Ints = np.flatnonzero(differ)
        return found

    @cached_property
    def _joined(self) -> dict[str, Any]:
        (a, b) = self.sides
        return {name: joined(a.columns, b.columns, name) for name in ("type", "character_id", *COMPARED)}

    def described(self, found: Difference) -> Divergence:
        """Return a difference with its events."""
        return self._of_pair(found.number) if found.run is None else self._of_alone(found)

    def _of_pair(self, place: int) -> Divergence:
        first, second = self._event(0, int(self.alignment.a[place])), self._event(1, int(self.alignment.b[place]))
        differs = [name for name in ("type", "tick") if first[name] != second[name]]
        one, other = first["payload"], second["payload"]
        if isinstance(one, dict) and isinstance(other, dict):
            keys = [key for key in {**one, **other} if key not in self.ignore]
            differs += [f"payload[{key!r}]" for key in keys if not alike(one.get(key), other.get(key))]
        elif not alike(one, other):
            differs.append("payload")
        tick = second["tick"] if first["tick"] is None else first["tick"]
        return Divergence(self.before + place, tick, first, second, differs)

    def _of_alone(self, found: Difference) -> Divergence:
        """Return the difference of an event without a counterpart, beside the other run's event at that moment."""
        run = found.run or 0
        mine, other = self.sides[run], self.sides[1 - run]
        event = self._event(run, found.number)
        rest = (self.alignment.alone_b, self.alignment.alone_a)[run]
        rest = rest[other.clock[rest] == mine.clock[found.number]]
        who = other.columns.words_at("character_id", rest)
        instead = [place for place, name in zip(rest.tolist(), who, strict=True) if _same_id(name, event)]
        beside = self._event(1 - run, instead[0]) if instead else None
        differs = [f"only in {'ab'[run]}"] if beside is None else ["type"]
        a, b = (event, beside) if run == 0 else (beside, event)
        return Divergence(self.before + found.before, event["tick"], a, b, differs)

    def _event(self, run: int, place: int) -> dict[str, Any]:
        row = place + self.sides[run].columns.first_row
        (event,) = self.sides[run].store.event_dicts(row, row + 1)
        return event

    def differing(self) -> pd.DataFrame:
        """Return the tick and the character of each event that differs visibly, or has no counterpart."""
        (a, b), pairs = self.sides, self.alignment
        named = {"type": "", "character_id": "", **COMPARED}
        names = [name for name, key in named.items() if key not in self.ignore and name not in self.ignore]
        found = [np.zeros(0, np.int32)]
        for start in range(0, len(pairs.a), MANY):
            in_a, in_b = pairs.a[start : start + MANY], pairs.b[start : start + MANY]
            differ = np.zeros(len(in_a), np.bool_)
            for name in names:
                differ |= a.columns.codes[name][in_a] != self._joined[name][0][b.columns.codes[name][in_b]]
            found.append(in_a[differ])
        parts: list[tuple[Side, Places]] = [(a, np.concatenate(found)), (a, pairs.alone_a), (b, pairs.alone_b)]
        who: list[Any] = [name for one, places in parts for name in one.columns.words_at("character_id", places)]
        ticks = np.concatenate([one.clock[places] for one, places in parts]).astype(np.int64)
        return pd.DataFrame({"tick": ticks, "character_id": pd.Series(who, dtype="object")})


def alike(one: Any, other: Any) -> bool:
    """Return whether two decoded values are equal."""
    try:
        return bool(one == other)
    except RecursionError:  # nested too deeply to compare
        return False


def _same_id(name: Any, event: dict[str, Any]) -> bool:
    return bool((name if isinstance(name, str) else None) == event["character_id"])


def _payloads(side: Side, places: Places) -> pa.Array:
    """Return the payloads of events as bytes."""
    rows = places.astype(np.int64) + side.columns.first_row
    order = None
    if (rows[1:] < rows[:-1]).any():  # payloads are taken in ascending order
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
    if isinstance(side.store, ColumnStore):
        payloads = side.store.payload_array(rows)
    else:
        payloads = pa.array(side.store.take_payloads(rows.tolist()), pa.large_binary())
    return payloads if order is None else payloads.take(pa.array(np.argsort(order, kind="stable")))


def _read(payload: bytes, ignore: frozenset[str]) -> Any:
    try:
        value = decode(Any, payload)
    except WebSocketError:
        return payload
    return {key: item for key, item in value.items() if key not in ignore} if isinstance(value, dict) else value
