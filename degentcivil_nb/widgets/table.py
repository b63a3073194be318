"""The table of our own: all rows once, then only what changed, drawn by `static/table.js` as far as it can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from .cells import detail_text
from .packing import Column, ColumnPacker, Values, pack_places, pack_values
from .panel import Panel, Update, compose
from .refresh import Refresher

TABLE_SCRIPT: Final = compose("liveness.js", "panel.js", "cells.js", "grid.js", "table.js")
TABLE_STYLE: Final = compose("panel.css", "table.css")

Cells = dict[str, Values]
"""The values of each column by its name."""


class TablePanel(Panel):
    """Be a panel that shows a table, with the whole of a row one click away."""

    _esm = TABLE_SCRIPT
    _css = TABLE_STYLE

    empty: ClassVar[str] = "Nothing here yet."
    """What an empty table says: what would fill it."""
    follows: ClassVar[bool] = False
    """Whether the newest row is kept in sight, as in a log."""

    def __init__(self, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._detail: dict[str, Any] | None = None
        self._asked = 0
        self._told = 0

    def detail(self, key: str) -> tuple[str, Any]:
        """Give a row's title and everything that is known of it; `KeyError` when it is not held any more."""
        raise NotImplementedError

    def content_version(self) -> Any:
        """Give what `version` gives for the table alone."""
        raise NotImplementedError

    def whole(self) -> Update:
        """Give the whole table."""
        raise NotImplementedError

    def parts(self) -> Update | None:
        """Give what changed in the table."""
        raise NotImplementedError

    def version(self) -> Any:
        """See `Panel`: the table, and what was asked."""
        return self.content_version(), self._asked

    def snapshot(self) -> Update:
        """See `Panel`."""
        return self._with_detail(self.whole())

    def changes(self) -> Update | None:
        """See `Panel`."""
        update = self.parts()
        if update is None and self._told != self._asked:
            update = Update({})
        return None if update is None else self._with_detail(update)

    def received(self, content: Any) -> None:
        """Answer a page that asks for all of a row."""
        if isinstance(content, dict) and isinstance(key := content.get("detail"), str):
            self._asked += 1
            try:
                title, value = self.detail(key)
                text = detail_text(value)
            except (KeyError, ValueError):
                title, text = key, "This row is no longer held."
            self._detail = {"key": key, "title": title, "text": text}

    def _with_detail(self, update: Update) -> Update:
        if self._told != self._asked:
            self._told = self._asked
            update.body["detail"] = self._detail
        return update


class KeyedTable:
    """Remember what the pages were told of a table whose rows have keys, and send only the cells that differ."""

    def __init__(self) -> None:
        self._columns: list[Column] = []
        self._places: dict[str, int] = {}
        self._values: dict[str, Values] = {}

    def whole(self, columns: Sequence[Column], keys: Sequence[str], values: Cells, **more: Any) -> Update:
        """Give a whole table, in place of whatever there was."""
        self._columns = list(columns)
        self._places = {key: place for place, key in enumerate(keys)}
        self._values = dict(values)
        packer = ColumnPacker()
        rows = pack_rows(columns, keys, values, packer)
        return Update({"columns": [column._asdict() for column in columns], "add": rows, **more}, [packer.buffer()])

    def changed(self, keys: Sequence[str], values: Cells) -> Update | None:
        """Take in rows, some known and some new, and give the cells that differ; `None` if none does."""
        held = len(self._places)
        places = np.fromiter((self._places.setdefault(key, len(self._places)) for key in keys), np.int64, len(keys))
        order = np.argsort(places)
        places, values = places[order], {name: column[order] for name, column in values.items()}
        known = places < held
        packer = ColumnPacker()
        body: dict[str, Any] = {}
        cells = {column.name: self._set(column, places[known], values, known, packer) for column in self._columns}
        if any(cells.values()):
            body["set"] = {name: cell for name, cell in cells.items() if cell}
        if len(self._places) > held:
            fresh = {name: column[~known] for name, column in values.items()}
            self._values = {name: np.concatenate((column, fresh[name])) for name, column in self._values.items()}
            body["add"] = pack_rows(self._columns, list(self._places)[held:], fresh, packer)
        return Update(body, [packer.buffer()]) if body else None

    def _set(
        self, column: Column, at: Values, values: Cells, known: Values, packer: ColumnPacker
    ) -> dict[str, Any] | None:
        old, new = self._values[column.name], values[column.name][known]
        where = differs(old[at], new)
        if not where.any():
            return None
        if new.dtype == object != old.dtype:  # the first number that no float can hold
            old = self._values[column.name] = old.astype(object)
        at, new = at[where], new[where]
        old[at] = new
        return {**pack_places(at, len(old), packer), **pack_values(column.kind, new, packer)}


def pack_rows(columns: Sequence[Column], keys: Sequence[str], values: Cells, packer: ColumnPacker) -> dict[str, Any]:
    """Pack whole rows."""
    cells = {column.name: pack_values(column.kind, values[column.name], packer) for column in columns}
    return {"keys": list(keys), "cells": cells}


def differs(old: Values, new: Values) -> Values:
    """Say where two columns differ; missing is equal to missing."""
    different = np.asarray(old != new, dtype=bool)
    at = np.flatnonzero(different)
    one, other = old[at], new[at]
    different[at] = ~np.asarray((one != one) & (other != other), dtype=bool)  # NaN alone differs from itself
    return different
