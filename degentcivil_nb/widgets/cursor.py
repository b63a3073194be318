"""The cursor and the selection: the moment that all panels of a run show, and what a person clicked last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import pandas as pd

from ..store.arguments import Moment, moment_ns, name_of, whole
from ..store.moments import RowMoment


class Timed(Protocol):
    """The rows of a run with their ticks and times."""

    @property
    def first_row(self) -> int: ...
    @property
    def next_row(self) -> int: ...
    def row_at(self, *, tick: int | None = None, at: Moment = None) -> int | None: ...
    def moment_of(self, row: int) -> RowMoment: ...


class Selection(NamedTuple):
    """What was clicked last: a character, an event, or both, with the tick and time in the run."""

    character_id: str | None = None
    row: int | None = None
    tick: int | None = None
    time: int | None = None


class Cursor:
    """The moment shown and the selection of one run. Any thread may read and move them.

    `moment` is `None` while the panels show the present. `version` grows with every change.
    """

    def __init__(self, store: Timed) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self.moment: RowMoment | None = None
        self.selection = Selection()
        self.version = 0
        self.town: tuple[Any, int, Any] | None = None
        """The reader, row and characters that panels looked up last in the past, on the refresher's thread."""

    def at(self, *, tick: int | None = None, time: Moment = None, row: int | None = None) -> dict[str, Any] | None:
        """Move the cursor and return its moment; without an argument it is not moved, and `None` means the present.

        Raises `ValueError` for a moment that is not held, and for more than one argument.
        """
        asked = {"tick": tick, "time": time, "row": row}
        given = [name for name, value in asked.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"at() takes one of tick, time and row, not {' and '.join(given)}")
        if given:
            moment = self._find(tick, time, row)
            self._change(moment=moment)
            return as_dict(moment)
        return None if self.moment is None else as_dict(self.moment)

    def back_to_live(self) -> None:
        """Show the present again."""
        self._change(moment=None)

    def select(self, character_id: Any = None, row: int | None = None) -> None:
        """Select a character, an event, or both; neither clears the selection. Raises `ValueError` for a wrong row."""
        who = None if character_id is None else name_of(character_id)
        if who is None and row is None:
            self._change(selection=Selection())
            return
        moment = self.moment if row is None else self._find(None, None, row)
        if moment is None and self._store.next_row > self._store.first_row:
            moment = self._store.moment_of(self._store.next_row - 1)
        when = (None, None) if moment is None else (moment.tick, moment.time)
        self._change(selection=Selection(who, row, *when))

    @property
    def selected(self) -> dict[str, Any]:
        """Return the selection with its time in UTC."""
        found = self.selection
        return {"character_id": found.character_id, "row": found.row, "tick": found.tick, "time": _stamp(found.time)}

    def listen(self, changed: Callable[[], None]) -> None:
        """Call a function after every change, on the thread that made it."""
        self._listeners.append(changed)

    def _change(self, **new: Any) -> None:
        with self._lock:
            if all(getattr(self, name) == value for name, value in new.items()):
                return
            for name, value in new.items():
                setattr(self, name, value)
            self.version += 1
        for changed in list(self._listeners):
            changed()

    def _find(self, tick: int | None, time: Moment, row: int | None) -> RowMoment:
        store = self._store
        first, last = store.first_row, store.next_row - 1
        if last < first:
            raise ValueError("there is no event yet, so there is no moment to show; wait for the first one")
        if row is not None:
            wanted = whole(row, "a row", least=None)
            if not first <= wanted <= last:
                raise ValueError(f"row {wanted:,} is not held; give one from {first:,} to {last:,}")
            return store.moment_of(wanted)
        newest = store.moment_of(last)
        if tick is not None:
            return self._at_tick(whole(tick, "a tick", least=None), newest, store.moment_of(first))
        limit = moment_ns(time, newest.time)
        if limit > newest.time:
            raise ValueError(
                f"{time!r:.80} is after the newest event, which is of {_stamp(newest.time)}; give an earlier time"
            )
        found = store.row_at(at=_stamp(limit))
        if found is None:
            oldest = _stamp(store.moment_of(first).time)
            raise ValueError(f"{time!r:.80} is before the oldest event held, which is of {oldest}; give a later time")
        return store.moment_of(found)

    def _at_tick(self, wanted: int, newest: RowMoment, oldest: RowMoment) -> RowMoment:
        if newest.tick is None:
            raise ValueError("the events of this run name no tick; give a time or a row")
        if wanted > newest.tick:
            raise ValueError(f"tick {wanted:,} has not come; the run is at tick {newest.tick:,}")
        found = self._store.row_at(tick=wanted)
        if found is None:
            begin = "" if oldest.tick is None else f", which begin at tick {oldest.tick:,}"
            raise ValueError(f"tick {wanted:,} is before the events held{begin}; give a later tick")
        return self._store.moment_of(found)


def as_dict(moment: RowMoment) -> dict[str, Any]:
    """Return a moment as `session.at` returns it."""
    return {"row": moment.row, "tick": moment.tick, "time": _stamp(moment.time)}


def _stamp(nanoseconds: int | None) -> pd.Timestamp | None:
    return None if nanoseconds is None else pd.Timestamp(nanoseconds, unit="ns", tz="UTC")
