"""Answers of language models that are no JSON where JSON is usual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from ..core.json_answers import LEAST, USUAL, is_json

JUDGED: Final = 1_000
"""So many of the newest calls at least say what is usual."""
EVERY: Final = 1 << 62


def with_malformed(calls: pd.DataFrame) -> pd.DataFrame:
    """Add the column `malformed` to a table of calls; what is usual is judged by these calls."""
    kinds: list[Any] = calls["prompt_type"].astype("object").where(calls["prompt_type"].notna(), None).tolist()
    answers = calls["response"].tolist()
    given = [not _is_missing(answer) for answer in answers]
    good = [is_json(answer) for answer in answers]
    usual = _usual(kinds, given, good)
    judged = [
        (not is_good and kind in usual) if answered else None
        for kind, answered, is_good in zip(kinds, given, good, strict=True)
    ]
    calls["malformed"] = pd.array(judged, dtype="boolean")
    return calls


def _is_missing(answer: Any) -> bool:
    return answer is None or (isinstance(answer, float) and answer != answer) or answer == ""


def _usual(kinds: Sequence[Any], given: Sequence[bool], good: Sequence[bool]) -> set[Any]:
    """Return the kinds of prompts whose answers usually are JSON."""
    counts: dict[Any, list[int]] = {}
    for kind, answered, is_good in zip(kinds, given, good, strict=True):
        if answered:
            count = counts.setdefault(kind, [0, 0])
            count[0] += 1
            count[1] += is_good
    return {kind for kind, (of, json) in counts.items() if json >= max(LEAST, USUAL * of)}
