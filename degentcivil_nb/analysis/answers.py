"""Answers of language models that are not JSON although JSON is usual for their kind of prompt."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pandas as pd

from ..core.json_answers import is_json, is_usual, said_nothing
from ..core.progress import following_cell

JUDGED: Final = 1_000
"""The least number of newest calls that decide what is usual."""
EVERY: Final = 1 << 62
PIECE: Final = 1 << 16
"""So many answers are looked at before it is shown how far it is."""


def with_malformed(calls: pd.DataFrame, usual: set[Any] | None = None) -> pd.DataFrame:
    """Add the column `malformed` to a table of calls; the `usual` kinds are found in these calls if not given."""
    answers = _judged(calls)
    usual = _usual(answers) if usual is None else usual
    judged = [None if json is None else not json and kind in usual for kind, json in answers]
    calls["malformed"] = pd.array(judged, dtype="boolean")
    return calls


def usual_kinds(calls: pd.DataFrame) -> set[Any]:
    """Return the kinds of prompts whose answers are usually JSON."""
    return _usual(_judged(calls))


def _usual(answers: list[tuple[Any, bool | None]]) -> set[Any]:
    of, good = (
        Counter(kind for kind, json in answers if json is not None),
        Counter(kind for kind, json in answers if json),
    )
    return {kind for kind, count in of.items() if is_usual(kind, count, good[kind])}


def _judged(calls: pd.DataFrame) -> list[tuple[Any, bool | None]]:
    """Return the kind of each prompt, and whether its answer is JSON; `None` without an answer."""
    kinds: list[Any] = calls["prompt_type"].astype("object").where(calls["prompt_type"].notna(), None).tolist()
    answers = calls["response"].tolist()
    found: list[bool | None] = []
    with following_cell("looking through answers") as progress:
        for start in range(0, len(answers), PIECE):
            some = answers[start : start + PIECE]
            found += [None if said_nothing(answer) else is_json(answer) for answer in some]
            progress(len(found), len(answers))
    return list(zip(kinds, found, strict=True))
