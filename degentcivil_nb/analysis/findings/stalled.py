"""Runs that reach no checkpoint for far longer than usual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from .clock import SECOND
from .evidence import Evidence
from .finding import Finding
from .spans import Lengths

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
    if len(evidence) < 3:
        return
    steps = _Steps(evidence, least_s)
    if steps.count < 3:
        return
    usually = steps.usual
    limit = max(least_s, factor * usually)
    for since, until, before, row, ticks in steps.long:
        seconds = (until - since - paused(evidence, since, until)) / SECOND
        if seconds > limit * ticks and not _misses(evidence, before, row):
            text = f"No {_step(evidence)} for {seconds:,.0f} s; usually one comes every {usually:.3g} s"
            yield evidence.found(KIND, "warning", text, [row], since=since, until=until)
    end = evidence.clock.last_time
    open_s = (end - steps.last - paused(evidence, steps.last, end)) / SECOND + evidence.silent_s
    if open_s > limit:
        text = f"No {_step(evidence)} for {open_s:,.0f} s; usually one comes every {usually:.3g} s"
        yield evidence.found(KIND, "error", text, [steps.last_row], since=steps.last)


class _Steps:
    """The times from one tick (event, for a run without ticks) to the next, read by pieces."""

    def __init__(self, evidence: Evidence, least_s: float) -> None:
        self.long: list[tuple[int, int, int, int, float]] = []
        """Those above the least: from when to when, the rows at which they begin and end, and how many ticks it were.

        In some ticks nothing is published.
        """
        self.count, self.last, self.last_row = 0, 0, -1
        lengths, moment, began = Lengths(), -1.0, 0.0
        for number, part in evidence.pieces():
            at, begins, ticks = evidence.clock.steps_of(number)
            if evidence.has_ticks:
                later = np.diff(ticks, prepend=moment) > 0
                moment = float(ticks[-1])
                at, begins, ticks = at[later], begins[later], ticks[later]
            if not len(at):
                continue
            rows = at + part.first_row
            if self.last_row >= 0:
                rows, begins = np.append(self.last_row, rows), np.append(self.last, begins)
                ticks = np.append(began, ticks)
            passed = np.diff(ticks) if evidence.has_ticks else np.ones(len(ticks) - 1)
            began = float(ticks[-1])
            took = np.diff(begins) / SECOND
            lengths.add(np.zeros(len(took), np.int64), np.zeros(len(took), np.int64), took)
            for place in np.flatnonzero(took > least_s).tolist():
                pair = slice(place, place + 2)
                self.long.append((*begins[pair].tolist(), *rows[pair].tolist(), float(passed[place])))
            self.count += len(took)
            self.last, self.last_row = int(begins[-1]), int(rows[-1])
        self._lengths = lengths.frozen()

    @property
    def usual(self) -> float:
        """The median, in seconds."""
        ends = np.cumsum(self._lengths.counts)
        middle = np.searchsorted(ends, [(self.count - 1) // 2, self.count // 2], "right")
        return float(np.mean(self._lengths.lengths[middle]))


def _misses(evidence: Evidence, first: int, last: int) -> bool:
    """Return whether messages are missing between two rows, so that the time between them proves nothing."""
    rows = evidence.gaps["row"].to_numpy(float, na_value=-1.0)
    return bool(((rows > first) & (rows <= last)).any())


def _step(evidence: Evidence) -> str:
    return "tick" if evidence.has_ticks else "event"


def paused(evidence: Evidence, since: int, until: int) -> int:
    """Return for how many nanoseconds between two times the run was paused."""
    return sum(max(0, min(until, stop) - max(since, start)) for start, stop in evidence.pauses)
