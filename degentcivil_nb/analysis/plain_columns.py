"""Frames whose columns have one type each, as SQL needs them."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert a column of mixed values to JSON text, since SQL needs one type for a column."""
    for name in [name for name, kind in frame.dtypes.items() if pd.api.types.is_object_dtype(kind)]:
        if pd.api.types.infer_dtype(frame[name], skipna=True) not in ("string", "floating", "integer", "boolean"):
            frame[name] = frame[name].map(_text, na_action="ignore").astype("str")
    return frame


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
