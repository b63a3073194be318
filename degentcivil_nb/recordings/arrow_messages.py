"""The Arrow columns of messages, and the messages that they hold, without loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
from msgspec import Raw, structs

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from ..protocol.messages import RawMessage
from ..store.schema import LATEST_S

if TYPE_CHECKING:
    from ..store.ingested import Taken

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
LINKS: Final = pa.schema(
    [
        ("sim_time", pa.float64()),
        ("event_id", pa.string()),
        ("cause", pa.string()),  # JSON: a text or a list of texts
        ("intervention", pa.string()),  # JSON
    ]
)
LINKED_SCHEMA: Final = pa.schema([*SCHEMA, *LINKS])
"""The columns of messages with at least one link; without links they are only `SCHEMA`, as in older versions."""
SCHEMAS: Final = (SCHEMA, LINKED_SCHEMA)


class RecordedMessage(NamedTuple):
    """One list of messages as a sink receives it: in order, with their time of receipt and the server's epoch."""

    messages: Sequence[RawMessage]
    received: float
    epoch: str | None
    taken: Taken = ()
    """The columns that a store made of the messages, so that a follower need not read the messages again."""

    @property
    def size(self) -> int:
        """Return the number of messages."""
        return len(self.messages)


def with_links(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch that has the columns of links, empty if it had none."""
    if batch.schema == LINKED_SCHEMA:
        return batch
    empty = [pa.nulls(batch.num_rows, field.type) for field in LINKS]
    return pa.RecordBatch.from_arrays([*batch.columns, *empty], schema=LINKED_SCHEMA)


def without_null_words(column: Any) -> Any:
    """Return a column of words whose dictionary has no null; missing words are null instead."""
    words = column.dictionary
    if not words.null_count:
        return column
    kept = words.is_valid().to_numpy(zero_copy_only=False)
    places = pa.array(np.where(kept, np.cumsum(kept) - 1, 0).astype(np.int32), mask=~kept)
    return pa.DictionaryArray.from_arrays(places.take(column.indices), words.drop_null())


def from_batch(batch: pa.RecordBatch) -> Iterator[RecordedMessage]:
    """Yield the entries of a batch; messages received at the same time form one entry."""
    size = batch.num_rows
    if not size:
        return
    epochs = batch.column("epoch")
    received = batch.column("received").to_numpy(zero_copy_only=False)
    codes = epochs.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    # compared as bits, so that NaN equals NaN
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
    if "event_id" in batch.schema.names:
        messages = _linked_messages(messages, batch)
    for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), size], strict=True):
        code = int(codes[start])
        yield RecordedMessage(messages[start:stop], float(received[start]), names[code] if code >= 0 else None)


def _linked_messages(messages: list[RawMessage], batch: pa.RecordBatch) -> list[RawMessage]:
    """Return messages with the links of their batch."""
    columns = zip(*(batch.column(name).to_pylist() for name in LINKS.names), strict=True)
    found = list(messages)
    for place, (sim_time, event_id, cause, intervention) in enumerate(columns):
        if not (event_id is cause is sim_time is intervention is None):
            found[place] = structs.replace(
                found[place],
                sim_time=sim_time,
                event_id=event_id,
                cause=_json(cause),
                intervention=_json(intervention),
            )
    return found


def _json(text: str | None) -> Any:
    """Decode a link; return `None` for a text of another program that is not JSON."""
    try:
        return None if text is None else decode(Any, text)
    except WebSocketError:
        return None


def payloads_of(batch: pa.RecordBatch) -> memoryview:
    """Return the payloads of a batch end to end, without a copy."""
    column = batch.column("data")
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]


def event_times(batch: pa.RecordBatch) -> Any:
    """Return each message's time as the store has it, in seconds: the sender's, else the time of receipt."""
    sent = sent_times(batch)
    return np.where(np.isnan(sent), batch.column("received").to_numpy(zero_copy_only=False), sent)


def sent_times(batch: pa.RecordBatch) -> Any:
    """Return the senders' times of messages in seconds, NaN where missing or impossible."""
    sent = batch.column("timestamp").to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        return np.where((sent >= 0) & (sent < LATEST_S), sent, np.nan)
