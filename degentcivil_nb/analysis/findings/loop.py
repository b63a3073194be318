"""Characters that go through the same few states again and again, where others do not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...store.timeline import differs
from .columns import Columns, below, by_owner, rows_at, size_of
from .evidence import Evidence
from .finding import Finding
from .spans import merged

KIND: Final = "loop"
LONGEST: Final = 8
"""The most states of one round, as in the condition language's `loops`."""
CROWD: Final = 0.34
"""The share of characters from which on looping counts as normal in this town."""


def loop(evidence: Evidence, *, rounds: int = 4, surprise: float = 3.0) -> Iterator[Finding]:
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
    lives = _Lives(rounds)
    for table in merged(evidence.stays(), "state"):
        lives.add(table)
    moves = lives.moves()
    everybody: Moves = Counter()
    for one in moves.values():
        everybody.update(one)
    chances = math.log10(max(1, lives.stays) * (LONGEST - 1))
    found = []
    for code, stretches in lives.stretches().items():
        others = everybody - moves[code]
        for stretch in stretches:
            if _unlikely(stretch, others) - chances >= surprise:
                found.append((code, stretch))
    if len({code for code, _ in found}) > max(1.0, CROWD * lives.characters):
        return
    for code, (start, stop, states, since, until, goes_on) in found:
        who = str(evidence.names("character_id")[code])
        cycle = [evidence.names("state")[state] for state in states]
        rows = evidence.rows_of(who, since, until)
        count = (stop - start) // len(cycle)
        text = f"{who} {'goes' if goes_on else 'went'} through {' → '.join(cycle)} {count} times in a row"
        yield evidence.found(
            KIND, "warning", text, rows, since=since, until=None if goes_on else until, character_id=who
        )


Moves = Counter[tuple[int, int]]


class Stretch(NamedTuple):
    """A part of a character's states that repeats itself: from its number `start` to before `stop`."""

    start: int
    stop: int
    states: tuple[int, ...]
    """One round of it, as codes."""
    since: int
    until: int
    """When its last state began."""
    goes_on: bool


