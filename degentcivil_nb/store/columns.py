"""Building blocks of columns: append-only dictionaries of words, and arrays that grow without moving published data."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

MAX_TEXT: Final = 256
"""The longest word of a column; longer ones are cut there, while the payload keeps them whole."""
MAX_WORDS: Final = 1 << 20  # different words of a column, some 160 MB
OTHER: Final = "(other)"
"""The word that replaces all words of a column beyond a million different ones."""


class Dictionary(dict[Hashable, int]):
    """Words numbered in the order of their first appearance; `dictionary[word]` adds a new one, and `None` is −1.

    Words are never removed, so a code stays valid and readers need no lock. Any thread may add words.
    """

    def __init__(self) -> None:
        super().__init__({None: -1})
        self.words: list[str] = []
        self._adding = threading.RLock()
        self._dtype: tuple[int, pd.CategoricalDtype] | None = None

    def __missing__(self, key: Hashable) -> int:
        text = key if isinstance(key, str) else str(key)
        whole = len(text) <= MAX_TEXT
        if not whole:
            text = text[: MAX_TEXT - 1] + "…"
        with self._adding:
            code = self.get(text)
            if code is None:
                if len(self.words) >= MAX_WORDS and text != OTHER:
                    return self[OTHER]
                code = len(self.words)
                self.words.append(text)
                self[text] = code
            if whole and key is not text:
                self[key] = code  # makes the next lookup of a number faster; a long text is not kept as a key
        return code

    def restore(self, words: list[str]) -> None:
        """Number these words in order; raise `ValueError` if they cannot be a dictionary's words."""
        if [self[word] for word in words] != list(range(len(words))):
            raise ValueError("these are not the words of a column")

    def dtype(self, size: int) -> pd.CategoricalDtype:
        """Return the categorical dtype of the first `size` words."""
        held = self._dtype
        if held is None or held[0] != size:
            held = self._dtype = (size, pd.CategoricalDtype(pd.Index(self.words[:size], dtype="str")))
        return held[1]

    @property
    def memory_bytes(self) -> int:
        """Estimate the memory of the words."""
        return len(self.words) * 160


def code_dtype(words: int) -> type[np.signedinteger[Any]]:
    """Return the integer type that pandas uses for the codes of so many categories."""
    if words < np.iinfo(np.int8).max:
        return np.int8
    return np.int16 if words < np.iinfo(np.int16).max else np.int32


def number_dtype(largest: int) -> type[np.signedinteger[Any]]:
    """Return the narrowest of 16, 32 and 64 bits that holds numbers of an absolute value up to `largest`."""
    if largest <= np.iinfo(np.int16).max:
        return np.int16
    return np.int32 if largest <= np.iinfo(np.int32).max else np.int64


class Growing:
    """A contiguous array of numbers, doubled when full; `values` is what was appended."""

    __slots__ = ("_data", "size")

    def __init__(self, dtype: npt.DTypeLike = np.int64) -> None:
        self._data: npt.NDArray[Any] = np.empty(64, dtype)
        self.size = 0

    def extend(self, values: npt.NDArray[Any] | list[Any]) -> None:
        """Append values; values already returned are never overwritten."""
        end = self.size + len(values)
        if end > len(self._data):
            data = np.empty(max(end, 2 * len(self._data)), self._data.dtype)
            data[: self.size] = self._data[: self.size]
            self._data = data
        self._data[self.size : end] = values
        self.size = end

    def drop(self, count: int) -> None:
        """Remove the first `count` values, by copying the rest to a new array."""
        self._data = self._data[count:].copy()
        self.size -= count

    @property
    def values(self) -> npt.NDArray[Any]:
        """Return the appended values, for reading only."""
        return self._data[: self.size]

    @property
    def nbytes(self) -> int:
        """Return the size of the values in bytes."""
        return self.size * self._data.itemsize
