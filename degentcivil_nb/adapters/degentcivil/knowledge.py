"""What is known of a character when it is asked for, and what of it can be set."""

from __future__ import annotations

from typing import Any, Final

from ...core.text_of import text_of
from .facts import attributes_of, building_of, buildings_of, characters_of, location_of, name_of, word
from .lives import Lives

_LATEST: Final = 30
_KEPT: Final = {"name", "state", "location", "state_name", "character_id"}
"""What follows from the town's own doing and is not set from outside."""


class Knowledge:
    """The answers to `inspect` and `set_attribute`, from DegentCivil's own objects."""

    def __init__(self, lives: Lives) -> None:
        self._lives = lives

    def inspect(self, character_id: str) -> dict[str, Any]:
        """Give all that the town knows of a character, or of a building."""
        town = self._lives.simulation
        for building in buildings_of(town):
            if name_of(building) == character_id:
                return {**building_of(building), "dialogue": _dialogue(building)}
        character = self._find(character_id)
        state = getattr(character, "state", None)
        manager = (getattr(town, "character_state_managers", None) or {}).get(character_id)
        asked = getattr(character, "prompt_and_response", None)
        memory = getattr(character, "longterm_memory", None)
        known: dict[str, Any] = {
            "attributes": attributes_of(character),
            "state": word(state),
            "previous_states": [word(old) for old in getattr(manager, "previous_states", ())][-_LATEST:],
            "updates_in_state": getattr(state, "_state_duration", None),
            "followed_states": {word(key): on for key, on in (getattr(state, "followed_states", None) or {}).items()},
            "waits_for_model": _is_waiting(getattr(state, "llm_task", None)),
            "location": location_of(character),
            "plan": _fields(getattr(character, "Schedule", None), "summary", "steps", "current_index", "current_step"),
            "emotion": _fields(
                getattr(character, "emotion", None), "emotion", "extreme_emotion_name", "impressive_event"
            ),
            "working_memory": getattr(getattr(character, "working_memory", None), "wm", None),
            "longterm_memory": _fields(memory, "people", "building", "numeric_memory"),
            "inner_monologue": getattr(getattr(character, "inner_monologue", None), "content", None),
            "latest_prompt": {
                "type": word(getattr(asked, "latest_prompt_type", None)),
                "prompt": getattr(asked, "latest_prompt", None),
                "response": getattr(asked, "latest_response", None),
            },
            "dialogue": _dialogue(character),
            "date": text_of(getattr(character, "date", None)),
        }
        return known

    def set(self, character_id: str, name: str, value: Any) -> None:
        """Set a number or a word of a character, a feeling (`joy`), or an entry of its working memory."""
        character = self._find(character_id)
        if name in _KEPT:
            raise ValueError(f"{name!r} is calculated by the town and cannot be set")
        felt = getattr(getattr(character, "emotion", None), "emotion", None)
        feeling = name.removeprefix("emotion.")
        if isinstance(felt, dict) and feeling in felt:
            felt[feeling] = _alike(feeling, felt[feeling], value)
            return
        memory = getattr(getattr(character, "working_memory", None), "wm", None)
        if isinstance(memory, dict) and name.startswith("working_memory."):
            memory[name.removeprefix("working_memory.")] = value
            return
        now = getattr(character, name, None)
        if not isinstance(now, (int, float, str)):
            own = attributes_of(character)
            allowed = [key for key in own if isinstance(getattr(character, key, None), (int, float, str))]
            raise ValueError(f"{name!r} is none of {', '.join(allowed)}, a feeling or `working_memory.KEY`")
        setattr(character, name, _alike(name, now, value))

    def _find(self, character_id: str) -> Any:
        for character in characters_of(self._lives.simulation):
            if name_of(character) == character_id:
                return character
        raise LookupError(character_id)


def _alike(name: str, now: Any, value: Any) -> Any:
    """Refuse a value of another kind than the one there is."""
    number = isinstance(now, (int, float)) and not isinstance(now, bool)
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) if number else isinstance(value, type(now))
    if not fits:
        raise TypeError(f"{name!r} is {'a number' if number else type(now).__name__}, and {value!r} is not")
    return value


def _fields(thing: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names if hasattr(thing, name)}


def _dialogue(agent: Any) -> dict[str, Any]:
    """Give the latest of what was said with each other agent; with itself it is prompts."""
    messages = getattr(agent, "_oai_messages", None) or {}
    own = name_of(agent)
    return {
        str(name_of(other)): list(said)[-_LATEST:] for other, said in list(messages.items()) if name_of(other) != own
    }


def _is_waiting(task: Any) -> bool | None:
    return None if task is None else not task.done()
