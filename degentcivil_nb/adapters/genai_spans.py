"""Spans of language models and agents, as the conventions write them: OpenTelemetry's, older ones, OpenInference's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ..simulation.llm_reading import PARAMETERS

CONVENTIONS: Final = "GenAI semantic conventions as of 2026-11"
"""The version of the conventions that these names are from: they are in development, and names change."""

_MODEL_OPERATIONS: Final = frozenset({"chat", "text_completion", "generate_content", "completion", "message"})
_KINDS: Final = {"LLM": "model", "TOOL": "tool", "AGENT": "agent"}
_MODELS: Final = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
_PROVIDERS: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_PROMPT_TOKENS: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_COMPLETION_TOKENS: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
)
_COSTS: Final = ("gen_ai.usage.cost", "llm.cost.total")
_AGENTS: Final = ("gen_ai.agent.name", "agent.name", "graph.node.id")
_NODES: Final = ("lc_agent_name", "langgraph_node")
"""Keys of LangChain's span `metadata` for the acting agent: an agent's name, else the node of the graph."""
_IN: Final = ("gen_ai.input.messages", "gen_ai.prompt")
_OUT: Final = ("gen_ai.output.messages", "gen_ai.completion")
_LAST: Final = {False: ("input.value",), True: ("output.value", "final_result")}
"""Attributes with the whole input or output in any form, by whether it is an answer."""
_FLAT_IN: Final = ("llm.input_messages", "gen_ai.prompt")
_FLAT_OUT: Final = ("llm.output_messages", "gen_ai.completion")
_SAID_OUT: Final = frozenset({"gen_ai.choice", "gen_ai.assistant.message", "gen_ai.content.completion"})
_TEXT_PARTS: Final = frozenset({"text", "reasoning", "tool_call", "tool_call_response", "input_text", "output_text"})
"""Parts of messages that are published; images, sounds and files are not."""


class Span(NamedTuple):
    """A span that has ended, in plain values."""

    name: str
    attributes: Mapping[str, Any]
    events: Iterable[tuple[str, Mapping[str, Any]]] = ()
    seconds: float | None = None
    error: str | None = None


class Call(NamedTuple):
    """The content of a model's span, under the names of `llm_call`, with the tool calls requested and their results."""

    details: dict[str, Any]
    asked_tools: list[str]
    given_tools: list[str]


def kind_of(attributes: Mapping[str, Any]) -> str | None:
    """Return the kind of a span, `model`, `tool` or `agent`; `None` for any other."""
    operation, request = (_word(attributes.get(name)) for name in ("gen_ai.operation.name", "llm.request.type"))
    if operation in _MODEL_OPERATIONS or request in _MODEL_OPERATIONS:
        return "model"
    if operation == "execute_tool":
        return "tool"
    if operation == "invoke_agent":
        return "agent"
    kind = str(attributes.get("openinference.span.kind") or "").upper()
    if kind == "CHAIN" and '"langgraph_node"' in str(attributes.get("metadata")):
        return "agent"
    return _KINDS.get(kind)


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def agent_of(name: str, attributes: Mapping[str, Any]) -> str | None:
    """Return the agent that a span itself names: in an attribute, or in the name of an agent's span."""
    found = first(attributes, _AGENTS)
    if found is None and "metadata" in attributes:
        metadata = _decoded(attributes["metadata"])
        found = first(metadata, _NODES) if isinstance(metadata, dict) else None
    if isinstance(found, str) and found:
        return found
    prefix, _, rest = name.partition(" ")
    return rest.strip() or None if prefix == "invoke_agent" else None


def read_call(span: Span) -> Call:
    """Read a span of a model."""
    told = span.attributes
    asked = messages_of(span, _IN, _FLAT_IN, answers=False)
    answered = messages_of(span, _OUT, _FLAT_OUT, answers=True)
    details = {
        "model": first(told, _MODELS),
        "provider": first(told, _PROVIDERS),
        "prompt_type": told.get("gen_ai.prompt.name"),
        "prompt": text_of_messages(asked[-1:]) if asked else None,
        "messages": asked if len(asked) > 1 else None,
        "response": text_of_messages(answered) if answered else None,
        "prompt_tokens": first(told, _PROMPT_TOKENS),
        "completion_tokens": first(told, _COMPLETION_TOKENS),
        "cost_usd": _cost(told),
        "latency_s": span.seconds,
        "parameters": _parameters(told) or None,
        "error": span.error,
    }
    return Call(
        {name: value for name, value in details.items() if value is not None},
        _tool_ids(answered, "tool_call"),
        _tool_ids(asked, "tool_call_response"),
    )


def read_tool(span: Span) -> dict[str, Any]:
    """Read a span of a tool, under the names of `tool_call`."""
    told = span.attributes
    return {
        "name": first(told, ("gen_ai.tool.name", "tool.name")) or span.name.removeprefix("execute_tool").strip(),
        "arguments": _decoded(first(told, ("gen_ai.tool.call.arguments", "tool.parameters", "input.value"))),
        "result": _decoded(first(told, ("gen_ai.tool.call.result", "output.value"))),
        "latency_s": span.seconds,
        "error": span.error,
    }


def read_said(span: Span) -> tuple[str | None, str | None]:
    """Read an agent's input and its answer."""
    asked = messages_of(span, _IN, _FLAT_IN, answers=False)
    answered = messages_of(span, _OUT, _FLAT_OUT, answers=True)
    return text_of_messages(asked[-1:]) or None, text_of_messages(answered[-1:]) or None


