"""A segment of a long recording without columns, with the words of the whole run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core.event_columns import CATEGORIES, NUMBERS, TIMES
from ..store.columns import Dictionary
from ..store.event_store import EventStore
from ..store.links import LinkView
from ..store.pieces import Extract, Extracted, Pattern, payloads_with
from ..store.table import Array, LazyColumns, View


class LongPiece:
    """The events of a segment, which is read when something is asked of it."""

    def __init__(
        self, read: Callable[[], EventStore], first_row: int, next_row: int, words: Mapping[str, Dictionary]
    ) -> None:
        self._read = read
        self.first_row, self.next_row = first_row, next_row
        self._words = words

    def view(self) -> View:
        """Return the events."""
        view = self._read().view()

        def column(name: str) -> Array:
            values: Any = view.columns[name]
            if name not in CATEGORIES:
                return values  # type: ignore[no-any-return]
            known = self._words[name]
            codes = np.array([*(known[word] for word in view.dictionaries[name].words), -1], np.int32)
            return codes[values]  # type: ignore[no-any-return]

        names = (*CATEGORIES, *NUMBERS, *TIMES)
        return View(
            self.first_row,
            self.next_row,
            LazyColumns(names, column),
            view.masks,
            self._words,  # type: ignore[arg-type]  # read only
            view.frame,
            links=_moved(view.links, self.first_row),
        )

    def payloads(self, places: Array) -> list[bytes]:
        """Return payloads of events, given by their places."""
        return self._read().take_payloads(np.asarray(places, np.int64).tolist())

    def extracted(self, extract: Extract) -> Extracted:
        """Return an extract of the events."""
        return extract.make(self)

    def payloads_with(self, type: str, pattern: Pattern) -> tuple[Array, list[bytes]]:
        """Return the places and payloads of the events of a type whose payloads have a pattern."""
        return payloads_with(self, type, pattern)


def _moved(links: LinkView, rows: int) -> LinkView:
    """Return links with other numbers of rows."""
    ids, causes, interventions = (texts._replace(rows=texts.rows + rows) for texts in links[:3])
    return LinkView(ids, causes, interventions, links.time_rows + rows, links.times)
