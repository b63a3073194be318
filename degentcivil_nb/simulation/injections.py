"""Messages that can be injected into a stream, as the simulation would have published them itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from ..protocol.messages import CharacterId, MessageTypes
from . import payloads


class Injection(NamedTuple):
    """The type and the payload of a message."""

    type: str
    payload: dict[str, Any]


class WithStates(Protocol):
    """The part of a probe that is needed here."""

    states: dict[Any, str]
    """The last published state of each character."""


class Injections:
    """The maker of injected messages, for one probe; `clock` gives the time."""

    def __init__(self, probe: WithStates, clock: Callable[[], float]) -> None:
        self._probe = probe
        self._clock = clock

    def event(self, event_type: str, data: Any = None, character_id: CharacterId | None = None) -> Injection:
        """Make an event."""
        return Injection(MessageTypes.EVENT_NOTIFICATION, payloads.event(event_type, data, self._clock(), character_id))

    def state_change(self, character_id: CharacterId, new_state: str, location: str | None = None) -> Injection:
        """Make a change to a new state, which is the character's last state from now on."""
        states = self._probe.states
        previous = states.get(character_id)
        states[character_id] = new_state
        return Injection(
            MessageTypes.STATE_CHANGE,
            payloads.state_change(character_id, new_state, location, previous, self._clock()),
        )

    def character_update(self, character_id: CharacterId, attributes: Mapping[str, Any]) -> Injection:
        """Make a change of a character's attributes."""
        payload = {"character_id": character_id, **attributes}
        payload["character_id"] = character_id  # this key is not an attribute
        return Injection(MessageTypes.CHARACTER_UPDATE, payload)

    def error(self, code: int, message: str, character_id: CharacterId | None = None) -> Injection:
        """Make an error."""
        return Injection(MessageTypes.ERROR, payloads.error(code, message, character_id))

    def llm_call(self, character_id: CharacterId | None, prompt_type: str, details: Mapping[str, Any]) -> Injection:
        """Make a call of a language model."""
        return Injection(MessageTypes.LLM_CALL, payloads.llm_call(character_id, prompt_type, **details))
