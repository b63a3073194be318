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
"""How many of the newest errors are asked what their codes are called."""

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


def names_of_newest(store: ErrorRows) -> CodeNames:
    """Return what the newest errors of a run call each code."""
    errors = store.frame_of(store.rows_of((MessageTypes.ERROR,))[-NEWEST:])
    payloads = map(read_payload, store.take_payloads(errors.index.tolist()))
    return names_of_codes(errors["code"].tolist(), payloads)


def names_of_codes(codes: Iterable[Any], payloads: Iterable[Any]) -> CodeNames:
    """Return what errors call each code, the most frequent name first."""
    counted: dict[int, Counter[str]] = {}
    for code, payload in zip(codes, payloads, strict=True):
        name = _name(code, payload)
        if name is not None and not pd.isna(code):
            counted.setdefault(int(code), Counter())[name] += 1
    return {code: [name for name, _ in names.most_common()] for code, names in counted.items()}


def _name(code: Any, payload: Any) -> str | None:
    own = payload.get("code_name") if isinstance(payload, dict) else None
    if isinstance(own, str) and own:
        return own
    return None if pd.isna(code) else CODE_NAMES.get(int(code))
