"""The calls of language models: a table of all calls, totals of the whole run, and the full text of each call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Final

import pandas as pd

from ..analysis.answers import with_malformed
from ..store.llm import LLM_TYPES
from .cells import DETAIL_CAP, cell_text
from .growing_table import LogPanel
from .malformed import MalformedCalls
from .packing import Kind
from .panel import Update

LOOKED_BACK: Final = 2_000
"""How many of a character's calls are searched for the previous one of the same kind."""
FIGURES: Final = ("calls", "errors", "prompt_tokens", "completion_tokens", "latency_s", "cost_usd")


class LlmTable(LogPanel):
    """All calls held, a thousand at a time, with the totals of the whole run; a click shows the whole call."""

    title: ClassVar[str] = "calls"
    script: ClassVar[str] = "calls"
    reads_much: ClassVar[bool] = True
    kinds: ClassVar[Sequence[str] | None] = LLM_TYPES
    empty: ClassVar[str] = "No calls of language models yet. They appear as the simulation reports them."
    columns: ClassVar[dict[str, Kind]] = {
        "time": "time",
        "tick": "number",
        "character_id": "text",
        "prompt_type": "text",
        "malformed": "text",
        "error": "text",
        "response": "text",
        "latency_s": "number",
        "cost_usd": "number",
        "prompt_tokens": "number",
        "completion_tokens": "number",
        "model": "text",
    }

    _only: str | None = None  # whose malformed answers are shown alone; those of everybody if empty
    _judged = 0  # how many answers were judged when they were last sent to the page

    @cached_property
    def _bad(self) -> MalformedCalls:
        return MalformedCalls(self._reader)

    def content_version(self) -> Any:
        """See `TablePanel`: more answers may have been judged."""
        return super().content_version(), self._bad.catch_up()

    def past_version(self) -> Any:
        """See `Panel`."""
        return super().past_version(), self._bad.catch_up()

    def numbers(self, start: int = 0) -> Any:
        """See `LogPanel`: those of malformed answers alone, if these are chosen."""
        return super().numbers(start) if self._only is None else self.narrowed(self._bad.rows(self._only), start)

    def received(self, content: Any) -> None:
        """Show only malformed answers, or those of one character, or all calls."""
        super().received(content)
        if isinstance(content, dict) and "malformed" in content:
            who = content["malformed"]
            self._only = who if isinstance(who, str) else None
            self.begin_anew()

    def frame(self, rows: Sequence[int]) -> pd.DataFrame:
        """See `LogPanel`."""
        calls = with_malformed(self._reader.calls_of(rows), self._bad.usual_kinds())
        return calls.assign(malformed=calls["malformed"].map({True: "malformed", False: None}))

    def more(self) -> dict[str, Any]:
        """See `LogPanel`: the totals, by model, of the whole run."""
        totals = self._reader.llm_totals()
        rows = [
            [str(model), *(_number(values[name]) for name in FIGURES)]
            for model, values in zip(totals.index, totals.to_dict("records"), strict=True)  # "" and none read alike
        ]
        self._judged = self._bad.judged
        return {"totals": rows, "malformed": {**self._bad.told(), "only": self._only}}

    def changes(self) -> Update | None:
        """See `Panel`."""
        update = super().changes()
        if update is None and self._judged != self._bad.judged:
            return Update(self.more())
        return update

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
