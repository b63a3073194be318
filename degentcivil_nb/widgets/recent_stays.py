"""The stays of the last minute, followed row by row, so that a live timeline never reads a long history."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from .interfaces import PanelReader

ROWS: Final = 50_000
"""The most rows read at once; of more, the newest."""


class Closed(NamedTuple):
    """A stay that has ended; if a gap ended it, its end is unknown and `until` is the last known time."""

    character_id: str
    state: str
    location: Any
    start: pd.Timestamp
    end: Any
    until: Any


class RecentStays:
    """The stays of the first characters, continued from one call of `read` to the next."""

    def __init__(self, reader: PanelReader, *, window_s: float = 60.0, characters: int = 30) -> None:
        self._reader = reader
        self._window = pd.Timedelta(seconds=window_s)
        self._most = characters
        self._next = 0
        self._shown: dict[str, None] = {}
        self._open: dict[str, tuple[str, Any, pd.Timestamp]] = {}
        self._closed: deque[Closed] = deque(maxlen=2_000)
        self.now: pd.Timestamp | None = None
        """The newest time read."""
        self.more = 0
        """The number of characters that are not followed."""

    @property
    def start(self) -> pd.Timestamp | None:
        """Return where the window begins."""
        return None if self.now is None else self.now - self._window

    def read(self) -> pd.DataFrame:
        """Read new rows and return the stays of the window as `timeline()` has them."""
        rows = self._reader.rows_since(self._next, ROWS)
        if len(rows):
            if self._next and int(rows.index[0]) > self._next:
                self._cut(self.now)  # too many rows at once: those in between were skipped
            self._next = int(rows.index[-1]) + 1
            self._take(rows)
        return self._frame()

    def _take(self, rows: pd.DataFrame) -> None:
        newest = rows["time"].max()
        if not pd.isna(newest):
            self.now = newest if self.now is None else max(self.now, newest)
        who = rows["character_id"].astype("category")
        known = [str(name) for name in who.cat.categories]
        stated = rows["state"].notna().to_numpy()
        for name in pd.unique(who[stated].dropna()) if len(self._shown) < self._most else ():
            if len(self._shown) < self._most:
                self._shown.setdefault(str(name))
        self.more = max(self.more, len(set(known) - self._shown.keys()) if len(known) < 10_000 else len(known))
        wanted = (stated & who.isin(list(self._shown)).to_numpy()) | (rows["type"] == "gap").to_numpy()
        few = rows.loc[np.asarray(wanted, dtype=bool), ["type", "character_id", "state", "location", "time"]]
        for type_, character, state, location, time in few.itertuples(index=False, name=None):
            if type_ == "gap":
                self._cut(pd.NaT)
            elif not pd.isna(time):
                self._enter(str(character), str(state), None if pd.isna(location) else location, time)
        while self._closed and self.start is not None and self._closed[0].until < self.start:
            self._closed.popleft()

    def _enter(self, character: str, state: str, location: Any, time: pd.Timestamp) -> None:
        before = self._open.get(character)
        if before is not None:
            if before[:2] == (state, location):
                return
            self._closed.append(Closed(character, *before, time, time))
        self._open[character] = (state, location, time)

    def _cut(self, end: Any) -> None:
        self._closed.extend(Closed(character, *stay, end, self.now) for character, stay in self._open.items())
        self._open.clear()

    def _frame(self) -> pd.DataFrame:
        stays: list[tuple[Any, ...]] = [stay[:5] for stay in self._closed]
        stays += [(character, *stay, pd.NaT) for character, stay in self._open.items()]
        return pd.DataFrame(stays, columns=["character_id", "state", "location", "start", "end"])
