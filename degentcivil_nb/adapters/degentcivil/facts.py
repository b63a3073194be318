"""Reading DegentCivil's objects: missing names and failing getters are tolerated, and values become plain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

from ...core.text_of import class_name, text_of

OUTDOOR: Final = "outdoor"
_NUMBERS: Final = ("money", "health", "satiety", "vigor", "x", "y")
_WORDS: Final = ("age", "mbti", "bio")
_NAMES: Final = ("name", "guid", "id")
_QUALIFIED: Final = re.compile(r"<?\w+\.(\w+)(?::.*)?>?")
"""The text of an enum's member, such as `CharacterState.PLAN` or `<CharacterState.PLAN: 2>`."""

unreadable: Final[dict[str, str]] = {}
"""Attributes whose getters failed, such as `Character.money`, each with the failure."""


def read(thing: Any, name: str, default: Any = None) -> Any:
    """Return an attribute; `default` if it is absent, or if reading it fails, which `unreadable` then says."""
    try:
        return getattr(thing, name, default)
    except Exception as error:  # noqa: BLE001 — a getter is foreign code
        unreadable[f"{type(thing).__name__}.{name}"] = f"{class_name(type(error))}: {text_of(error)}"
        return default


def name_of(value: Any) -> str | None:
    """Return the name of a character or a building, or of the character that a state belongs to."""
    if value is None:
        return None
    owner = read(value, "character")
    thing = value if owner is None else owner
    for name in _NAMES:
        found = read(thing, name)
        if isinstance(found, str) and found:
            return found
        if name != "name" and isinstance(found, int):
            return str(found)
    return None


def word(value: Any) -> str | None:
    """Return the name of a state or of a kind of prompt: from an enum, an object with a name, or text."""
    for _ in range(5):
        if isinstance(value, Enum):
            return value.name
        if value is None:
            return None
        inner = None if isinstance(value, str) else read(value, "state_name")
        if inner is None:
            break
        value = inner
    text = text_of(value)
    qualified = _QUALIFIED.fullmatch(text)
    return text if qualified is None else qualified.group(1)


def location_of(character: Any) -> str:
    """Return the building that a character is in; `outdoor` for none."""
    named = read(character, "in_building_name")
    if isinstance(named, str) and named:
        return named
    return name_of(read(character, "in_building")) or OUTDOOR


def attributes_of(character: Any) -> dict[str, Any]:
    """Return the published attributes of a character: a dozen numbers and words, and its feelings."""
    found: dict[str, Any] = {}
    for name in (*_NUMBERS, *_WORDS):
        value = read(character, name)
        if isinstance(value, (int, float, str)):
            found[name] = value
    emotion = read(character, "emotion")
    extreme = read(emotion, "extreme_emotion_name")
    if isinstance(extreme, str):
        found["emotion"] = extreme
    found.update(feelings_of(character))
    schedule = read(character, "Schedule")
    for name, own in (("plan", "summary"), ("step", "current_step")):
        value = read(schedule, own)
        if isinstance(value, str) and value:
            found[name] = value
    job = read(character, "job")
    if job is not None:
        found["job"] = name_of(job) or text_of(job)
    found["location"] = location_of(character)
    return found


def feelings_of(character: Any) -> dict[str, int | float]:
    """Return the strength of each feeling, from a dict, a list of pairs, or objects with a name and a value."""
    felt = read(read(character, "emotion"), "emotion")
    pairs = [*felt.items()] if isinstance(felt, Mapping) else [*map(_pair, felt)] if isinstance(felt, list) else []
    return {text_of(name): value for name, value in pairs if name is not None and isinstance(value, (int, float))}


def _pair(item: Any) -> tuple[Any, Any]:
    if isinstance(item, (list, tuple)) and len(item) == 2:
        return item[0], item[1]
    get = item.get if isinstance(item, Mapping) else lambda name: read(item, name)
    return get("name") or get("emotion"), get("value")


def building_of(building: Any) -> dict[str, Any]:
    """Return a building as a place of the town."""
    found: dict[str, Any] = {"id": read(building, "guid"), "name": name_of(building)}
    for name in ("description", "xMin", "xMax", "yMin", "yMax"):
        value = read(building, name)
        if isinstance(value, (int, float, str)):
            found[name] = value
    equipments = read(building, "equipments")
    if isinstance(equipments, (Mapping, list, tuple, set)):
        found["equipments"] = [item if isinstance(item, str) else name_of(item) or text_of(item) for item in equipments]
    return {name: value for name, value in found.items() if value is not None}


def characters_of(simulation: Any) -> list[Any]:
    """List the characters that a town has loaded."""
    return items_of(read(read(simulation, "character_list"), "characters", read(simulation, "character_list")))


def buildings_of(simulation: Any) -> list[Any]:
    """List the buildings of a town."""
    return items_of(read(read(simulation, "building_list"), "buildings", read(simulation, "building_list")))


def items_of(values: Any) -> list[Any]:
    """List the items of a list, a dict or any other collection."""
    if isinstance(values, Mapping):
        return list(values.values())
    if isinstance(values, str) or not isinstance(values, Iterable):
        return []
    try:
        return list(values)
    except Exception:  # noqa: BLE001 — it may change while it is read, or be foreign code
        return []


def tick_of(simulation: Any) -> int | None:
    """Return how many updates there were, if the town counts them."""
    count = read(simulation, "total_update_count")
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None


def absent(simulation: Any) -> dict[str, str]:
    """Return the missing attributes of the town and its first character, each with what it would show."""
    character = next(iter(characters_of(simulation)), None)
    asked: list[tuple[str, Any, tuple[str, ...], str]] = [
        ("Simulation", simulation, ("character_list",), "all characters from the start"),
        ("Simulation", simulation, ("building_list",), "places"),
        ("Simulation", simulation, ("total_update_count",), "the town's own count of updates"),
    ]
    if character is not None:
        asked += [
            ("Character", character, ("name",), "names of characters"),
            ("Character", character, ("state",), "the state that a character is in"),
            ("Character", character, (*_NUMBERS, *_WORDS), "an attribute"),
            ("Character", character, ("in_building_name", "in_building"), "where a character is"),
            ("Character", character, ("emotion", "Schedule", "job"), "feelings, the plan and the job"),
            ("Character", character, ("working_memory", "longterm_memory", "inner_monologue"), "memory in inspect"),
            ("Character", character, ("prompt_and_response",), "the latest prompt in inspect, and kinds of calls"),
        ]
    found = {
        f"{kind}.{name}": shows
        for kind, thing, names, shows in asked
        for name in names
        if read(thing, name, unreadable) is unreadable and f"{type(thing).__name__}.{name}" not in unreadable
    }
    failed = {name: f"it cannot be read: {reason}" for name, reason in unreadable.items()}
    return {**found, **failed}
