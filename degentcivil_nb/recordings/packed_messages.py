"""Messages packed into columns, and the conversion of these to the Arrow columns of a recording."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from ..protocol.codec import malformed
from ..protocol.control_payloads import Gap, RunState, Snapshot
from ..protocol.debugging import LISTS
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import ORDERED_CONTROL, MessageTypes, RawMessage, linked
from ..store.columns import MAX_TEXT, OTHER
from ..store.schema import NOWHERE, Codes, Ints
from .arrow_messages import LINKED_SCHEMA, LINKS, SCHEMA, RecordedMessage, without_null_words

if TYPE_CHECKING:
    from ..store.ingested import Ingested, Taken

FOREIGN: Final = (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError, WebSocketError)
CONTROL_PAYLOADS: Final[dict[str, Any]] = {
    MessageTypes.GAP: Gap,
    MessageTypes.SNAPSHOT: Snapshot,
    MessageTypes.RUN_STATE: RunState,
    **LISTS,
}


class PackedLinks(NamedTuple):
    """The values of one message in the columns of `LINKS`."""

    sim_time: float | None
    event_id: str | None
    cause: str | None
    intervention: str | None


class TypeCodes(NamedTuple):
    """The types of messages as codes of words."""

    codes: Codes
    words: Sequence[str]


class Packed(NamedTuple):
    """Messages packed into columns, so that the messages and their frames can be freed."""

    came: list[tuple[int, float, str | None]]
    """The number of messages, the time of receipt and the server's epoch of each list; in order."""
    types: str | list[str] | TypeCodes
    """The types; a single word if all are equal, and codes if a store has them."""
    seqs: Any
    ticks: Any
    timestamps: Any
    ids: Any
    """`None` if no message has a value. Columns are of numpy, or of Arrow if values are missing."""
    lengths: Ints
    data: bytes
    controls: list[int]
    """Indices of ordered control messages."""
    links: list[tuple[int, PackedLinks]]
    """The links in the messages' envelopes, with the messages' indices, in order."""
    taken: Taken = ()
    """The columns that a store made, without the payloads, so that a follower need not read the messages again."""

    @property
    def epoch(self) -> str | None:
        """Return the server's epoch of the first list."""
        return self.came[0][2]

    @property
    def size(self) -> int:
        """Return the number of messages."""
        return len(self.lengths)


class _Words(dict[str | None, int]):
    def __missing__(self, word: str | None) -> int:
        code = self[word] = len(self)
        return code


def pack(entries: Sequence[RecordedMessage]) -> Packed:
    """Convert entries to columns; a message that does not fit, which no wire can carry, becomes an error.

    The columns that a store made of a single entry are reused.
    """
    came = [(len(entry.messages), entry.received, entry.epoch) for entry in entries]
    messages = entries[0].messages if len(entries) == 1 else [m for entry in entries for m in entry.messages]
    taken = entries[0].taken if len(entries) == 1 else ()
    try:
        packed = _from_store(messages, came, taken[0]) if len(taken) == 1 else _packed(messages, came)
        return packed._replace(taken=tuple([replace(one, payloads=b"") for one in taken]))
    except FOREIGN:
        return _packed([_fitted(message) for message in messages], came)


def _packed(messages: Sequence[RawMessage], came: list[tuple[int, float, str | None]]) -> Packed:
    types = [message.type for message in messages]
    one = types.count(types[0]) == len(types)
    for kind in types[:1] if one else set(types):
        kind.encode()  # raises for anything but text
    controls: list[int] = []
    if not ORDERED_CONTROL.isdisjoint(types[:1] if one else types):
        controls = [place for place, message in enumerate(messages) if _is_control(message)]
    payloads = [message.data for message in messages]
    return Packed(
        came,
        types[0] if one else types,
        _numbers("q", [message.seq for message in messages]),
        _numbers("q", [message.tick for message in messages]),
        _numbers("d", [message.timestamp for message in messages]),
        _ids(messages),
        np.frombuffer(array("q", [*map(len, payloads)]), np.int64),
        b"".join(payloads),
        controls,
        envelope_links(messages),
    )


def _from_store(messages: Sequence[RawMessage], came: list[tuple[int, float, str | None]], taken: Ingested) -> Packed:
    columns, masks = taken.batch.columns, taken.batch.masks
    return Packed(
        came,
        _types_of(messages, columns["type"], taken.words["type"].words),
        # values that the store could not read are only in the messages
        columns["seq"] if masks["seq"] is NOWHERE else _numbers("q", [message.seq for message in messages]),
        columns["tick"] if masks["tick"] is NOWHERE else _numbers("q", [message.tick for message in messages]),
        _numbers("d", [message.timestamp for message in messages]),
        _ids(messages),
        taken.lengths,
        taken.payloads or b"".join([message.data for message in messages]),  # dropped while a small list waited
        [],
        envelope_links(messages) if taken.links else [],
    )


def _types_of(messages: Sequence[RawMessage], codes: Codes, words: Sequence[str]) -> str | list[str] | TypeCodes:
    used = np.flatnonzero(np.bincount(codes)).tolist()
    if len(used) == 1:
        return messages[0].type
    if any(len(words[code]) >= MAX_TEXT or words[code] == OTHER for code in used):  # only the messages have these whole
        return [message.type for message in messages]
    return TypeCodes(codes, words)


def _ids(messages: Sequence[RawMessage]) -> Any:
    ids = [message.id for message in messages]
    return None if ids.count(None) == len(ids) else pa.array(ids, pa.string())


