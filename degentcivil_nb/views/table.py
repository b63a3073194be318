"""The table of our own: all rows once, then only what changed, drawn by `static/table.js` as far as it can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np

from .cells import detail_text
from .packing import Column, Packer, Values, pack_integers, pack_values
from .panel import Panel, Update, compose
from .refresh import Refresher

TABLE_SCRIPT: Final = compose("panel.js", "cells.js", "grid.js", "table.js")
TABLE_STYLE: Final = compose("panel.css", "table.css")

Table = tuple[Sequence[Column], Sequence[str], dict[str, Values]]
"""The columns, the row keys, and the values of each column by name."""


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
    """Remember what a page was told of a table whose rows have keys, and find what changed since."""

    def __init__(self) -> None:
        self._columns: list[Column] = []
        self._keys: list[str] = []
        self._values: dict[str, Values] = {}

    def whole(self, table: Table, **more: Any) -> Update:
        """Give the whole table."""
        columns, keys, values = table
        self._remember(table)
        packer = Packer()
        body = {
            "columns": [column._asdict() for column in columns],
            "add": pack_rows(columns, keys, values, packer),
            **more,
        }
        return Update(body, [packer.buffer()])

    def changed(self, table: Table, **more: Any) -> Update | None:
        """Give the cells that differ and the rows that came; all of it where rows went or columns are others."""
        columns, keys, values = table
        held = len(self._keys)
        if list(columns) != self._columns or list(keys[:held]) != self._keys:
            return self.whole(table, **more)
        packer = Packer()
        changed: dict[str, Any] = {}
        for column in columns:
            old, new = self._values[column.name], values[column.name][:held]
            at = np.flatnonzero(differs(old, new))
            if len(at):
                packed = pack_values(column.kind, new[at], packer)
                changed[column.name] = {"at": packer.add(pack_integers(at, held)), **packed}
        body: dict[str, Any] = {}
        if changed:
            body["set"] = changed
        if len(keys) > held:
            tail = {name: column[held:] for name, column in values.items()}
            body["add"] = pack_rows(columns, keys[held:], tail, packer)
        if not body:
            return None
        self._remember(table)
        return Update({**body, **more}, [packer.buffer()])

    def _remember(self, table: Table) -> None:
        columns, keys, values = table
        self._columns, self._keys, self._values = list(columns), list(keys), dict(values)


def pack_rows(
    columns: Sequence[Column], keys: Sequence[str], values: dict[str, Values], packer: Packer
) -> dict[str, Any]:
    """Pack whole rows."""
    cells = {column.name: pack_values(column.kind, values[column.name], packer) for column in columns}
    return {"keys": list(keys), "cells": cells}


def differs(old: Values, new: Values) -> Values:
    """Say where two columns differ; missing is equal to missing."""
    different = old != new
    if old.dtype.kind == "f" and new.dtype.kind == "f":
        different &= ~(np.isnan(old) & np.isnan(new))
    return np.asarray(different, dtype=bool)
