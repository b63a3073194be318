"""A run for the views to look at, without a wire: a reader, a status and commands that a test changes by hand."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.store.controls import ControlRow
from degentcivil_nb.store.moments import RowMoment
from degentcivil_nb.widgets.interfaces import Standing

COLUMNS = ("time", "tick", "type", "character_id", "state", "location", "event_type", "code", "message")

NUMBERS = ("latency_s", "prompt_tokens", "completion_tokens", "cost_usd")


@dataclass
class Present:
    """Be the present of some characters, as the store gives it."""

    version: int
    replaced: bool
    character_id: list[str]
    state: list[str | None]
    location: list[str | None]
    since: npt.NDArray[np.int64]
    last_seen: npt.NDArray[np.int64]
    attributes: list[dict[str, Any]]


class Run:
    """Be a `Reader`, a `Status` and `Commands` in one."""

    def __init__(self) -> None:
        self.version = 0
        self.town: dict[str, dict[str, Any]] = {}
        self.changed: dict[str, int] = {}
        self.replaced_at = 0
        self.log: list[dict[str, Any]] = []
        self.payloads: dict[int, Any] = {}
        self.figures: dict[str, Any] = {
            "connection": "live", "dialect": "v1", "run_state": "running", "tick": 0, "messages_per_s": 0.0,
            "lag_s": 0.002, "gaps": 0, "missing": 0, "errors": 0, "circuit": "closed", "memory_bytes": 1_000,
            "reconnects": 0, "uptime_s": 1.0, "epoch": "e",
        }  # fmt: skip
        self.reasons: list[str] = []
        self.stands: Standing | None = None
        self.lines: list[tuple[float, str]] = []
        self.started_with: dict[str, Any] = {}
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.sent_at: list[float] = []
        self.answers: dict[str, Any] = {"pause": {"state": "paused", "tick": 7}}
        self.reconnected = 0
        self.offered: dict[str, list[str]] = {
            "pause": [],
            "resume": [],
            "step": ["ticks"],
            "inject_event": ["event_type", "data"],
        }

    # --- what a test does ---------------------------------------------------------------------------------------

    def put(
        self,
        character_id: str,
        state: str | None = "IDLE",
        location: str | None = "Park",
        attributes: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        now = time.time_ns()
        held = self.town.setdefault(character_id, {"since": now, "attributes": {}})
        held.update(state=state, location=location, last_seen=now)
        held["attributes"].update({**(attributes or {}), **more})
        self.version += 1
        self.changed[character_id] = self.version

    def replace(self) -> None:
        self.version += 1
        self.replaced_at = self.version

    def happen(self, type: str = "event_notification", payload: Any = None, **columns: Any) -> None:
        self.payloads[len(self.log)] = payload if payload is not None else {"n": len(self.log)}
        now = pd.Timestamp(time.time(), unit="s", tz="UTC")
        self.log.append({"time": now, "tick": self.figures["tick"], "type": type, **columns})
        self.version += 1

    # --- Reader -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.log)

    @property
    def first_row(self) -> int:
        return 0

    @property
    def next_row(self) -> int:
        return len(self.log)

    def rows_of(self, types: Sequence[str] | None, start: int = 0, stop: int | None = None) -> Sequence[int]:
        rows = range(max(0, start), max(start, 0, len(self.log) if stop is None else min(stop, len(self.log))))
        return rows if types is None else [row for row in rows if self.log[row]["type"] in types]

    def rows_where(self, where: str, start: int, stop: int) -> npt.NDArray[np.int64]:
        rows = range(max(start, 0), min(stop, len(self.log)))
        return np.array([row for row in rows if where == self.log[row]["type"]], np.int64)

    def frame_of(self, rows: Sequence[int]) -> pd.DataFrame:
        return self._rows([int(row) for row in rows])

    def calls_of(self, rows: Sequence[int]) -> pd.DataFrame:
        frame = self.frame_of(rows)
        for name in ("prompt_type", "prompt", "response", "model", "error", *NUMBERS):
            frame[name] = [self.payloads[row].get(name) for row in frame.index]
        return frame

    def row_at(self, *, tick: int | None = None, at: Any = None) -> int | None:
        column, limit = ("tick", tick) if at is None else ("time", pd.Timestamp(at))
        return next((row for row in reversed(range(len(self.log))) if self.log[row][column] <= limit), None)

    def moment_of(self, row: int) -> RowMoment:
        return RowMoment(row, self.log[row]["tick"], self.log[row]["time"].value)

    def past_columns(self, row: int) -> Present:
        return self.present_columns()

    def control_rows(self, start: int, stop: int) -> list[ControlRow]:
        return []

    def row_of(self, epoch: str | None, seq: int) -> int | None:
        return None

    def places(self) -> pd.DataFrame:
        return pd.DataFrame()

    def llm_totals(self) -> pd.DataFrame:
        return pd.DataFrame()

    def characters(self, *, row: int | None = None) -> pd.DataFrame:
        rows = [
            {"state": held["state"], "location": held["location"], **held["attributes"]} for held in self.town.values()
        ]
        return pd.DataFrame(rows, index=pd.Index(list(self.town), name="character_id"))

    def present_columns(self, since_version: int = 0) -> Present:
        replaced = since_version == 0 or since_version < self.replaced_at
        town = {key: held for key, held in self.town.items() if replaced or self.changed[key] > since_version}
        return Present(
            self.version,
            replaced,
            list(town),
            [held["state"] for held in town.values()],
            [held["location"] for held in town.values()],
            np.array([held["since"] for held in town.values()], np.int64),
            np.array([held["last_seen"] for held in town.values()], np.int64),
            [dict(held["attributes"]) for held in town.values()],
        )

    def _rows(self, rows: Sequence[int]) -> pd.DataFrame:
        frame = pd.DataFrame([self.log[row] for row in rows], index=pd.Index(list(rows), dtype="int64"))
        frame = frame.reindex(columns=list(COLUMNS))
        return frame.astype({"time": "datetime64[ns, UTC]", "state": "category", "code": "float64", "tick": "float64"})

    def rows_since(self, row: int, limit: int) -> pd.DataFrame:
        return self._rows(range(max(row, len(self.log) - limit), len(self.log)))

    def errors(self) -> pd.DataFrame:
        return self._rows([row for row, event in enumerate(self.log) if event["type"] == "error"])

    def events(
        self, type: Any = None, *, character_id: Any = None, last: int | None = None, **more: Any
    ) -> pd.DataFrame:
        rows = [
            row
            for row, event in enumerate(self.log)
            if (type is None or event["type"] in type) and character_id in (None, event.get("character_id"))
        ]
        frame = self._rows(rows[-(last or len(rows)) :] if rows else rows)
        return frame.assign(payload=[self.payloads[row] for row in frame.index])

    def payload(self, row: int) -> Any:
        return self.payloads[row]

    def take_payloads(self, rows: Sequence[int]) -> list[bytes]:
        return [encode(self.payloads[row]) for row in rows]

    def timeline(self, character_id: Any = None) -> pd.DataFrame:
        return pd.DataFrame()

    def transitions(self) -> pd.DataFrame:
        return pd.DataFrame()

    def rates(
        self, every: str = "1s", by: str = "type", window: str | None = None, *, now: int | None = None
    ) -> pd.DataFrame:
        return pd.DataFrame()

    def llm_calls(self, *, last: int | None = None) -> pd.DataFrame:
        return pd.DataFrame()

    def gaps(self) -> pd.DataFrame:
        return pd.DataFrame()

    # --- Status -------------------------------------------------------------------------------------------------

    def metrics(self) -> pd.Series:
        return pd.Series(self.figures, dtype=object)

    def health(self) -> Sequence[str]:
        return self.reasons

    def standing(self) -> Standing | None:
        return self.stands

    def parameters(self) -> Mapping[str, Any]:
        return self.started_with

    def journal(self) -> Sequence[tuple[float, str]]:
        return self.lines

    def journal_lines(self) -> int:
        return len(self.lines)

    def reconnect(self) -> None:
        self.reconnected += 1

    # --- Commands -----------------------------------------------------------------------------------------------

    def submit(self, name: str, arguments: Mapping[str, Any]) -> Future[Any]:
        self.sent.append((name, dict(arguments)))
        self.sent_at.append(time.time())
        future: Future[Any] = Future()
        answer = self.answers.get(name)
        if isinstance(answer, Exception):
            future.set_exception(answer)
        elif answer != "later":
            future.set_result(answer)
        return future

    def table(self) -> pd.DataFrame:
        schemas: list[dict[str, Any]] = [
            {"properties": {key: {"title": key} for key in keys}} for keys in self.offered.values()
        ]
        names = list(self.offered)
        return pd.DataFrame({"name": names, "role": "debugger", "arguments": schemas, "doc": "Does it."})