def _numbers(code: str, values: list[Any]) -> Any:
    try:
        return np.frombuffer(array(code, values), code)  # the fastest conversion of a list
    except TypeError:  # some values are missing
        return pa.array(values, pa.from_numpy_dtype(code))


def _fitted(message: RawMessage) -> RawMessage:
    try:
        _packed([message], [])
    except FOREIGN as error:
        return malformed(repr(message), error)
    return message


def envelope_links(messages: Sequence[RawMessage]) -> list[tuple[int, PackedLinks]]:
    """Return the indices of messages that have links in their envelopes, with these links; in order."""
    found: list[tuple[int, PackedLinks]] = []
    for place in linked(messages):
        sim_time, event_id, cause, intervention = messages[place].links()
        if event_id is not None:
            event_id.encode()  # a text that is not valid Unicode does not fit
        texts = (None if value is None else encode(value).decode() for value in (cause, intervention))
        found.append((place, PackedLinks(sim_time, event_id, *texts)))
    return found


def to_batch(parts: Sequence[RecordedMessage | Packed], first_row: int) -> pa.RecordBatch:
    """Return one batch of entries, packed or not; `first_row` is the row number of its first event.

    The slow parts release the interpreter lock.
    """
    packs: list[Packed] = []
    loose: list[RecordedMessage] = []
    for part in parts:
        if isinstance(part, RecordedMessage):
            loose.append(part)
            continue
        if loose:
            packs.append(pack(loose))
            loose = []
        packs.append(part)
    if loose:
        packs.append(pack(loose))
    lengths = np.concatenate([part.lengths for part in packs])
    size = len(lengths)
    offsets = np.zeros(size + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    data = np.concatenate([np.frombuffer(part.data, np.uint8) for part in packs])
    came = [run for part in packs for run in part.came]
    counts = [count for count, _, _ in came]
    received = np.array([moment for _, moment, _ in came], np.float64)
    epochs = _Words()
    codes = np.array([epochs[epoch] for _, _, epoch in came], np.int32)
    columns = {
        "row": _rows(packs, size, first_row),
        "received": pa.array(np.repeat(received, counts)),
        "epoch": _words_column(np.repeat(codes, counts), epochs),
        "type": _types(packs),
        "seq": _column("seq", [part.seqs for part in packs]),
        "tick": _column("tick", [part.ticks for part in packs]),
        "timestamp": _column("timestamp", [part.timestamps for part in packs]),
        "id": _column("id", [pa.nulls(part.size) if part.ids is None else part.ids for part in packs]),
        "data": pa.Array.from_buffers(pa.large_binary(), size, [None, pa.py_buffer(offsets), pa.py_buffer(data)]),
    }
    starts = np.cumsum([0, *(part.size for part in packs)]).tolist()
    links = [(start + place, one) for start, part in zip(starts, packs, strict=False) for place, one in part.links]
    if not links:
        return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
    columns |= _link_columns(links, size)
    return pa.RecordBatch.from_arrays([columns[name] for name in LINKED_SCHEMA.names], schema=LINKED_SCHEMA)


def _link_columns(found: list[tuple[int, PackedLinks]], size: int) -> dict[str, Any]:
    """Return the columns of links of so many messages."""
    rows: list[Any] = [PackedLinks(None, None, None, None)] * size
    for place, links in found:
        rows[place] = links
    columns = zip(LINKS, zip(*rows, strict=True), strict=True)
    return {field.name: pa.array(values, field.type) for field, values in columns}


def _column(name: str, pieces: list[Any]) -> Any:
    kind = SCHEMA.field(name).type
    return pa.concat_arrays([piece.cast(kind) if isinstance(piece, pa.Array) else pa.array(piece) for piece in pieces])


def _words_column(codes: Any, words: _Words) -> Any:
    """Return a column of words; a missing word is null, since Parquet refuses null in a dictionary (issue 10)."""
    column = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(words), pa.string()))
    return without_null_words(column) if None in words else column


def _types(packs: list[Packed]) -> Any:
    words = _Words()
    return _words_column(np.concatenate([_type_codes(part, words) for part in packs]), words)


def _type_codes(part: Packed, words: _Words) -> Codes:
    types = part.types
    if isinstance(types, str):
        return np.full(part.size, words[types], np.int32)
    if isinstance(types, TypeCodes):
        used, first = np.unique(types.codes, return_index=True)
        mine = np.zeros(int(used[-1]) + 1, np.int32)
        for code in used[np.argsort(first)].tolist():  # in the order of their appearance
            mine[code] = words[types.words[code]]
        found: Codes = mine[types.codes]
        return found
    return np.fromiter(map(words.__getitem__, types), np.int32, part.size)


def _rows(packs: list[Packed], size: int, first_row: int) -> Any:
    if not any(part.controls for part in packs):
        return pa.array(np.arange(first_row, first_row + size))
    controls = np.zeros(size, np.bool_)
    start = 0
    for part in packs:
        controls[[start + place for place in part.controls]] = True
        start += part.size
    return pa.array(first_row + np.cumsum(~controls) - 1, pa.int64(), mask=controls)


def _is_control(message: RawMessage) -> bool:
    """Return whether a store accepts it as a control message; a malformed one becomes an event of type `error`."""
    if message.type not in ORDERED_CONTROL:
        return False
    try:
        decode(CONTROL_PAYLOADS[message.type], message.data)
    except WebSocketError:
        return False
    return True
