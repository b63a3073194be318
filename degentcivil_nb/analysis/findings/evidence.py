"""The evidence of the rules: the events, stays, calls and chat of a run, each read once and on one clock."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...protocol.messages import MessageTypes
from .finding import Finding, Severity
from .statistics import Floats

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
SECOND: Final = 1_000_000_000


class Run(Protocol):
    """The questions that the rules ask of a session or a recording."""

    def events(self) -> pd.DataFrame: ...
    def timeline(self) -> pd.DataFrame: ...
    def llm_calls(self) -> pd.DataFrame: ...
    def chat(self) -> pd.DataFrame: ...
    def errors(self) -> pd.DataFrame: ...
    def gaps(self) -> pd.DataFrame: ...


class Evidence:
    """The tables of a run that rules share, and its clock: ticks where the run counts them, else seconds.

    A moment is a float on that clock. The clock goes on where a restarted simulation counts its ticks from 0 again.
    """

    def __init__(self, run: Run, *, silent_s: float = 0.0, pauses: Sequence[tuple[int, int]] = ()) -> None:
        self._run = run
        self.silent_s = silent_s
        """The seconds for which a live run that should be going on has reached no checkpoint; 0 for a recording."""
        self.pauses = pauses
        """Begin and end of each pause, in nanoseconds since 1970."""

    @cached_property
    def events(self) -> pd.DataFrame:
        """The events, without payloads."""
        return self._run.events()

    @cached_property
    def rows(self) -> Ints:
        """The number of each event."""
        return self.events.index.to_numpy(np.int64)

    @cached_property
    def times(self) -> Ints:
        """The time of each event in nanoseconds, never earlier than that of the previous event."""
        return np.maximum.accumulate(nanoseconds(self.events["time"])) if len(self.events) else np.zeros(0, np.int64)

    @cached_property
    def has_ticks(self) -> bool:
        """Whether the run counts ticks."""
        return bool(self.events["tick"].nunique() > 1)

    @property
    def unit(self) -> str:
        """The unit of a moment, as a word for a text."""
        return "ticks" if self.has_ticks else "seconds"

    @cached_property
    def moments(self) -> Floats:
        """The moment of each event."""
        if not len(self.events):
            return np.zeros(0)
        if not self.has_ticks:
            return np.asarray((self.times - self.times[0]) / SECOND, np.float64)
        ticks = self.events["tick"].ffill().fillna(0).to_numpy(np.float64)
        back = np.minimum(np.diff(ticks, prepend=ticks[0]), 0)
        restarted = back < -RESTART
        on_one_clock: Floats = np.maximum.accumulate(ticks - np.cumsum(np.where(restarted, back, 0)))
        return on_one_clock

    @property
    def now(self) -> float:
        """The moment of the last event."""
        return float(self.moments[-1]) if len(self.moments) else 0.0

    def moments_of_rows(self, rows: npt.ArrayLike) -> Floats:
        """Return the moments of rows."""
        return self._at(np.searchsorted(self.rows, np.asarray(rows, np.int64)))

    def moments_of_times(self, times: Ints) -> Floats:
        """Return the moments of times."""
        return self._at(np.searchsorted(self.times, times))

    def _at(self, places: npt.NDArray[np.intp]) -> Floats:
        return self.moments[np.clip(places, 0, len(self.moments) - 1)]

    @cached_property
    def calls(self) -> pd.DataFrame:
        """The calls of language models, with their `moment`."""
        calls = self._run.llm_calls()
        return calls.assign(moment=self.moments_of_rows(calls.index) if len(calls) else np.zeros(0))

    @cached_property
    def chat(self) -> pd.DataFrame:
        """What characters said to each other, with its `moment`."""
        chat = self._run.chat()
        return chat.assign(moment=self.moments_of_rows(chat.index) if len(chat) else np.zeros(0))

    @cached_property
    def errors(self) -> pd.DataFrame:
        """The errors, with their `moment`."""
        errors = self._run.errors()
        return errors.assign(moment=self.moments_of_rows(errors.index) if len(errors) else np.zeros(0))

    @cached_property
    def gaps(self) -> pd.DataFrame:
        """The missing ranges."""
        return self._run.gaps()

    @cached_property
    def gone(self) -> set[str]:
        """The characters whose last event says that they left."""
        types = self.events["type"].to_numpy(object)
        if MessageTypes.CHARACTER_LEFT not in set(self.events["type"].cat.categories):
            return set()
        last = self.events["character_id"].dropna().drop_duplicates(keep="last")
        of_last = types[np.searchsorted(self.rows, last.index.to_numpy(np.int64))]
        return set(last[of_last == MessageTypes.CHARACTER_LEFT])

    @cached_property
    def stays(self) -> pd.DataFrame:
        """The stays: `character_id`, `state`, `location` (objects), `start`, `end` (moments), `since`, `ended`, `open`.

        `open` is the last stay of a character that has not left. A stay whose end a gap hides is left out.
        """
        stays = self._run.timeline()
        since, until = nanoseconds(stays["start"]), nanoseconds(stays["end"])
        known = stays["end"].notna().to_numpy()
        who = stays["character_id"].astype(object)
        last = ~who.duplicated(keep="last").to_numpy()
        is_open = last & ~known & ~who.isin(self.gone).to_numpy()
        table = pd.DataFrame(
            {
                "character_id": who,
                "state": stays["state"].astype(object),
                "location": stays["location"].astype(object),
                "start": self.moments_of_times(since) if len(stays) else np.zeros(0),
                "end": np.where(known, self.moments_of_times(until), self.now) if len(stays) else np.zeros(0),
                "since": since,
                "ended": until,
                "open": is_open,
            }
        )
        return table[known | is_open].reset_index(drop=True)

    def goes_on_without(self, character_id: str, moment: float) -> bool:
        """Return whether at least a third of the other characters changed state or place after a moment.

        In a town that came to rest as a whole, such as a model that converged, nobody is stuck. Of a handful of
        characters, most of which may be stuck, one that goes on and on shows that it is not at rest.
        """
        last = self._last_changes
        others = len(last) - (character_id in last.index)
        changed = int((last > moment).sum()) - int(last.get(character_id, -1.0) > moment)
        if others == 0 or changed >= AT_LEAST * others:
            return True
        return others <= HANDFUL and self._one_goes_on(character_id, moment)

    def _one_goes_on(self, character_id: str, moment: float) -> bool:
        """Return whether one of the others kept changing, in each quarter of the time since a moment."""
        stays = self.stays[(self.stays["start"] > moment) & (self.stays["character_id"] != character_id)]
        span = self.now - moment
        if not len(stays) or span <= 0:
            return False
        quarters = np.minimum((stays["start"].to_numpy(float) - moment) * 4 // span, 3)
        return bool(pd.Series(quarters).groupby(stays["character_id"].to_numpy(object)).nunique().max() == 4)

    @cached_property
    def _last_changes(self) -> pd.Series:
        stays = self.stays[~self.stays["character_id"].isin(self.gone)]
        return stays.groupby("character_id", sort=False)["start"].max()

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
        place = int(np.searchsorted(self.rows, rows[0])) if rows else int(np.searchsorted(self.times, since or 0))
        place = min(place, len(self.rows) - 1)
        began = int(self.times[place]) if since is None else since
        tick = self.events["tick"].iloc[[max(0, place)]].dropna().tolist()
        number = int(tick[0]) if tick else None
        return Finding(kind, severity, text, rows, began, until, number, character_id, subject)

    def rows_of(self, character_id: Any, since: int, until: int | None = None) -> Ints:
        """Return the rows of a character from one time to another, both included."""
        late = len(self.times) if until is None else int(np.searchsorted(self.times, until, "right"))
        part = slice(int(np.searchsorted(self.times, since)), late)
        code = self.events["character_id"].cat.categories.get_indexer(pd.Index([character_id], dtype=object))[0]
        found: Ints = self.rows[part][self.events["character_id"].cat.codes.to_numpy()[part] == code]
        return found

    def span(self, length: float) -> str:
        """Format a length on this clock: "40 ticks", "12.5 s"."""
        return f"{length:,.0f} ticks" if self.has_ticks else f"{length:,.3g} s"


AT_LEAST: Final = 1 / 3
"""The share of other characters that must still change; with fewer, the whole town is at rest."""
HANDFUL: Final = 9
"""The number of other characters up to which a single one that goes on is enough."""
RESTART: Final = 1
"""The simulation has restarted if the tick falls back by more than this: threads may publish a tick late."""


def nanoseconds(times: pd.Series) -> Ints:
    """Return times as nanoseconds since 1970."""
    return times.to_numpy("M8[ns]").astype(np.int64)
