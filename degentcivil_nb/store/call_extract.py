"""The calls of language models without their texts: what questions about many calls need of them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from pandas.util import hash_array

from ..core.json_answers import is_json, said_nothing
from ..protocol.stream_payloads import LlmCall
from .llm import LLM_TYPES, call_numbers, decode_calls, retries_of, text_of
from .pieces import Extract, Extracted, Numbered, Piece, used_words
from .selection import has_word
from .table import Array

NUMBERS: Final = ("prompt_tokens", "completion_tokens", "latency_s", "cost_usd")
FLAGS: Final = ("failed", "rejected", "answered", "json", "no_prompt")


def _make(piece: Piece) -> Extracted:
    view = piece.view()
    places = np.flatnonzero(has_word(view, "type", LLM_TYPES))
    if not len(places):
        return CALLS.empty()
    types = view.words("type", view.columns["type"][places])
    calls = decode_calls(types, piece.payloads(places))
    who, names = used_words(view.columns["character_id"][places], view.dictionaries["character_id"].words)
    models, kinds = Numbered(), Numbered()
    columns: dict[str, Array] = {"place": places, "time": view.columns["time"][places], "character_id": who}
    columns["model"] = models.codes([call.model for call in calls])
    columns["prompt_type"] = kinds.codes([call.prompt_type for call in calls])
    columns |= {name: call_numbers(calls, name) for name in NUMBERS}
    counts = [retries_of(call.retries) for call in calls]
    columns["retries"] = np.array([np.nan if count is None else count for count in counts], np.float64)
    columns["failed"] = np.array([call.error is not None for call in calls], np.bool_)
    columns["rejected"] = np.array([text_of(call.rejected) is not None for call in calls], np.bool_)
    columns["answered"] = np.array([not said_nothing(call.response) for call in calls], np.bool_)
    columns["json"] = np.array([is_json(call.response) for call in calls], np.bool_)
    prompts = [_prompt(call) for call in calls]
    columns["no_prompt"] = np.array([prompt is None for prompt in prompts], np.bool_)
    columns["prompt"] = hash_array(np.array(prompts, object), categorize=False).view(np.int64)
    return Extracted(columns, {"character_id": names, "model": models.words, "prompt_type": kinds.words})


def _prompt(call: LlmCall) -> bytes | None:
    prompt: Any = call.prompt
    return None if prompt is None or prompt != prompt else str(prompt).encode("utf-8", "backslashreplace")


CALLS: Final = Extract(
    "calls",
    2,
    {
        "place": "i8",
        "time": "i8",
        **dict.fromkeys(("character_id", "model", "prompt_type"), "i4"),
        **dict.fromkeys((*NUMBERS, "retries"), "f8"),
        **dict.fromkeys(FLAGS, "?"),
        "prompt": "i8",
    },
    frozenset(("character_id", "model", "prompt_type")),
    _make,
    LLM_TYPES,
)
"""The calls: `time` in nanoseconds since 1970; `answered`, and whether the answer is `json`; NaN for unknown numbers.

`prompt` is equal for equal prompts.
"""
