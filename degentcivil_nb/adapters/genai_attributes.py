"""Attributes of spans for calls, tool use, chat and thoughts, with names of the GenAI conventions and our own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..core.text_of import text_of
from ..protocol.messages import MessageTypes
from ..simulation.llm_reading import PARAMETERS
from .genai_spans import as_messages

OWN: Final = "degentcivil."
"""The prefix of our own attributes' names."""
CARRIED: Final = {"prompt": "gen_ai.prompt", "response": "gen_ai.completion"}
"""Texts of a call that are written unchanged in an attribute, and therefore not again in the payload."""
TOLD: Final = frozenset(
    {
        MessageTypes.LLM_CALL,
        MessageTypes.CHARACTER_UPDATE_LLM,
        MessageTypes.TOOL_CALL,
        MessageTypes.CHAT_MESSAGE,
        MessageTypes.THOUGHT,
    }
)
"""The types that become spans."""
SPOKEN: Final = frozenset({MessageTypes.CHAT_MESSAGE, MessageTypes.THOUGHT})
"""Types without a duration."""
_GAME: Final = {
    "prompt_type": "latest_prompt_type",
    "prompt": "latest_prompt",
    "response": "latest_response",
}
"""The keys of DegentCivil's own report of a call."""
_CALLS: Final = (MessageTypes.LLM_CALL, MessageTypes.CHARACTER_UPDATE_LLM)

_encode = msgspec.json.Encoder(order="deterministic").encode


def attributes_of(type: str, payload: Any, character: str | None) -> dict[str, Any]:
    """Return the attributes of an event's span; the payload is in `degentcivil.payload` as JSON."""
    said = payload if isinstance(payload, dict) else {}
    if type == MessageTypes.CHARACTER_UPDATE_LLM:
        said = {name: said.get(theirs) for name, theirs in _GAME.items()}
    own: dict[str, Any] = {"gen_ai.agent.name": character}
    if type in _CALLS:
        own |= _call(said)
    elif type == MessageTypes.TOOL_CALL:
        own |= _tool(said)
    elif type == MessageTypes.CHAT_MESSAGE:
        own |= {"langfuse.observation.output": _text(said.get("content"))}
    else:
        own |= {"langfuse.observation.output": _text(said.get("text"))}
    if error_of(payload) is not None:
        own["error.type"] = _error_type(said.get("error"))
    kept = payload
    if type == MessageTypes.LLM_CALL and isinstance(payload, dict):
        kept = {key: value for key, value in payload.items() if not (key in CARRIED and isinstance(value, str))}
    return {**own, OWN + "payload": _encode(kept).decode()}


def name_of_span(type: str, payload: Any) -> str:
    """Return a span's name, such as `chat MODEL` or `execute_tool NAME`."""
    said = payload if isinstance(payload, dict) else {}
    word, key = {
        MessageTypes.TOOL_CALL: ("execute_tool", "name"),
        MessageTypes.CHAT_MESSAGE: ("said", "channel"),
        MessageTypes.THOUGHT: ("thought", "kind"),
    }.get(type, ("chat", "model"))
    name = said.get(key)
    return f"{word} {name}" if isinstance(name, str) and name else word


def error_of(payload: Any) -> str | None:
    """Return why a call failed."""
    error = payload.get("error") if isinstance(payload, dict) else None
    return None if error is None else text_of(error)


def _call(said: Mapping[str, Any]) -> dict[str, Any]:
    prompt, response = _text(said.get("prompt")), _text(said.get("response"))
    asked = said.get("messages") if isinstance(said.get("messages"), list) else said.get("prompt")
    cost = said.get("cost_usd")
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": said.get("provider"),
        "gen_ai.request.model": said.get("model"),
        "gen_ai.prompt.name": said.get("prompt_type"),
        "gen_ai.usage.input_tokens": said.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": said.get("completion_tokens"),
        "gen_ai.usage.cost": cost,  # as Langfuse reads it
        "llm.cost.total": cost,  # as OpenInference names it
        **{f"gen_ai.request.{name}": value for name, value in _allowed(said.get("parameters"))},
        "gen_ai.input.messages": _messages(asked, "user"),
        "gen_ai.output.messages": _messages(said.get("response"), "assistant"),
        "gen_ai.prompt": prompt,  # Langfuse reads these two pairs, and not the messages
        "gen_ai.completion": response,
        "langfuse.observation.input": prompt,
        "langfuse.observation.output": response,
    }


def _tool(said: Mapping[str, Any]) -> dict[str, Any]:
    arguments, result = _text(said.get("arguments")), _text(said.get("result"))
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": said.get("name"),
        "gen_ai.tool.call.arguments": arguments,
        "gen_ai.tool.call.result": result,
        "langfuse.observation.input": arguments,
        "langfuse.observation.output": result,
    }


def _messages(value: Any, role: str) -> str | None:
    messages = as_messages(value, role)
    return _encode(messages).decode() if messages else None


def _text(value: Any) -> str | None:
    """Return text unchanged, and anything else as JSON."""
    return value if value is None or isinstance(value, str) else _encode(value).decode()


def _allowed(parameters: Any) -> list[tuple[str, Any]]:
    """Return the exported parameters of a request, in the same order on each export."""
    given = parameters if isinstance(parameters, dict) else {}
    return [(name, given[name]) for name in sorted(PARAMETERS) if _is_plain(given.get(name))]


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) or (isinstance(value, list) and all(isinstance(v, str) for v in value))


def _error_type(error: Any) -> str:
    """Return the class of an error if its text begins with one, else the conventions' word for other errors."""
    found = re.match(r"[A-Za-z_][\w.]*(?=:|$)", text_of(error))
    return found.group() if found else "_OTHER"
