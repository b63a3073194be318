"""The messages that the columns of a segment hold, exactly as they were sent."""

from __future__ import annotations

from typing import Final

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]

from .arrow_messages import LINKED_SCHEMA, SCHEMA
from .columns import COLUMNS, PAYLOAD, PAYLOAD_BYTES, PAYLOAD_OF, one_array
from .link_columns import LINK_COLUMNS, SENT_LINKS, links_as_sent

CLOCKS: Final = ("time", "time_source", "sent_time", "received", "received_s")
"""The columns that say when a message was sent and received."""
NEEDED: Final = (
    *("row", "epoch", "seq", "tick", "type", "id", "sent_type", "sent_seq", "sent_tick"),
    *(*CLOCKS, *LINK_COLUMNS, SENT_LINKS, PAYLOAD, PAYLOAD_BYTES),
)
"""The columns that hold the messages; all others, except those of payloads, follow from them."""


def message_columns(schema: pa.Schema) -> list[str] | None:
    """Return the columns of a file that hold its messages; `None` if some are missing or of another type.

    A file of another version may lack columns that follow from the messages, or have more of them.
    """
    names = [*NEEDED, *(name for name in PAYLOAD_OF if name in schema.names)]
    return names if all(_has(schema, name) for name in names) else None


def has_all_columns(schema: pa.Schema) -> bool:
    """Return whether a file has every column of this version."""
    return all(_has(schema, name) for name in COLUMNS.names)


def _has(schema: pa.Schema, name: str) -> bool:
    at: int = schema.get_field_index(name)  # below 0 if there is none, or several
    return at >= 0 and bool(schema.field(at).type == COLUMNS.field(name).type)


def to_clocks(table: pa.Table) -> pa.Table:
    """Return `timestamp` and `received` of messages from the columns `CLOCKS`."""
    column = {name: one_array(table.column(name)) for name in CLOCKS}
    sent = pc.if_else(pc.equal(column["time_source"], "sent"), _float(column["time"]), None)
    return pa.table(
        {
            "timestamp": pc.coalesce(column["sent_time"], sent),
            "received": pc.coalesce(column["received_s"], _float(column["received"])),
        }
    )


def to_messages(table: pa.Table) -> pa.Table:
    """Return the messages of `message_columns`, as a table of `SCHEMA`, with links if there are any."""
    column = {name: one_array(table.column(name)) for name in table.column_names}
    names = (PAYLOAD_BYTES, PAYLOAD, *(name for name in PAYLOAD_OF if name in column))
    data = pc.coalesce(*(column[name].cast(pa.binary()).cast(pa.large_binary()) for name in names))
    clocks = to_clocks(table)
    made = {
        "row": column["row"],
        "received": clocks.column("received"),
        "epoch": column["epoch"].dictionary_encode(),
        "type": pc.coalesce(column["sent_type"], column["type"]).dictionary_encode(),
        "seq": pc.coalesce(column["sent_seq"], column["seq"]),
        "tick": pc.coalesce(column["sent_tick"], column["tick"]),
        "timestamp": clocks.column("timestamp"),
        "id": column["id"],
        "data": data,
    }
    links = links_as_sent(column)
    schema = LINKED_SCHEMA if links else SCHEMA
    made |= links
    return pa.table([made[name].cast(schema.field(name).type) for name in schema.names], schema=schema)


def _float(times: pa.Array) -> pa.Array:
    return pc.divide(times.cast(pa.int64()).cast(pa.float64()), 1e6)
