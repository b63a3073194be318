"""The map: every character where it is, coloured by its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..figures.map_layout import spots_of
from ..pages.parts import Remark, Section
from ..pages.town_map import town_map
from .cells import seconds_of
from .characters import is_number, texts
from .interfaces import CharactersNow, PanelReader
from .packing import Column, number_values
from .panel import Update
from .refresh import Refresher
from .table import Cells, KeyedTable, TablePanel

COLUMNS = (
    Column("character_id", "text"), Column("state", "state"), Column("location", "text"),
    Column("since", "time"), Column("x", "number"), Column("y", "number"),
)  # fmt: skip


class MapPanel(TablePanel):
    """All characters at their coordinates, or grouped at their places if they have none."""

    title: ClassVar[str] = "map"
    script: ClassVar[str] = "map"
    empty: ClassVar[str] = "No characters yet. They appear at their x and y, or at their location."

    def __init__(self, reader: PanelReader, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._reader = reader
        self._table = KeyedTable()
        self._present_version = 0

    def content_version(self) -> Any:
        """See `TablePanel`."""
        return self._reader.version

    def whole(self) -> Update:
        """See `TablePanel`."""
        now = self.moment is None
        present = self.town_of(self._reader)
        self._present_version = present.version if now else 0
        spots = spots_of(self._reader.places())
        told = [[name, float(at), float(up)] for name, (at, up) in spots.items()]
        return self._table.whole(
            COLUMNS, present.character_id, _cells(present), empty=self.empty, picks="character", spots=told
        )

    def parts(self) -> Update | None:
        """See `TablePanel`."""
        present = self._reader.present_columns(self._present_version)
        if not self._present_version or present.replaced:
            return self.whole()
        self._present_version = present.version
        return self._table.changed(present.character_id, _cells(present)) if present.character_id else None

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        row = self.row_shown
        town = self._reader.characters() if row is None else self._reader.characters(row=row)
        picture = town_map(town, self._reader.places())
        return [Section(self.title, [Remark(self.empty) if picture is None else picture])]

    def detail(self, key: str) -> tuple[str, Any]:
        """Return no details: a click selects the character, and its page shows them."""
        raise KeyError(key)


def _cells(present: CharactersNow) -> Cells:
    def coordinate(name: str) -> Any:
        values = [attributes.get(name) for attributes in present.attributes]
        return number_values([value if is_number(value) else None for value in values]).astype(np.float64)

    return {
        "character_id": texts(present.character_id),
        "state": texts(present.state),
        "location": texts(present.location),
        "since": seconds_of(present.since),
        "x": coordinate("x"),
        "y": coordinate("y"),
    }
