"""Columns as few bytes: numbers in one binary buffer, texts as codes into the list of those that occur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .colours import state_colour

Kind = Literal["text", "state", "number", "time"]
"""How a column is shown: texts and states are `str | None`, numbers floats, times seconds since the epoch."""

Values = npt.NDArray[Any]

NO_TIME: Final = 0xFFFFFFFF


class Column(NamedTuple):
    """Name a column and say how it is shown."""

    name: str
    kind: Kind
    label: str = ""


class Packer:
    """Lay arrays one after the other into one buffer, each where its type can be read in place."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, array: npt.NDArray[Any]) -> tuple[str, int, int]:
        """Append an array; returns what the page needs to find it: type (`u1` … `f8`), offset, length."""
        data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        place = (f"{array.dtype.kind}{array.dtype.itemsize}", self._size, len(array))
        padding = -len(data) % 8
        self._parts += (data, bytes(padding))
        self._size += len(data) + padding
        return place

    def buffer(self) -> bytes:
        """Give all of it."""
        return b"".join(self._parts)


def pack_values(kind: Kind, values: Values, packer: Packer) -> dict[str, Any]:
    """Put a column's values into the packer; returns their JSON part."""
    if kind == "number":
        return {"n": packer.add(_narrow(values))}
    if kind == "time":
        return _pack_times(values, packer)
    known: dict[str | None, int] = {}
    codes = np.fromiter((known.setdefault(value, len(known)) for value in values), np.uint32, len(values))
    packed: dict[str, Any] = {"u": list(known), "c": packer.add(pack_integers(codes, len(known)))}
    if kind == "state":
        packed["colours"] = [state_colour(state) for state in known]
    return packed


def pack_integers(values: Sequence[int] | npt.NDArray[Any], bound: int) -> npt.NDArray[Any]:
    """Give integers from 0 to below `bound` in the smallest type that holds them."""
    return np.asarray(values, dtype=np.uint8 if bound <= 1 << 8 else np.uint16 if bound <= 1 << 16 else np.uint32)


def _narrow(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Halve the bytes of numbers where that loses nothing."""
    with np.errstate(over="ignore", invalid="ignore"):
        half = values.astype(np.float32)
        same = np.array_equal(half.astype(np.float64), values, equal_nan=True)
    return half if same else values.astype(np.float64)


def _pack_times(values: npt.NDArray[Any], packer: Packer) -> dict[str, Any]:
    """Write times as milliseconds from the earliest: four bytes for 49 days; wider apart, as they are."""
    known = np.isfinite(values)
    base = float(np.floor(values[known].min())) if known.any() else 0.0
    offsets = np.where(known, np.round((np.where(known, values, base) - base) * 1000), NO_TIME)
    if offsets[known].max(initial=0) >= NO_TIME:
        return {"n": packer.add(values.astype(np.float64))}
    return {"t": packer.add(offsets.astype(np.uint32)), "base": base}
