"""Runs that reach no checkpoint for far longer than usual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from .evidence import SECOND, Evidence
from .finding import Finding

KIND: Final = "stalled"


def stalled(evidence: Evidence, *, least_s: float = 10.0, factor: float = 20.0) -> Iterator[Finding]:
    """Find times between two ticks (events, for a run without ticks) far longer than usual, pauses left out.

    Parameters
    ----------
    evidence : Evidence
        The run.
    least_s : float
        Seconds up to which nothing is reported.
    factor : float
        How many times the median time between two ticks.
    """
    if len(evidence.moments) < 3:
        return
    begins = (
        np.flatnonzero(np.diff(evidence.moments, prepend=-1.0) > 0)
        if evidence.has_ticks
        else np.arange(len(evidence.times))
    )
    times = evidence.times[begins]
    took = np.diff(times) / SECOND
    if len(took) < 3:
        return
    limit = max(least_s, factor * float(np.median(took)))
    for at in np.flatnonzero(took > limit).tolist():
        since, until = int(times[at]), int(times[at + 1])
        seconds = (until - since - paused(evidence, since, until)) / SECOND
        if seconds > limit and not _misses(evidence, evidence.rows[begins[at]], evidence.rows[begins[at + 1]]):
            text = f"No {_step(evidence)} for {seconds:,.0f} s; usually one comes every {np.median(took):.3g} s"
            yield evidence.found(KIND, "warning", text, [int(evidence.rows[begins[at + 1]])], since=since, until=until)
    last = int(times[-1])
    open_s = (
        int(evidence.times[-1]) - last - paused(evidence, last, int(evidence.times[-1]))
    ) / SECOND + evidence.silent_s
    if open_s > limit:
        text = f"No {_step(evidence)} for {open_s:,.0f} s; usually one comes every {np.median(took):.3g} s"
        yield evidence.found(KIND, "error", text, [int(evidence.rows[begins[-1]])], since=last)


def _misses(evidence: Evidence, first: int, last: int) -> bool:
    """Return whether messages are missing between two rows, so that the time between them proves nothing."""
    rows = evidence.gaps["row"].to_numpy(float, na_value=-1.0)
    return bool(((rows > first) & (rows <= last)).any())


def _step(evidence: Evidence) -> str:
    return "tick" if evidence.has_ticks else "event"


def paused(evidence: Evidence, since: int, until: int) -> int:
    """Return for how many nanoseconds between two times the run was paused."""
    return sum(max(0, min(until, stop) - max(since, start)) for start, stop in evidence.pauses)
