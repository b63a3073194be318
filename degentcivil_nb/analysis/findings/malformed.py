"""Answers that are not JSON although JSON is usual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .calls import about_telling, telling_groups
from .evidence import Evidence
from .finding import Finding

KIND: Final = "malformed"


def malformed(evidence: Evidence, *, least: int = 4, surprise: float = 2.5, ratio: float = 2.0) -> Iterator[Finding]:
    """Find models, kinds of prompts and characters whose answers are malformed far more often than others or before.

    Parameters
    ----------
    evidence : Evidence
        The run.
    least : int
        The least number of malformed answers.
    surprise : float
        How unlikely so many must be, judged by the share of the others, as -log10 of the probability.
    ratio : float
        The least multiple of the others' share.
    """
    calls = evidence.calls
    if not len(calls):
        return
    hit = calls["malformed"].to_numpy(bool)
    judged = calls["judged"].to_numpy(bool)
    for group in telling_groups(calls, hit, least=least, surprise=surprise, ratio=ratio, among=judged):
        yield about_telling(evidence, KIND, group, "are malformed: they are not JSON, which is usual there")
