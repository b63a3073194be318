"""Tables of one kind of event: chat, tools, thoughts, measures, attributes, errors, calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from ..protocol.json_text import encode
from ..protocol.messages import MessageTypes
from ..store.arguments import Moment, Names, moment_ns, names_of, whole
from ..store.characters import json_column
from ..store.error_extract import ERRORS
from ..store.interfaces import RunStore
from ..store.pieces import Extracted, Pieces
from .message_kinds import message_kind

HEAD: Final = ("epoch", "seq", "tick", "time", "character_id")
TEXT, NUMBER, ANY = "str", "Float64", "object"
KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    MessageTypes.CHAT_MESSAGE: {"receivers": ANY, "content": ANY, "channel": TEXT},
    MessageTypes.TOOL_CALL: {"name": TEXT, "arguments": ANY, "result": ANY, "latency_s": NUMBER, "error": TEXT},
    MessageTypes.THOUGHT: {"kind": TEXT, "text": ANY, "evidence": ANY},
    MessageTypes.MEASURE: {"name": TEXT, "value": ANY},
    MessageTypes.WATCH: {"name": TEXT, "value": ANY},
}
"""The columns of each kind, all of them keys of its payload, and their types."""


def kind_table(events: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the table of a kind from its events with payloads, indexed by `row`.

    A payload of another shape, such as an older recording's own type of that name, has nulls in these columns.
    """
    table = events[list(HEAD)].copy()
    payloads = [payload if isinstance(payload, dict) else {} for payload in events["payload"]]
    for name, dtype in KINDS[kind].items():
        table[name] = _column([payload.get(name) for payload in payloads], dtype, table.index)
    table["event_id"] = events["event_id"].astype("str")
    table["cause"] = events["cause"]
    return table


def attribute_table(events: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the history of an attribute from the events that contain it, indexed by `row`."""
    payloads = events["payload"]
    said = [isinstance(payload, dict) and name in payload for payload in payloads]
    kept = events[np.array(said, np.bool_)] if len(events) else events
    table = kept[["tick", "time", "character_id"]].copy()
    table["value"] = json_column([payload[name] for payload in kept["payload"]], table.index)
    return table


def attributes_table(events: pd.DataFrame) -> pd.DataFrame:
    """Return the history of all attributes, indexed by `row`: `value` as text, `number` if the value is one."""
    told = events[(events["type"] == MessageTypes.CHARACTER_UPDATE).to_numpy()]
    found = [
        (row, name, value)
        for row, payload in zip(told.index.tolist(), told["payload"], strict=True)
        if isinstance(payload, dict)
        for name, value in payload.items()
        if name not in ("character_id", "state", "location")
    ]
    rows = [row for row, _, _ in found]
    table = told.loc[rows, ["tick", "time", "character_id"]]
    values = [value for _, _, value in found]
    table["name"] = pd.array([name for _, name, _ in found], dtype="str")
    table["value"] = pd.array([None if value is None else _as_text(value) for value in values], dtype="str")
    table["number"] = _column(values, NUMBER, table.index)
    return table


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def chosen(
    table: pd.DataFrame,
    newest: int | None,
    *,
    character_id: Names,
    since: Moment,
    until: Moment,
    last: int | None,
) -> pd.DataFrame:
    """Return the rows of a table that pass the filters; `since` is inclusive, `until` exclusive."""
    keep = np.ones(len(table), np.bool_)
    names = names_of(character_id)
    if names is not None:
        keep &= table["character_id"].isin(list(names)).to_numpy()
    times = table["time"].to_numpy("M8[ns]").astype(np.int64)
    if since is not None:
        keep &= times >= moment_ns(since, newest)
    if until is not None:
        keep &= times < moment_ns(until, newest)
    found = table[keep]
    last = None if last is None else whole(last, "`last`")
    return found if last is None else found.iloc[max(0, len(found) - last) :]


def new_errors(store: RunStore, since: pd.Timestamp) -> pd.DataFrame:
    """Return the errors from a moment on whose code and text, numbers and names apart, did not occur before."""
    told = store.by_pieces(_told_errors)  # before the late ones, so that none of those counts as an earlier one
    late = store.errors(since=since)
    names = {name for part in told for name in part.words["character_id"]}
    kinds: dict[str | None, str] = {}

    def kind_of(code: Any, message: Any) -> tuple[Any, str]:
        known = message if isinstance(message, str) else None
        if known not in kinds:
            kinds[known] = message_kind(known, names)
        return None if pd.isna(code) else code, kinds[known]

    known: set[tuple[Any, str]] = set()
    for part in told:
        earlier = ~np.isin(part.columns["place"], late.index.to_numpy())
        code, message = (part.columns[name][earlier].astype(np.int64) for name in ("code", "message"))
        code[part.columns["no_code"][earlier]] = NO_CODE
        words = [*part.words["message"], None]
        for one, place in {*zip(code.tolist(), message.tolist(), strict=True)}:
            known.add(kind_of(None if one == NO_CODE else one, words[place]))
    pairs = zip(late["code"].tolist(), late["message"].astype("object").tolist(), strict=True)
    return late[np.array([kind_of(*pair) not in known for pair in pairs], np.bool_)]


NO_CODE: Final = np.iinfo(np.int64).min


def _told_errors(pieces: Pieces) -> list[Extracted]:
    """Return what the extracts say of all errors; `place` is the row."""
    found = [(part.first_row, part.extracted(ERRORS)) for part in pieces.parts]
    return [Extracted(told.columns | {"place": told.columns["place"] + first}, told.words) for first, told in found]


def _column(values: list[Any], dtype: str, index: pd.Index) -> pd.Series:
    if dtype == TEXT:
        return pd.Series([value if isinstance(value, str) else None for value in values], index, dtype="str")
    if dtype == NUMBER:
        real = [isinstance(value, (int, float)) and not isinstance(value, bool) for value in values]
        numbers = [value if is_real else None for value, is_real in zip(values, real, strict=True)]
        return pd.Series(pd.array(numbers, dtype="Float64"), index)
    return pd.Series(np.fromiter(values, dtype=object, count=len(values)), index)
