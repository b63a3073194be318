"""Changes of state as they came in one run of messages, and in the order of one character after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from ..protocol.messages import MessageTypes
from .schema import Codes, Mask
from .table import Array

NO_CODES: Final = np.empty(0, np.int32)
SHORT: Final = np.iinfo(np.int16).max


def nothing_said(rows: Array) -> Codes:
    """Say that no sender says what came before."""
    return np.full(len(rows), -1, np.int32)


@dataclass(slots=True)
class Lists:
    """Hold what lists of characters say, for no column names whose it is."""

    moves: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Row of the run, character, state, location (−1: not said); in order."""
    heard: list[tuple[int, int]] = field(default_factory=list)
    """Row of the run, character."""

    def changes(self) -> Changes:
        """Give the changes."""
        return Changes(*np.array(self.moves, np.int32).reshape(-1, 4).T)

    def rows(self, size: int) -> Mask:
        """Say which rows of a run of a size have changes."""
        listed = np.zeros(size, np.bool_)
        listed[[row for row, *_ in self.moves]] = True
        return listed


class Changes:
    """Hold changes in order: which row of the run, whose, to which state, in which location (−1: not said).

    `previous` gives what the senders say came before at rows of the run, and is asked only where the stream does not
    tell.
    """

    def __init__(
        self,
        index: Array = NO_CODES,
        character: Codes = NO_CODES,
        state: Codes = NO_CODES,
        location: Codes = NO_CODES,
        previous: Callable[[Array], Codes] = nothing_said,
    ) -> None:
        self.index = index
        self.character = character
        self.state = state
        self.location = location
        self.previous = previous

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def order(self) -> Array:
        """Give the positions of the changes that name a state, one character after the other, each in order."""
        character = self.character
        if int(character.max(initial=0)) < SHORT:
            character = character.astype(np.int16, copy=False)  # which numpy sorts by radix, twice as fast
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

    @cached_property
    def last(self) -> Mask:
        """Say which of them are the last of their character."""
        last = np.ones(len(self.who), np.bool_)
        last[:-1] = self.first[1:]
        return last

    def before(self, known: Codes) -> Codes:
        """Give for each the state before it, in that order; `known` has the states by character from before the run."""
        before = np.empty_like(self.what)
        before[1:] = self.what[:-1]
        first = self.first
        before[first] = known[self.who[first]]
        return before


def changes_in(rows: Mapping[str, Array], previous: Callable[[Array], Codes] = nothing_said) -> Changes:
    """Find the changes in columns: whatever names a state or a location."""
    character, state, location = rows["character_id"], rows["state"], rows["location"]
    told = (state >= 0) | (location >= 0)
    if told.all():
        return Changes(np.arange(len(told)), character, state, location, previous)
    index = np.flatnonzero(told)
    return Changes(index, character[index], state[index], location[index], previous)


def named_in(rows: Mapping[str, Array], lists: Lists | None = None) -> tuple[Array, Codes]:
    """Give indices of rows and the characters that they name, in order; a list of characters names several."""
    index = np.flatnonzero(rows["character_id"] >= 0)
    who = rows["character_id"][index]
    if lists is None or not lists.heard:
        return index, who
    more = np.array(lists.heard)
    index = np.concatenate([index, more[:, 0]])
    order = np.argsort(index, kind="stable")
    return index[order], np.concatenate([who, more[:, 1]])[order]


def departed(rows: Mapping[str, Array], types: Mapping[Any, int], index: Array, who: Codes) -> Codes:
    """Give the characters that left in these rows and were not heard of again; `index` and `who` are of `named_in`."""
    code = types.get(MessageTypes.CHARACTER_LEFT, -2)
    if code < 0:
        return NO_CODES
    left = rows["type"][index] == code
    if not left.any():
        return NO_CODES
    backwards = who[::-1]
    last, first_seen = np.unique(backwards, return_index=True)
    gone: Codes = last[left[::-1][first_seen]].astype(np.int32)
    return gone


def merged(some: Changes, more: Changes) -> Changes:
    """Put changes of other rows between some, in the order of the rows; only `some` know what was said before."""
    index = np.concatenate([some.index, more.index])
    order = np.argsort(index, kind="stable")
    return Changes(
        index[order],
        np.concatenate([some.character, more.character])[order],
        np.concatenate([some.state, more.state])[order],
        np.concatenate([some.location, more.location])[order],
        some.previous,
    )
