"""Payloads of stream messages: what happens in the town."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from .messages import NULL, CharacterId, Count


class StateChange(Struct, frozen=True, gc=False, omit_defaults=True):
    """A character's change to a new state."""

    character_id: CharacterId
    new_state: str
    location: str | None = None
    timestamp: float | str | None = None
    previous_state: str | None = None


class CharacterUpdate(Struct, frozen=True, gc=False):
    """A change of a character's attributes, which are the payload's other keys."""

    character_id: CharacterId


class EventNotification(Struct, frozen=True, gc=False, omit_defaults=True):
    """An event in the town."""

    event_type: str
    data: Raw = NULL
    timestamp: float | str | None = None
    character_id: CharacterId | None = None
    id: CharacterId | None = None
    cause: CharacterId | list[CharacterId] | None = None


class ErrorPayload(Struct, frozen=True, gc=False, omit_defaults=True):
    """An error in the simulation, or in what a client sent."""

    code: int
    message: str
    character_id: CharacterId | None = None
    traceback: str | None = None
    code_name: Any = None


class LlmCall(Struct, frozen=True, gc=False, omit_defaults=True):
    """A call of a language model, with its prompt and its response (text or any JSON)."""

    character_id: CharacterId | None = None
    prompt_type: str | None = None
    prompt: Any = None
    response: Any = None
    model: str | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    error: str | None = None
    id: CharacterId | None = None
    cause: CharacterId | list[CharacterId] | None = None
    provider: Any = None
    retries: Any = None
    rejected: Any = None


class ChatMessage(Struct, frozen=True, gc=False, omit_defaults=True):
    """A message of one character to others."""

    character_id: CharacterId
    receivers: list[CharacterId] = []
    content: Any = None
    channel: str | None = None


class ToolCall(Struct, frozen=True, gc=False, omit_defaults=True):
    """A use of a tool by a character."""

    character_id: CharacterId | None = None
    name: str | None = None
    arguments: Any = None
    result: Any = None
    latency_s: float | None = None
    error: str | None = None


class Thought(Struct, frozen=True, gc=False, omit_defaults=True):
    """A plan, a memory or a reflection, with the `event_id`s that it is based on."""

    character_id: CharacterId
    kind: str | None = None
    text: Any = None
    evidence: list[CharacterId] = []


class Measure(Struct, frozen=True, gc=False):
    """A measure: a number, text or truth value about the whole model."""

    name: str
    value: Any = None


class CharacterLeft(Struct, frozen=True, gc=False):
    """A character's departure from the town."""

    character_id: CharacterId


class GameLlmCall(Struct, frozen=True, gc=False):
    """DegentCivil's own report of a call, which does not name the character."""

    latest_prompt_type: str | None = None
    latest_prompt: Any = None
    latest_response: Any = None
