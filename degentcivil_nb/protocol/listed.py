"""Lists of characters and places, which some servers write as objects keyed by id or name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .codec import character_of


def listed_characters(told: Any) -> list[tuple[str, dict[str, Any]]] | None:
    """Return ids and attributes of the characters of `all_characters`; `None` if none of its entries is an object.

    The game's lists have no `character_id`, so the name identifies a character, or else its `id`; the key does in an
    object of objects.
    """
    entries = _entries(told)
    if entries is None:
        return None
    named = [(character_of(one) or key or _text(one.get("name")) or _text(one.get("id")), one) for key, one in entries]
    return [(name, one) for name, one in named if name is not None]


def listed_places(told: Any) -> list[dict[str, Any]] | None:
    """Return the places of `all_buildings`; `None` if none of its entries is an object."""
    found = _entries(told)
    if found is None:
        return None
    return [one if key is None else {"id": key, "name": key, **one} for key, one in found]


def identity_of(place: Mapping[str, Any]) -> str | None:
    """Return what identifies a place: its `id`, else its `name`."""
    identity = _text(place.get("id"))
    return _text(place.get("name")) if identity is None else identity


def _text(identity: Any) -> str | None:
    return str(identity) if isinstance(identity, str | int) and not isinstance(identity, bool) else None


def _entries(told: Any) -> list[tuple[str | None, dict[str, Any]]] | None:
    """Return the objects of a list, or those of an object with their keys; other entries stay in the payload alone."""
    if isinstance(told, dict):
        lists = [value for value in told.values() if isinstance(value, list)]
        if len(lists) != 1:
            return _objects(list(told.items()))
        told = lists[0]  # a list inside an object, such as {"characters": […]}
    return _objects([(None, value) for value in told]) if isinstance(told, list) else None


def _objects(entries: list[tuple[str | None, Any]]) -> list[tuple[str | None, dict[str, Any]]] | None:
    found = [(key, value) for key, value in entries if isinstance(value, dict)]
    return found if found or not entries else None
