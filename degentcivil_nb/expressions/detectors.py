"""Detectors over stretches of ticks: how long a character is silent or stuck, and how often it repeats a loop."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

LONGEST_LOOP: Final = 8
"""States that one round of a loop has at most; at least two, for staying in one state is `stuck`."""


class Trail:
    """The part of a character's history that detectors need: tick of the last message, states and attributes."""

    __slots__ = ("_recent", "_repeats", "heard", "known", "location", "since", "state")

    def __init__(self, tick: int, state: str | None = None, location: str | None = None) -> None:
        self.heard = tick
        """The tick of its last message."""
        self.since = tick
        """The tick in which its state or its place last changed."""
        self.state = state
        self.location = location
        self.known: dict[str, Any] = {}
        """The attributes of the character that conditions name."""
        # the last states, and for each length of a round, how many of them equal those of the round before; `None`
        # without `loops`: a queue for each of thousands of characters is much memory to go through
        self._recent: deque[str] | None = None
        self._repeats: list[int] | None = None

    def note(self, tick: int, state: str | None = None, location: str | None = None, *, loops: bool = True) -> None:
        """Record a message of the character; `None`: it does not mention state or place; "": the character left its
        place.

        Rounds are counted only while a condition uses `loops`, since that costs more than everything else here.
        """
        self.heard = tick
        if location is not None and (location or None) != self.location:
            self.location, self.since = location or None, tick
        if state is not None and state != self.state:
            before, self.state, self.since = self.state, state, tick
            if loops:
                self._enter(before, state)

    def forget_rounds(self) -> None:
        """Forget the last states, since those that follow are not recorded."""
        self._repeats = self._recent = None

    def _enter(self, before: str | None, state: str) -> None:
        recent = self._recent
        if recent is None:
            recent = self._recent = deque(() if before is None else (before,), maxlen=LONGEST_LOOP)
        known = len(recent)
        repeats = self._repeats = self._repeats or [0] * (LONGEST_LOOP + 1)
        for length in range(2, LONGEST_LOOP + 1):
            fits = length <= known and recent[known - length] == state
            repeats[length] = repeats[length] + 1 if fits else 0
        recent.append(state)

    def silent(self, tick: int) -> int:
        """Count the ticks without any message of the character."""
        return tick - self.heard

    def stuck(self, tick: int) -> int:
        """Count the ticks in which neither its state nor its place changed."""
        return tick - self.since

    def loops(self) -> int:
        """Count how many times in a row the character has gone through the same few states, in complete rounds."""
        repeats = enumerate(self._repeats or ())
        rounds = (1 + fits // length for length, fits in repeats if length >= 2 and fits >= length)
        return max(rounds, default=1)
