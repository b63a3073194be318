"""Tables of plain arrays, which cost little for each piece of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...store.schema import order_of_codes

Array = npt.NDArray[Any]
Columns = dict[str, Array]


def size_of(table: Columns) -> int:
    """Return the number of rows."""
    return len(next(iter(table.values())))


def rows_at(table: Columns, places: Any) -> Columns:
    """Return some rows, given by their places or a mask."""
    return {name: values[places] for name, values in table.items()}


def below(tables: Sequence[Columns]) -> Columns:
    """Return tables of the same columns below each other."""
    if len(tables) == 1:
        return tables[0]
    return {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}


def by_owner(table: Columns) -> Columns:
    """Return the rows by `who`, in their order otherwise."""
    return rows_at(table, order_of_codes(table["who"]))
