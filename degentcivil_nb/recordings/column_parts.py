"""The events of a recording in parts, sealed segments and what follows them, and reading them together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd

from ..core.event_columns import EVENT_COLUMNS, NUMBERS
from ..core.progress import following_cell
from ..protocol.messages import MessageTypes
from ..store.arguments import moment_ns
from ..store.change_extract import changes_in, is_cut
from ..store.columns import Dictionary, number_dtype
from ..store.links import causes_between, interventions_between, sim_times
from ..store.pieces import Extract, Extracted, Pattern, payloads_with
from ..store.schema import NAT, SECOND, Ints
from ..store.table import Array, View, event_frame
from ..store.timeline import UNKNOWN, Extra, stay_table
from .link_columns import LINK_COLUMNS
from .manifest import SegmentStats
from .sealed_columns import NO_FRAME, SealedColumns
from .whole_run import WholeRun

THREADS: Final = 4
"""How many segments are read at a time: decompression releases the interpreter lock."""
WORTH_THREADS: Final = 8
"""The least number of segments that are read on threads: fewer are read sooner than threads start."""

S = TypeVar("S")
T = TypeVar("T")


class Tail:
    """The events after the sealed segments, in a store, with the methods of a sealed segment."""

    stats: SegmentStats | None = None

    def __init__(self, run: WholeRun) -> None:
        self._run = run

    @property
    def first_row(self) -> int:
        """Return the row of the first event."""
        return self._run.first_row

    @property
    def next_row(self) -> int:
        """Return the row that the next event will have."""
        return self._run.next_row

    def view(self) -> View:
        """Return the events."""
        return self._run.view()

    def columns_at(self, names: Sequence[str], places: Array) -> dict[str, Array]:
        """Return columns of some events, and where numbers are missing."""
        view = self._run.view()
        found = {name: view.columns[name][places] for name in names}
        return found | {f"{name} missing": view.masks[name][places] for name in names if name in NUMBERS}

    def links(self, places: Array) -> dict[str, Array]:
        """Return the columns of links of events, given by their indices, and a mask of missing `sim_time`s."""
        view = self._run.view()
        rows = np.asarray(places, np.int64) + view.first_row
        codes, texts = view.links.ids.codes(rows)
        times = sim_times(view.links, rows)
        return {
            "event_id": np.array([*texts, None], object)[codes],
            "cause": causes_between(view.links.causes, rows),
            "intervention": interventions_between(view.links.interventions, rows),
            "sim_time": np.nan_to_num(times),
            "sim_time missing": np.isnan(times),
        }

    def rows_with(self, name: str, words: Collection[str]) -> dict[str, list[int]]:
        """Return the rows that have each of some ids as `event_id`, or among those of `cause`."""
        return self._run.rows_named(words) if name == "event_id" else self._run.rows_caused(words)

    def payloads(self, places: Array) -> list[bytes]:
        """Return payloads of events, given by their indices."""
        return self._run.take_payloads((np.asarray(places, np.int64) + self.first_row).tolist())

    def extracted(self, extract: Extract) -> Extracted:
        """Return an extract of the events."""
        return extract.make(self)

    def payloads_with(self, type: str, pattern: Pattern) -> tuple[Array, list[bytes]]:
        """Return the places and payloads of the events of a type whose payloads have a pattern."""
        return payloads_with(self, type, pattern)


Part = SealedColumns | Tail
Chosen = tuple[Part, Array]
"""A part, and the indices of events in it."""


def each(parts: Sequence[S], work: Callable[[S], T]) -> list[T]:
    """Return the result of `work` for each part, in order; several parts are read at a time.

    A cell that waits shows the progress. Panels read on threads of their own, and show none.
    """
    if len(parts) < WORTH_THREADS:
        return [work(part) for part in parts]
    found: list[T] = []
    with ThreadPoolExecutor(THREADS) as pool, following_cell("reading segments") as progress:
        for result in pool.map(work, parts):
            found.append(result)
            progress(len(found), len(parts))
    return found


def can_have(part: Part, errors: int, types: Collection[str] | None, since: Any = None, until: Any = None) -> bool:
    """Return whether a part can have events of these types (`errors`: how many errors it has) and times."""
    stats = part.stats
    if stats is None:
        return True
    if stats.time is not None:
        if since is not None and stats.time[1] * SECOND < moment_ns(since) - 1_000:
            return False
        if until is not None and stats.time[0] * SECOND > moment_ns(until) + 1_000:
            return False
    if types is None or stats.types is None:
        return True
    return any(name in stats.types or (name == MessageTypes.ERROR and errors > 0) for name in types)


def frame_of(
    chosen: Sequence[Chosen], words: Mapping[str, Dictionary], codes: Dictionary, names: Collection[str] = EVENT_COLUMNS
) -> pd.DataFrame:
    """Return the frame of `events()` for chosen events; `codes` are those of all errors of the run.

    Columns that are not among the `names` are not read.
    """
    plain = [name for name in EVENT_COLUMNS if name in names and name not in LINK_COLUMNS]
    pieces = each(chosen, lambda one: one[0].columns_at(plain, one[1]) | one[0].links(one[1]))
    columns = {name: _together([piece[name] for piece in pieces]) for name in plain}
    numbers: list[str] = [name for name in NUMBERS if name in plain]
    masks = {name: _together([piece[f"{name} missing"] for piece in pieces], np.bool_) for name in numbers}
    widest = max((abs(int(code)) for code in codes.words if code.lstrip("-").isdigit()), default=0)
    for name in LINK_COLUMNS:
        columns[name] = _together([piece[name] for piece in pieces], np.float64 if name == "sim_time" else object)
    masks["sim_time"] = _together([piece["sim_time missing"] for piece in pieces], np.bool_)
    if "code" in columns:
        columns["code"] = columns["code"].astype(number_dtype(widest))
    rows = _together([places + part.first_row for part, places in chosen])
    return event_frame(columns, masks, words, pd.Index(rows, name="row"))


def _together(arrays: list[Array], kind: Any = np.int64) -> Array:
    return np.concatenate(arrays) if arrays else np.zeros(0, kind)


def payloads_of(chosen: Sequence[Chosen]) -> list[bytes]:
    """Return the payloads of chosen events."""
    return [data for found in each(chosen, lambda one: one[0].payloads(one[1])) for data in found]


def _merged(rows: Ints, more: Ints) -> Ints:
    """Return ascending rows with more of them, each once."""
    if not len(more):
        return rows
    together = np.sort(np.concatenate([rows, more]), kind="stable")
    kept: Ints = together[np.concatenate([[True], together[1:] != together[:-1]])]
    return kept


def told_in(
    part: Part, words: Mapping[str, Dictionary], characters: Sequence[int], listed: Ints, gap_rows: Ints
) -> dict[str, Array]:
    """Return the rows of a part that matter for stays, with codes, times and ticks, of some characters.

    The `listed` rows, which name several characters, are included with their times and ticks.
    """
    mine = listed[(listed >= part.first_row) & (listed < part.next_row)]
    if not len(mine) and not is_cut(part, gap_rows):
        return _changes_in(part, words, characters)
    view = part.view()
    columns = view.columns
    told = np.isin(columns["character_id"], characters)
    places = _merged(np.flatnonzero(told), mine - view.first_row)
    found = {"row": places + view.first_row, "no_tick": view.masks["tick"][places]}
    return found | {name: columns[name][places] for name in (*TOLD_WORDS, "time", "tick")}


def _changes_in(part: Part, words: Mapping[str, Dictionary], characters: Sequence[int]) -> dict[str, Array]:
    told = changes_in(part, words)
    told = told.at(np.isin(told.who, characters))
    left = words["type"].get(MessageTypes.CHARACTER_LEFT, -1)
    return {
        "row": told.rows,
        "character_id": told.who,
        "state": told.what,
        "location": told.where,
        "type": np.where(told.left, left, -1),
        "time": told.when,
        "tick": told.tick,
        "no_tick": told.tick == UNKNOWN,
    }


TOLD_WORDS: Final = ("character_id", "state", "location", "type")


def stays_of(
    parts: Sequence[Part], extra: Extra, gap_rows: Ints, words: dict[str, Dictionary], names: list[str]
) -> pd.DataFrame:
    """Return the frame of `timeline(names)` from the parts, and from the changes that no row names."""
    characters = [words["character_id"].get(name, -2) for name in names]
    listed = np.unique(extra.rows).astype(np.int64)
    pieces = each(parts, lambda part: told_in(part, words, characters, listed, gap_rows))
    told = [piece for piece in pieces if len(piece["row"])]
    told_rows = _together([piece["row"] for piece in told])
    # an index for each row that matters, which keeps their order
    rows = _merged(told_rows, np.concatenate([extra.rows, gap_rows]))
    at = np.searchsorted(rows, told_rows)
    columns: dict[str, Any] = {name: np.full(len(rows), -1, np.int32) for name in TOLD_WORDS}
    columns |= {"time": np.full(len(rows), NAT), "tick": np.zeros(len(rows), np.int64)}
    columns["no_tick"] = np.ones(len(rows), np.bool_)
    for name, values in columns.items():
        if told:
            values[at] = np.concatenate([piece[name] for piece in told])
    placed = Extra(np.searchsorted(rows, extra.rows), extra.characters, extra.states, extra.locations, extra.times)
    view = View(0, len(rows), columns, {"tick": columns["no_tick"]}, words, NO_FRAME)
    return stay_table(view, placed, np.searchsorted(rows, gap_rows), names)
