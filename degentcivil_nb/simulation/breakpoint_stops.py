"""Stopping at breakpoints that matched: the run pauses at its next checkpoint."""

from __future__ import annotations

from msgspec import to_builtins

from ..protocol.breakpoints import BreakpointHit
from ..server.stream.receipts import Matched, Receipt
from .current_run import CurrentRun
from .stepping import Stepping, answer_short_step

Hit = tuple[BreakpointHit, Receipt | None]
"""A match of a breakpoint, and the receipt of the message at which it matched."""


class BreakpointStops:
    """The first match of each breakpoint at which the run has not stopped yet."""

    def __init__(self, run: CurrentRun, stepping: Stepping) -> None:
        self._run = run
        self._stepping = stepping
        self.hits: dict[tuple[str, str], Hit] = {}
        """The matches, by owner and name."""

    def add(self, hit: Hit) -> None:
        """Add a match, so that the run stops at its next checkpoint; from any thread."""
        point = hit[0]
        with self._run.lock:
            self.hits.setdefault((point.owner.id, point.name), hit)

    def stop(self) -> None:
        """Pause if a breakpoint has matched; a step in progress ends."""
        if not self.hits:
            return
        with self._run.lock:
            hits, self.hits = list(self.hits.values()), {}
            if self._run.ended:
                return
            step = self._stepping.stop_at_breakpoint()
            matched = Matched([receipt for _, receipt in hits])
            state = self._run.enter_breakpoints(
                [to_builtins(hit) for hit, _ in hits], matched, None if step is None else step.request.id
            )
        if step is not None:
            answer_short_step(step, state)
