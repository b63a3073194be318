"""The names of error codes: those that a simulation gives in `code_name`, and those of the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import pandas as pd

from ..protocol.errors import CODE_NAMES
from ..protocol.messages import MessageTypes
from .payloads import read_payload

NEWEST: Final = 1_000
"""How many errors are looked at together for what their codes are called, the newest ones."""

MOST_CODES: Final = 1_000
MOST_NAMES: Final = 20
LONGEST: Final = 80
"""So many codes, names of each, and characters of a name are kept."""

CodeNames = Mapping[int, Sequence[str]]


class ErrorRows(Protocol):
    """The rows of errors of a run, and their payloads."""

    def rows_of(self, types: Sequence[str] | None, start: int = 0, stop: int | None = None) -> Sequence[int]: ...
    def frame_of(self, rows: Sequence[int]) -> pd.DataFrame: ...
    def take_payloads(self, rows: Sequence[int]) -> list[bytes]: ...


def error_names(store: ErrorRows, errors: pd.DataFrame) -> list[str | None]:
    """Return the name of each error of a frame: its own `code_name`, or what the wire calls its code."""
    payloads = map(read_payload, store.take_payloads(errors.index.tolist()))
    return [_name(code, payload) for code, payload in zip(errors["code"].tolist(), payloads, strict=True)]


class NamesOfCodes:
    """What the errors of a run call each code, as far as they were looked at: each is looked at once."""

    def __init__(self) -> None:
        self._counted: dict[int, Counter[str]] = {}
        self._read_to = 0

    def read(self, store: ErrorRows) -> CodeNames:
        """Look at the newest errors since the last time, and return the names, the most frequent first."""
        rows = store.rows_of((MessageTypes.ERROR,), self._read_to)[-NEWEST:]
        if len(rows):
            errors = store.frame_of(rows)
            self.add(errors["code"].tolist(), map(read_payload, store.take_payloads(errors.index.tolist())))
            self._read_to = int(rows[-1]) + 1
        return self.names()

    def add(self, codes: Iterable[Any], payloads: Iterable[Any]) -> None:
        """Count the names that errors have."""
        for code, payload in zip(codes, payloads, strict=True):
            name = _name(code, payload)
            if name is None or pd.isna(code):
                continue
            known = self._counted.get(int(code))
            if known is None and len(self._counted) < MOST_CODES:
                known = self._counted[int(code)] = Counter()
            short = name[:LONGEST]  # a simulation may make each name anew
            if known is not None and (short in known or len(known) < MOST_NAMES):
                known[short] += 1

    def names(self) -> CodeNames:
        """Return the names of each code, the most frequent first."""
        return {code: [name for name, _ in names.most_common()] for code, names in self._counted.items()}


def _name(code: Any, payload: Any) -> str | None:
    own = payload.get("code_name") if isinstance(payload, dict) else None
    if isinstance(own, str) and own:
        return own
    return None if pd.isna(code) else CODE_NAMES.get(int(code))
