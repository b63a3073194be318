"""Messages as Arrow columns and back, nothing of them lost: what a recording is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
from msgspec import Raw

from ..protocol.codec import malformed
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from ..protocol.message import ORDERED_CONTROL, Gap, MessageTypes, RawMessage, RunState, Snapshot
from .schema import LATEST_S

WORD: Final = pa.dictionary(pa.int32(), pa.string())
SCHEMA: Final = pa.schema(
    [
        ("row", pa.int64()),  # the event's number in the recording; none for an ordered control message
        ("received", pa.float64()),
        ("epoch", WORD),
        ("type", WORD),
        ("seq", pa.int64()),
        ("tick", pa.int64()),
        ("timestamp", pa.float64()),
        ("id", pa.string()),
        ("data", pa.large_binary()),
    ]
)
FOREIGN: Final = (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError)
CONTROL_PAYLOADS: Final[dict[str, Any]] = {
    MessageTypes.GAP: Gap,
    MessageTypes.SNAPSHOT: Snapshot,
    MessageTypes.RUN_STATE: RunState,
}


class Entry(NamedTuple):
    """Hold what a sink is given at a time: messages in order, when they were received, and the server's epoch."""

    messages: Sequence[RawMessage]
    received: float
    epoch: str | None


class _Words(dict[str | None, int]):
    def __missing__(self, word: str | None) -> int:
        code = self[word] = len(self)
        return code


def to_batch(entries: Sequence[Entry], first_row: int) -> pa.RecordBatch:
    """Make columns of entries; `first_row` is the number that the first event among them gets."""
    messages = list(chain.from_iterable(entry.messages for entry in entries))
    try:
        columns = _columns(messages)
    except FOREIGN:
        messages = [_fitted(message) for message in messages]
        columns = _columns(messages)
    counts = [len(entry.messages) for entry in entries]
    received = np.repeat(np.array([entry.received for entry in entries], np.float64), counts)
    epochs = _Words()
    codes = np.repeat(np.array([epochs[entry.epoch] for entry in entries], np.int32), counts)
    columns |= {
        "row": _rows(messages, columns["type"].dictionary.to_pylist(), first_row),
        "received": pa.array(received),
        "epoch": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(epochs), pa.string())),
    }
    return pa.record_batch([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _columns(messages: list[RawMessage]) -> dict[str, Any]:
    size = len(messages)
    words = _Words()
    types = [message.type for message in messages]
    if types.count(types[0]) == size:
        words[types[0]], codes = 0, np.zeros(size, np.int32)
    else:
        codes = np.fromiter(map(words.__getitem__, types), np.int32, size)
    payloads = [message.data for message in messages]
    offsets = np.zeros(size + 1, np.int64)
    np.cumsum(np.fromiter(map(len, payloads), np.int64, size), out=offsets[1:])
    data = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(payloads))]
    ids = [message.id for message in messages]
    return {
        "type": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(words), pa.string())),
        "seq": _numbers([message.seq for message in messages], np.int64),
        "tick": _numbers([message.tick for message in messages], np.int64),
        "timestamp": _numbers([message.timestamp for message in messages], np.float64),
        "id": pa.nulls(size, pa.string()) if ids.count(None) == size else pa.array(ids, pa.string()),
        "data": pa.Array.from_buffers(pa.large_binary(), size, data),
    }


def _numbers(values: list[Any], dtype: type[np.int64 | np.float64]) -> pa.Array:
    if values.count(values[0]) == len(values):
        return pa.repeat(pa.scalar(values[0], pa.from_numpy_dtype(dtype)), len(values))
    if None in values:
        return pa.array(values, pa.from_numpy_dtype(dtype))
    return pa.array(np.fromiter(values, dtype, len(values)))  # faster, and takes `None` for no number


def _fitted(message: RawMessage) -> RawMessage:
    """Give a message that fits the columns: what was made in Python of things that no wire carries is an error."""
    try:
        _columns([message])
    except FOREIGN as error:
        return malformed(repr(message), error)
    return message


def _rows(messages: list[RawMessage], types: list[str], first_row: int) -> Any:
    events = np.ones(len(messages), np.bool_)
    if not ORDERED_CONTROL.isdisjoint(types):
        for position, message in enumerate(messages):
            if message.type in ORDERED_CONTROL:
                events[position] = not _is_control(message)
    return pa.array(first_row + np.cumsum(events) - 1, pa.int64(), mask=~events)


def _is_control(message: RawMessage) -> bool:
    """Say whether a store takes it as what it says it is; a malformed one becomes an event of type `error`."""
    try:
        decode(CONTROL_PAYLOADS[message.type], message.data)
    except WebSocketError:
        return False
    return True


def from_batch(batch: pa.RecordBatch) -> Iterator[Entry]:
    """Give the entries that made a batch, those that came at the same time together."""
    size = batch.num_rows
    if not size:
        return
    epochs = batch.column("epoch")
    received = batch.column("received").to_numpy(zero_copy_only=False)
    codes = epochs.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    # compared as bits: what is no number equals itself here
    cuts = np.flatnonzero((np.diff(received.view(np.int64)) != 0) | (np.diff(codes) != 0)) + 1
    names = epochs.dictionary.to_pylist()
    messages = list(
        map(
            RawMessage,
            batch.column("type").to_pylist(),
            map(Raw, batch.column("data").to_pylist()),
            batch.column("timestamp").to_pylist(),
            batch.column("seq").to_pylist(),
            batch.column("tick").to_pylist(),
            batch.column("id").to_pylist(),
        )
    )
    for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), size], strict=True):
        code = int(codes[start])
        yield Entry(messages[start:stop], float(received[start]), names[code] if code >= 0 else None)


def event_times(batch: pa.RecordBatch) -> Any:
    """Give the seconds that the store will call each message's time: the sender's, or receipt where that is absurd."""
    sent = batch.column("timestamp").to_numpy(zero_copy_only=False)
    received = batch.column("received").to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        return np.where((sent >= 0) & (sent < LATEST_S), sent, received)
