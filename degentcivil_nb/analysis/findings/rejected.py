"""Answers that the simulation rejected and asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .calls import about_telling, telling_groups
from .evidence import Evidence
from .finding import Finding

KIND: Final = "rejected"


def rejected(evidence: Evidence, *, least: int = 4, surprise: float = 2.5, ratio: float = 2.0) -> Iterator[Finding]:
    """Find models, kinds of prompts and characters whose answers are rejected far more often than others or before.

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
    for group in telling_groups(calls, hit, least=least, surprise=surprise, ratio=ratio):
        yield about_telling(evidence, KIND, group, "were rejected and asked for again")
