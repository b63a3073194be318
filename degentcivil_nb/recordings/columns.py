"""The columns of a sealed segment (format 2): typed columns for questions, beside each payload as it was sent.

`docs/recording_format.md` describes them for other programs. The columns of an event are those of the store, so that a
recording, a session and SQL agree. A value that was sent and does not fit into them, such as a `seq` below 1, is in a
column of its own (`sent_…`), which is empty for nearly all messages. So every message can be restored unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]

from ..core.event_columns import CATEGORIES, EVENT_COLUMNS, NUMBERS, TIMES
from ..protocol.errors import WebSocketError
from ..protocol.json_text import FOREIGN
from ..protocol.messages import MessageTypes
from ..protocol.repairing import decode_repaired
from ..protocol.stream_payloads import LlmCall, StateChange
from ..store.columns import Dictionary
from ..store.errors import error_details
from ..store.llm import LLM_TYPES, call_numbers, decode_calls
from ..store.schema import NAT, Codes, Mask
from ..store.table import Array
from .arrow_messages import LINKS, SCHEMA
from .link_columns import LINK_COLUMNS, SENT_LINKS, link_columns

FORMAT_KEY: Final = b"degentcivil_nb.format"
FORMAT_VERSION: Final = b"2"
MEANING_KEY: Final = b"degentcivil_nb.meaning"
FIRST_MEANING: Final = 3
"""The version of columns whose file says none."""
TIME: Final = pa.timestamp("us", tz="UTC")
PAYLOAD_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "payload_update": (MessageTypes.CHARACTER_UPDATE,),
    "payload_call": LLM_TYPES,
    "payload_told": (MessageTypes.CHAT_MESSAGE, MessageTypes.TOOL_CALL, MessageTypes.THOUGHT, MessageTypes.MEASURE),
}
"""Payloads of these types are in a column of their own, so that questions about them read no others."""
PAYLOAD, PAYLOAD_BYTES = "payload", "payload_bytes"
PAYLOADS: Final = (PAYLOAD, *PAYLOAD_OF, PAYLOAD_BYTES)
"""A payload is in exactly one of these columns; in the last one, as bytes, if it is not UTF-8 text."""
CALL_COLUMNS: Final[Mapping[str, Any]] = {
    "prompt_type": pa.string(),
    "model": pa.string(),
    "error": pa.string(),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
    "latency_s": pa.float64(),
    "cost_usd": pa.float64(),
}
"""The fields of a language model call besides its prompt and response."""
ERROR_COLUMNS: Final = ("traceback", "excerpt")


def kind_of(name: str) -> pa.DataType:
    """Return the Arrow type of a column of events."""
    if name in TIMES:
        return TIME
    if name in LINK_COLUMNS:
        return LINKS.field(name).type
    return pa.int64() if name in NUMBERS else pa.string()


COLUMNS: Final = pa.schema(
    [
        ("row", pa.int64()),
        *((name, kind_of(name)) for name in EVENT_COLUMNS),
        ("previous_state", pa.string()),
        *CALL_COLUMNS.items(),
        *((name, pa.string()) for name in ERROR_COLUMNS),
        *((name, pa.string()) for name in (PAYLOAD, *PAYLOAD_OF)),
        (PAYLOAD_BYTES, pa.binary()),
        ("id", pa.string()),
        ("sent_type", pa.string()),
        ("sent_seq", pa.int64()),
        ("sent_tick", pa.int64()),
        ("sent_time", pa.float64()),
        ("received_s", pa.float64()),
        (SENT_LINKS, pa.string()),
    ]
)
REPEATING: Final = (*CATEGORIES, "previous_state", "prompt_type", "model", "error", "sent_type", "code", "received_s")
"""Columns of few different values, which are written with a dictionary."""
ENCODINGS: Final = {
    **dict.fromkeys(("row", "seq", "tick", *TIMES), "DELTA_BINARY_PACKED"),
    "sent_time": "BYTE_STREAM_SPLIT",
    "id": "DELTA_BYTE_ARRAY",
}
STATISTICS: Final = ("row", "seq", "tick", "type", "code", *TIMES, *LINK_COLUMNS, PAYLOAD_BYTES)
"""Columns by which row groups are skipped. Every group has every character, so others exclude nothing."""

UNREAD: Final = -2

_state_changes = msgspec.json.Decoder(StateChange).decode_lines


class EventSlice(msgspec.Struct):
    """The events of a segment as columns of a store."""

    columns: Mapping[str, Array]
    masks: Mapping[str, Array]
    words: Mapping[str, Dictionary]
    links: Any
    """A `LinkView`."""
    first_row: int
    previous: Codes
    """The codes of the previous states that events contain; `UNREAD` where only the payload has it."""


def to_columns(messages: pa.Table, events: EventSlice) -> pa.Table:
    """Return the columns of messages, given as a table of `SCHEMA`, and of the events among them.

    Raises `ValueError` if the events are not those of the messages.
    """
    messages = messages.combine_chunks()
    size = messages.num_rows
    sent = {name: one_array(messages.column(name)) for name in SCHEMA.names}
    is_event = sent["row"].is_valid().to_numpy(zero_copy_only=False)
    count = int(np.count_nonzero(is_event))
    if count != len(events.columns["time"]):
        raise ValueError(f"{count:,} events of messages are {len(events.columns['time']):,} in the store")
    at = None if count == size else np.flatnonzero(is_event)
    made: dict[str, Any] = {"row": sent["row"], "id": sent["id"]}
    for name in (*CATEGORIES, *NUMBERS, *TIMES):
        values = _spread(events.columns[name], at, size, NAT if name in TIMES else -1)
        if name in TIMES:
            made[name] = _times(values)
        elif name in NUMBERS:
            made[name] = pa.array(values, pa.int64(), mask=_spread(events.masks[name], at, size, True))
        else:
            made[name] = _words(values, events.words[name].words)
    made["epoch"] = sent["epoch"]  # of control messages too, and uncut
    if at is not None:
        made["type"] = pc.if_else(is_event, _plain(made["type"]), _plain(sent["type"])).dictionary_encode()
        received = sent["received"].to_numpy(zero_copy_only=False)
        moments = np.where(np.isfinite(received) & (abs(received) < 9e9), received, 0)
        made["received"] = pc.if_else(is_event, made["received"], _times(_micros(moments) * 1_000))
    made |= _as_sent(sent, made)
    rows = _Rows(made["type"], sent["data"])
    told = _spread(events.previous, at, size, -1)
    made["previous_state"] = _previous_states(rows, told, events.words["state"].words)
    made |= link_columns(events.links, events.first_row, messages, at)
    made |= _calls(rows) | _errors(rows, made["code"]) | _payloads(rows)
    return pa.table([made[name] for name in COLUMNS.names], names=COLUMNS.names)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _spread(values: Array, at: Array | None, size: int, fill: Any) -> Array:
    """Return values of events at their indices among all messages."""
    if at is None:
        return values
    every = np.full(size, fill, values.dtype if fill != NAT else np.int64)
    every[at] = values
    return every


def _micros(seconds: Array) -> Array:
    return np.rint(seconds * 1e6).astype(np.int64)


def _times(nanoseconds: Array) -> pa.Array:
    return pa.array(nanoseconds // 1_000, pa.int64(), mask=nanoseconds == NAT).cast(TIME)


def _words(codes: Array, words: list[str]) -> pa.Array:
    """Return a column of the words that occur; −1 is null."""
    used = np.zeros(len(words) + 1, np.bool_)
    used[codes] = True  # the last one for −1
    used[-1] = False
    places = (np.cumsum(used) - 1).astype(np.int32)
    known = pa.array([words[code] for code in np.flatnonzero(used).tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(places[codes], mask=codes < 0), known)


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _as_sent(sent: Mapping[str, pa.Array], made: Mapping[str, Any]) -> dict[str, pa.Array]:
    """Return the values as they were sent, where the columns of events do not have them exactly."""
    types = _words_of(made["type"])
    known = {word: code for code, word in enumerate(types[1])}
    codes = np.array([known.get(word, -2) for word in sent["type"].dictionary.to_pylist()], np.int32)
    same = codes[sent["type"].indices.to_numpy(zero_copy_only=False)] == types[0]
    other = sent["type"] if not same.all() else pa.nulls(len(same), pa.string())
    found = {"sent_type": _only(_plain(other), ~same)}
    for name in ("seq", "tick"):
        differs = pc.fill_null(pc.not_equal(sent[name], made[name]), True).to_numpy(zero_copy_only=False)
        found[f"sent_{name}"] = _only(sent[name], differs)
    timestamps = sent["timestamp"].to_numpy(zero_copy_only=False)
    source, sources = _words_of(made["time_source"])
    told = source == (sources.index("sent") if "sent" in sources else -2)
    exact = told & (_seconds(made["time"]) == timestamps)
    found["sent_time"] = _only(sent["timestamp"], ~exact)
    received = sent["received"].to_numpy(zero_copy_only=False)
    found["received_s"] = _only(sent["received"], _seconds(made["received"]) != received)
    return found


def _words_of(column: pa.DictionaryArray) -> tuple[Array, list[str]]:
    codes: Array = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, column.dictionary.to_pylist()


def _seconds(times: pa.Array) -> Array:
    seconds: Array = times.cast(pa.int64()).to_numpy(zero_copy_only=False) / 1e6
    return seconds


def _only(values: pa.Array, kept: Mask) -> pa.Array:
    """Return values where they are kept, and null elsewhere."""
    if not kept.any():
        return pa.nulls(len(values), values.type)
    return values if kept.all() else pc.if_else(kept, values, pa.scalar(None, values.type))


class _Rows:
    """The messages of a segment by type, with their payloads."""

    def __init__(self, types: pa.DictionaryArray, data: pa.Array) -> None:
        self.codes, self._words = _words_of(types)
        self.data = data

    def __len__(self) -> int:
        return len(self.codes)

    def has_type(self, *types: str) -> Mask:
        codes = [self._words.index(type) for type in types if type in self._words]
        match: Mask = self.codes == codes[0] if len(codes) == 1 else np.isin(self.codes, codes)
        return match

    def types(self, at: Array) -> list[str]:
        return [self._words[code] for code in self.codes[at].tolist()]

    def payloads(self, at: Array) -> list[bytes]:
        found: list[bytes] = self.data.take(pa.array(at)).to_pylist()
        return found

    def column(self, at: Array, values: pa.Array) -> pa.Array:
        """Return a column that has values in some rows."""
        places = np.full(len(self), -1, np.int64)
        places[at] = np.arange(len(at))
        return values.take(pa.array(places, mask=places < 0))


def _previous_states(rows: _Rows, told: Array, words: list[str]) -> pa.Array:
    unread = told == UNREAD
    if not unread.any():
        return _words(told, words)
    at = np.flatnonzero(unread & rows.has_type(MessageTypes.STATE_CHANGE))
    read = rows.column(at, pa.array(_previous_of(rows.payloads(at)), pa.string()))
    known = _words(np.where(unread, -1, told), words)
    return pc.coalesce(_plain(known), read) if (told >= 0).any() else read


def _previous_of(texts: list[bytes]) -> list[str | None]:
    try:
        read = _state_changes(b"\n".join(texts))  # all at once; a payload of several lines is not one JSON line
        if len(read) == len(texts):
            return [change.previous_state for change in read]
    except FOREIGN:
        pass  # one by one below
    return [_previous(text) for text in texts]


def _previous(text: bytes) -> str | None:
    try:
        return decode_repaired(StateChange, text).previous_state
    except WebSocketError:  # the store has read it as a state change; a table must not fail for one row
        return None


def _calls(rows: _Rows) -> dict[str, pa.Array]:
    at = np.flatnonzero(rows.has_type(*LLM_TYPES))
    if not len(at):
        return {name: pa.nulls(len(rows), kind) for name, kind in CALL_COLUMNS.items()}
    calls = decode_calls(rows.types(at), rows.payloads(at))
    return {name: rows.column(at, _call_column(calls, name, kind)) for name, kind in CALL_COLUMNS.items()}


def _call_column(calls: list[LlmCall], name: str, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([getattr(call, name) for call in calls], kind)
    numbers = call_numbers(calls, name)
    return pa.array(numbers, pa.float64(), mask=np.isnan(numbers)).cast(kind)


def _errors(rows: _Rows, codes: pa.Array) -> dict[str, pa.Array]:
    at = np.flatnonzero(rows.has_type(MessageTypes.ERROR))
    if not len(at):
        return {name: pa.nulls(len(rows), pa.string()) for name in ERROR_COLUMNS}
    found = error_details(codes.take(pa.array(at)).to_pylist(), rows.payloads(at))
    return {
        name: rows.column(at, pa.array(values, pa.string())) for name, values in zip(ERROR_COLUMNS, found, strict=True)
    }


def _payloads(rows: _Rows) -> dict[str, pa.Array]:
    """Return the columns of payloads, which share their bytes."""
    texts, is_text = rows.data, np.ones(len(rows), np.bool_)
    try:
        texts.cast(pa.large_string())
    except pa.ArrowInvalid:
        every = texts.to_pylist()
        is_text = np.array([_is_text(data) for data in every], np.bool_)
        texts = pa.array([data.decode("utf-8", "backslashreplace").encode() for data in every], pa.large_binary())
    rest = np.ones(len(rows), np.bool_)
    found = {PAYLOAD_BYTES: _where(rows.data, ~is_text, pa.large_binary())}
    for name, types in PAYLOAD_OF.items():
        of_these = rows.has_type(*types)
        found[name] = _where(texts, of_these, pa.large_string())
        rest &= ~of_these
    found[PAYLOAD] = _where(texts, rest, pa.large_string())
    return found


def _where(data: pa.Array, kept: Mask, kind: pa.DataType) -> pa.Array:
    """Return bytes where they are kept, and null elsewhere, without a copy."""
    if data.offset or data.null_count:
        raise ValueError("payloads must be whole")
    valid = pa.py_buffer(np.packbits(kept, bitorder="little"))
    return pa.Array.from_buffers(kind, len(data), [valid, *data.buffers()[1:]])


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
