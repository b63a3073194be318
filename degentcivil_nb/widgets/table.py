"""The base of table panels: all rows are sent once, then only changes; `static/table.js` draws the visible ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from .cells import detail_text, shorten
from .packing import Column, ColumnPacker, Values, pack_places, pack_values
from .panel import Panel, Update
from .refresh import Refresher
from .row_actions import RowActions

Cells = dict[str, Values]
"""The values of each column by its name."""


class TablePanel(Panel):
    """A panel that shows a table, with the details of a row on a click."""

    script: ClassVar[str] = "table"
    empty: ClassVar[str] = "Nothing here yet."
    """The text of an empty table, which says what would fill it."""
    follows: ClassVar[bool] = False
    """Whether the newest row stays visible, as in a log."""

    talks: ClassVar[bool] = False
    """Whether a row belongs to a conversation."""

    def __init__(self, refresher: Refresher, *, actions: RowActions | None = None, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self.actions = actions
        self._reply: dict[str, Any] = {}  # answers to requests of pages: details, a chain, the offers of a row
        self._asked = 0
        self._told = 0

    def detail(self, key: str) -> tuple[str, Any]:
        """Return a row's title and details; `KeyError` if it is no longer held."""
        raise NotImplementedError

    def row_of(self, key: str) -> int | None:
        """Return the stored row that a row of the table is about; `None` if there is none."""
        return None

    def offers(self, key: str, row: int | None) -> list[list[str]]:
        """Return conditions at which the run may stop, for a row of the table: words, and the condition."""
        return [] if self.actions is None or row is None else self.actions.offers(row)

    def evidence(self, key: str) -> list[int]:
        """Return the stored rows that are the evidence for a row of the table."""
        return []

    def conversation(self, key: str) -> dict[str, Any]:
        """Return the conversation that a row belongs to, in the page's form of a chain; `KeyError` if there is none."""
        raise KeyError(key)

    def detail_body(self, value: Any) -> dict[str, Any]:
        """Return details in the form of the page: by default as text."""
        return {"text": detail_text(value)}

    def content_version(self) -> Any:
        """Return the version of the table alone."""
        raise NotImplementedError

    def whole(self) -> Update:
        """Return the whole table."""
        raise NotImplementedError

    def parts(self) -> Update | None:
        """Return what changed in the table."""
        raise NotImplementedError

    def version(self) -> Any:
        """See `Panel`: the table, and requested details."""
        return self.content_version(), self._asked

    def past_version(self) -> Any:
        """See `Panel`."""
        return self._asked

    def snapshot(self) -> Update:
        """See `Panel`."""
        update = self.whole()
        update.body["breaks"] = self.actions is not None and self.actions.breaks
        return self._with_detail(update)

    def changes(self) -> Update | None:
        """See `Panel`."""
        update = self.parts() if self.moment is None else None
        if update is None and self._told != self._asked:
            update = Update({})
        return None if update is None else self._with_detail(update)

    def received(self, content: Any) -> None:
        """Answer a page's request for the details of a row, its actions, its causes or its effects."""
        if not isinstance(content, dict):
            return
        if isinstance(key := content.get("detail"), str):
            try:
                title, value = self.detail(key)
            except (KeyError, ValueError):
                title, value = key, "This row is no longer held."
            self._answer(detail={"key": key, "title": title, **self.detail_body(value)})
        elif isinstance(key := content.get("offers"), str):
            self._answer(acts=self._acts(key))
        elif isinstance(key := content.get("chain"), str):
            to = str(content.get("to"))
            self._act(lambda: {"chain": {"key": key, **self._chain(key, to)}})
        elif isinstance(condition := content.get("again"), str):
            self._act(lambda: {"said": {"text": self._break_when(condition[:2_000]), "failed": False}})

    def _acts(self, key: str) -> dict[str, Any]:
        row, actions = self.row_of(key), self.actions
        chains = row is not None and actions is not None and actions.chains
        return {
            "key": key, "row": row, "chains": chains, "breaks": self.offers(key, row), "talks": self.talks,
            "can_break": actions is not None and actions.breaks,
        }  # fmt: skip

    def _chain(self, key: str, to: str) -> dict[str, Any]:
        if to == "talk":
            return self.conversation(key)
        row = self.row_of(key)
        if row is None or self.actions is None:
            raise ValueError("the causes of this row are unknown")
        if to == "causes" and (rows := self.evidence(key)):
            return self.actions.evidence("The evidence", rows)
        return self.actions.chain(row, "effects" if to == "effects" else "causes")

    def _break_when(self, condition: str) -> str:
        if self.actions is None:
            raise ValueError("this run takes no breakpoints")
        return self.actions.break_when(condition)

    def _act(self, work: Callable[[], dict[str, Any]]) -> None:
        """Run work that may take time on a thread of its own; the result is shown beside the row."""

        def run() -> None:
            try:
                reply = work()
            except Exception as error:  # noqa: BLE001 — the user pressed a button and sees any failure
                words = "This row is no longer held." if isinstance(error, KeyError) else str(error)
                reply = {"said": {"text": shorten(words or type(error).__name__, 1_000), "failed": True}}
            self._refresher.post(lambda: self._answer(**reply))
            self.refresh_soon()

        threading.Thread(target=run, name="degentcivil-rows", daemon=True).start()

    def _answer(self, **reply: Any) -> None:
        self._asked += 1
        self._reply |= reply

    def _with_detail(self, update: Update) -> Update:
        if self._told != self._asked:
            self._told = self._asked
            update.body.update(self._reply)
            self._reply = {}
        return update


class KeyedTable:
    """The last state sent of a table whose rows have keys; only cells that differ are sent again."""

    def __init__(self) -> None:
        self._columns: list[Column] = []
        self._places: dict[str, int] = {}
        self._values: dict[str, Values] = {}

    def whole(self, columns: Sequence[Column], keys: Sequence[str], values: Cells, **more: Any) -> Update:
        """Return a whole table, replacing the last state."""
        self._columns = list(columns)
        self._places = {key: place for place, key in enumerate(keys)}
        self._values = dict(values)
        packer = ColumnPacker()
        rows = pack_rows(columns, keys, values, packer)
        return Update({"columns": [column._asdict() for column in columns], "add": rows, **more}, [packer.buffer()])

    def changed(self, keys: Sequence[str], values: Cells) -> Update | None:
        """Add or update rows, and return the cells that differ; `None` if all are equal."""
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
        if new.dtype == object != old.dtype:  # the first number too large for a float
            old = self._values[column.name] = old.astype(object)
        at, new = at[where], new[where]
        old[at] = new
        return {**pack_places(at, len(old), packer), **pack_values(column.kind, new, packer)}


def pack_rows(columns: Sequence[Column], keys: Sequence[str], values: Cells, packer: ColumnPacker) -> dict[str, Any]:
    """Pack whole rows."""
    cells = {column.name: pack_values(column.kind, values[column.name], packer) for column in columns}
    return {"keys": list(keys), "cells": cells}


def differs(old: Values, new: Values) -> Values:
    """Return a mask of the differences between two columns; missing equals missing."""
    different = np.asarray(old != new, dtype=bool)
    at = np.flatnonzero(different)
    one, other = old[at], new[at]
    different[at] = ~np.asarray((one != one) & (other != other), dtype=bool)  # NaN alone differs from itself
    return different
