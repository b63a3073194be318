"""The calls of language models: a table of all calls, totals of the whole run, and the full text of each call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Final

import pandas as pd

from ..analysis.answers import with_malformed
from ..store.llm import LLM_TYPES
from .cells import DETAIL_CAP, cell_text
from .chosen_rows import ChosenRows
from .malformed import MalformedCalls
from .packing import Kind

LOOKED_BACK: Final = 2_000
"""How many of a character's calls are searched for the previous one of the same kind."""
FIGURES: Final = (
    "calls", "errors", "prompt_tokens", "completion_tokens", "latency_s", "cost_usd", "counted", "timed", "priced",
)  # fmt: skip


class LlmTable(ChosenRows):
    """All calls held, a thousand at a time, with the totals of the whole run; a click shows the whole call."""

    title: ClassVar[str] = "calls"
    script: ClassVar[str] = "calls"
    choice: ClassVar[str] = "malformed"
    kinds: ClassVar[Sequence[str] | None] = LLM_TYPES
    empty: ClassVar[str] = "No calls of language models yet. They appear as the simulation reports them."
    columns: ClassVar[dict[str, Kind]] = {
        "time": "time",
        "tick": "number",
        "character_id": "text",
        "prompt_type": "text",
        "malformed": "text",
        "error": "text",
        "latency_s": "number",
        "cost_usd": "number",
        "response": "text",
        "prompt_tokens": "number",
        "completion_tokens": "number",
        "retries": "number",
        "model": "text",
    }

    @cached_property
    def _bad(self) -> MalformedCalls:
        return MalformedCalls(self._reader)

    def read(self) -> int:
        """See `ChosenRows`."""
        return self._bad.judged

    def read_to(self) -> tuple[int, int]:
        """See `ChosenRows`: all calls are judged again when other kinds of prompts are answered with JSON."""
        return self._bad.read_to

    def read_on(self) -> int:
        """See `ChosenRows`."""
        return self._bad.catch_up()

    def rows_chosen(self, chosen: str) -> list[int]:
        """See `ChosenRows`: the malformed answers of a character; with an empty name, those of all."""
        return self._bad.rows(chosen)

    def frame(self, rows: Sequence[int]) -> pd.DataFrame:
        """See `LogPanel`."""
        calls = with_malformed(self._reader.calls_of(rows), self._bad.usual_kinds())
        return calls.assign(malformed=calls["malformed"].map({True: "malformed", False: None}))

    def listed(self) -> dict[str, Any]:
        """See `ChosenRows`: the totals, by model, of the whole run, and whose answers were malformed."""
        totals = self._reader.llm_totals()
        rows = [
            [str(model), *(_number(values[name]) for name in FIGURES)]
            for model, values in zip(totals.index, totals.to_dict("records"), strict=True)  # "" and none read alike
        ]
        return {"totals": rows, "malformed": {**self._bad.told(), "only": self._chosen}}

    def detail(self, key: str) -> tuple[str, Any]:
        """Return a call and the previous one of the same character and kind; `KeyError` if it is no longer held."""
        if not key.isdigit():
            return super().detail(key)
        row = int(key)
        calls = self._reader.calls_of([row])
        if not len(calls):
            raise KeyError(row)
        call = calls.iloc[0]
        before = self._before(row, call)
        return f"row {row:,}", {"call": call_body(row, call), "before": before}

    def detail_body(self, value: Any) -> dict[str, Any]:
        """See `TablePanel`: a call is read in parts."""
        if isinstance(value, dict) and "call" in value:
            return {"text": "", **value}
        return super().detail_body(value)

    def _before(self, row: int, call: pd.Series) -> dict[str, Any] | None:
        who = call["character_id"]
        if pd.isna(who):
            return None
        earlier = self._reader.frame_of(self._reader.rows_of(LLM_TYPES, 0, row)[-50 * LOOKED_BACK :])
        mine = earlier.index[earlier["character_id"] == who][-LOOKED_BACK:]
        for stop in range(len(mine), 0, -20):
            some = self._reader.calls_of(mine[max(0, stop - 20) : stop].tolist())
            same = some[some["prompt_type"].eq(call["prompt_type"]).fillna(False).to_numpy(dtype=bool)]
            if len(same):
                return call_body(int(same.index[-1]), same.iloc[-1])
        return None


def call_body(row: int, call: pd.Series) -> dict[str, Any]:
    """Return a call for the page; a text that was cut says so."""
    body: dict[str, Any] = {"row": row, "time": call["time"].timestamp() if not pd.isna(call["time"]) else None}
    for name in ("tick", "latency_s", "prompt_tokens", "completion_tokens", "cost_usd"):
        body[name] = _number(call[name])
    for name in ("character_id", "prompt_type", "model", "error"):
        body[name] = cell_text(call[name])
    for name in ("prompt", "response"):
        body[name] = _whole(call[name])
    return body


def _whole(value: Any) -> Any:
    if isinstance(value, str) and len(value) > DETAIL_CAP:
        return f"{value[:DETAIL_CAP]}\n… and {len(value) - DETAIL_CAP:,} more characters: see session.payload()"
    return None if value is None or value is pd.NA else value


def _number(value: Any) -> float | int | None:
    if value is None or value is pd.NA or value != value:
        return None
    return int(value) if float(value).is_integer() and abs(value) < 1 << 53 else float(value)
