"""Selection of the rows that a question is about, and their payloads in chunks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import numpy as np

from ..expressions.columns import Whole, Words
from ..expressions.conditions import compile_condition
from .arguments import Moment, Names, moment_ns, names_of, whole
from .links import causes_between, interventions_between, sim_times
from .payloads import read_payload
from .schema import NAT, SECOND, Ints, Mask
from .table import View

TakePayloads = Callable[[Sequence[int]], list[bytes]]
CHUNK: Final = 2_048  # payloads copied under the lock at a time


def select(
    view: View,
    words: dict[str, Names],
    *,
    since: Moment,
    until: Moment,
    where: str | None,
    last: int | None,
    payloads: TakePayloads,
    attributes: Collection[str] = (),
) -> slice | Ints:
    """Return the indices of a view's rows that pass all filters; a slice if they are contiguous without a search."""
    masks: list[Mask] = []
    for column, names in words.items():
        if names is not None:
            masks.append(has_word(view, column, names))
    if since is not None:
        masks.append(view.columns["time"] >= moment_ns(since, view.newest))
    if until is not None:
        masks.append(view.columns["time"] < moment_ns(until, view.newest))
    size = view.next_row - view.first_row
    last = None if last is None else whole(last, "`last`")
    condition = None if where is None else compile_condition(where)
    if not masks and condition is None:
        return slice(0 if last is None else max(0, size - last), size)
    rows = np.flatnonzero(np.logical_and.reduce(masks)) if masks else np.arange(size)
    if condition is not None:
        reader = PayloadReader(rows + view.first_row, payloads)
        held = condition.mask(
            lambda name: _condition_column(view, name, rows), len(rows), reader, attributes=attributes
        )
        rows = rows[held]
    return rows if last is None else rows[max(0, len(rows) - last) :]


def has_word(view: View, column: str, names: Names) -> Mask:
    """Return a mask of the rows that have one of these words in a column."""
    codes = view.columns[column]
    found = [code for code in (view.code(column, name) for name in names_of(names) or ()) if code >= 0]
    if len(found) == 1:
        match: Mask = codes == found[0]
        return match
    return np.isin(codes, found) if found else np.zeros(len(codes), np.bool_)


def _condition_column(view: View, name: str, rows: Ints) -> Any:
    """Return a column of the selected rows in the form that conditions use; `None` if there is no such column."""
    if name in view.dictionaries:
        return Words(view.columns[name][rows], view.dictionaries[name].words)
    if name in view.masks:
        return Whole(view.columns[name][rows], view.masks[name][rows])
    if name in ("time", "received"):
        nanoseconds = view.columns[name][rows]
        return np.where(nanoseconds == NAT, np.nan, nanoseconds / SECOND)
    if name == "row":
        return Whole(rows + view.first_row, np.broadcast_to(np.bool_(False), len(rows)))
    held = rows + view.first_row
    if name == "event_id":
        return Words(*view.links.ids.codes(held))
    if name == "cause":
        return causes_between(view.links.causes, held)
    if name == "intervention":
        return interventions_between(view.links.interventions, held)
    return sim_times(view.links, held) if name == "sim_time" else None


class PayloadReader:
    """A decoder of payloads by index among rows, fetched in chunks since conditions read in order."""

    def __init__(self, rows: Ints, payloads: TakePayloads) -> None:
        self._rows = rows
        self._payloads = payloads
        self._start = -CHUNK
        self._chunk: list[bytes] = []

    def __call__(self, position: int) -> Any:
        if not 0 <= position - self._start < len(self._chunk):
            self._start = position
            self._chunk = self._payloads(self._rows[position : position + CHUNK].tolist())
        return read_payload(self._chunk[position - self._start])


def decoded(rows: Sequence[int], payloads: TakePayloads) -> list[Any]:
    """Return the decoded payloads of ascending rows."""
    found: list[Any] = []
    for start in range(0, len(rows), CHUNK):
        found += [read_payload(text) for text in payloads(rows[start : start + CHUNK])]
    return found
