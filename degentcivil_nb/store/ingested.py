"""Messages as columns, before they are in a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..protocol.messages import Links
from ..protocol.stream_payloads import GameLlmCall, LlmCall
from .changes import NO_CODES, CharacterLists
from .columns import Dictionary
from .schema import Codes, Ints
from .table import Array, Batch


@dataclass(slots=True)
class ColumnWords:
    """Words of one column from messages of one type, in order: a row and a word (`None` for none) each."""

    column: str
    rows: Array
    words: list[Any]
    codes: Codes = field(default_factory=lambda: NO_CODES)
    """Their codes, once all types were read."""


@dataclass(slots=True)
class Updates:
    """Attributes of characters, in order.

    They are lists side by side, since the garbage collector would go through a tuple for each while a recorder waits.
    """

    rows: list[int] = field(default_factory=list)
    """The row of the batch of each."""
    characters: list[int] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, rows: list[int], characters: list[int], attributes: list[dict[str, Any]]) -> None:
        """Add more, in the order of their rows."""
        is_behind = not rows or not self.rows or self.rows[-1] <= rows[0]
        self.rows += rows
        self.characters += characters
        self.attributes += attributes
        if not is_behind:
            order = sorted(range(len(self)), key=self.rows.__getitem__)
            self.rows = [self.rows[place] for place in order]
            self.characters = [self.characters[place] for place in order]
            self.attributes = [self.attributes[place] for place in order]


@dataclass(slots=True)
class Ingested:
    """A stretch of messages as columns, with everything that affects more than their own rows."""

    batch: Batch
    payloads: bytes
    """The payloads of all rows, end to end."""
    lengths: Ints
    seqs: Ints
    words: Mapping[str, Dictionary]
    """The words of the store that made it, by column."""
    codes: tuple[Array, Array] | None = None
    """Rows of errors and their codes."""
    previous: ColumnWords | None = None
    """The previous states in payloads; `None` if there are none."""
    updates: Updates = field(default_factory=Updates)
    lists: CharacterLists | None = None
    places: list[tuple[int, list[dict[str, Any]]]] = field(default_factory=list)
    calls: list[tuple[int, LlmCall | GameLlmCall]] = field(default_factory=list)
    """Row of the batch, call; in order."""
    links: list[tuple[int, Links]] = field(default_factory=list)
    """Row of the batch and its links, from the envelope, or id and cause from the payload; in order."""
    payload_links: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    """Id and cause in the payload, by row of the batch."""
    bad: dict[int, str] = field(default_factory=dict)
    """Rows whose payload does not have the shape of its type, and why."""
    column_words: list[ColumnWords] = field(default_factory=list)
    later: list[Callable[[], None]] = field(default_factory=list)
    """Functions to call once the words have their codes."""

    @property
    def malformed(self) -> int:
        """Return the number of rows whose payload does not have the shape of its type."""
        return len(self.bad)

    def previous_states(self) -> tuple[Array, Codes] | None:
        """Return the rows whose payload has a previous state, and its code, which only a recording needs."""
        told = self.previous
        if told is None:
            return None
        if len(told.codes) != len(told.rows):
            words = self.words["state"]
            told.codes = np.fromiter(map(words.__getitem__, told.words), np.int32, len(told.words))
        return told.rows, told.codes

    def collect(self, column: str, rows: Array, words: list[Any]) -> ColumnWords:
        """Collect words of rows; they get their codes once all types were read."""
        column_words = ColumnWords(column, rows, words)
        self.column_words.append(column_words)
        return column_words

    def put(self, column: str, rows: Array, words: list[Any]) -> None:
        """Collect words of rows, to be written into their column."""
        column_words = self.collect(column, rows, words)
        self.later.append(lambda: put_codes(self, column, rows, column_words.codes))


Taken = tuple[Ingested, ...]
"""The columns that a store made of a list of messages, if all were valid events; empty otherwise."""


def put_codes(found: Ingested, column: str, rows: Any, values: Codes) -> None:
    """Write values into rows of a column of the batch, creating it if necessary."""
    columns, size = found.batch.columns, found.batch.size
    if column not in columns:
        if len(values) == size:
            columns[column] = values
            return
        columns[column] = np.full(size, -1, np.int32)
    columns[column][rows] = values
