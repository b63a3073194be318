"""Costs of calls of language models, by character, model, kind of prompt or day."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

BY: Final = ("character_id", "model", "prompt_type", "day")
_SUMS: Final = ("prompt_tokens", "completion_tokens", "latency_s", "cost_usd")


def cost_table(calls: pd.DataFrame, by: str) -> pd.DataFrame:
    """Add up calls by one of `BY`; a sum is missing, and not 0, if no call has a value."""
    if not isinstance(by, str) or by not in BY:
        raise ValueError(f"cannot add up costs by {by!r:.80}; it must be one of {', '.join(BY)}")
    keys: Any = calls["time"].dt.floor("D") if by == "day" else calls[by].astype("str")
    numbers = calls.assign(
        calls=1,
        malformed=calls["malformed"].fillna(False).astype("int64"),
        errors=calls["error"].notna().astype("int64"),
    )
    groups = numbers.groupby(keys.rename(by), dropna=False, sort=by == "day", observed=True)
    counts = groups[["calls", "malformed", "errors"]].sum()
    return pd.concat([counts, groups[list(_SUMS)].sum(min_count=1)], axis=1)
