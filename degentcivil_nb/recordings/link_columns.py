"""The links of envelopes as columns of a segment: `event_id`, `cause`, `intervention` and `sim_time`.

A cause is one id by itself, or several as a JSON list; an intervention is JSON. Older versions of the wire named ids
and causes in payloads; where the columns differ from the envelope, `sent_links` has the envelope's values as a JSON
list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..store.links import LinkView
from ..store.schema import Ints
from ..store.table import Array
from .arrow_messages import LINKS

LINK_COLUMNS: Final = tuple(LINKS.names)
SENT_LINKS: Final = "sent_links"


def link_columns(links: LinkView, first_row: int, messages: pa.Table, at: Array | None) -> dict[str, pa.Array]:
    """Return the columns of links of messages, whose events are at the indices `at` (`None`: all are events)."""
    size = messages.num_rows
    stop = first_row + (size if at is None else len(at))
    rows, texts, _ = links.ids.between(first_row, stop)
    made = {"event_id": _placed(rows - first_row, pa.array(texts, pa.string()), at, size)}
    rows, causes = _causes(*links.causes.between(first_row, stop))
    made["cause"] = _placed(rows - first_row, pa.array(causes, pa.string()), at, size)
    rows, texts, _ = links.interventions.between(first_row, stop)
    made["intervention"] = _placed(rows - first_row, pa.array(texts, pa.string()), at, size)
    low, high = np.searchsorted(links.time_rows, (first_row, stop))
    made["sim_time"] = _placed(links.time_rows[low:high] - first_row, pa.array(links.times[low:high]), at, size)
    made[SENT_LINKS] = _as_sent(messages, made)
    return made


def _causes(rows: Ints, texts: list[str], alone: Array) -> tuple[Ints, list[str]]:
    """Return each row once, with its cause as text."""
    if alone.all():
        return rows, list(texts)
    found: dict[int, Any] = {}
    for row, text, single in zip(rows.tolist(), texts, alone.tolist(), strict=True):
        if single:
            found[row] = text
        else:
            found.setdefault(row, []).append(text)
    return np.array([*found], np.int64), [cause_text(cause) for cause in found.values()]


def cause_text(cause: Any) -> str:
    """Return a cause as the column has it."""
    return cause if isinstance(cause, str) else encode(cause).decode()


def read_cause(text: str | None) -> Any:
    """Return the cause that a text of the column means."""
    if text is None or not text.startswith("["):
        return text
    try:
        return decode(list[str], text)
    except WebSocketError:
        return text


def read_json(text: str | None) -> Any:
    """Return the value of a JSON text; `None` if the text is not JSON."""
    try:
        return None if text is None else decode(Any, text)
    except WebSocketError:
        return None


def _as_it_is(text: str | None) -> str | None:
    return text


LINK_READERS: Final[dict[str, Callable[[str | None], Any]]] = {
    "event_id": _as_it_is,
    "cause": read_cause,
    "intervention": read_json,
}
"""The function that reads a cell of each column of texts."""


def _placed(places: Ints, values: pa.Array, at: Array | None, size: int) -> pa.Array:
    """Return a column that has values of some events."""
    if not len(values):
        return pa.nulls(size, values.type)
    where = np.full(size, -1, np.int64)
    where[places if at is None else at[places]] = np.arange(len(values))
    return values.take(pa.array(where, mask=where < 0))


def _as_sent(messages: pa.Table, made: dict[str, pa.Array]) -> pa.Array:
    """Return the links of envelopes from which the columns differ."""
    size = messages.num_rows
    if "event_id" in messages.column_names:
        sent = {name: messages.column(name).combine_chunks() for name in LINK_COLUMNS}
    else:
        sent = {name: pa.nulls(size, LINKS.field(name).type) for name in LINK_COLUMNS}
    causes = _decoded(sent["cause"])
    differs = np.zeros(size, np.bool_)
    for name, told in (("event_id", sent["event_id"]), ("cause", _texts(causes, size)), ("sim_time", sent["sim_time"])):
        differs |= ~_same(made[name], told)
    differs |= ~_same(made["intervention"], sent["intervention"])
    for place, cause in causes.items():  # a single id that looks like a list
        differs[place] |= isinstance(cause, str) and cause.startswith("[")
    texts: list[str | None] = [None] * size
    for place in np.flatnonzero(differs).tolist():
        said = [sent[name][place].as_py() for name in LINK_COLUMNS]
        texts[place] = encode(said).decode()
    return pa.array(texts, pa.string()) if differs.any() else pa.nulls(size, pa.string())


def _decoded(column: pa.Array) -> dict[int, Any]:
    places = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    return dict(zip(places.tolist(), map(read_json, column.take(pa.array(places)).to_pylist()), strict=True))


def _texts(values: dict[int, Any], size: int) -> pa.Array:
    if not values:
        return pa.nulls(size, pa.string())
    texts: list[str | None] = [None] * size
    for place, value in values.items():
        texts[place] = cause_text(value)
    return pa.array(texts, pa.string())


def _same(some: pa.Array, more: pa.Array) -> Array:
    """Return where two columns are equal, or both null."""
    equal = pc.fill_null(pc.equal(some, more), False)
    same: Array = pc.or_(equal, pc.and_(some.is_null(), more.is_null())).to_numpy(zero_copy_only=False)
    return same


def links_as_sent(column: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Return the columns of `LINKS` from the columns of a segment; empty if no message has links."""
    if all(column[name].null_count == len(column[name]) for name in (*LINK_COLUMNS, SENT_LINKS)):
        return {}
    causes = [None if text is None else encode(read_cause(text)).decode() for text in column["cause"].to_pylist()]
    found = {name: column[name].to_pylist() for name in LINK_COLUMNS} | {"cause": causes}
    sent = column[SENT_LINKS]
    for place in np.flatnonzero(sent.is_valid().to_numpy(zero_copy_only=False)).tolist():
        for name, value in zip(LINK_COLUMNS, read_json(sent[place].as_py()), strict=True):
            found[name][place] = value
    return {field.name: pa.array(found[field.name], field.type) for field in LINKS}
