"""The differences of two paired runs: the first one, and how many there are in each tick and of each character."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..core import event_columns
from ..core.progress import Progress
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from .alignment import Alignment, Places, Side, codes_of
from .reader import Reader

CHUNK: Final = 8_192
LARGEST: Final = 131_072
"""How many pairs are compared at a time: few at first, since runs often differ soon."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""So many bytes of payloads are compared at a time, or few pairs if they are larger than those before."""
COLUMNS: Final = {
    column.name: column.key or column.name
    for column in event_columns.COLUMNS
    if column.of_payload and column.noun is not None and column.name != "character_id"
}
"""Columns in which events can differ visibly, each with the key of the payload that it is read from."""


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


class Pairs:
    """Two runs and how their events correspond."""

    def __init__(
        self, readers: tuple[Reader, Reader], sides: tuple[Side, Side], alignment: Alignment, ignore: frozenset[str]
    ) -> None:
        self.readers, self.sides, self.alignment, self.ignore = readers, sides, alignment, ignore
        by_b = np.argsort(alignment.b, kind="stable")
        self._b_in_order, self._a_of_them = alignment.b[by_b], np.maximum.accumulate(alignment.a[by_b])

    def first(self, progress: Progress, after: float = -1.0) -> Divergence | None:
        """Return the first difference after an index of the first run."""
        alone_a = self.alignment.alone_a.astype(np.float64)
        alone_b = self.in_a(self.alignment.alone_b)
        alone = min(
            (float(found[0]) for found in (alone_a[alone_a > after], np.sort(alone_b[alone_b > after])) if len(found)),
            default=np.inf,
        )
        start = int(np.searchsorted(self.alignment.a, after, "right"))
        stop = int(np.searchsorted(self.alignment.a, alone))
        differs = self._first_pair(start, stop, progress)
        if differs is not None:
            return self._of_pair(differs)
        if alone == np.inf:
            return None
        place = np.flatnonzero(alone_a == alone)
        if len(place):
            return self._of_alone(0, int(self.alignment.alone_a[place[0]]), stop)
        return self._of_alone(1, int(self.alignment.alone_b[np.flatnonzero(alone_b == alone)[0]]), stop)

    def in_a(self, places: Places) -> npt.NDArray[np.float64]:
        """Return the indices in the first run at which events of the second belong: after the last paired one."""
        if not len(self._b_in_order):
            return np.full(len(places), -0.5)
        before = np.searchsorted(self._b_in_order, places, "right") - 1
        return np.where(before >= 0, self._a_of_them[before] + 0.5, -0.5)

    def _first_pair(self, start: int, stop: int, progress: Progress) -> int | None:
        rows_a, rows_b = self.alignment.a, self.alignment.b
        visibly = self._differ_in_type_or_tick
        first, size = start, CHUNK
        while first < stop:
            last = min(first + size, stop)
            one, other = (
                _payloads(reader, side.frame, places[first:last])
                for reader, side, places in zip(self.readers, self.sides, (rows_a, rows_b), strict=True)
            )
            for place in np.flatnonzero((one != other) | visibly[first:last]).tolist():
                if visibly[first + place] or not alike(
                    _read(one[place], self.ignore), _read(other[place], self.ignore)
                ):
                    return int(first + place)
            progress(last, len(rows_a))
            read = sum(map(len, one)) + sum(map(len, other))
            first, size = last, max(1, min(2 * size, LARGEST, MOST_BYTES * (last - first) // max(read, 1)))
        return None

    @cached_property
    def _differ_in_type_or_tick(self) -> npt.NDArray[np.bool_]:
        """Whether the two events of each pair differ in their type or their tick."""
        (a, b), pairs = self.sides, self.alignment
        types = codes_of(a.frame["type"], b.frame["type"])
        ticks = [one.frame["tick"].to_numpy(dtype=np.int64, na_value=-1) for one in (a, b)]
        differ: npt.NDArray[np.bool_] = types[0][pairs.a] != types[1][pairs.b]
        differ |= ticks[0][pairs.a] != ticks[1][pairs.b]
        return differ

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
        return Divergence(place, tick, first, second, differs)

    def _of_alone(self, run: int, at: int, place: int) -> Divergence:
        """Return the difference of an event without a counterpart, beside the other run's event at that moment."""
        mine, other = self.sides[run], self.sides[1 - run]
        event = self._event(run, at)
        rest = (self.alignment.alone_b, self.alignment.alone_a)[run]
        rest = rest[other.clock[rest] == mine.clock[at]]
        who = other.frame["character_id"].iloc[rest].astype("object").tolist()
        instead = [int(row) for row, name in zip(rest.tolist(), who, strict=True) if _same_id(name, event)]
        found = self._event(1 - run, instead[0]) if instead else None
        differs = [f"only in {'ab'[run]}"] if found is None else ["type"]
        a, b = (event, found) if run == 0 else (found, event)
        return Divergence(place, event["tick"], a, b, differs)

    def _event(self, run: int, place: int) -> dict[str, Any]:
        row = int(self.sides[run].frame.index[place])
        (event,) = self.readers[run]._store.event_dicts(row, row + 1)
        return event

    def differing(self) -> pd.DataFrame:
        """Return the tick and the character of each event that differs visibly, or has no counterpart."""
        (a, b), pairs = self.sides, self.alignment
        differ = np.zeros(len(pairs.a), np.bool_)
        for name, key in {"type": "", "character_id": "", **COLUMNS}.items():
            if key not in self.ignore and name not in self.ignore:
                one, other, _ = codes_of(a.frame[name], b.frame[name])
                differ |= one[pairs.a] != other[pairs.b]
        parts = [(a, pairs.a[differ]), (a, pairs.alone_a), (b, pairs.alone_b)]
        who: list[Any] = [name for one, places in parts for name in one.frame["character_id"].iloc[places].tolist()]
        ticks = np.concatenate([one.clock[places] for one, places in parts])
        return pd.DataFrame({"tick": ticks, "character_id": pd.Series(who, dtype="object")})


def alike(one: Any, other: Any) -> bool:
    """Return whether two decoded values are equal."""
    try:
        return bool(one == other)
    except RecursionError:  # nested too deeply to compare
        return False


def _same_id(name: Any, event: dict[str, Any]) -> bool:
    return bool((name if isinstance(name, str) else None) == event["character_id"])


def _payloads(reader: Reader, frame: pd.DataFrame, places: Places) -> npt.NDArray[np.object_]:
    rows = frame.index.to_numpy(np.int64)[places]
    order = np.argsort(rows, kind="stable")  # payloads are taken in ascending order
    payloads = np.empty(len(rows), object)
    payloads[order] = reader._store.take_payloads(rows[order].tolist())
    return payloads


def _read(payload: bytes, ignore: frozenset[str]) -> Any:
    try:
        value = decode(Any, payload)
    except WebSocketError:
        return payload
    return {key: item for key, item in value.items() if key not in ignore} if isinstance(value, dict) else value
