"""Conversion of a simulation's ids, states, locations, codes and numbers to the types of the wire."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from numbers import Number
from typing import Any, Final

from ..core.plain import plain
from ..core.text_of import class_name, clean, text_of
from ..core.things import IDS, PLACES, is_object, name_of
from ..protocol.errors import WebSocketError
from .llm_reading import model_in

CODE_BITS: Final = 63
_MOST: Final = 2**53
"""The largest whole number that every JSON reader preserves."""


def id_of(value: Any) -> str | int | None:
    """Return an id: text and whole numbers unchanged, an object's own id, anything else as text; `None` if missing."""
    kind = type(value)
    if kind is str:
        return clean(value)
    if kind is int and -_MOST <= value <= _MOST:
        return int(value)
    value = name_of(value, IDS)
    converted = plain(value)
    if converted is None or (isinstance(converted, float) and math.isnan(converted)):
        return None
    if isinstance(converted, float) and converted.is_integer():
        converted = int(converted)  # a pandas column of numbers with missing values has floats
    if type(converted) is int and -_MOST <= converted <= _MOST:
        return converted
    return converted if isinstance(converted, str) else word_of(value)


def word_of(value: Any) -> str:
    """Return a word such as a state: text unchanged, an enum's name, anything else as text."""
    if type(value) is str:
        return clean(value)
    value = name_of(value, ())
    converted = value if isinstance(value, tuple) else plain(value)
    if isinstance(converted, tuple):
        return text_of(tuple(plain(item) for item in converted))
    return converted if isinstance(converted, str) else text_of(converted)


def model_of(value: Any) -> str:
    """Return a model's name: text unchanged, of a client's object the name of its model or else its class."""
    if type(value) is str or not is_object(value):
        return word_of(value)
    return model_in(value) or class_name(type(value)).rpartition(".")[2]


def place_of(value: Any) -> tuple[str, tuple[float, float] | None]:
    """Return the text of a location, with its `x` and `y` if it is a pair of numbers."""
    if type(value) is str:
        return clean(value), None
    value = name_of(value, PLACES)
    converted = plain(value)
    if isinstance(converted, (list, tuple)):
        pair = tuple(converted)
        numbers = len(pair) == 2 and all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in pair)
        return text_of(pair), pair if numbers else None
    return word_of(value), None


def error_code_of(value: Any) -> tuple[int, str | None]:
    """Return the code of an error, and its name if it was given by name; a text alone is 1004."""
    name = clean(str(value._name_)) if isinstance(value, Enum) else None
    code = plain(value._value_ if isinstance(value, Enum) else value)
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool) and code.bit_length() <= CODE_BITS:
        return code, name
    return WebSocketError.SERVER_ERROR, name or (None if code is None else word_of(code))


def is_missing(value: Any) -> bool:
    """Return whether a value names nothing: `None`, a missing number, or an empty text."""
    kind = type(value)
    if kind is str or kind is bool or kind is int:
        return bool(value == "")
    converted = plain(value)
    return converted is None or converted == "" or (isinstance(converted, float) and math.isnan(converted))


def number_of(value: Any) -> float | None:
    """Return a finite number; `None` if it is missing, and `ValueError` for anything else."""
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    converted: Any = value if isinstance(value, Number) else plain(value)
    if converted is None:
        return None
    if isinstance(converted, (list, dict, complex)):
        raise ValueError("no number")
    number = float(converted)
    if math.isinf(number):
        raise ValueError("no finite number")
    return None if math.isnan(number) else number


def count_of(value: Any) -> int | None:
    """Return a rounded count; `None` if it is missing, and `ValueError` for anything else."""
    number = number_of(value)
    if number is None:
        return None
    if not 0 <= number <= _MOST:
        raise ValueError("no count")
    return round(number)


def causes_of(value: Any) -> str | list[str] | None:
    """Return the id of a cause as text, or those of several as a list; `None` if there is none."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [str(id) for item in value if (id := id_of(item)) is not None] or None
    id = id_of(value)
    return None if id is None else str(id)


def each(values: Any) -> Iterable[Any]:
    """Return the items of any list-like; any other value is the only item."""
    if values is None:
        return ()
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(type(values), "__iter__"):
        return (values,)
    return list(values)


class Known:
    """The ids of characters as the simulation itself has them, by their text."""

    def __init__(self) -> None:
        self._ids: dict[str, Any] = {}

    def note(self, id: str | int | None, value: Any) -> None:
        """Store a value that differs from its text, if it is a plain value."""
        if isinstance(value, (int, float, tuple, Enum)) and id is not None:
            self._ids[str(id)] = value

    def candidates(self, character_id: str | int) -> list[Any]:
        """Return the forms in which a simulation may have a notebook's `character_id`, the likeliest first."""
        text = str(character_id)
        if text in self._ids:
            return [self._ids[text]]
        number = text.removeprefix("-")
        if number.isdecimal() and number.isascii() and len(number) < 16:
            return [character_id, int(text) if isinstance(character_id, str) else text]
        return [character_id]

    def forget(self, character_id: str | int) -> None:
        """Remove a character that is gone."""
        self._ids.pop(str(character_id), None)
