"""Changes of state in one stretch of messages, in their order and sorted by character."""

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


def no_previous_states(rows: Array) -> Codes:
    """Return an unknown previous state (−1) for each row."""
    return np.full(len(rows), -1, np.int32)


@dataclass(slots=True)
class CharacterLists:
    """Changes from lists of characters; no column can hold them, since one row names several characters."""

    moves: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Row of the run, character, state, location (−1: not given); in order."""
    mentioned: list[tuple[int, int]] = field(default_factory=list)
    """Row of the run, character."""

    def changes(self) -> Changes:
        """Return the changes."""
        return Changes(*np.array(self.moves, np.int32).reshape(-1, 4).T)

    def rows(self, size: int) -> Mask:
        """Return a mask of the rows of a run that have changes."""
        listed = np.zeros(size, np.bool_)
        listed[[row for row, *_ in self.moves]] = True
        return listed


class Changes:
    """Changes in order: the row of the run, the character, the new state and the new location (−1: not given).

    `previous` returns the previous states that senders reported at given rows of the run. It is called only where the
    stream itself does not contain the previous state.
    """

    def __init__(
        self,
        index: Array = NO_CODES,
        character: Codes = NO_CODES,
        state: Codes = NO_CODES,
        location: Codes = NO_CODES,
        previous: Callable[[Array], Codes] = no_previous_states,
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
        """Return the indices of the changes that name a state, sorted by character, each character's in order."""
        character = self.character
        if int(character.max(initial=0)) < SHORT:
            character = character.astype(np.int16, copy=False)  # numpy sorts these by radix, twice as fast
        if (self.state >= 0).all():
            return np.argsort(character, kind="stable")
        said = np.flatnonzero(self.state >= 0)
        return said[np.argsort(character[said], kind="stable")]

    @cached_property
    def who(self) -> Codes:
        """Return the characters in that order."""
        return self.character[self.order]

    @cached_property
    def what(self) -> Codes:
        """Return the states in that order."""
        return self.state[self.order]

    @cached_property
    def first(self) -> Mask:
        """Return a mask of the first change of each character."""
        first = np.ones(len(self.who), np.bool_)
        np.not_equal(self.who[1:], self.who[:-1], out=first[1:])
        return first

    @cached_property
    def last(self) -> Mask:
        """Return a mask of the last change of each character."""
        last = np.ones(len(self.who), np.bool_)
        last[:-1] = self.first[1:]
        return last

    def before(self, known: Codes) -> Codes:
        """Return the state before each change, in that order; `known` has the states by character before the run."""
        before = np.empty_like(self.what)
        before[1:] = self.what[:-1]
        first = self.first
        before[first] = known[self.who[first]]
        return before


def changes_in(rows: Mapping[str, Array], previous: Callable[[Array], Codes] = no_previous_states) -> Changes:
    """Find the changes in columns: every row with a state or a location."""
    character, state, location = rows["character_id"], rows["state"], rows["location"]
    told = (state >= 0) | (location >= 0)
    if told.all():
        return Changes(np.arange(len(told)), character, state, location, previous)
    index = np.flatnonzero(told)
    return Changes(index, character[index], state[index], location[index], previous)


def named_in(rows: Mapping[str, Array], lists: CharacterLists | None = None) -> tuple[Array, Codes]:
    """Return row indices and the characters that they name, in order; a list of characters names several."""
    index = np.flatnonzero(rows["character_id"] >= 0)
    who = rows["character_id"][index]
    if lists is None or not lists.mentioned:
        return index, who
    more = np.array(lists.mentioned)
    index = np.concatenate([index, more[:, 0]])
    order = np.argsort(index, kind="stable")
    return index[order], np.concatenate([who, more[:, 1]])[order]


def departed(rows: Mapping[str, Array], types: Mapping[Any, int], index: Array, who: Codes) -> Codes:
    """Return the characters that left in these rows and were not named again; `index` and `who` are of `named_in`."""
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
    """Merge two sets of changes in the order of their rows; the previous states of the first set are used."""
    index = np.concatenate([some.index, more.index])
    order = np.argsort(index, kind="stable")
    return Changes(
        index[order],
        np.concatenate([some.character, more.character])[order],
        np.concatenate([some.state, more.state])[order],
        np.concatenate([some.location, more.location])[order],
        some.previous,
    )
