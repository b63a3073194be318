"""Calls of language models: running totals by model, and the table of the calls held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec
import pandas as pd

from ..core.python_text import readable
from ..protocol.json_text import FOREIGN, encode
from ..protocol.messages import MessageTypes
from ..protocol.repairing import repair
from ..protocol.stream_payloads import GameLlmCall, LlmCall

LLM_TYPES: Final = (MessageTypes.LLM_CALL, MessageTypes.CHARACTER_UPDATE_LLM)
"""The types of messages that are calls."""

_call = msgspec.json.Decoder(LlmCall).decode
_game_call = msgspec.json.Decoder(GameLlmCall).decode


@dataclass(slots=True)
class ModelTotals:
    """The totals of one model's calls."""

    calls: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_s: float = 0.0
    cost_usd: float = 0.0


class LlmTotals:
    """The totals by model since the store began."""

    def __init__(self) -> None:
        self._models: dict[str | None, ModelTotals] = {}

    def add(self, calls: Iterable[LlmCall | GameLlmCall]) -> None:
        """Add calls."""
        for call in calls:
            model = call.model if isinstance(call, LlmCall) else None
            totals = self._models.get(model)
            if totals is None:
                totals = self._models[model] = ModelTotals()
            totals.calls += 1
            if isinstance(call, LlmCall):
                totals.errors += call.error is not None
                totals.prompt_tokens += call.prompt_tokens or 0
                totals.completion_tokens += call.completion_tokens or 0
                totals.latency_s += call.latency_s or 0.0
                totals.cost_usd += call.cost_usd or 0.0

    def restore(self, totals: Iterable[tuple[str | None, ModelTotals]]) -> None:
        """Continue from what `copy` returned."""
        self._models = dict(totals)

    def copy(self) -> list[tuple[str | None, ModelTotals]]:
        """Copy the totals."""
        return [
            (model, ModelTotals(*(getattr(totals, field.name) for field in fields(ModelTotals))))
            for model, totals in self._models.items()
        ]


def totals_table(totals: list[tuple[str | None, ModelTotals]]) -> pd.DataFrame:
    """Return a row for each model: `calls`, `errors`, tokens, seconds and cost in all."""
    index = pd.Index([model or "unknown" for model, _ in totals], dtype="str", name="model")
    return pd.DataFrame(
        {field.name: [getattr(total, field.name) for _, total in totals] for field in fields(ModelTotals)}, index=index
    )


def read_calls(types: Sequence[str | None], payloads: Sequence[bytes]) -> dict[str, Any]:
    """Decode the columns of calls from their payloads, of either type."""
    calls = decode_calls(types, payloads)
    columns: dict[str, Any] = {
        "prompt_type": pd.array([call.prompt_type for call in calls], dtype="str"),
        "prompt": pd.Series([call.prompt for call in calls], dtype="object").array,
        "response": pd.Series([call.response for call in calls], dtype="object").array,
        "model": pd.array([call.model for call in calls], dtype="str"),
        "error": pd.array([call.error for call in calls], dtype="str"),
    }
    for name in ("prompt_tokens", "completion_tokens", "latency_s", "cost_usd"):
        columns[name] = pd.array(call_numbers(calls, name), dtype="Float64")
    for name in ("prompt_tokens", "completion_tokens"):
        columns[name] = columns[name].astype("Int64")
    columns["provider"] = pd.array([text_of(call.provider) for call in calls], dtype="str")
    columns["retries"] = pd.array([retries_of(call) for call in calls], dtype="Int64")
    columns["rejected"] = pd.array([text_of(call.rejected) for call in calls], dtype="str")
    return columns


def decode_calls(types: Sequence[str | None], payloads: Sequence[bytes]) -> list[LlmCall]:
    """Decode calls from their payloads, of either type."""
    return [_read(type, payload) for type, payload in zip(types, payloads, strict=True)]


def call_numbers(calls: Sequence[LlmCall], name: str) -> list[Any]:
    """Return a number of each call; `None` where it is missing, or too large to be exact."""
    return [_number(getattr(call, name)) for call in calls]


def text_of(value: Any) -> str | None:
    """Return a text; a reason may have been published as any value, and `False` is none."""
    if value is None or value is False or isinstance(value, str):
        return value or None
    return encode(value).decode()


def retries_of(call: LlmCall) -> int | None:
    """Return how often a call was repeated; `None` if that was not published as a number."""
    value = call.retries
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
    return int(value) if whole and 0 <= value < 1 << 53 else None


def _number(value: float | None) -> float | None:
    return value if value is None or abs(value) < 1 << 53 else None


def _read(type: str | None, payload: bytes) -> LlmCall:
    try:
        if type == MessageTypes.LLM_CALL:
            try:
                return _call(payload)
            except FOREIGN:
                return _call(repair(payload))
        game = _game_call(payload)
    except FOREIGN:  # impossible for a payload that was stored as a call, but a table must not fail for one row
        return LlmCall()
    response = readable(game.latest_response)  # its lists arrive as the text of Python lists
    return LlmCall(prompt_type=game.latest_prompt_type, prompt=game.latest_prompt, response=response)
