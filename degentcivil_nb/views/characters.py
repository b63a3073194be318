"""The panel of the town: a row a character, with its state, place and attributes as they are now."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import pandas as pd

from .cells import column_of
from .interfaces import Reader
from .packing import Column, Kind, Values
from .panel import Update
from .refresh import Refresher
from .table import KeyedTable, Table, TablePanel

MAX_ATTRIBUTES: Final = 60
KINDS: Final[dict[str, Kind]] = {"state": "state", "since": "time", "last_seen": "time"}


class CharactersPanel(TablePanel):
    """Show all characters as they are now."""

    title: ClassVar[str] = "characters"
    empty: ClassVar[str] = (
        "No characters yet. They appear with the first state_change or character_update that names them."
    )

    def __init__(self, reader: Reader, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._reader = reader
        self._held = KeyedTable()

    def content_version(self) -> Any:
        """See `TablePanel`."""
        return self._reader.version

    def whole(self) -> Update:
        """See `TablePanel`."""
        table, note = self._table()
        return self._held.whole(table, note=note, empty=self.empty)

    def parts(self) -> Update | None:
        """See `TablePanel`."""
        table, note = self._table()
        return self._held.changed(table, note=note)

    def detail(self, key: str) -> tuple[str, Any]:
        """Give all attributes of a character."""
        row = self._reader.characters().loc[key]
        known = {str(name): value for name, value in row.items() if not _missing(value)}
        return key, {name: str(v) if isinstance(v, pd.Timestamp) else v for name, v in known.items()}

    def _table(self) -> tuple[Table, str]:
        frame = self._reader.characters()
        names = list(frame.columns)
        attributes = [name for name in names if name not in KINDS and name != "location"]
        shown = ["state", "location", *attributes[:MAX_ATTRIBUTES], "since", "last_seen"]
        keys = frame.index.astype(str).tolist()
        columns = [Column("character_id", "text", "character")]
        values: dict[str, Values] = {"character_id": column_of(pd.Series(keys, dtype=object), "text")[1]}
        for name in shown:
            if name in frame:
                kind, cells = column_of(frame[name], "state" if name == "state" else None)
                columns.append(Column(str(name), kind))
                values[str(name)] = cells
        over = len(attributes) - MAX_ATTRIBUTES
        note = f"{over:,} more attributes are not shown: see session.characters()" if over > 0 else ""
        return (columns, keys, values), note


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)
