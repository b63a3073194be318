"""Codes of words: each column has its dictionary, and new words are numbered in the order of their rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .changes import NO_CODES
from .columns import Dictionary
from .ingested import ColumnWords
from .schema import Codes
from .table import Array


def kinds_in(types: list[str], words: Dictionary) -> tuple[Codes | None, dict[str, Array]]:
    """Return the codes of types, unless one of them is new, and the rows of each type, in order of appearance."""
    size = len(types)
    # the writer gives one text if all types are equal: then a count is fast, and of others it is not made
    if types[0] is types[-1] and types.count(types[0]) == size:
        code = words.get(types[0])
        return None if code is None else np.full(size, code, np.int32), {types[0]: np.arange(size)}
    codes = known_codes(words, types)
    if codes is None:
        kinds = {kind: number for number, kind in enumerate(dict.fromkeys(types))}
        numbers = np.fromiter(map(kinds.__getitem__, types), np.int32, size)
        return None, {kind: np.flatnonzero(numbers == number) for kind, number in kinds.items()}
    rows_of = [np.flatnonzero(codes == code) for code in (np.flatnonzero(np.bincount(codes + 1)) - 1).tolist()]
    return codes, {types[rows[0]]: rows for rows in sorted(rows_of, key=lambda rows: int(rows[0]))}


def number(column_words: list[ColumnWords], dictionaries: dict[str, Dictionary]) -> None:
    """Set the codes of all words; new words are numbered in the order of their rows, across types."""
    columns: dict[str, list[ColumnWords]] = {}
    for part in column_words:
        columns.setdefault(part.column, []).append(part)
    for column, parts in columns.items():
        words = dictionaries[column]
        if len(parts) == 1:
            parts[0].codes = codes_of(words, parts[0].words)
            continue
        known = [known_codes(words, part.words) for part in parts]
        if any(codes is None for codes in known):
            together = [word for part in parts for word in part.words]
            for place in np.argsort(np.concatenate([part.rows for part in parts]), kind="stable").tolist():
                words[together[place]]
            known = [codes_of(words, part.words) for part in parts]
        for part, codes in zip(parts, known, strict=True):
            part.codes = NO_CODES if codes is None else codes


def codes_of(words: Dictionary, column: list[Any]) -> Codes:
    """Return the codes of words; new ones get the next numbers."""
    return np.fromiter(map(words.__getitem__, column), np.int32, len(column))


def known_codes(words: Dictionary, column: list[Any]) -> Codes | None:
    """Return the codes of words, or `None` if one of them is new."""
    try:
        return np.fromiter(map(words.get, column), np.int32, len(column))
    except TypeError:
        return None
