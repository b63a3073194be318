"""The name of an object that is given in place of one: the id of an agent, the coordinate of a cell."""

from __future__ import annotations

import uuid
from enum import Enum
from numbers import Number
from typing import Any, Final

from .plain import SCALARS, has_fields, is_text_only
from .text_of import has_own_text

IDS: Final = ("unique_id", "character_id", "agent_id", "id")
PLACES: Final = ("coordinate", "location_id", "place_id")
_NAME: Final = "name"
_NAMES: Final = (str, Number, tuple, Enum, uuid.UUID)


def name_of(value: Any, names: tuple[str, ...]) -> Any:
    """Return the first of these attributes that names an object; the value itself if it needs no name.

    Its `name` is used only if its class has no text of its own, or only that of its fields: a path has a name too.
    """
    for name in _names_of(type(value), names):
        try:
            found = getattr(value, name, None)
        except Exception:  # noqa: BLE001, S112 — foreign code; another attribute may name it
            continue
        if type(found) is not bool and isinstance(found, _NAMES):
            return found
    return value


def is_nameless(value: Any) -> bool:
    """Return whether all objects of a value's class have the same text, so that it names none of them."""
    kind = type(value)
    try:
        return kind not in SCALARS and is_text_only(kind) and not has_own_text(kind)
    except Exception:  # noqa: BLE001 — a class whose own attributes raise
        return False


def is_object(value: Any) -> bool:
    """Return whether a value is an object of some class, which becomes its fields or a text, and no datum."""
    try:
        return has_fields(type(value)) or is_nameless(value)
    except Exception:  # noqa: BLE001 — a class whose own attributes raise
        return False


def _names_of(kind: type, names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        if kind in SCALARS or not (has_fields(kind) or is_text_only(kind)):
            return ()
        return names if is_text_only(kind) and has_own_text(kind) else (*names, _NAME)
    except Exception:  # noqa: BLE001 — a class whose own attributes raise
        return ()
