"""The Parquet files of sealed segments, of either format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from msgspec.structs import replace

from .arrow_messages import sent_times
from .columns import COLUMNS, ENCODINGS, FORMAT_KEY, FORMAT_VERSION, MEANING_KEY, REPEATING, STATISTICS
from .index_file import MEANING
from .manifest import FORMAT, STATS_KEY, Manifest, SegmentStats, wider


def messages_file(table: pa.Table, stats: bytes) -> pa.Buffer:
    """Return the file of a segment of format 1: messages alone."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata({STATS_KEY: stats}),
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=["epoch", "type"],
        row_group_size=table.num_rows,
    )
    return sink.getvalue()


def columns_file(table: pa.Table, stats: bytes) -> pa.Buffer:
    """Return the file of a segment of format 2.

    Arrow's own schema is not stored: with it, pyarrow would read the words of some files as dictionaries and those of
    others as text.
    """
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=list(REPEATING),
        column_encoding={name: code for name, code in ENCODINGS.items() if name in COLUMNS.names},
        write_statistics=list(STATISTICS),
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
        meaning = str(MEANING).encode()
        writer.add_key_value_metadata({STATS_KEY: stats, FORMAT_KEY: FORMAT_VERSION, MEANING_KEY: meaning})
    return sink.getvalue()


def with_senders_times(stats: SegmentStats, manifest: Manifest | None, opened: Callable[[], Any]) -> SegmentStats:
    """Return what a segment contains with its senders' times, which the first versions did not note.

    Without them a simulated January that was recorded in November lasts 329 days (issue 10). A file that cannot be read
    is left as it is; an error is raised when its messages are read.
    """
    is_known = stats.sent is not None or stats.time is None
    if is_known or (manifest is not None and manifest.format == FORMAT):
        return stats
    try:
        table = pq.read_table(opened(), columns=["timestamp", "row"])
    except (ValueError, OSError, pa.ArrowException):
        return stats
    return replace(stats, sent=wider(None, sent_times(table.filter(table.column("row").is_valid()))))
