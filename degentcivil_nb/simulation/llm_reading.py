"""What is read of requests to language models and of their answers, in the formats of common providers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ..core.plain import has_fields, plain

PARAMETERS: Final = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "stop",
        "n",
        "stream",
        "response_format",
        "reasoning_effort",
    }
)
"""The only parameters of a request that are recorded: others may contain keys or headers."""
_PROMPTS: Final = ("messages", "prompt", "input", "contents", "user_prompt", "task", "question", "text")
_SECRET: Final = re.compile(r"key|token|secret|password|auth|header|cookie|credential", re.IGNORECASE)
_MEDIA: Final = ("image", "audio", "file", "video", "media", "binary", "document-url")
_DEEP: Final = 20
"""How deep images are looked for."""
_INSTRUCTIONS: Final = ("system", "instructions", "system_instructions", "system_instruction", "system_prompt")
"""The keys of a request that contain instructions beside the prompt."""
TOKENS: Final = {
    "prompt_tokens": ("prompt_tokens", "input_tokens", "prompt_token_count"),
    "completion_tokens": ("completion_tokens", "output_tokens", "candidates_token_count"),
}
_USAGES: Final = ("usage", "usage_metadata")
_MODELS: Final = ("model_name", "model", "model_id", "deployment_name")


def read_request(arguments: tuple[Any, ...], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prompt, the model and the allowed parameters of a request, and nothing else."""
    read: dict[str, Any] = {name: more[name] for name in ("model",) if more.get(name) is not None}
    prompts = [more[name] for name in _PROMPTS if more.get(name) is not None]
    prompts += [item for item in arguments if isinstance(item, (str, list))]
    prompts += [item for item in arguments if isinstance(item, (tuple, Mapping)) or _has_fields(item)]
    if prompts:
        read["prompt"] = _messages_of(prompts[0])
    allowed = PARAMETERS.union(_INSTRUCTIONS)
    parameters = {name: value for name, value in more.items() if name in allowed and value is not None}
    if parameters:
        read["parameters"] = parameters
    return read


def _messages_of(prompt: Any) -> Any:
    """Return the messages of a framework's own prompt, and of a mapping nothing that may be a secret."""
    messages = None if isinstance(prompt, (str, list)) else _get(prompt, "messages")
    if isinstance(messages, (list, tuple)):
        return messages
    if isinstance(prompt, Mapping):
        return {name: value for name, value in prompt.items() if not _SECRET.search(str(name))}
    return prompt


def _has_fields(value: Any) -> bool:
    try:
        return has_fields(type(value))
    except Exception:  # noqa: BLE001 — a class whose own attributes raise
        return False


def model_in(asked: Any) -> str | None:
    """Return the name of the model that an object uses, if it has one."""
    found = (_get(asked, name) for name in _MODELS)
    return next((name for name in found if isinstance(name, str) and name), None)


def read_response(response: Any) -> dict[str, Any]:
    """Return the text, the model and the tokens of an answer in the formats of common providers."""
    read: dict[str, Any] = {"response": _text(response)}
    model = model_in(response) or model_in(_get(response, "response_metadata"))
    if model is not None:
        read["model"] = model
    usage = next((found for name in _USAGES if (found := _get(response, name)) is not None), None)
    for name, words in TOKENS.items():
        found = next((count for word in words if isinstance(count := _get(usage, word), (int, float))), None)
        if found is not None:
            read[name] = found
    return read


def _text(response: Any) -> Any:
    """Return the text of an answer or of a piece of a stream; other answers are returned unchanged."""
    choice = _first(_get(response, "choices"))
    if choice is not None:
        message = _get(choice, "message") or _get(choice, "delta")
        found = _get(message, "content") if message is not None else _get(choice, "text")
        if found is None and _get(choice, "delta") is not None:
            return ""
        return response if found is None else found
    for name in ("output_text", "content", "text"):
        found = _get(response, name)
        if isinstance(found, str):
            return found
        if isinstance(found, list) and all(isinstance(_get(part, "text"), str) for part in found):
            return "".join(_get(part, "text") for part in found)
    return response


def without_media(prompt: Any) -> Any:
    """Return a prompt as plain data, with a text in place of images, sounds and files."""
    return _without_media(plain(_without_media(prompt, _DEEP)), _DEEP)  # of objects too, once they are fields


def _without_media(prompt: Any, depth: int) -> Any:
    if isinstance(prompt, (bytes, bytearray, memoryview)):
        return "(bytes left out)"
    if depth <= 0:
        return prompt
    if type(prompt) in (list, tuple):
        return [_without_media(item, depth - 1) for item in prompt]
    if type(prompt) is dict:
        for word in ("type", "kind"):
            kind = prompt.get(word)
            if isinstance(kind, str) and any(media in kind for media in _MEDIA):
                return {word: kind, "left_out": True}
        return {
            name: _without_media(value, depth - 1) if name in ("content", "parts") else value
            for name, value in prompt.items()
        }
    return prompt


def _get(value: Any, name: str) -> Any:
    if value is None or isinstance(value, str):
        return None
    try:
        return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    except Exception:  # noqa: BLE001 — a provider's own object
        return None


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, (list, tuple)) and values else None
