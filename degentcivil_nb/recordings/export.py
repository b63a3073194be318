"""Export of a recording to one file for other programs: Parquet, CSV or JSON lines, written in pieces."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from msgspec import Raw, Struct

from ..core.escaping import escape_formula, visible
from ..core.event_columns import EVENT_COLUMNS
from ..core.progress import Progress, following
from ..core.whole_file import written_whole
from ..protocol.errors import WebSocketError
from ..protocol.json_text import FOREIGN, encode
from ..protocol.messages import MessageTypes
from ..store.event_store import EventStore
from .arrow_messages import RecordedMessage
from .columns import kind_of
from .segment_reader import SegmentFolder

logger = logging.getLogger("degentcivil_nb.recordings")

PIECE: Final = 16_384
"""How many messages are in memory at a time, roughly."""
COLUMNS: Final = pa.schema(
    [
        ("row", pa.int64()),
        *((name, kind_of(name)) for name in EVENT_COLUMNS),
        ("payload", pa.string()),
        ("data", pa.string()),
    ]
)
"""The columns of `events(payload=True)`, payloads as JSON text; a gap is a line of type `gap` without `row`."""


def export_recording(
    path: str | os.PathLike[str], out: str | os.PathLike[str], *, progress: Progress | None = None
) -> int:
    """Write a recording to `OUT.parquet`, `OUT.csv` or `OUT.jsonl` and return the number of lines.

    Parquet and CSV have the columns of `events(payload=True)`, and gaps as lines; in CSV a text that a spreadsheet
    would calculate is prefixed with an apostrophe. JSON lines contain every message unchanged, with `epoch` and
    `received`. The file appears only when it is complete. Messages that cannot be read are a gap in the file, and a
    warning in the log. Raises `ValueError` for another suffix, `FileExistsError` if the file exists,
    `FileNotFoundError` if there is no recording.
    """
    target = Path(out)
    write = WRITERS.get(target.suffix.lower())
    if write is None:
        raise ValueError(f"the suffix of {target.name} must be one of {', '.join(WRITERS)}")
    if target.exists():
        raise FileExistsError(f"{target} exists already; pass another name, or delete it")
    folder = SegmentFolder(Path(path))
    with following(f"exporting {visible(str(path))}", progress) as told, written_whole(target) as beside:
        lines = write(_pieces(folder, told), beside)
    if folder.problems:
        more = f" … and {len(folder.problems) - 1:,} more" if len(folder.problems) > 1 else ""
        logger.warning("%s is incomplete, and so is %s: %s%s", path, target.name, folder.problems[0], more)
    return lines


def _pieces(folder: SegmentFolder, progress: Progress) -> Iterator[list[RecordedMessage]]:
    piece: list[RecordedMessage] = []
    size = done = 0
    for entry in folder.entries():
        for start in range(0, len(entry.messages), PIECE):  # one entry may be larger than a piece
            part = RecordedMessage(entry.messages[start : start + PIECE], entry.received, entry.epoch)
            piece.append(part)
            size += len(part.messages)
            if size >= PIECE:
                yield piece
                done += size
                piece, size = [], 0
                progress(done, folder.messages)
    if piece:
        yield piece
        progress(done + size, folder.messages)


# --- tables ------------------------------------------------------------------------------------------------------


def _tables(pieces: Iterator[list[RecordedMessage]]) -> Iterator[pa.Table]:
    first = 0
    for piece in pieces:
        store = EventStore(max_rows=sum(len(entry.messages) for entry in piece))
        for entry in piece:
            store.append(list(entry.messages), entry.received, entry.epoch)
        yield _with_gaps(store, first)
        first += store.next_row


def _with_gaps(store: EventStore, first: int) -> pa.Table:
    frame = store.events()
    for name in ("cause", "intervention"):
        frame[name] = [_as_text(value) for value in frame[name]]
    rows = frame.index.to_numpy()
    columns = {name: _plain(frame[name], COLUMNS.field(name).type) for name in frame.columns}
    texts = [payload.decode("utf-8", "replace") for payload in store.take_payloads(rows.tolist())]
    events_of = (frame["type"] == MessageTypes.EVENT_NOTIFICATION).tolist()
    data = [_inner(text) if is_event else None for text, is_event in zip(texts, events_of, strict=True)]
    columns |= {
        "row": pa.array(rows + first),
        "payload": pa.array(texts, pa.string()),
        "data": pa.array(data, pa.string()),
    }
    events = pa.table([columns[name] for name in COLUMNS.names], schema=COLUMNS)
    gaps = store.gaps()
    if not len(gaps):
        return events
    lines = [_gap_line(gap) for gap in gaps.to_dict("records")]
    places = np.concatenate([gaps["row"].to_numpy() * 2, rows * 2 + 1])  # a gap comes before the row that it names
    return pa.concat_tables([pa.Table.from_pylist(lines, COLUMNS), events]).take(np.argsort(places, kind="stable"))


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else encode(value).decode()


class _Inner(Struct):
    data: Raw = Raw(b"null")


def _inner(text: str) -> str | None:
    """Return `data` of an event notification as JSON text."""
    try:
        data = bytes(msgspec.json.decode(text, type=_Inner).data).decode()
    except FOREIGN:
        return None
    return None if data == "null" else data


def _plain(series: Any, kind: pa.DataType) -> pa.Array:
    values = pa.array(series, from_pandas=True)
    return values.cast(pa.string()).cast(kind) if pa.types.is_dictionary(values.type) else values.cast(kind, safe=False)


def _gap_line(gap: dict[Any, Any]) -> dict[str, Any]:
    start, end = (None if pd.isna(gap[name]) else int(gap[name]) for name in ("from_seq", "to_seq"))
    epoch = None if pd.isna(gap["epoch"]) else gap["epoch"]
    said = {"epoch": epoch, "from": start, "to": end, "reason": gap["reason"]}
    time = gap["time"].to_pydatetime()
    where = "an unknown number" if start is None or end is None else f"positions {start} to {end}"
    return {
        "epoch": epoch,
        "time": time,
        "received": time,
        "type": "gap",
        "message": f"{where} missing: {gap['reason']}",
        "payload": encode(said).decode(),
    }


def _parquet(pieces: Iterator[list[RecordedMessage]], path: Path) -> int:
    lines = 0
    with pq.ParquetWriter(path, COLUMNS, compression="zstd") as writer:
        for table in _tables(pieces):
            writer.write_table(table)
            lines += table.num_rows
    return lines


def _csv(pieces: Iterator[list[RecordedMessage]], path: Path) -> int:
    lines = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS.names)
        for table in _tables(pieces):
            columns = [_cells(column) for column in table.columns]
            writer.writerows(zip(*columns, strict=True))
            lines += table.num_rows
    return lines


def _cells(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return list(column.cast(pa.string()).to_pylist())  # a hundred times faster than through datetime objects
    values: list[Any] = column.to_pylist()
    return [escape_formula(value) if isinstance(value, str) else value for value in values]


# --- messages ----------------------------------------------------------------------------------------------------


class _Line(Struct, omit_defaults=True):
    type: str
    data: Any
    timestamp: float | None = None
    seq: int | None = None
    tick: int | None = None
    id: str | None = None
    sim_time: float | None = None
    event_id: str | None = None
    cause: str | list[str] | None = None
    intervention: dict[str, Any] | None = None
    epoch: str | None = None
    received: float | None = None


def _jsonl(pieces: Iterator[list[RecordedMessage]], path: Path) -> int:
    lines = 0
    with path.open("wb") as file:
        for piece in pieces:
            for entry in piece:
                for message in entry.messages:
                    line = _Line(
                        message.type,
                        message.data,
                        message.timestamp,
                        message.seq,
                        message.tick,
                        message.id,
                        *message.links(),
                        entry.epoch,
                        entry.received,
                    )
                    file.write(_json(line) + b"\n")
                    lines += 1
    return lines


def _json(line: _Line) -> bytes:
    try:
        text: bytes = msgspec.json.format(encode(line), indent=-1)  # a payload may span several lines
    except (WebSocketError, *FOREIGN):  # a recording from elsewhere may contain anything
        line.data = bytes(Raw(line.data)).decode("utf-8", "replace")
        text = encode(line)
    return text


WRITERS: Final[dict[str, Callable[[Iterator[list[RecordedMessage]], Path], int]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
}
