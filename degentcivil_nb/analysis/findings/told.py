"""Calls, chat and errors as the rules look at them: read by pieces, without the texts that nothing compares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...store.call_extract import NUMBERS
from ...store.chat_extract import CHAT
from ...store.columns import Dictionary
from ...store.error_extract import ERRORS
from ...store.pieces import Extracted, Numbered, Piece
from ...store.timeline import differs
from ..run_calls import run_calls
from .clock import Clock, Ints
from .columns import Array, Columns, below, rows_at

Parts = Iterable[tuple[int, Piece]]
Words = Mapping[str, Dictionary]


def _head(number: int, part: Piece, told: Extracted, words: Words, clock: Clock) -> Columns:
    at = told.columns["place"]
    who = told.codes("character_id", words["character_id"])
    return {"row": at + part.first_row, "who": who, "moment": clock.moments_at(number, at)}


def _frame(tables: list[Columns], words: Words, **empty: Any) -> pd.DataFrame:
    """Return tables below each other, indexed by row, with the names of characters."""
    blank: Columns = {"row": np.zeros(0, np.int64), "who": np.zeros(0, np.int32), "moment": np.zeros(0)}
    blank |= {name: np.zeros(0, kind) for name, kind in empty.items()}
    table = below(tables or [blank])
    index = pd.Index(table.pop("row"), name="row")
    names = named(table.pop("who"), words["character_id"].words)
    return pd.DataFrame({"character_id": names, **table}, index=index)


def named(codes: Array, words: list[str]) -> pd.Categorical:
    """Return words as a column; −1 is missing."""
    return pd.Categorical.from_codes(codes, pd.Index(words, dtype="object"))


def error_table(parts: Parts, words: Words, clock: Clock) -> pd.DataFrame:
    """Return the errors: `character_id`, `moment`, `code` (Int64) and `message` (category)."""
    tables: list[Columns] = []
    for number, part in parts:
        told = part.extracted(ERRORS)
        if len(told):
            more = {name: told.columns[name] for name in ("code", "no_code")}
            more["message"] = told.codes("message", words["message"])
            tables.append(_head(number, part, told, words, clock) | more)
    frame = _frame(tables, words, code=np.int64, no_code=np.bool_, message=np.int32)
    frame["code"] = pd.arrays.IntegerArray(frame["code"].to_numpy(np.int64), frame.pop("no_code").to_numpy(np.bool_))
    frame["message"] = named(frame["message"].to_numpy(), words["message"].words)
    return frame


def chat_table(parts: Parts, words: Words, clock: Clock) -> pd.DataFrame:
    """Return what was said: `character_id`, `moment`, and `to` whom alone (category)."""
    tables: list[Columns] = []
    receivers = Numbered()
    for number, part in parts:
        told = part.extracted(CHAT)
        if len(told):
            to = np.where(told.columns["alone"], receivers.among(told, "receiver"), np.int32(-1))
            table = _head(number, part, told, words, clock) | {"to": to}
            tables.append(rows_at(table, differs(table["row"])))  # one of each message
    frame = _frame(tables, words, to=np.int32)
    frame["to"] = named(frame["to"].to_numpy(), receivers.words)
    return frame


def call_table(parts: Parts, words: Words, clock: Clock) -> pd.DataFrame:
    """Return the calls of language models.

    `character_id`, `model`, `prompt_type` (categories), `moment`, `time` (nanoseconds since 1970), the numbers of a
    call (float64, NaN where unknown), `retries` (float64), `rejected`, `judged` (whether the answer should be JSON) and
    `malformed` (bool), and `prompt` (int64), which is equal for equal prompts, with `no_prompt` (bool).
    """
    names = (*NUMBERS, "retries", "rejected", "no_prompt", "prompt", "time")
    calls, known, pieces = run_calls(parts, words, names)
    moments = [clock.moments_at(number, one.columns["place"]) for number, one in pieces]
    columns: dict[str, Any] = {name: named(calls[name], [*known[name]]) for name in known}
    columns |= {"moment": np.concatenate([np.zeros(0), *moments])}
    columns |= {name: calls[name] for name in (*names, "judged", "malformed")}
    return pd.DataFrame(columns, index=pd.Index(calls["row"], name="row"))


class Calls:
    """The times at which characters called language models, and how long that took, in seconds."""

    def __init__(self, calls: pd.DataFrame) -> None:
        codes = calls["character_id"].cat.codes.to_numpy()
        order = np.argsort(codes, kind="stable")
        self._bounds = np.searchsorted(codes[order], np.arange(len(calls["character_id"].cat.categories) + 1))
        self._codes = {name: code for code, name in enumerate(calls["character_id"].cat.categories)}
        self.times: Ints = calls["time"].to_numpy(np.int64)[order]
        self.rows: Ints = calls.index.to_numpy(np.int64)[order]
        self.moments = calls["moment"].to_numpy(np.float64)[order]
        self.latency = calls["latency_s"].to_numpy(np.float64)[order]
        known = self.latency[~np.isnan(self.latency)]
        self.usual = float(np.median(known)) if len(known) else float("nan")
        """The median of all latencies that are known."""
        unknown_is_0 = np.nan_to_num(self.latency)
        self.usual_with_unknown = float(np.median(unknown_is_0)) if len(unknown_is_0) else 0.0
        """The same, where an unknown one is 0."""

    def __len__(self) -> int:
        return len(self.times)

    def of(self, character_id: Any) -> slice:
        """Return the indices of the calls of a character, in the order in which they were published."""
        code = self._codes.get(character_id)
        return slice(0, 0) if code is None else slice(int(self._bounds[code]), int(self._bounds[code + 1]))

    def between(self, character_id: Any, since: int, until: int) -> npt.NDArray[np.float64]:
        """Return the latencies of a character's calls from one time to another, both included."""
        mine = self.of(character_id)
        times = self.times[mine]
        found: npt.NDArray[np.float64] = self.latency[mine][(times >= since) & (times <= until)]
        return found
