"""The town's language model: not a real model, but calls that look like one's, including bad ones."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final, NamedTuple

NAME: Final = "towngpt-4-mini"
_SLOW: Final = 0.05
_TIMES_OUT: Final = 0.01
_MALFORMED: Final = 0.04
_TIMEOUT_S: Final = 30.0
_USD_A_PROMPT_TOKEN: Final = 0.15e-6
_USD_A_COMPLETION_TOKEN: Final = 0.6e-6


class Call(NamedTuple):
    """The cost and the result of a call; `response` is `None` if it timed out."""

    response: str | None
    prompt_tokens: int
    completion_tokens: int
    latency_s: float
    cost_usd: float
    error: str | None = None


class TownModel:
    """A source of plausible replies with realistic delays, some of them malformed."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def ask(self, prompt: str, answer: dict[str, Any]) -> Call:
        """Make a call that returns `answer` as JSON text, unless it fails."""
        rng = self._rng
        prompt_tokens = len(prompt) // 4
        luck = rng.random()
        if luck < _TIMES_OUT:
            return Call(None, prompt_tokens, 0, _TIMEOUT_S, prompt_tokens * _USD_A_PROMPT_TOKEN, "timed out")
        response = json.dumps(answer)
        if luck < _TIMES_OUT + _MALFORMED:
            response = self._spoil(response)
        completion_tokens = max(1, len(response) // 4)
        latency_s = 0.25 + completion_tokens * 0.012 + rng.expovariate(2.5)
        if rng.random() < _SLOW:
            latency_s += rng.uniform(6, 20)
        cost = prompt_tokens * _USD_A_PROMPT_TOKEN + completion_tokens * _USD_A_COMPLETION_TOKEN
        return Call(response, prompt_tokens, completion_tokens, round(latency_s, 3), round(cost, 9))

    def _spoil(self, response: str) -> str:
        """Damage JSON as models do."""
        way = self._rng.randrange(4)
        if way == 0:
            return response[: len(response) * 2 // 3]  # cut at the token limit
        if way == 1:
            return f"Sure! Here is the JSON you asked for:\n```json\n{response}\n```"
        if way == 2:
            return response.replace('"', "'")
        return "I'm sorry, but as a townsperson I would rather not say. TERMINATE"
