"""The cells of a column as plain Python values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def plain_cells(column: pd.Series) -> list[Any]:
    """Return the values of a column; `None` where they are missing."""
    cells = np.array(column.array, object)  # a copy, also of a column of objects
    cells[pd.isna(cells)] = None
    return cells.tolist()  # type: ignore[no-any-return]
