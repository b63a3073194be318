"""Answers of language models that are not JSON although JSON is usual for their kind of prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd

from ..core.json_answers import is_json, is_usual

JUDGED: Final = 1_000
"""The least number of newest calls that decide what is usual."""
EVERY: Final = 1 << 62


def with_malformed(calls: pd.DataFrame, usual: set[Any] | None = None) -> pd.DataFrame:
    """Add the column `malformed` to a table of calls; the `usual` kinds are found in these calls if not given."""
    usual = usual_kinds(calls) if usual is None else usual
    judged = [
        (not is_json(answer) and kind in usual) if answered else None for kind, answer, answered in _answers(calls)
    ]
    calls["malformed"] = pd.array(judged, dtype="boolean")
    return calls


def usual_kinds(calls: pd.DataFrame) -> set[Any]:
    """Return the kinds of prompts whose answers are usually JSON."""
    counts: dict[Any, list[int]] = {}
    for kind, answer, answered in _answers(calls):
        if answered:
            count = counts.setdefault(kind, [0, 0])
            count[0] += 1
            count[1] += is_json(answer)
    return {kind for kind, (of, json) in counts.items() if is_usual(kind, of, json)}


def _answers(calls: pd.DataFrame) -> Iterator[tuple[Any, Any, bool]]:
    """Yield the kind of each prompt, its answer, and whether it was answered."""
    kinds: list[Any] = calls["prompt_type"].astype("object").where(calls["prompt_type"].notna(), None).tolist()
    for kind, answer in zip(kinds, calls["response"].tolist(), strict=True):
        yield kind, answer, not said_nothing(answer)


def said_nothing(answer: Any) -> bool:
    """Return whether there is no answer."""
    return answer is None or (isinstance(answer, float) and answer != answer) or answer == ""
