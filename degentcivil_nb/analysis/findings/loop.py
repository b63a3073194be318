"""Characters that go through the same few states again and again, where others do not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from .evidence import Evidence
from .finding import Finding
from .stuck import merged

KIND: Final = "loop"
LONGEST: Final = 8
"""The most states of one round, as in the condition language's `loops`."""
CROWD: Final = 0.34
"""The share of characters from which on looping counts as normal in this town."""


def loop(evidence: Evidence, *, rounds: int = 5, surprise: float = 4.0) -> Iterator[Finding]:
    """Find repeated sequences of states that the transitions of the other characters make unlikely.

    Parameters
    ----------
    evidence : Evidence
        The run.
    rounds : int
        The least number of rounds that is reported.
    surprise : float
        How unlikely the repetition must be, over the whole run, as -log10 of its probability.
    """
    stays = merged(evidence.stays, "state")
    lives = {str(who): group for who, group in stays.groupby("character_id", sort=False)}
    chains = {who: _moves(group["state"].tolist()) for who, group in lives.items()}
    everybody: Counter[tuple[str, str]] = Counter()
    for chain in chains.values():
        everybody.update(chain)
    chances = math.log10(max(1, len(stays)))
    found = []
    for who, group in lives.items():
        states = group["state"].tolist()
        for start, length, stop in repeats(states, rounds):
            expected = _unlikely(states, start + length, stop, everybody - chains[who])
            if expected - chances >= surprise:
                part = group.iloc[start:stop]
                found.append((who, states[start : start + length], (stop - start) // length, part, stop == len(states)))
    if len({who for who, *_ in found}) > max(1.0, CROWD * len(lives)):
        return
    for who, cycle, count, part, goes_on in found:
        since, until = int(part["since"].iloc[0]), int(part["since"].iloc[-1])
        rows = evidence.rows_of(who, since, until)
        text = f"{who} {'goes' if goes_on else 'went'} through {' → '.join(cycle)} {count} times running"
        yield evidence.found(
            KIND, "warning", text, rows, since=since, until=None if goes_on else until, character_id=who
        )


def _moves(states: Sequence[str]) -> Counter[tuple[str, str]]:
    return Counter(pairwise(states))


def repeats(states: Sequence[str], rounds: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, length of a round and stop of each stretch of at least `rounds` rounds, the shortest round first."""
    taken = 0
    stretches = []
    for length in range(2, LONGEST + 1):
        at = length
        while at < len(states):
            if states[at] != states[at - length]:
                at += 1
                continue
            start = at - length
            while at < len(states) and states[at] == states[at - length]:
                at += 1
            if at - start >= rounds * length:
                stretches.append((start, length, at))
    for start, length, stop in sorted(stretches, key=lambda found: (found[0], found[1])):
        if start >= taken:
            taken = stop
            yield start, length, stop


def _unlikely(states: Sequence[str], start: int, stop: int, others: Counter[tuple[str, str]]) -> float:
    """Return -log10 of the probability of these transitions, judged by those of the others."""
    leaving: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    for (before, _), count in others.items():
        leaving[before] += count
        ways[before] += 1
    total = 0.0
    for before, after in zip(states[start - 1 : stop - 1], states[start:stop], strict=True):
        # one more of each transition: a town that was watched for a short time has not shown all of them
        total -= math.log10((others[before, after] + 1) / (leaving[before] + max(1, ways[before])))
    return total
