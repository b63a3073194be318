"""Compact encoding of columns: numbers in one binary buffer, texts as codes into the list of distinct ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..figures.colours import state_colour

Kind = Literal["text", "state", "number", "time"]
"""How a column is shown: texts and states are `str | None`, numbers floats, times seconds since the epoch.

A column with a whole number that a float cannot hold is an array of objects: floats and such ints.
"""

Values = npt.NDArray[Any]

EXACT: Final = (1 << 53) - 1
"""The largest whole number that is exact as a float; larger ones are sent as digits (issue 10, row 8)."""
TIME_TYPES: Final = (np.uint16, np.uint32)
"""The types for offsets of times, of which the first that fits is used; a type's largest number means no time."""


class Column(NamedTuple):
    """A column's name and kind."""

    name: str
    kind: Kind
    label: str = ""


class ColumnPacker:
    """A buffer of arrays, each aligned to its type, equal ones stored once.

    The cells that change together are often in the same rows, and a new state begins at the time of its event.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._known: dict[tuple[str, bytes], tuple[str, int, int]] = {}

    def add(self, array: npt.NDArray[Any]) -> tuple[str, int, int]:
        """Append an array; return its type (`u1` … `f8`), offset and length, for the page."""
        data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        if (kind, data) in self._known:
            return self._known[kind, data]
        place = self._known[kind, data] = (kind, self._size, len(array))
        padding = -len(data) % 8
        self._parts += (data, bytes(padding))
        self._size += len(data) + padding
        return place

    def buffer(self) -> bytes:
        """Return the whole buffer."""
        return b"".join(self._parts)


def pack_values(kind: Kind, values: Values, packer: ColumnPacker) -> dict[str, Any]:
    """Add a column's values to the packer; return their JSON part."""
    if kind == "number":
        return _pack_numbers(values, packer)
    if kind == "time":
        return _pack_times(values, packer)
    known: dict[str | None, int] = {}
    codes = np.fromiter((known.setdefault(value, len(known)) for value in values), np.uint32, len(values))
    packed: dict[str, Any] = {"u": list(known), "c": packer.add(pack_integers(codes, len(known)))}
    if kind == "state":
        packed["colours"] = [state_colour(state) for state in known]
    return packed


def pack_integers(values: Sequence[int] | npt.NDArray[Any], bound: int) -> npt.NDArray[Any]:
    """Return integers from 0 to below `bound` in the smallest type that holds them."""
    return np.asarray(values, dtype=np.uint8 if bound <= 1 << 8 else np.uint16 if bound <= 1 << 16 else np.uint32)


def pack_places(places: npt.NDArray[np.int64], bound: int, packer: ColumnPacker) -> dict[str, Any]:
    """Pack ascending distinct row numbers: as numbers (`at`), or, if many, as one bit for each row (`among`)."""
    numbers = pack_integers(places, bound)
    if numbers.nbytes <= bound // 8:
        return {"at": packer.add(numbers)}
    chosen = np.zeros(bound, dtype=bool)
    chosen[places] = True
    return {"among": packer.add(np.packbits(chosen, bitorder="little"))}


def number_values(values: Sequence[Any]) -> Values:
    """Return numbers as a column: floats, NaN for `None`, and large whole numbers unchanged."""
    if any(isinstance(value, int) and abs(value) > EXACT for value in values):
        cells = np.empty(len(values), dtype=object)
        cells[:] = [value if isinstance(value, int) and abs(value) > EXACT else _as_float(value) for value in values]
        return cells
    return np.array([_as_float(value) for value in values], dtype=np.float64)


def _as_float(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _pack_numbers(values: Values, packer: ColumnPacker) -> dict[str, Any]:
    if values.dtype != object:
        return {"n": packer.add(_narrow(values))}
    exact = [(place, str(value)) for place, value in enumerate(values) if isinstance(value, int)]
    near = np.array([0.0 if isinstance(value, int) else value for value in values], dtype=np.float64)
    return {"n": packer.add(_narrow(near)), "exact": exact}


def _narrow(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Halve the bytes of numbers if that loses nothing."""
    with np.errstate(over="ignore", invalid="ignore"):
        half = values.astype(np.float32)
        same = np.array_equal(half.astype(np.float64), values, equal_nan=True)
    return half if same else values.astype(np.float64)


def _pack_times(values: npt.NDArray[Any], packer: ColumnPacker) -> dict[str, Any]:
    """Pack times as milliseconds from the earliest: two bytes for a minute, four for 49 days; else unchanged."""
    known = np.isfinite(values)
    base = float(np.floor(values[known].min())) if known.any() else 0.0
    offsets = np.round((np.where(known, values, base) - base) * 1000)
    for kind in TIME_TYPES:
        none = np.iinfo(kind).max
        if offsets.max(initial=0) < none:
            return {"t": packer.add(np.where(known, offsets, none).astype(kind)), "base": base}
    return {"n": packer.add(values.astype(np.float64))}
