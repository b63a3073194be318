"""The Parquet files of sealed segments, of either format."""

from __future__ import annotations

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from .columns import COLUMNS, ENCODINGS, FORMAT_KEY, FORMAT_VERSION, REPEATING, STATISTICS
from .manifest import STATS_KEY


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

    Arrow's own schema is not stored: with it pyarrow would read words of one file as a dictionary, and of another not.
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
        writer.add_key_value_metadata({STATS_KEY: stats, FORMAT_KEY: FORMAT_VERSION})
    return sink.getvalue()
