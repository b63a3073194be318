"""The silences of characters, read by pieces: what is counted of them, and the long ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...store.pieces import Extracted, Piece
from ...store.schema import NAT
from ...store.silence_extract import COUNTED, FIRST, KEPT_ABOVE, LAST, LONG, SILENCES
from ...store.timeline import differs
from .clock import Ints
from .columns import Columns, rows_at, size_of
from .evidence import Evidence, Mask
from .statistics import Floats


def silences(evidence: Evidence, least: float) -> Iterator[Columns]:
    """Give the silences by pieces: from each event of a character to its next one, at the end those that go on.

    `kind` is the code of its state as of then, or −1; `before` counts its events up to then. Silences up to `least`
    that are equally long may be one row, whose `times` says how many they are.
    """
    heard = _Heard(evidence)
    for number, part in evidence.pieces():
        shift = evidence.clock.shift_of(number) if least >= KEPT_ABOVE else None
        if shift is None:
            yield from heard.read(number, part)
        else:
            yield from heard.of_extract(number, part, shift)
    yield heard.open_ones()


class _Heard:
    """The last event of each character so far, from which its silence counts."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        size = len(evidence.names("character_id"))
        self._empty = evidence.code("state", "", -1)
        self._last: Columns = {"moment": np.zeros(size)}
        self._last |= {name: np.zeros(size, np.int64) for name in ("row", "since", "before")}
        self._last["kind"] = np.full(size, -1, np.int32)

    def read(self, number: int, part: Piece) -> Iterator[Columns]:
        """Give the silences that end in a piece by looking at each of its events."""
        last = self._last
        events = _events_by_character(part, self._evidence, number)
        if not size_of(events):
            return
        who = events["who"]
        first = differs(who)
        place = np.flatnonzero(first)
        runs = np.repeat(place, np.diff(np.append(place, len(who))))
        events["before"] = np.arange(len(who)) - runs + 1 + last["before"][who]
        events["kind"] = _carried(events["kind"], first, last["kind"][who])
        earlier = {name: np.concatenate([values[:1], events[name][:-1]]) for name, values in events.items()}
        earlier["who"] = who
        for name, values in last.items():
            earlier[name][first] = values[who[first]]
        spans = self._silences(earlier, events["moment"], events["since"])
        yield rows_at(spans, spans["before"] > 0)
        self._take(rows_at(events, np.append(first[1:], True)))

    def of_extract(self, number: int, part: Piece, shift: float) -> Iterator[Columns]:
        """Give the silences that end in a piece by its extract."""
        made = part.extracted(SILENCES)
        if not len(made):
            return
        told = self._told(number, part, made, shift)
        role = made.columns["role"]
        begins = rows_at(told, role == FIRST)
        earlier = rows_at(self._last, begins["who"]) | {"who": begins["who"]}
        spans = self._silences(earlier, begins["moment"], begins["since"])
        yield rows_at(spans, spans["before"] > 0)
        for one in (COUNTED, LONG):
            chosen = role == one
            table = rows_at(told, chosen) | {"length": made.columns["length"][chosen].astype(np.float64)}
            if one == COUNTED:
                table["times"] = made.columns["count"][chosen]
            until = self._evidence.clock.after(number, made.columns["until"][chosen])
            yield self._named(table) | {"until": until, "open": np.zeros(len(until), np.bool_)}
        self._take(rows_at(told, role == LAST))

    def _told(self, number: int, part: Piece, made: Extracted, shift: float) -> Columns:
        evidence, columns, last = self._evidence, made.columns, self._last
        who = evidence.codes(made, "character_id").astype(np.int64)
        kind = evidence.codes(made, "state")
        return {
            "who": who,
            "kind": np.where(kind < 0, last["kind"][who], kind),
            "moment": columns["moment"] + shift,
            "row": columns["place"] + part.first_row,
            "since": evidence.clock.after(number, columns["time"]),
            "before": columns["count"] + last["before"][who],
        }

    def _take(self, events: Columns) -> None:
        for name, values in self._last.items():
            values[events["who"]] = events[name]

    def open_ones(self) -> Columns:
        """Return the silences that go on."""
        evidence, size = self._evidence, len(self._last["before"])
        heard = np.flatnonzero((self._last["before"] > 0) & ~evidence.gone[:size])
        open_ones = rows_at(self._last, heard) | {"who": heard}
        return self._silences(open_ones, np.full(len(heard), evidence.now), np.full(len(heard), NAT))

    def _silences(self, earlier: Columns, moment: Floats, until: Ints) -> Columns:
        return self._named(earlier) | {"length": moment - earlier["moment"], "until": until, "open": until == NAT}

    def _named(self, table: Columns) -> Columns:
        return table | {"kind": np.where(table["kind"] == self._empty, -1, table["kind"])}


def _events_by_character(part: Piece, evidence: Evidence, number: int) -> Columns:
    """Return the events that name a character, by character."""
    columns = part.view().columns
    named = columns["character_id"]
    at = np.flatnonzero(named >= 0)
    at = at[np.argsort(named[at], kind="stable")]
    return {
        "who": named[at].astype(np.int64),
        "kind": columns["state"][at].astype(np.int32),
        "moment": evidence.clock.moments_at(number, at),
        "since": evidence.clock.times_of(number)[at],
        "row": at + part.first_row,
    }


def _carried(codes: npt.NDArray[np.int32], first: Mask, before: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Replace each unknown code (−1) by the last known one of the character."""
    codes = np.where(first & (codes < 0), before, codes)
    last = np.maximum.accumulate(np.where((codes >= 0) | first, np.arange(len(codes)), 0))
    return codes[last]
