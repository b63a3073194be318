"""The messages in the bytes of a segment, sealed or open, which may be damaged or hostile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from .arrow_messages import SCHEMAS, WORD, without_null_words
from .column_messages import message_columns, to_messages
from .framing import Record
from .manifest import SegmentStats, digest_of

MAX_SEGMENT_BYTES: Final = 4 << 30  # read into memory: 60 times what a recorder writes


def sound_bytes(path: Path, digest: str) -> pa.Buffer:
    """Read a file into Arrow's memory: with Python's, Arrow's threads may release it too late and abort the process."""
    if path.stat().st_size > MAX_SEGMENT_BYTES:
        raise ValueError("it is too large for a segment")
    with pa.OSFile(os.fsencode(path)) as file:  # as bytes, since text would have to be UTF-8
        data = file.read_buffer()
    if digest_of(data) != digest:
        raise ValueError("its checksum does not match")
    return data


def read_table(data: pa.Buffer, stats: SegmentStats) -> pa.Table:
    """Read a sealed segment whose checksum matches, but whose content may still be hostile."""
    file = pq.ParquetFile(pa.BufferReader(data))
    metadata = file.metadata
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if size > MAX_SEGMENT_BYTES or metadata.num_rows != stats.messages:
        raise ValueError("its size does not match its statistics")
    schema = file.schema_arrow.remove_metadata()
    names = None if schema in SCHEMAS else message_columns(schema)
    if names is None and schema not in SCHEMAS:
        raise ValueError("its columns are not those of a recording")
    table = file.read(columns=names)
    table.validate(full=True)
    if names is not None:
        table = to_messages(table)
    if any(table.column(name).null_count for name in ("received", "type", "data")):
        raise ValueError("required values are missing")
    return table


def _with_plain_nulls(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch without null words: older recorders stored an unknown epoch as a null word."""
    columns = [without_null_words(column) if column.type == WORD else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def read_batch(record: Record) -> pa.RecordBatch | None:
    """Return the messages of a valid record; `None` if they are not those of a recording."""
    try:
        with pa.ipc.open_stream(pa.BufferReader(record.payload)) as stream:
            if stream.schema not in SCHEMAS:
                return None
            batch = stream.read_next_batch()
        batch.validate(full=True)
        batch = _with_plain_nulls(batch)
    except (pa.ArrowException, OSError, StopIteration):
        return None
    whole = batch.num_rows == record.count and not any(
        batch.column(name).null_count for name in ("received", "type", "data")
    )
    return batch if whole else None
