"""Helpers of the rules about calls of language models: groups of calls, and shares that stand out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .evidence import Evidence, Mask
from .finding import Finding, Severity
from .statistics import binomial_surprise, groups_of

GROUPINGS: Final = {"model": "model", "prompt_type": "kind of prompt", "character_id": "character"}
Places = npt.NDArray[np.intp]


def call_groups(calls: pd.DataFrame) -> Iterator[tuple[str, str, Places]]:
    """Yield column, value and the indices of the calls of each group: by model, kind of prompt and character."""
    for column in GROUPINGS:
        for value, places in groups_of(calls[column]):
            yield column, value, places


def telling_groups(
    calls: pd.DataFrame, hit: Mask, *, least: int, surprise: float, ratio: float
) -> list[tuple[str, str, Places]]:
    """List the groups with far more hits than among the other calls; each call counts in its most conspicuous group
    only.

    `hit` is a mask over the calls: true for calls with the fault.
    """
    groups = list(call_groups(calls))
    chances = math.log10(max(1, len(groups)))
    found = []
    for column, value, places in groups:
        hits = int(hit[places].sum())
        others = len(calls) - len(places)
        rest = (int(hit.sum()) - hits + 1) / (others + 20)  # as if 20 more had been seen: a few prove little
        if hits < least or hits / len(places) < ratio * rest:
            continue
        score = binomial_surprise(hits, len(places), rest) - chances
        if score >= surprise:
            found.append((score, column, value, places[hit[places]]))
    chosen: list[tuple[str, str, Places]] = []
    told = np.zeros(len(calls), np.bool_)
    for _, column, value, places in sorted(found, key=lambda item: -item[0]):
        if told[places].mean() < 0.5:  # most of them belong to a group that is listed already
            told[places] = True
            chosen.append((column, value, places))
    return chosen


def about_group(
    evidence: Evidence,
    kind: str,
    severity: Severity,
    text: str,
    column: str,
    value: str,
    rows: list[int],
    until: int | None = None,
) -> Finding:
    """Make the finding about a group of calls."""
    owner = value if column == "character_id" else None
    return evidence.found(
        kind, severity, text, rows, until=until, character_id=owner, subject="" if owner else f"{column} {value}"
    )


def name_of_group(column: str, value: str) -> str:
    """Return the name of a group for a text: "model gpt-4", "kind of prompt PLAN", "emma"."""
    return value if column == "character_id" else f"{GROUPINGS[column]} {value}"
