"""Changes of state as they came in one run of messages, and in the order of one character after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np

from .schema import Codes, Mask
from .table import Array

NO_CODES: Final = np.empty(0, np.int32)
SHORT: Final = np.iinfo(np.int16).max


class Changes:
    """Hold changes in order: which row of the run, whose, to which state, in which location (−1: not said).

    `previous` gives what the senders say came before, and is asked only where the stream does not tell.
    """

    def __init__(
        self,
        index: Array = NO_CODES,
        character: Codes = NO_CODES,
        state: Codes = NO_CODES,
        location: Codes = NO_CODES,
        previous: Callable[[], Codes] | None = None,
    ) -> None:
        self.index = index
        self.character = character
        self.state = state
        self.location = location
        self._previous = previous

    def __len__(self) -> int:
        return len(self.index)

    @property
    def previous(self) -> Codes:
        """Give the states that senders say came before."""
        return np.full(len(self), -1, np.int32) if self._previous is None else self._previous()

    @cached_property
    def order(self) -> Array:
        """Give the positions of the changes that name a state, one character after the other, each in order."""
        character = self.character
        if int(character.max(initial=0)) < SHORT:
            character = character.astype(np.int16)  # which numpy sorts by radix, twice as fast
        if (self.state >= 0).all():
            return np.argsort(character, kind="stable")
        said = np.flatnonzero(self.state >= 0)
        return said[np.argsort(character[said], kind="stable")]

    @cached_property
    def who(self) -> Codes:
        """Give the characters in that order."""
        return self.character[self.order]

    @cached_property
    def what(self) -> Codes:
        """Give the states in that order."""
        return self.state[self.order]

    @cached_property
    def first(self) -> Mask:
        """Say which of them are the first of their character."""
        first = np.ones(len(self.who), np.bool_)
        np.not_equal(self.who[1:], self.who[:-1], out=first[1:])
        return first

    def before(self, known: Codes) -> Codes:
        """Give for each the state before it, in that order; `known` has the states by character from before the run."""
        before = np.empty_like(self.what)
        before[1:] = self.what[:-1]
        first = self.first
        before[first] = known[self.who[first]]
        return before


def merged(some: Changes, more: Changes) -> Changes:
    """Put changes from two types into the order of their rows."""
    if not len(some):
        return more
    index = np.concatenate([some.index, more.index])
    order = np.argsort(index, kind="stable")
    return Changes(
        index[order],
        np.concatenate([some.character, more.character])[order],
        np.concatenate([some.state, more.state])[order],
        np.concatenate([some.location, more.location])[order],
        lambda: np.concatenate([some.previous, more.previous])[order],
    )
