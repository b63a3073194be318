"""Questions by row number: the rows of some types or that meet a condition, their events, calls and the town then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .characters import AttributeNames, CharacterColumns
from .links import own_values
from .llm import read_calls
from .questions import Questions
from .schema import Ints
from .selection import has_word, select
from .table import Array, LazyColumns, View


def part_of(view: View, start: int, stop: int | None = None) -> View:
    """Return the rows of a view from `start` to before `stop`, as far as held."""
    held = view.rows(start, view.next_row if stop is None else stop)
    return View(
        view.first_row + held.start,
        view.first_row + held.stop,
        view.columns.part(held) if isinstance(view.columns, LazyColumns) else _part(view.columns, held),
        view.masks.part(held) if isinstance(view.masks, LazyColumns) else _part(view.masks, held),
        view.dictionaries,
        view.frame.iloc[held],
        links=view.links,
    )


def _part(columns: dict[str, Array], held: slice) -> dict[str, Array]:
    return {name: values[held] for name, values in columns.items()}


class RowQuestions:
    """The answers of a store that name rows: what a panel needs to show a part of a long run."""

    def __init__(self, questions: Questions, names: AttributeNames) -> None:
        self._ask = questions
        self._names = names

    def rows_of(self, types: Sequence[str] | None, start: int = 0, stop: int | None = None) -> Sequence[int]:
        """Return the numbers of the rows of some types, ascending; those of all types as a range."""
        part = part_of(self._ask.view(), start, stop)
        if types is None:
            return range(part.first_row, part.next_row)
        found: Any = np.flatnonzero(has_word(part, "type", types)) + part.first_row
        return found  # type: ignore[no-any-return]  # an array reads as a sequence

    def rows_where(self, where: str, start: int, stop: int) -> Ints:
        """Return the numbers of the rows that meet a condition; `ValueError` if that cannot be understood."""
        part = part_of(self._ask.view(), start, stop)
        names: dict[str, Any] = {}
        found = select(
            part, names, since=None, until=None, where=where, last=None,
            payloads=self._ask.take_payloads, attributes=self._names.unsaid,
        )  # fmt: skip
        numbers: Ints = np.arange(part.first_row, part.next_row)[found]
        return numbers

    def frame_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the events of ascending row numbers, as far as held."""
        view = self._ask.view()
        numbers = np.asarray(rows, dtype=np.int64)
        held = numbers[(numbers >= view.first_row) & (numbers < view.next_row)]
        return own_values(view.frame.iloc[held - view.first_row], view.links)

    def calls_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the calls of language models of ascending row numbers, as `llm_calls` lists them."""
        frame = self.frame_of(rows)
        calls = read_calls(frame["type"].tolist(), self._ask.take_payloads(frame.index.to_list()))
        links = {name: frame[name] for name in ("event_id", "cause")}
        return frame[["epoch", "seq", "tick", "time", "character_id"]].assign(**calls, **links)

    def past_columns(self, row: int) -> CharacterColumns:
        """Return the characters as they were after a row; `ValueError` if that is no longer held."""
        view = self._ask.view()
        return self._ask.as_it_was(view, min(row + 1, view.next_row)).columns()
