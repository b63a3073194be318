"""The knowledge of a character that can be inspected, and the part of it that can be set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ...core.text_of import class_name, text_of
from .facts import attributes_of, building_of, buildings_of, items_of, location_of, name_of, read, word
from .lives import Lives

_LATEST: Final = 30
_KEPT: Final = {"name", "state", "location", "state_name", "character_id"}
"""Attributes that the town calculates, and that cannot be set from outside."""


class Knowledge:
    """The answers to `inspect` and `set_attribute`, from DegentCivil's own objects."""

    def __init__(self, lives: Lives) -> None:
        self._lives = lives

    def inspect(self, character_id: str) -> dict[str, Any]:
        """Return everything that the town knows of a character, or of a building."""
        town = self._lives.simulation
        for building in buildings_of(town):
            if name_of(building) == character_id:
                return {**building_of(building), "dialogue": _dialogue(building)}
        character = self._find(character_id)
        state = read(character, "state")
        asked, memory = read(character, "prompt_and_response"), read(character, "longterm_memory")
        parts: dict[str, Callable[[], Any]] = {
            "attributes": lambda: attributes_of(character),
            "state": lambda: word(state),
            "previous_states": lambda: [word(old) for old in self._previous(character_id)][-_LATEST:],
            "updates_in_state": lambda: read(state, "_state_duration"),
            "followed_states": lambda: _followed(read(state, "followed_states")),
            "waits_for_model": lambda: _is_waiting(read(state, "llm_task")),
            "location": lambda: location_of(character),
            "plan": lambda: _fields(read(character, "Schedule"), "summary", "steps", "current_index", "current_step"),
            "emotion": lambda: _fields(
                read(character, "emotion"), "emotion", "extreme_emotion_name", "impressive_event"
            ),
            "working_memory": lambda: read(read(character, "working_memory"), "wm"),
            "longterm_memory": lambda: _fields(memory, "people", "building", "numeric_memory"),
            "inner_monologue": lambda: read(read(character, "inner_monologue"), "content"),
            "latest_prompt": lambda: {
                "type": word(read(asked, "latest_prompt_type")),
                "prompt": read(asked, "latest_prompt"),
                "response": read(asked, "latest_response"),
            },
            "dialogue": lambda: _dialogue(character),
            "date": lambda: text_of(read(character, "date")),
        }
        return {name: _told(part) for name, part in parts.items()}

    def _previous(self, character_id: str) -> list[Any]:
        managers = items_of(read(self._lives.simulation, "character_state_managers"))
        manager = next((manager for manager in managers if name_of(manager) == character_id), None)
        return items_of(read(manager, "previous_states"))

    def set(self, character_id: str, name: str, value: Any) -> None:
        """Set a number or a word of a character, a feeling (`joy`), or an entry of its working memory."""
        character = self._find(character_id)
        if name in _KEPT:
            raise ValueError(f"{name!r:.80} is calculated by the town and cannot be set")
        felt = read(read(character, "emotion"), "emotion")
        feeling = name.removeprefix("emotion.")
        if isinstance(felt, dict) and feeling in felt:
            felt[feeling] = _alike(feeling, felt[feeling], value)
            return
        memory = read(read(character, "working_memory"), "wm")
        if isinstance(memory, dict) and name.startswith("working_memory."):
            memory[name.removeprefix("working_memory.")] = value
            return
        now = read(character, name)
        if not isinstance(now, (int, float, str)):
            own = attributes_of(character)
            allowed = [key for key in own if isinstance(read(character, key), (int, float, str))]
            raise ValueError(
                f"{name!r:.80} cannot be set; give one of {', '.join(allowed)}, a feeling, or `working_memory.KEY`"
            )
        setattr(character, name, _alike(name, now, value))

    def _find(self, character_id: str) -> Any:
        for character in self._lives.characters:
            if name_of(character) == str(character_id):
                return character
        raise LookupError(character_id)


def _alike(name: str, now: Any, value: Any) -> Any:
    """Refuse a value of another kind than the present one."""
    number = isinstance(now, (int, float)) and not isinstance(now, bool)
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) if number else isinstance(value, type(now))
    if not fits:
        kind = "a number" if number else f"a {type(now).__name__}"
        raise TypeError(f"{name!r:.80} must be {kind}, not {value!r:.80}")
    return value


def _told(part: Callable[[], Any]) -> Any:
    """Return a part of the knowledge, or the reason why it cannot be read."""
    try:
        return part()
    except Exception as error:  # noqa: BLE001 — another version may keep anything there
        return {"unreadable": f"{class_name(type(error))}: {text_of(error)}"}


def _fields(thing: Any, *names: str) -> dict[str, Any]:
    values = {name: read(thing, name, _told) for name in names}
    return {name: value for name, value in values.items() if value is not _told}


def _followed(states: Any) -> dict[str | None, Any]:
    """Return the states that may follow, each with whether it is wanted; a list has only the names."""
    if isinstance(states, Mapping):
        return {word(name): wanted for name, wanted in states.items()}
    return {word(name): None for name in items_of(states)}


def _dialogue(agent: Any) -> dict[str, Any]:
    """Return the latest of what was said with each other agent; with itself it is prompts."""
    messages = read(agent, "_oai_messages")
    if isinstance(messages, list):
        return {"": messages[-_LATEST:]}
    own = name_of(agent)
    pairs = list(messages.items()) if isinstance(messages, Mapping) else []
    return {
        other if isinstance(other, str) else str(name_of(other)): items_of(said)[-_LATEST:]
        for other, said in pairs
        if (other if isinstance(other, str) else name_of(other)) != own
    }


def _is_waiting(task: Any) -> bool | None:
    return None if task is None else not task.done()
