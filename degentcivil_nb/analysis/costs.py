"""Costs of calls of language models, by character, model, kind of prompt or day."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from ..core.progress import following_cell
from ..store.call_extract import NUMBERS
from ..store.pieces import Pieces
from ..store.schema import timestamps
from .run_calls import Array, run_calls, watched

BY: Final = ("character_id", "model", "prompt_type", "day")
WHOLE: Final = ("prompt_tokens", "completion_tokens")


def check_by(by: str) -> None:
    """Check by what costs are to be added up."""
    if not isinstance(by, str) or by not in BY:
        raise ValueError(f"cannot add up costs by {by!r:.80}; it must be one of {', '.join(BY)}")


def cost_table(pieces: Pieces, by: str) -> pd.DataFrame:
    """Add up the calls of a run by one of `BY`; a sum is missing, and not 0, if no call has a value."""
    with following_cell("adding up calls") as progress:
        calls, words, _ = run_calls(watched(pieces.parts, progress), pieces.words, (*NUMBERS, "failed", "time"))
    keys: Any = pd.Series(timestamps(calls["time"])).dt.floor("D") if by == "day" else calls[by]
    counted = {"calls": np.ones(len(calls["row"]), np.int64)}
    counted |= {"malformed": calls["malformed"].astype(np.int64), "errors": calls["failed"].astype(np.int64)}
    groups = pd.DataFrame(counted | {name: _numbers(name, calls[name]) for name in NUMBERS}).groupby(
        keys, dropna=False, sort=by == "day"
    )
    table = pd.concat([groups[[*counted]].sum(), groups[[*NUMBERS]].sum(min_count=1)], axis=1)
    if by != "day":
        table.index = pd.Index([*words[by], None], dtype="str")[table.index.to_numpy(np.int64)]
    return table.rename_axis(by)


def _numbers(name: str, values: Array) -> Any:
    """Return numbers as a column, in which NaN is missing."""
    missing = np.isnan(values)
    if name in WHOLE:
        return pd.arrays.IntegerArray(np.where(missing, 0, values).astype(np.int64), missing)
    return pd.arrays.FloatingArray(values, missing)
