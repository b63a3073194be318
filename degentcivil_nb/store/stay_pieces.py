"""The stays of a run read a piece at a time: what is in memory at once does not grow with the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np
import pandas as pd

from ..core.progress import following_cell
from .change_extract import changes_of
from .pieces import Piece, Pieces
from .schema import NAT, Ints, Mask
from .timeline import UNKNOWN, Extra, StayRows, ToldRows, lasts, stay_frame, stay_rows

TOGETHER: Final = 1 << 16
"""Changes of states and places that are looked at together, at least: few at a time cost more."""
LONG: Final = 1_000_000
"""The number of events from which on progress is shown from the start."""
OPEN: Final = np.iinfo(np.int64).max
"""The end of a stay that goes on, or whose end a gap hides, as `stays_where` passes it on."""


def changes_together(parts: Iterable[tuple[int, Piece]], pieces: Pieces) -> Iterator[tuple[int, ToldRows]]:
    """Yield what changes states and places by row, and the first row, of so many pieces together that there are many.

    `parts` are those of `pieces`, numbered.
    """
    found: list[ToldRows] = []
    first_row = 0
    for number, part in parts:
        first_row = first_row if found else part.first_row
        found.append(changes_of(part, pieces.words, pieces.extra_of(number), pieces.gap_rows))
        if sum(len(one.rows) for one in found) >= TOGETHER or number == len(pieces.parts) - 1:
            yield first_row, ToldRows(*map(np.concatenate, zip(*found, strict=True)))
            found = []


def stays_by_pieces(
    changes: Iterable[tuple[int, ToldRows]], gap_rows: Ints, nowhere: int
) -> Iterator[tuple[int, StayRows, ToldRows]]:
    """Yield for each of some changes their first row, the stays, and where those that go on behind them began.

    Stays that go on are among the stays too, without an end; so are those whose end a gap hides.
    """
    before: ToldRows | None = None
    for first_row, some in changes:
        stays, before = stay_rows(some if before is None else some.behind(before), gap_rows, nowhere)
        yield first_row, stays, before


def stays_where(
    pieces: Pieces, keep: Callable[[ToldRows, Ints], Mask] | None = None, *, hidden_ends: bool = False
) -> pd.DataFrame:
    """Return the stays that `keep` chooses, by default all, as `timeline()` lists them.

    `keep` receives where stays began and when they ended, in nanoseconds since 1970; `OPEN` if that is not known. With
    `hidden_ends` a stay without an end ends where it began, unless it is the character's last one: a gap hides its end,
    so that it is known no further.
    """
    found: list[StayRows] = []
    characters = len(pieces.words["character_id"].words)
    last = np.full((2, characters), -1, np.int64)  # when the last stay of each character by time began, and its row

    def note(stays: StayRows) -> None:
        kept = None if keep is None else keep(stays.begin, np.where(stays.ends == NAT, OPEN, stays.ends))
        found.append(stays if kept is None else stays.at(kept))
        if not hidden_ends:
            return
        begin = stays.begin
        order = np.lexsort((begin.rows, begin.when, begin.who))
        order = order[lasts(begin.who[order])]
        who, told = begin.who[order], np.stack([begin.when[order], begin.rows[order]])
        later = (told[0] > last[0, who]) | ((told[0] == last[0, who]) & (told[1] > last[1, who]))
        last[:, who[later]] = told[:, later]

    carry: ToldRows | None = None
    events = pieces.parts[-1].next_row - pieces.parts[0].first_row if pieces.parts else 0
    with following_cell("reading stays", patience_s=0 if events > LONG else None) as progress:
        progress(0, len(pieces.parts))
        changes = changes_together(_told(pieces, progress), pieces) if pieces.parts else [(0, _unnamed(pieces.extra))]
        began = np.full(characters, -1, np.int64)
        for _, stays, carry in stays_by_pieces(changes, pieces.gap_rows, pieces.words["location"].get("", -2)):
            began[carry.who] = carry.rows
            note(stays.at((stays.ends != NAT) | (began[stays.begin.who] != stays.begin.rows)))
            began[carry.who] = -1
    if carry is not None:
        rest = carry.at(carry.what >= 0)
        note(StayRows(rest, np.full(len(rest.rows), NAT), np.full(len(rest.rows), UNKNOWN)))
    whole = _in_order(found)
    if hidden_ends:
        begin = whole.begin
        known = (whole.ends != NAT) | (begin.when != last[0, begin.who]) | (begin.rows != last[1, begin.who])
        whole = whole._replace(ends=np.where(known & (whole.ends == NAT), begin.when, whole.ends))
    return stay_frame(whole, pieces.words)


def _unnamed(extra: Extra) -> ToldRows:
    """Return changes that no row names, of a run without events: those of its snapshot."""
    size = len(extra.rows)
    told = ToldRows(
        extra.rows, extra.characters, extra.states, extra.locations, extra.times,
        np.full(size, UNKNOWN), np.zeros(size, np.bool_),
    )  # fmt: skip
    return told.at(np.argsort(told.rows, kind="stable"))


def _told(pieces: Pieces, progress: Callable[[int, int], None]) -> Iterator[tuple[int, Piece]]:
    for number, part in enumerate(pieces.parts):
        yield number, part
        progress(number + 1, len(pieces.parts))


def _in_order(found: list[StayRows]) -> StayRows:
    if not found:
        none = np.zeros(0, np.int64)
        codes = none.astype(np.int32)
        return StayRows(ToldRows(none, codes, codes, codes, none, none, none.astype(np.bool_)), none, none)
    begin = ToldRows(*map(np.concatenate, zip(*(stays.begin for stays in found), strict=True)))
    ends, last_ticks = (np.concatenate([stays[place] for stays in found]) for place in (1, 2))
    return StayRows(begin, ends, last_ticks).at(np.lexsort((begin.who, begin.rows)))
