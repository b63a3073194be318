"""What is read of DegentCivil's objects: names tolerated to be absent, values that are plain."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from ...core.text_of import text_of

OUTDOOR: Final = "outdoor"
_NUMBERS: Final = ("money", "health", "satiety", "vigor", "x", "y")
_WORDS: Final = ("age", "mbti", "bio")


def name_of(value: Any) -> str | None:
    """Give the name of a character or a building, or of the character that a state belongs to."""
    if value is None:
        return None
    owner = getattr(value, "character", None)
    name = getattr(value if owner is None else owner, "name", None)
    return name if isinstance(name, str) else None


def word(value: Any) -> str | None:
    """Give the name of a state or of a kind of prompt, be it an enum, an object that has one, or text."""
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, str):
        return value
    inner = getattr(value, "state_name", None)
    return text_of(value) if inner is None else word(inner)


def location_of(character: Any) -> str:
    """Give the building that a character is in; `outdoor` for none."""
    named = getattr(character, "in_building_name", None)
    if isinstance(named, str) and named:
        return named
    return name_of(getattr(character, "in_building", None)) or OUTDOOR


def attributes_of(character: Any) -> dict[str, Any]:
    """Give what is told of a character as its attributes: a dozen numbers and words, and how it feels."""
    found: dict[str, Any] = {}
    for name in (*_NUMBERS, *_WORDS):
        value = getattr(character, name, None)
        if isinstance(value, (int, float, str)):
            found[name] = value
    emotion = getattr(character, "emotion", None)
    extreme = getattr(emotion, "extreme_emotion_name", None)
    if isinstance(extreme, str):
        found["emotion"] = extreme
    felt = getattr(emotion, "emotion", None)
    if isinstance(felt, dict):
        found.update({str(name): value for name, value in felt.items() if isinstance(value, (int, float))})
    schedule = getattr(character, "Schedule", None)
    for name, own in (("plan", "summary"), ("step", "current_step")):
        value = getattr(schedule, own, None)
        if isinstance(value, str) and value:
            found[name] = value
    job = getattr(character, "job", None)
    if job is not None:
        found["job"] = name_of(job) or text_of(job)
    found["location"] = location_of(character)
    return found


def building_of(building: Any) -> dict[str, Any]:
    """Give a building as a place of the town."""
    found: dict[str, Any] = {"id": getattr(building, "guid", None), "name": name_of(building)}
    for name in ("description", "xMin", "xMax", "yMin", "yMax"):
        value = getattr(building, name, None)
        if isinstance(value, (int, float, str)):
            found[name] = value
    equipments = getattr(building, "equipments", None)
    if isinstance(equipments, dict):
        found["equipments"] = [str(name) for name in equipments]
    return {name: value for name, value in found.items() if value is not None}


def characters_of(simulation: Any) -> list[Any]:
    """List the characters that a town has loaded."""
    return list(getattr(getattr(simulation, "character_list", None), "characters", None) or ())


def buildings_of(simulation: Any) -> list[Any]:
    """List the buildings of a town."""
    return list(getattr(getattr(simulation, "building_list", None), "buildings", None) or ())
