"""Calls of language models: running totals by model, and the table of the calls held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from ..core.python_text import readable
from ..protocol.json_text import FOREIGN, encode
from ..protocol.messages import MessageTypes
from ..protocol.repairing import repair
from ..protocol.stream_payloads import GameLlmCall, LlmCall

LLM_TYPES: Final = (MessageTypes.LLM_CALL, MessageTypes.CHARACTER_UPDATE_LLM)
"""The types of messages that are calls."""

EXACT: Final = 1 << 53
"""The first whole number that a double may not hold exactly."""

TEXTS: Final = ("prompt_type", "model", "error")
COUNTS: Final = ("prompt_tokens", "completion_tokens")
NUMBERS: Final = (*COUNTS, "latency_s", "cost_usd")
REST: Final = ("prompt", "response", "provider", "retries", "rejected")
Floats = npt.NDArray[np.float64]


_rest = msgspec.json.Decoder(msgspec.defstruct("_Rest", [(name, Any, None) for name in REST], gc=False)).decode
_call = msgspec.json.Decoder(LlmCall).decode
_game_call = msgspec.json.Decoder(GameLlmCall).decode


@dataclass(slots=True)
class ModelTotals:
    """The totals of one model's calls.

    `counted`, `timed` and `priced` are the calls that told their tokens, latency and cost; `None` in the index of a
    recording by a version that did not count them.
    """

    calls: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_s: float = 0.0
    cost_usd: float = 0.0
    counted: int | None = 0
    timed: int | None = 0
    priced: int | None = 0

    @classmethod
    def of(cls, values: Sequence[Any]) -> ModelTotals:
        """Return totals from the values of their fields, of which an older version kept fewer."""
        return cls(*values, *[None] * (len(fields(cls)) - len(values)))

    def add(self, call: LlmCall) -> None:
        """Add what a call told."""
        self.errors += call.error is not None
        self.prompt_tokens += call.prompt_tokens or 0
        self.completion_tokens += call.completion_tokens or 0
        self.latency_s += call.latency_s or 0.0
        self.cost_usd += call.cost_usd or 0.0
        if self.counted is not None:
            self.counted += call.prompt_tokens is not None or call.completion_tokens is not None
        if self.timed is not None:
            self.timed += call.latency_s is not None
        if self.priced is not None:
            self.priced += call.cost_usd is not None


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
                totals.add(call)

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
    """Return a row for each model: `calls`, `errors`, tokens, seconds and cost in all, and how many calls told them."""
    index = pd.Index([model or "unknown" for model, _ in totals], dtype="str", name="model")
    return pd.DataFrame(
        {field.name: [getattr(total, field.name) for _, total in totals] for field in fields(ModelTotals)}, index=index
    )


def read_calls(types: Sequence[str | None], payloads: Sequence[bytes]) -> dict[str, Any]:
    """Decode the columns of calls from their payloads, of either type."""
    calls = decode_calls(types, payloads)
    texts, rest = ({name: _each(calls, name) for name in names} for names in (TEXTS, REST))
    return call_columns(texts, {name: call_numbers(calls, name) for name in NUMBERS}, rest)


def decode_rest(payloads: Sequence[bytes]) -> dict[str, list[Any]] | None:
    """Decode what is neither in `TEXTS` nor in `NUMBERS`, by name; `None` if a payload has to be repaired first."""
    try:
        calls = [*map(_rest, payloads)]
    except FOREIGN:
        return None
    return {name: _each(calls, name) for name in REST}


def call_columns(
    texts: Mapping[str, Any], numbers: Mapping[str, Floats], rest: Mapping[str, list[Any]]
) -> dict[str, Any]:
    """Return the columns of calls from their `TEXTS`, their `NUMBERS` (NaN where there is none) and the rest."""
    columns: dict[str, Any] = {
        "prompt_type": pd.array(texts["prompt_type"], dtype="str"),
        "prompt": pd.Series(rest["prompt"], dtype="object").array,
        "response": pd.Series(rest["response"], dtype="object").array,
        "model": pd.array(texts["model"], dtype="str"),
        "error": pd.array(texts["error"], dtype="str"),
    }
    for name in NUMBERS:
        missing = np.isnan(numbers[name])
        if name in COUNTS:
            columns[name] = pd.arrays.IntegerArray(np.where(missing, 0, numbers[name]).astype(np.int64), missing)
        else:
            columns[name] = pd.arrays.FloatingArray(numbers[name], missing)
    columns["provider"] = pd.array([*map(text_of, rest["provider"])], dtype="str")
    columns["retries"] = pd.array([*map(retries_of, rest["retries"])], dtype="Int64")
    columns["rejected"] = pd.array([*map(text_of, rest["rejected"])], dtype="str")
    return columns


def _each(calls: Sequence[Any], name: str) -> list[Any]:
    return [*map(attrgetter(name), calls)]


def decode_calls(types: Sequence[str | None], payloads: Sequence[bytes]) -> list[LlmCall]:
    """Decode calls from their payloads, of either type."""
    if MessageTypes.CHARACTER_UPDATE_LLM not in types:
        try:
            return [*map(_call, payloads)]
        except FOREIGN:
            pass  # one by one below
    return [_read(type, payload) for type, payload in zip(types, payloads, strict=True)]


def call_numbers(calls: Sequence[LlmCall], name: str) -> Floats:
    """Return a number of each call; NaN where it is missing, or too large to be exact."""
    told = [*map(attrgetter(name), calls)]
    try:
        numbers = np.array(told, np.float64)  # numpy reads `None` as NaN
    except OverflowError:  # a whole number beyond the largest double
        numbers = np.array([None if each is None or abs(each) >= EXACT else each for each in told], np.float64)
    numbers[np.abs(numbers) >= EXACT] = np.nan
    return numbers


def text_of(value: Any) -> str | None:
    """Return a text; a reason may have been published as any value, and `False` is none."""
    if value is None or value is False or isinstance(value, str):
        return value or None
    return encode(value).decode()


def retries_of(value: Any) -> int | None:
    """Return how often a call was repeated, as it was published; `None` if that is no number."""
    if value is None:
        return None
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
    return int(value) if whole and 0 <= value < EXACT else None


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