def read_group_message(attributes: Mapping[str, Any]) -> tuple[str, str] | None:
    """Read the speaker and the text of a message that AutoGen passes to a group's manager; `None` for other spans."""
    if attributes.get("messaging.operation") != "process" or "message" not in attributes:
        return None
    if not str(attributes.get("recipient_agent_class")).endswith("Manager"):
        return None
    handed = _decoded(attributes["message"])
    message = handed.get("message") if isinstance(handed, dict) else None
    if not isinstance(message, dict):
        return None
    source, content = message.get("source"), message.get("content")
    return (source, content) if isinstance(source, str) and isinstance(content, str) else None


def first(attributes: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the first of these attributes that exists."""
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


# --- messages --------------------------------------------------------------------------------------------------------


def messages_of(span: Span, names: Iterable[str], flat: Iterable[str], *, answers: bool) -> list[dict[str, Any]]:
    """Return messages as a list of roles and parts, from any of a span's attributes that can hold them."""
    whole = first(span.attributes, names)
    if whole is not None:
        return as_messages(_decoded(whole), "assistant" if answers else "user")
    for prefix in flat:
        spread = _unflattened(span.attributes, prefix)
        if spread:
            return spread
    found: list[dict[str, Any]] = []
    for name, told in span.events:
        if name.startswith("gen_ai.") and (name in _SAID_OUT) == answers:
            content = first(told, ("gen_ai.prompt", "gen_ai.completion", "content", "message", "body"))
            if content is not None:
                found += as_messages(_decoded(content), name.split(".")[1])
    whole = None if found else first(span.attributes, _LAST[answers])
    return found if whole is None else as_messages(_decoded(whole), "assistant" if answers else "user")


def as_messages(value: Any, role: str) -> list[dict[str, Any]]:
    """Return any value as a list of messages with roles and parts; any other value becomes the text of one."""
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return [_message(item, role) for item in value]
    return [_message(value, role)] if value not in (None, "", []) else []


def _message(value: Any, role: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {"role": role, "parts": [{"type": "text", "content": value if isinstance(value, str) else _json(value)}]}
    parts = value.get("parts", value.get("content"))
    if not isinstance(parts, list):
        parts = [] if parts is None else [{"type": "text", "content": parts}]
    kept = [_part(part) for part in parts]
    for call in value.get("tool_calls") or ():
        function = call.get("function") or call
        kept.append(
            {
                "type": "tool_call",
                "id": call.get("id"),
                "name": function.get("name"),
                "arguments": function.get("arguments"),
            }
        )
    return {"role": str(value.get("role") or role), "parts": kept}


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, Mapping):
        return {"type": "text", "content": part if isinstance(part, str) else _json(part)}
    kind = str(part.get("type") or "text")
    if kind not in _TEXT_PARTS:
        return {"type": kind, "left_out": True}
    if kind.startswith("tool_call"):
        return dict(part)
    return {"type": "text" if kind.endswith("text") else kind, "content": part.get("content", part.get("text"))}


def _unflattened(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Read messages that are spread over attributes such as `llm.input_messages.0.message.role`."""
    numbered: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        head, _, rest = name.removeprefix(f"{prefix}.").partition(".")
        if name.startswith(f"{prefix}.") and head.isdecimal():
            numbered.setdefault(int(head), {})[rest.removeprefix("message.")] = value
    found = []
    for _, told in sorted(numbered.items()):
        texts = [value for name, value in sorted(told.items()) if name == "content" or name.endswith("content.text")]
        parts: list[dict[str, Any]] = [{"type": "text", "content": text} for text in texts if text]
        for name, value in sorted(told.items()):
            if name.endswith(("function.name", "tool_calls.0.name")):
                id = told.get(name.replace("function.name", "id"))
                parts.append({"type": "tool_call", "id": id, "name": value})
        found.append({"role": str(told.get("role", "")), "parts": parts})
    return found


def text_of_messages(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return messages as one text: their texts, and the tools that they request."""
    texts = []
    for message in messages:
        for part in message["parts"]:
            content = part.get("content", part.get("response", part.get("result")))
            if content is not None:
                texts.append(content if isinstance(content, str) else _json(content))
            elif part.get("type") == "tool_call":
                texts.append(f"{part.get('name')}({_json(part.get('arguments'))})")
    return "\n".join(texts)


def _tool_ids(messages: Iterable[Mapping[str, Any]], kind: str) -> list[str]:
    return [
        part["id"]
        for message in messages
        for part in message["parts"]
        if part.get("type") == kind and isinstance(part.get("id"), str)
    ]


# --- figures ---------------------------------------------------------------------------------------------------------


def _cost(attributes: Mapping[str, Any]) -> Any:
    whole = first(attributes, _COSTS)
    if whole is not None:
        return whole
    parts = [attributes.get(f"llm.cost.{name}") for name in ("prompt", "completion")]
    numbers = [part for part in parts if isinstance(part, (int, float))]
    return sum(numbers) if numbers else None


def _parameters(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request that may be published: no keys, no headers."""
    given = _decoded(attributes.get("llm.invocation_parameters"))
    found = {name: value for name, value in given.items() if name in PARAMETERS} if isinstance(given, dict) else {}
    for name in PARAMETERS:
        value = attributes.get(f"gen_ai.request.{name}")
        if value is not None:
            found[name] = value
    return found


def _decoded(value: Any) -> Any:
    """Decode an attribute that holds JSON as text; attributes can hold only scalars and lists of them."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return list(value) if isinstance(value, tuple) else value


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
