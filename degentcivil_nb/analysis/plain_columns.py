"""Frames whose columns have one type each, as SQL needs them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

_EXACT = 2**53
"""Whole numbers up to this one are exact as doubles."""


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert each column of mixed values to one type, since SQL needs one type for a column.

    Whole numbers beside doubles become doubles where that is exact. All other mixed values become JSON text, and so do
    whole numbers that do not fit into 64 bits.
    """
    for name in [name for name, kind in frame.dtypes.items() if pd.api.types.is_object_dtype(kind)]:
        kind = pd.api.types.infer_dtype(frame[name], skipna=True)
        if kind == "mixed-integer-float" and _whole_within(frame[name], -_EXACT, _EXACT):
            frame[name] = pd.Series([float("nan") if pd.isna(v) else float(v) for v in frame[name]], frame.index)
        elif kind == "integer" and _whole_within(frame[name], -(2**63), 2**63 - 1):
            continue
        elif kind not in ("string", "floating", "boolean"):
            frame[name] = frame[name].map(_text, na_action="ignore").astype("str")
    return frame


def _whole_within(values: pd.Series, low: int, high: int) -> bool:
    return all(low <= value <= high for value in values.tolist() if isinstance(value, int | np.integer))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
