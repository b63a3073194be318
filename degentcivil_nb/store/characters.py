"""The present of every character, updated as messages arrive: state, location, since when, and merged attributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..protocol.control_payloads import SnapshotCharacter
from .changes import Changes
from .columns import Dictionary
from .schema import NAT, Codes, Ints, timestamps, to_ns


@dataclass(slots=True)
class CharacterColumns:
    """The present of some characters as columns, a row each; times in nanoseconds, `NAT` where unknown."""

    version: int
    """The version of the present; pass it to the next call to get what changed since."""
    replaced: bool
    """Whether a snapshot has replaced all characters since that version; then these columns have all characters."""
    character_id: list[str]
    state: list[str | None]
    location: list[str | None]
    since: Ints
    last_seen: Ints
    attributes: list[dict[str, Any]]
    state_words: Sequence[str] = ()
    """All states and locations, in the order of their first appearance."""
    location_words: Sequence[str] = ()

    def frame(self) -> pd.DataFrame:
        """Return the frame of `characters()`; an attribute named like a column gets an underscore appended."""
        index = pd.Index(self.character_id, name="character_id", dtype="str")
        names = dict.fromkeys(name for attributes in self.attributes for name in attributes)
        columns: dict[str, Any] = {
            "state": _categories(self.state, self.state_words),
            "location": _categories(self.location, self.location_words),
        }
        for name in names:
            own = name + "_" if name in ("state", "location", "since", "last_seen") else name
            columns[own] = json_column([attributes.get(name) for attributes in self.attributes], index)
        columns["since"] = timestamps(self.since)
        columns["last_seen"] = timestamps(self.last_seen)
        return pd.DataFrame(columns, index=index)


def _categories(values: list[str | None], words: Sequence[str]) -> pd.Categorical:
    """Return a column of the words that occur, in the order of all words."""
    held = {value: None for value in values if value is not None}
    order = [word for word in words if word in held] if len(held) > 1 else list(held)
    return pd.Categorical(values, categories=pd.Index(order, dtype="str"))


def json_column(values: list[Any], index: pd.Index | None = None) -> pd.Series:
    """Return a column of JSON values: of numbers, bools or text if all are alike, else of objects."""
    kinds = {type(value) for value in values}
    missing = type(None) in kinds
    kinds.discard(type(None))
    try:
        if kinds == {str}:
            return pd.Series(values, index, dtype="str")
        if kinds == {bool}:
            return pd.Series(values, index, dtype="boolean" if missing else "bool")
        if kinds == {int}:
            return pd.Series(values, index, dtype="Int64" if missing else "int64")
        if kinds and kinds <= {int, float} and all(_is_exact(value) for value in values):
            return pd.Series(values, index, dtype="float64")
    except OverflowError:
        pass  # whole numbers beyond 64 bits stay Python objects
    return pd.Series(np.fromiter(values, dtype=object, count=len(values)), index)


def _is_exact(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) <= 1 << 53


@dataclass(slots=True)
class AttributeNames:
    """The names of attributes, by the kind of message in which they were found."""

    said: set[str] = field(default_factory=set)
    """Keys of the payloads of updates of one character, which a condition finds in the event itself."""
    known: set[str] = field(default_factory=set)
    """Keys in snapshots and lists of characters, which no event has for a single character."""

    @property
    def unsaid(self) -> set[str]:
        """Return the names that only snapshots and lists have."""
        return self.known - self.said


class CharacterTable:
    """The present of all characters by code; written by one thread, copied under the store's lock."""

    def __init__(
        self,
        characters: Dictionary,
        states: Dictionary,
        locations: Dictionary,
        names: AttributeNames | None = None,
    ) -> None:
        self._characters = characters
        self._states = states
        self._locations = locations
        self._known = np.zeros(0, np.bool_)
        self.state: Codes = np.zeros(0, np.int32)
        self.location: Codes = np.zeros(0, np.int32)
        self.since: Ints = np.zeros(0, np.int64)
        self._last_seen: Ints = np.zeros(0, np.int64)
        self._versions: Ints = np.zeros(0, np.int64)
        self._attributes: list[dict[str, Any]] = []
        self._lent = bytearray()  # by character: whether a copy shares the attributes
        self._names = AttributeNames() if names is None else names
        self.version = 0
        self._replaced_at = 0

    def __len__(self) -> int:
        return int(np.count_nonzero(self._known))

    def fit(self) -> None:
        """Grow to every character that has a code."""
        needed, held = len(self._characters.words), len(self._known)
        if needed <= held:
            return
        more = max(needed - held, held, 64)
        self._known = np.concatenate([self._known, np.zeros(more, np.bool_)])
        self.state = np.concatenate([self.state, np.full(more, -1, np.int32)])
        self.location = np.concatenate([self.location, np.full(more, -1, np.int32)])
        self.since = np.concatenate([self.since, np.full(more, NAT)])
        self._last_seen = np.concatenate([self._last_seen, np.full(more, NAT)])
        self._versions = np.concatenate([self._versions, np.zeros(more, np.int64)])
        self._attributes += [{} for _ in range(more)]
        self._lent += bytes(more)

    def change(self, changes: Changes, times: Ints) -> None:
        """Apply changes with their times; where state or location is missing, the character keeps its own."""
        who, what = changes.who, changes.what
        new = changes.before(self.state) != what
        # of two assignments to the same index, numpy keeps the last
        self.since[who[new]] = times[changes.order[new]]
        self.state[who[changes.last]] = what[changes.last]
        placed = changes.location >= 0
        self.location[changes.character[placed]] = changes.location[placed]
        self._known[changes.character] = True

    def note_mentions(self, characters: Codes, times: Ints) -> None:
        """Record when characters were last mentioned."""
        self.version += 1
        self._last_seen[characters] = times
        self._versions[characters] = self.version

    def update(self, characters: Sequence[int], updates: Sequence[dict[str, Any]]) -> None:
        """Merge attributes into those of characters, one for each update, in order."""
        held, lent = self._attributes, self._lent
        different = set(characters)
        self._known[[*different]] = True
        for character in different:
            if lent[character]:
                held[character] = held[character].copy()
                lent[character] = 0
        for character, attributes in zip(characters, updates, strict=True):
            held[character].update(attributes)

    def forget(self, characters: Codes) -> None:
        """Remove characters that have left the town."""
        if not len(characters):
            return
        self._known[characters] = False
        self.state[characters] = self.location[characters] = -1
        self.since[characters] = self._last_seen[characters] = NAT
        for code in characters.tolist():
            self._attributes[code] = {}
            self._lent[code] = 0
        self._replaced_at = self.version  # so that the next request for changes returns all remaining characters

    def replace(self, characters: Iterable[SnapshotCharacter]) -> tuple[Codes, Codes, Codes, Ints]:
        """Replace the present by a snapshot; return characters, states, locations and since when."""
        words = [self._characters[character.character_id] for character in characters]
        self.fit()
        self._known[:] = False
        self.state[:] = -1
        self.location[:] = -1
        self.since[:] = NAT
        self._last_seen[:] = NAT
        self.version += 1
        self._replaced_at = self.version
        self._versions[:] = self.version
        self._attributes = [{} for _ in range(len(self._known))]
        self._lent = bytearray(len(self._known))
        for code, character in zip(words, characters, strict=True):
            self._known[code] = True
            self.state[code] = self._states[character.state]
            self.location[code] = self._locations[character.location]
            self.since[code] = to_ns(character.since)
            self._last_seen[code] = to_ns(character.last_seen)
            self._attributes[code] = dict(character.attributes)
            self._names.known.update(character.attributes)
        codes = np.array(words, np.int32)
        return codes, self.state[codes], self.location[codes], self.since[codes]

    def restore(self, columns: CharacterColumns) -> None:
        """Fill an empty present from what `columns` returned."""
        codes = [self._characters[name] for name in columns.character_id]
        self.fit()
        at = np.array(codes, np.int64)
        self._known[at] = True
        self.state[at] = [self._states[state] for state in columns.state]
        self.location[at] = [self._locations[location] for location in columns.location]
        self.since[at], self._last_seen[at] = columns.since, columns.last_seen
        for code, attributes in zip(codes, columns.attributes, strict=True):
            self._attributes[code] = attributes
        self.version = self._replaced_at = 1
        self._versions[:] = 1

    def copy(self) -> CharacterTable:
        """Copy the present; a character's attributes are shared until either copy changes them."""
        size = len(self._characters.words)
        copy = CharacterTable(self._characters, self._states, self._locations)
        copy._known = self._known[:size].copy()
        copy.state = self.state[:size].copy()
        copy.location = self.location[:size].copy()
        copy.since = self.since[:size].copy()
        copy._last_seen = self._last_seen[:size].copy()
        copy._versions = np.zeros(len(copy._known), np.int64)
        copy._attributes = self._attributes[:size]
        copy._lent = bytearray(b"\1") * len(copy._known)
        self._lent = bytearray(b"\1") * len(self._known)
        return copy

    def attribute(self, character: str, name: str) -> Any:
        """Return a character's current attribute; `None` if it is unknown."""
        code = self._characters.get(character, -1)
        if not 0 <= code < len(self._known):
            return None
        return self._attributes[code].get(name)

    def columns(self, since_version: int = 0) -> CharacterColumns:
        """Copy the present of the characters that changed after a version."""
        replaced = since_version < self._replaced_at or since_version == 0
        wanted = self._known if replaced else self._known & (self._versions > since_version)
        codes = np.flatnonzero(wanted)
        numbers = codes.tolist()
        names, states, locations = self._characters.words, self._states.words, self._locations.words
        attributes = self._attributes
        return CharacterColumns(
            self.version,
            replaced,
            [names[code] for code in numbers],
            [states[code] if code >= 0 else None for code in self.state[codes].tolist()],
            [locations[code] or None if code >= 0 else None for code in self.location[codes].tolist()],
            self.since[codes],
            self._last_seen[codes],
            [attributes[code].copy() for code in numbers],
            states,
            locations,
        )
