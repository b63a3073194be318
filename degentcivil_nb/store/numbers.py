"""Nullable numbers over the store's buffers, which nothing writes through."""

from __future__ import annotations

from typing import Any

import pandas as pd


class StoreIntegers(pd.arrays.IntegerArray):
    """Whole numbers of a store.

    pandas' cumulative functions write a neutral value into the places of missing ones, so they get a copy here.
    """

    def _accumulate(self, name: str, *, skipna: bool = True, **more: Any) -> Any:
        return _own(pd.arrays.IntegerArray, self)._accumulate(name, skipna=skipna, **more)

    def __reduce__(self) -> Any:
        return pd.arrays.IntegerArray, _copies(self)


class StoreFloats(pd.arrays.FloatingArray):
    """Fractions of a store; see `StoreIntegers`."""

    def _accumulate(self, name: str, *, skipna: bool = True, **more: Any) -> Any:
        return _own(pd.arrays.FloatingArray, self)._accumulate(name, skipna=skipna, **more)

    def __reduce__(self) -> Any:
        return pd.arrays.FloatingArray, _copies(self)


def _own(kind: Any, numbers: Any) -> Any:
    return kind(*_copies(numbers))


def _copies(numbers: Any) -> tuple[Any, Any]:
    return numbers._data.copy(), numbers._mask.copy()