class _Lives:
    """The states of all characters as they follow each other, read by pieces: what repeats itself, and all moves."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self.stays = 0
        self._before: Columns = {}
        """The last states of each character, which the next ones are compared with."""
        self._running: dict[tuple[int, int], tuple[int, int, tuple[int, ...]]] = {}
        """By character and length of a round, what repeats up to the last state: since which one and when, and what."""
        self._found: dict[int, list[tuple[int, int, Stretch]]] = {}
        self._last: dict[int, tuple[int, int]] = {}
        """The number of states of each character, and when the last one began."""
        self._moves: list[npt.NDArray[np.int64]] = []
        self._counts: list[npt.NDArray[np.int64]] = []

    def add(self, table: Columns) -> None:
        """Take the next states of characters, in their order."""
        self.stays += size_of(table)
        new = {name: table[name].astype(np.int64) for name in ("who", "state", "since")}
        new["number"] = np.zeros(size_of(table), np.int64)
        new["new"] = np.ones(size_of(table), np.int64)
        both = by_owner(below([self._before, new]) if self._before else new)
        if not size_of(both):
            return
        first = np.flatnonzero(differs(both["who"]))
        place = np.arange(size_of(both)) - np.repeat(first, np.diff(np.append(first, size_of(both))))
        base = np.where(both["new"][first] == 0, both["number"][first], 0)
        both["number"] = place + np.repeat(base, np.diff(np.append(first, size_of(both))))
        self._count_moves(both, place)
        for length in range(2, LONGEST + 1):
            self._compare(both, place, length)
        last = np.append(first[1:], size_of(both)) - 1
        ends = zip(both["who"][last], both["number"][last], both["since"][last], strict=True)
        self._last.update({int(who): (int(number) + 1, int(since)) for who, number, since in ends})
        kept = np.repeat(last, np.diff(np.append(first, size_of(both)))) - np.arange(size_of(both)) < LONGEST
        self._before = rows_at(both, kept) | {"new": np.zeros(int(kept.sum()), np.int64)}

    def _count_moves(self, both: Columns, place: npt.NDArray[np.int64]) -> None:
        at = np.flatnonzero((both["new"] == 1) & (place > 0))
        packed = (both["who"][at] << 2 * STATE_BITS) | (both["state"][at - 1] << STATE_BITS) | both["state"][at]
        at_move, moves = pd.factorize(packed)
        self._moves.append(moves)
        self._counts.append(np.bincount(at_move, minlength=len(moves)))
        if len(self._moves) > 64:
            at_move, known = pd.factorize(np.concatenate(self._moves))
            self._counts = [np.bincount(at_move, np.concatenate(self._counts)).astype(np.int64)]
            self._moves = [known]

    def moves(self) -> dict[int, Moves]:
        """Return how often each character went from one state to another."""
        found: dict[int, Moves] = {who: Counter() for who in self._last}
        mask = (1 << STATE_BITS) - 1
        for moves, counts in zip(self._moves, self._counts, strict=True):
            for move, count in zip(moves.tolist(), counts.tolist(), strict=True):
                found[move >> 2 * STATE_BITS][(move >> STATE_BITS) & mask, move & mask] += count
        return found

    def _compare(self, both: Columns, place: npt.NDArray[np.int64], length: int) -> None:
        """Compare each new state with the one a round before; note what ended, and what runs on."""
        size = size_of(both)
        same = np.zeros(size, np.bool_)
        same[length:] = both["state"][length:] == both["state"][:-length]
        same &= (place >= length) & (both["new"] == 1)
        begins = np.flatnonzero(same & ~np.append(False, same[:-1]))
        ends = np.flatnonzero(~np.append(same[1:], False) & same) + 1
        owners = both["who"]
        begins_life = differs(owners)
        is_first = (both["new"] == 1) & np.append(True, (owners[1:] != owners[:-1]) | (both["new"][:-1] == 0))
        for at in np.flatnonzero(is_first & ~same).tolist():
            key = (int(owners[at]), length)
            if key in self._running:
                self._note(key, int(both["number"][at]), int(both["since"][at - 1]))
        # nearly all are short, and over within this piece
        told = (ends - begins >= (self._rounds - 1) * length) | is_first[begins] | np.append(begins_life, True)[ends]
        for begin, end in zip(begins[told].tolist(), ends[told].tolist(), strict=True):
            key = (int(owners[begin]), length)
            if key not in self._running:
                start = begin - length
                states = tuple(both["state"][start:begin].tolist())
                self._running[key] = (int(both["number"][start]), int(both["since"][start]), states)
            if end < size and owners[end] == owners[begin]:
                self._note(key, int(both["number"][end]), int(both["since"][end - 1]))

    def _note(self, key: tuple[int, int], stop: int, until: int, goes_on: bool = False) -> None:
        who, length = key
        start, since, states = self._running.pop(key)
        if stop - start >= self._rounds * length:
            stretch = Stretch(start, stop, states, since, until, goes_on)
            self._found.setdefault(who, []).append((start, length, stretch))

    def stretches(self) -> dict[int, list[Stretch]]:
        """Return the stretches of each character that do not overlap, the shortest round first."""
        for who, length in list(self._running):
            self._note((who, length), *self._last[who], goes_on=True)
        chosen: dict[int, list[Stretch]] = {}
        for who, found in self._found.items():
            taken = 0
            for start, _, stretch in sorted(found):
                if start >= taken:
                    taken = stretch.stop
                    chosen.setdefault(who, []).append(stretch)
        return chosen

    @property
    def characters(self) -> int:
        """How many characters have a state."""
        return len(self._last)


STATE_BITS: Final = 20


def _unlikely(stretch: Stretch, others: Moves) -> float:
    """Give -log10 of the probability of the moves of all rounds but the first, by what the others do."""
    leaving: Counter[int] = Counter()
    ways: Counter[int] = Counter()
    for (before, _), count in others.items():
        leaving[before] += count
        ways[before] += 1
    states = stretch.states
    total = 0.0
    for place, (before, after) in enumerate(pairwise((*states, states[0]))):
        # the move into the first state of the second round is the first one that counts
        times = (stretch.stop - stretch.start - 2 - place) // len(states) + (place == len(states) - 1)
        # one more of each way: a town that was seen for a short time has not shown all of them
        total -= times * math.log10((others[before, after] + 1) / (leaving[before] + max(1, ways[before])))
    return total
