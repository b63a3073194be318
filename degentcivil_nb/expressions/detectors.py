"""What stretches of ticks are told by: how long a character is silent or stuck, and how often it goes round."""

from __future__ import annotations

from collections import deque
from typing import Final

LONGEST_LOOP: Final = 8
"""States that one round of a loop has at most; at least two, for staying in one state is `stuck`."""


class Trail:
    """What is remembered of one character: when it was last heard of, and how it went from state to state."""

    __slots__ = ("_recent", "_repeats", "heard", "location", "since", "state")

    def __init__(self, tick: int, state: str | None = None, location: str | None = None) -> None:
        self.heard = tick
        """The tick of its last message."""
        self.since = tick
        """The tick in which its state or its place last changed."""
        self.state = state
        self.location = location
        self._recent: deque[str] = deque(() if state is None else (state,), maxlen=LONGEST_LOOP)
        self._repeats = [0] * (LONGEST_LOOP + 1)  # for each length of a round, how many states fit to the round before

    def note(self, tick: int, state: str | None = None, location: str | None = None) -> None:
        """Take a message of the character; `None` says nothing of state or place, and "" that it left its place."""
        self.heard = tick
        if location is not None and (location or None) != self.location:
            self.location, self.since = location or None, tick
        if state is not None and state != self.state:
            self.state, self.since = state, tick
            self._enter(state)

    def _enter(self, state: str) -> None:
        recent = self._recent
        known = len(recent)
        for length in range(2, LONGEST_LOOP + 1):
            fits = length <= known and recent[known - length] == state
            self._repeats[length] = self._repeats[length] + 1 if fits else 0
        recent.append(state)

    def silent(self, tick: int) -> int:
        """Count the ticks without any message of the character."""
        return tick - self.heard

    def stuck(self, tick: int) -> int:
        """Count the ticks in which neither its state nor its place changed."""
        return tick - self.since

    def loops(self) -> int:
        """Count how many times running it has gone through the same few states, the present round included if whole."""
        rounds = (1 + fits // length for length, fits in enumerate(self._repeats) if length >= 2 and fits >= length)
        return max(rounds, default=1)
