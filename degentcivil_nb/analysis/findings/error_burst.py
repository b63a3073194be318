"""Stretches of a run with far more errors than the rest of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from .evidence import Evidence
from .finding import Finding
from .statistics import poisson_surprise

KIND: Final = "error_burst"
BUCKETS: Final = 200
"""The most buckets into which a run is cut."""


def error_burst(evidence: Evidence, *, least: int = 8, surprise: float = 6.0, width: float = 5.0) -> Iterator[Finding]:
    """Find stretches of time with more errors than chance allows.

    Parameters
    ----------
    evidence : Evidence
        The run.
    least : int
        The least number of errors of a burst.
    surprise : float
        How unlikely the errors must be, over the whole run, as -log10 of the probability.
    width : float
        Width of a bucket in ticks (seconds for a run without ticks), at least; a long run has wider ones.
    """
    errors = evidence.errors
    if len(errors) < least:
        return
    start = evidence.clock.start
    span = max(evidence.now - start, 1.0)
    width = max(width, span / BUCKETS)
    bucket = ((errors["moment"].to_numpy(float) - start) // width).astype(int)
    counts = np.bincount(bucket, minlength=math.ceil(span / width))
    calm = np.sort(counts)[: max(1, math.ceil(len(counts) * 0.9))]  # the bursts must not count as usual
    expected = max(float(calm.mean()), 0.5)
    chances = math.log10(len(counts))
    hot = [int(count) >= least and poisson_surprise(int(count), expected) - chances >= surprise for count in counts]
    at = 0
    while at < len(hot):
        if not hot[at]:
            at += 1
            continue
        first = at
        while at < len(hot) and hot[at]:
            at += 1
        yield _told(evidence, (bucket >= first) & (bucket < at), at == len(hot), (at - first) * width, expected / width)


def _told(evidence: Evidence, chosen: np.ndarray, goes_on: bool, length: float, rate: float) -> Finding:
    errors = evidence.errors[chosen]
    code, often = (
        Counter(errors["code"].dropna().tolist()).most_common(1)[0] if errors["code"].notna().any() else ("?", 0)
    )
    one = "tick" if evidence.has_ticks else "second"
    text = (
        f"{len(errors):,} errors in {evidence.span(length)} ({often:,} of code {code}); "
        f"usually there are {rate:.2g} in a {one}"
    )
    until = None if goes_on else evidence.clock.time_of(int(errors.index[-1]))
    owners = errors["character_id"].dropna().unique().tolist()
    owner = owners[0] if len(owners) == 1 and errors["character_id"].notna().all() else None
    return evidence.found(KIND, "error", text, errors.index.tolist(), until=until, character_id=owner)
