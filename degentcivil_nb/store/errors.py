"""The table of errors: rows of type `error` with further fields of their payloads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..core.event_columns import NOT_OF_ERRORS
from ..protocol.json_text import excerpt
from .payloads import read_payload
from .selection import TakePayloads


def error_table(rows: pd.DataFrame, payloads: TakePayloads) -> pd.DataFrame:
    """Add `traceback` and `excerpt` to rows of errors.

    A message with an invalid payload is an error with its payload unchanged: its excerpt is the payload's first 500
    bytes. For a frame that was not a message, the payload already contains the excerpt.
    """
    tracebacks, excerpts = error_details(rows["code"].tolist(), payloads(rows.index.to_list()))
    table = rows.drop(columns=[*NOT_OF_ERRORS])
    table["traceback"] = pd.array(tracebacks, dtype="str")
    table["excerpt"] = pd.array(excerpts, dtype="str")
    return table


def error_details(codes: Sequence[int | None], payloads: Sequence[bytes]) -> tuple[list[str | None], list[str | None]]:
    """Return tracebacks and excerpts of errors from their codes and payloads, as `error_table` does."""
    tracebacks: list[str | None] = []
    excerpts: list[str | None] = []
    for text, code in zip(payloads, codes, strict=True):
        data = read_payload(text)
        if isinstance(data, dict) and data.get("code") == code and isinstance(data.get("message"), str):
            tracebacks.append(_text(data.get("traceback")))
            excerpts.append(_text(data.get("excerpt")))
        else:
            tracebacks.append(None)
            excerpts.append(excerpt(text))
    return tracebacks, excerpts


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
