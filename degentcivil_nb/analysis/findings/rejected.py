"""Answers that the simulation rejected and asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .calls import about_group, name_of_group, telling_groups
from .evidence import Evidence
from .finding import Finding

KIND: Final = "rejected"


def rejected(evidence: Evidence, *, least: int = 5, surprise: float = 4.0, ratio: float = 2.0) -> Iterator[Finding]:
    """Find models, kinds of prompts and characters whose answers are rejected far more often than the others'.

    Parameters
    ----------
    evidence : Evidence
        The run.
    least : int
        The least number of rejected answers.
    surprise : float
        How unlikely so many must be, judged by the share of the others, as -log10 of the probability.
    ratio : float
        The least multiple of the others' share.
    """
    calls = evidence.calls
    if not len(calls):
        return
    hit = calls["rejected"].to_numpy(bool) | (calls["retries"].to_numpy(float) > 0)
    for column, value, places in telling_groups(calls, hit, least=least, surprise=surprise, ratio=ratio):
        of = int((calls[column] == value).sum())
        text = f"{len(places):,} of {of:,} answers of {name_of_group(column, value)} were rejected and asked for again"
        yield about_group(evidence, KIND, "warning", text, column, value, calls.index[places].tolist())
