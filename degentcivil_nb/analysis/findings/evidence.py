"""What the rules look at: the events, stays, silences, calls and chat of a run, read by pieces and on one clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...core.progress import Progress
from ...protocol.messages import MessageTypes
from ...store.pieces import Extracted, Piece, Pieces
from ...store.schema import NAT
from ...store.silence_extract import LAST, SILENCES
from ...store.stay_pieces import changes_together, stays_by_pieces
from ...store.timeline import ToldRows
from .clock import Clock, Ints
from .columns import Columns, rows_at, size_of
from .finding import MOST_ROWS, Finding, Severity
from .statistics import Floats
from .told import Calls, call_table, chat_table, error_table

Mask = npt.NDArray[np.bool_]
HELD_STAYS: Final = 6_000_000
"""So many stays are held once they were read, 53 bytes each; more are read again by each rule."""
HELD_EVENTS: Final = 2 * HELD_STAYS
"""Of a longer run none are held: what is held until there are too many would add to the memory that a rule needs."""
READINGS: Final = 6
"""How often the events are read for all rules, about: for the bar of progress."""


class Evidence:
    """The tables of a run that rules share, and its clock; what grows with the run is read a piece at a time."""

    def __init__(
        self,
        pieces: Pieces,
        gaps: pd.DataFrame,
        *,
        silent_s: float = 0.0,
        pauses: Sequence[tuple[int, int]] = (),
        progress: Progress | None = None,
    ) -> None:
        self._pieces = pieces
        self.gaps = gaps
        """The missing ranges."""
        self.silent_s = silent_s
        """The seconds for which a live run that should be going on has reached no checkpoint; 0 for a recording."""
        self.pauses = pauses
        """From when to when the run was paused, in nanoseconds since 1970."""
        self._progress = progress
        self._read = 0
        self._stays: list[Columns] | None = None
        self._last_starts: Floats | None = None
        self.judged: dict[Any, Any] = {}
        """What rules share of what they made."""

    def pieces(self) -> Iterator[tuple[int, Piece]]:
        """Give the pieces of the run, and say how far it is."""
        parts = self._pieces.parts
        for number, part in enumerate(parts):
            yield number, part
            self._read += 1
            if self._progress is not None:
                total = READINGS * len(parts)
                self._progress(min(self._read, total), total)

    @cached_property
    def clock(self) -> Clock:
        """The times and moments of the events."""
        return Clock(self._pieces.parts, self.pieces)

    def __len__(self) -> int:
        """Return the number of events."""
        parts = self._pieces.parts
        return parts[-1].next_row - parts[0].first_row if parts else 0

    @property
    def has_ticks(self) -> bool:
        """Whether the run counts ticks."""
        return self.clock.has_ticks

    @property
    def now(self) -> float:
        """The moment of the last event."""
        return self.clock.now

    def names(self, column: str) -> list[str]:
        """Return the words of a column; a code is a place among them."""
        return self._pieces.words[column].words

    def named(self, column: str, codes: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
        """Return the words of codes; `None` for −1."""
        found: npt.NDArray[np.object_] = np.array([*self.names(column), None], object)[codes]
        return found

    def code(self, column: str, word: str, unknown: int) -> int:
        """Return the code of a word of a column, or `unknown` if it never occurred."""
        return self._pieces.words[column].get(word, unknown)

    def codes(self, made: Extracted, column: str) -> npt.NDArray[Any]:
        """Return a column of an extract as codes of the run."""
        return made.codes(column, self._pieces.words[column])

    @cached_property
    def calls(self) -> pd.DataFrame:
        """The calls of language models, with their `moment`; what is compared of their prompts and answers."""
        return call_table(self.pieces(), self._pieces.words, self.clock)

    @cached_property
    def calls_by_character(self) -> Calls:
        """The calls of each character: when they were, and how long they took."""
        return Calls(self.calls)

    @cached_property
    def chat(self) -> pd.DataFrame:
        """What characters said: who, `to` whom alone (`None` to several or nobody), and its `moment`."""
        return chat_table(self.pieces(), self._pieces.words, self.clock)

    @cached_property
    def errors(self) -> pd.DataFrame:
        """The errors: `character_id`, `code`, `message` and their `moment`."""
        return error_table(self.pieces(), self._pieces.words, self.clock)

    @cached_property
    def gone(self) -> Mask:
        """Whether the last event of a character says that it left, by its code."""
        found = np.zeros(len(self.names("character_id")) + 1, np.bool_)
        for _, part in self.pieces() if MessageTypes.CHARACTER_LEFT in self._pieces.words["type"] else ():
            heard = part.extracted(SILENCES)
            last = heard.columns["role"] == LAST
            found[self.codes(heard, "character_id")[last]] = heard.columns["left"][last]
        return found

    def stays(self) -> Iterator[Columns]:
        """Give the stays by pieces: those that are over, and at the end those that go on (`open`).

        `who`, `state` and `location` are codes, `start` and `end` moments, `since` and `ended` nanoseconds since 1970.
        A stay whose end a gap hides is left out.
        """
        if self._stays is not None:
            yield from self._stays
            return
        if len(self) > HELD_EVENTS:
            yield from self._read_stays()
            return
        held: list[Columns] = []
        size = 0
        for table in self._read_stays():
            size += size_of(table)
            if size <= HELD_STAYS:
                held.append(table)
            else:
                held.clear()
            yield table
        if size <= HELD_STAYS:
            self._stays = held

    def _read_stays(self) -> Iterator[Columns]:
        nowhere = self.code("location", "", -2)
        before: ToldRows | None = None
        began = np.zeros(len(self.names("character_id")))  # of the stays that go on from one table to the next
        last = np.full(len(began), -np.inf)
        changes = changes_together(self.pieces(), self._pieces)
        for first_row, (begin, ends, _), before in stays_by_pieces(changes, self._pieces.gap_rows, nowhere):
            over = ends != NAT
            begin, ends = begin.at(over), ends[over]
            start = self._begun(begin, began, first_row)
            table = _stay_columns(begin, start, ends, self.clock.moments_of_times(ends))
            np.maximum.at(last, table["who"], start)
            yield table
            began[before.who] = self._begun(before, began, first_row)
        if before is not None:
            rest = before.at((before.what >= 0) & ~self.gone[before.who])
            start = began[rest.who]
            np.maximum.at(last, rest.who, start)
            yield _stay_columns(rest, start, np.full(len(start), NAT), np.full(len(start), self.now))
        self._last_starts = last

    def _begun(self, told: ToldRows, began: Floats, first_row: int) -> Floats:
        """Return when stays began: those of these rows, and before them those that were carried on."""
        found = began[told.who]
        here = told.rows >= first_row
        found[here] = self.clock.moments_of_times(told.when[here])
        return found

    @property
    def _last(self) -> Floats:
        """The moments at which the last stays of characters began, -inf where there is none; by code."""
        if self._last_starts is None:
            for _ in self.stays():
                pass
        return self._last_starts if self._last_starts is not None else np.zeros(0)

    @property
    def characters(self) -> int:
        """How many characters have a stay."""
        return int((self._last > -np.inf).sum())

    @cached_property
    def last_changes(self) -> dict[str, float]:
        """The moments at which characters that have not left changed their state or place for the last time."""
        last = self._last.copy()
        last[self.gone[: len(last)]] = -np.inf
        known = np.flatnonzero(last > -np.inf)
        return dict(zip(self.named("character_id", known).tolist(), last[known].tolist(), strict=True))

    def goes_on_without(self, character_id: str, moment: float) -> bool:
        """Return whether at least a third of the other characters changed state or place after a moment.

        In a town that came to rest as a whole, such as a model that converged, nobody is stuck. Of a handful of
        characters, most of which may be stuck, one that goes on and on shows that it is not at rest.
        """
        last = {who: at for who, at in self.last_changes.items() if who != character_id}
        changed = sum(at > moment for at in last.values())
        if not last or changed >= AT_LEAST * len(last):
            return True
        return len(last) <= HANDFUL and self._one_goes_on(character_id, moment)

    def _one_goes_on(self, character_id: str, moment: float) -> bool:
        """Whether one of the others kept changing, in each quarter of the time since a moment."""
        span = self.now - moment
        if span <= 0:
            return False
        mine = self.code("character_id", character_id, -2)
        seen: set[tuple[int, int]] = set()
        for table in self.stays():
            later = rows_at(table, (table["start"] > moment) & (table["who"] != mine))
            quarters = np.minimum((later["start"] - moment) * 4 // span, 3).astype(np.int64)
            seen.update(zip(later["who"].tolist(), quarters.tolist(), strict=True))
        return any({(who, quarter) for quarter in range(4)} <= seen for who in {who for who, _ in seen})

    def found(
        self,
        kind: str,
        severity: Severity,
        text: str,
        rows: Sequence[int] | Ints,
        *,
        since: int | None = None,
        until: int | None = None,
        character_id: Any = None,
        subject: str = "",
    ) -> Finding:
        """Make a finding with these rows as evidence; it began at `since`, or if that is missing with the first row."""
        rows = [int(row) for row in rows]
        row = rows[0] if rows else self.clock.row_at(since or 0)
        row = min(max(row, self.clock.first_row), self.clock.next_row - 1)
        began = self.clock.time_of(row) if since is None else since
        return Finding(kind, severity, text, rows, began, until, self.clock.tick_of(row), character_id, subject)

    def rows_of(self, character_id: Any, since: int, until: int | None = None) -> Ints:
        """Return the rows of a character from one time to another, both included; at most those that are shown."""
        code = self.code("character_id", character_id, -2)
        found: list[Ints] = []
        for number, places in self.clock.between(since, self.clock.last_time if until is None else until):
            part = self._pieces.parts[number]
            mine = np.flatnonzero(part.view().columns["character_id"][places] == code)
            found.append(mine + places.start + part.first_row)
            if sum(map(len, found)) >= MOST_ROWS:
                break
        rows: Ints = np.concatenate([np.zeros(0, np.int64), *found])[:MOST_ROWS]
        return rows

    def span(self, length: float) -> str:
        """Format a length on this clock: "40 ticks", "12.5 s"."""
        return f"{length:,.0f} ticks" if self.has_ticks else f"{length:,.3g} s"


def _stay_columns(begin: ToldRows, start: Floats, ended: Ints, end: Floats) -> Columns:
    return {
        "who": begin.who,
        "state": begin.what,
        "location": begin.where,
        "row": begin.rows,
        "start": start,
        "end": end,
        "since": begin.when,
        "ended": ended,
        "open": ended == NAT,
    }


AT_LEAST: Final = 1 / 3
"""The share of other characters that must still change; with fewer, the whole town is at rest."""
HANDFUL: Final = 9
"""Of so few others, one that goes on is enough."""


def nanoseconds(times: pd.Series) -> Ints:
    """Return times as nanoseconds since 1970."""
    return times.to_numpy("M8[ns]").astype(np.int64)
