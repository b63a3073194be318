"""The timeline: a lane for every character over the whole run; a page is sent only the visible part."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..figures.colours import state_colour
from ..pages.parts import Section
from ..pages.sections import timeline_around
from ..protocol.messages import MessageTypes
from .cells import NO_TIME_NS, records, shorten
from .interfaces import PanelReader
from .packing import ColumnPacker, pack_integers
from .panel import Panel, Update
from .refresh import Refresher

LANES: Final = 80
"""The most lanes of one update; a page requests the visible ones."""
STILL: Final = 30
"""The most lanes of a static view."""
PIXELS: Final = 4_000
MARKED: Final = 500
"""The most errors, and the most gaps, that are marked at once; the page says how many there are."""
PERIOD_S: Final = 1.0
BYTES_PER_S: Final = 100_000
"""What the timeline of a run that goes on may send: with very many stays in sight it is drawn less often."""
ORDERS: Final = ("first seen", "name", "stuck longest", "errors")
SECOND: Final = 1_000_000_000
Ints = npt.NDArray[np.int64]


class Sight(NamedTuple):
    """The visible part of the timeline: a span of time (seconds, `None` for the whole run), lanes, and pixels."""

    start: float | None = None
    end: float | None = None
    first: int = 0
    most: int = 40
    pixels: int = 800
    order: str = ORDERS[0]
    words: str = ""


class Stays(NamedTuple):
    """All stays of a run as columns, each with an end: the next stay, a gap, or the newest event."""

    who: Ints
    state: Ints
    place: Ints
    start: Ints
    end: Ints
    is_open: npt.NDArray[np.bool_]
    characters: list[str]
    states: list[str]
    places: list[str]
    first: int
    last: int


class TimelinePanel(Panel):
    """Who was in which state when: a lane for each character, of which the visible part is drawn."""

    title: ClassVar[str] = "timeline"
    script: ClassVar[str] = "timeline"
    reads_much: ClassVar[bool] = True
    marks_cursor: ClassVar[bool] = True

    def __init__(self, reader: PanelReader, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._reader = reader
        self._sight = Sight()
        self._asked = 0
        self._drawn_at = -math.inf
        self._drawn_for = -1
        self._period_s = PERIOD_S
        self._lock = threading.Lock()
        self._stays: tuple[int, Stays] | None = None

    def version(self) -> Any:
        """See `Panel`."""
        return self._reader.version, self._asked

    def past_version(self) -> Any:
        """See `Panel`."""
        return self._asked

    def refresh(self, now: float) -> int:
        """See `Panel`; drawn once a second at most, and at once when a page shows another part."""
        same = self._asked == self._drawn_for and not self.moved and not self.flow.wants_full
        if same and now - self._drawn_at < self._period_s:
            return 0
        self._drawn_at, self._drawn_for = now, self._asked
        sent = super().refresh(now)
        self._period_s = max(PERIOD_S, sent / BYTES_PER_S)
        return sent

    def snapshot(self) -> Update:
        """See `Panel`."""
        sight, stays = self._sight, self.stays()
        everybody = self._ordered(stays, sight.order)
        words = sight.words.lower().split()
        chosen = [who for who in everybody if all(word in stays.characters[who].lower() for word in words)]
        first = max(0, min(sight.first, len(chosen) - 1))
        lanes = chosen[first : first + min(sight.most, LANES)]
        start = stays.first if sight.start is None else int(sight.start * SECOND)
        end = max(stays.last if sight.end is None else int(sight.end * SECOND), start + 1_000_000)
        packer = ColumnPacker()
        body: dict[str, Any] = {
            "all": len(stays.characters),
            "total": len(chosen),
            "first": first,
            "lanes": [stays.characters[who] for who in lanes],
            "chosen": chosen.index(self._selected(stays)) if self._selected(stays) in chosen else None,
            "span": [stays.first / SECOND, stays.last / SECOND],
            "start": start / SECOND,
            "end": end / SECOND,
            **self._gaps(start, end),
            **self._errors(lanes, stays, start, end),
            **_segments(stays, lanes, start, end, min(sight.pixels, PIXELS), packer),
        }
        return Update(body, [packer.buffer()])

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        return [timeline_around(self._reader, self._all_stays, self.row_shown, (), self._reader.gaps(), STILL)]

    def received(self, content: Any) -> None:
        """Show another part of the run."""
        asked = content.get("sight") if isinstance(content, dict) else None
        if not isinstance(asked, dict):
            return
        number = {name: value for name, value in asked.items() if isinstance(value, int | float)}
        start, end = number.get("start"), number.get("end")
        order, words = asked.get("order"), asked.get("words")
        self._sight = Sight(
            None if start is None else max(0.0, float(start)),
            None if end is None else max(0.0, float(end)),
            max(0, int(number.get("first", 0))),
            max(1, min(LANES, int(number.get("count", 40)))),
            max(50, int(number.get("pixels", 800))),
            order if order in ORDERS else ORDERS[0],
            words[:200] if isinstance(words, str) else "",
        )
        self._asked += 1

    def _all_stays(self, start: int, end: int) -> pd.DataFrame:
        return self._reader.timeline()

    def stays(self) -> Stays:
        """Return all stays as of now."""
        with self._lock:
            version = self._reader.version
            if self._stays is None or (self._stays[0] != version and self.moment is None):
                self._stays = (version, stays_of(self._reader))
            return self._stays[1]

    def _selected(self, stays: Stays) -> int:
        who = None if self.cursor is None else self.cursor.selection.character_id
        return stays.characters.index(who) if who in stays.characters else -1

    def _ordered(self, stays: Stays, order: str) -> list[int]:
        count = len(stays.characters)
        if order == "name":
            return sorted(range(count), key=lambda who: stays.characters[who])
        if order == "stuck longest":
            since = np.full(count, stays.last)
            since[stays.who[stays.is_open]] = stays.start[stays.is_open]
            return [int(who) for who in np.argsort(since, kind="stable")]
        if order == "errors":
            errors = self._reader.frame_of(self._reader.rows_of((MessageTypes.ERROR,)))["character_id"].value_counts()
            counts = np.array([-int(errors.get(name, 0)) for name in stays.characters])
            return [int(who) for who in np.argsort(counts, kind="stable")]
        # as the table of characters has them: a stream that is joined begins with those who were published last
        known = {name: place for place, name in enumerate(self._reader.present_columns().character_id)}
        return sorted(range(count), key=lambda who: (known.get(stays.characters[who], len(known)), who))

    def _gaps(self, start: int, end: int) -> dict[str, Any]:
        gaps = self._reader.gaps()
        if not len(gaps):
            return {"gaps": [], "all_gaps": 0}
        times = gaps["time"].to_numpy("M8[ns]").astype(np.int64)
        near = np.flatnonzero((times >= start) & (times <= end))
        marked = [
            [float(times[place]) / SECOND, shorten(str(gaps["reason"].iloc[place]), 200)]
            for place in near[-MARKED:].tolist()
        ]
        return {"gaps": marked, "all_gaps": len(near)}

    def _errors(self, lanes: list[int], stays: Stays, start: int, end: int) -> dict[str, Any]:
        rows = self._reader.rows_of((MessageTypes.ERROR,))
        if not len(rows):
            return {"errors": [], "all_errors": 0}
        frame = self._reader.frame_of(rows)
        times = frame["time"].to_numpy("M8[ns]").astype(np.int64)
        lane = {stays.characters[who]: place for place, who in enumerate(lanes)}
        held = frame[(times >= start) & (times <= end) & frame["character_id"].isin(list(lane)).to_numpy()]
        marked = [
            [lane[str(error.character_id)], error.time.timestamp(), shorten(str(error.message), 200), int(error.Index)]
            for error in records(held.tail(MARKED))
        ]
        return {"errors": marked, "all_errors": len(held)}


def stays_of(reader: PanelReader) -> Stays:
    """Read all stays of a run; one without an end ends at the gap that follows it, or at the newest event."""
    frame = reader.timeline()
    newest = reader.moment_of(reader.next_row - 1).time if reader.next_row > reader.first_row else 0
    if not len(frame):
        none = np.zeros(0, np.int64)
        return Stays(none, none, none, none, none, none.astype(bool), [], [], [], newest, newest)
    codes: dict[str, Ints] = {}
    words: dict[str, list[str]] = {}
    for name in ("character_id", "state", "location"):
        told, known = frame[name].cat.codes.to_numpy(), frame[name].cat.categories.tolist()
        found = pd.unique(told[told >= 0]).tolist()
        place_of = np.full(len(known) + 1, -1, np.int64)  # the last one is for those without
        place_of[found] = np.arange(len(found))
        codes[name], words[name] = place_of[told], [str(known[code]) for code in found]
    start = frame["start"].to_numpy("M8[ns]").astype(np.int64)
    end = frame["end"].to_numpy("M8[ns]").astype(np.int64)
    last = max(newest, int(start.max()), int(end.max()))
    gaps = reader.gaps()
    bounds = np.sort(gaps["time"].to_numpy("M8[ns]").astype(np.int64)) if len(gaps) else np.zeros(0, np.int64)
    cut = np.append(bounds, last)[np.searchsorted(bounds, start, side="left")]
    unknown = end == NO_TIME_NS
    is_open = unknown & (cut == last)
    end = np.maximum(np.where(unknown, cut, end), start)
    return Stays(
        codes["character_id"], codes["state"], codes["location"], start, end, is_open,
        words["character_id"], words["state"], words["location"], int(start.min()), last,
    )  # fmt: skip


def _segments(
    stays: Stays, lanes: list[int], start: int, end: int, pixels: int, packer: ColumnPacker
) -> dict[str, Any]:
    """Pack the stays of some lanes within a span; of those in one pixel the longest is sent, with the count."""
    lane_of = np.full(len(stays.characters) + 1, -1, np.int64)
    lane_of[lanes] = np.arange(len(lanes))
    lane = lane_of[stays.who] if len(stays.who) else stays.who
    seen = np.flatnonzero((lane >= 0) & (stays.end >= start) & (stays.start <= end))
    lane, from_, to = lane[seen], stays.start[seen], stays.end[seen]
    pixel = ((np.maximum(from_, start) - start) * pixels // max(1, end - start)).astype(np.int64)
    cell = lane * (pixels + 1) + pixel
    order = np.lexsort((from_ - to, cell))  # the longest of a cell first
    first = np.ones(len(order), bool)
    first[1:] = cell[order][1:] != cell[order][:-1]
    kept = np.sort(order[first])
    many = np.bincount(np.searchsorted(np.sort(cell[kept]), cell), minlength=len(kept)) if len(kept) else kept
    counts = np.zeros(len(kept), np.int64)
    counts[np.argsort(cell[kept], kind="stable")] = many
    rows = seen[kept]
    return {
        "states": stays.states,
        "colours": [state_colour(state) for state in stays.states],
        "places": stays.places,
        "lane": packer.add(pack_integers(lane[kept], len(lanes) + 1)),
        "from": packer.add((from_[kept] - start) / SECOND),
        "to": packer.add((to[kept] - start) / SECOND),
        "state": packer.add(pack_integers(stays.state[rows], len(stays.states) + 1)),
        "place": packer.add(pack_integers(stays.place[rows] + 1, len(stays.places) + 2)),
        "many": packer.add(pack_integers(np.minimum(counts, 65_535), 65_536)),
        "open": packer.add(stays.is_open[rows].astype(np.uint8)),
    }
