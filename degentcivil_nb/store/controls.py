"""Rows that are not events: gaps, snapshots and run states, each before a given event."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from ..protocol.breakpoints import BreakpointRow
from ..protocol.control_payloads import Gap, RunState, Snapshot, SnapshotCharacter
from ..protocol.debugging import ControlWord, WatchRow
from ..protocol.messages import MessageTypes
from .schema import SECOND, Ints, timestamps

REMEMBERED: Final = 256  # run states with their commands: far more than are awaited at a time
SAME_CLOCK: Final = 60 * SECOND
"""Two clocks that differ by less than so many nanoseconds count as the same, when a gap is dated."""


@dataclass(frozen=True, slots=True)
class ControlRow:
    """An ordered control message: it arrived after event `row − 1` and before event `row`."""

    row: int
    type: str
    time: int
    """The message's own time if it has one, else the time of receipt; nanoseconds since 1970."""
    epoch: str | None
    data: bytes


@dataclass(frozen=True, slots=True)
class GapRow:
    """A gap with the event that it comes before."""

    row: int
    gap: Gap
    time: int


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """A position in the stream."""

    epoch: str | None
    seq: int


class Controls:
    """The ordered control messages, the gaps, and how far each epoch is accounted for."""

    def __init__(self) -> None:
        self.rows: list[ControlRow] = []
        self.gaps: list[GapRow] = []
        self.missing: int | None = 0
        self.run_state: RunState | None = None
        self.breakpoints: list[BreakpointRow] = []
        """The breakpoints of all clients, as the simulation last sent them."""
        self.watches: list[WatchRow] = []
        """The watches of all clients, as the simulation last sent them."""
        self.control: tuple[ControlWord, str | None] = (ControlWord(None), None)
        """The client that alone may change the run, as last sent, and the epoch of that message."""
        self.on_control: Callable[[ControlWord], None] = _nothing
        """A function that is called with each new `control`, on the writer's thread."""
        self.run_state_epoch: str | None = None
        self.run_state_causes: deque[tuple[str | None, str]] = deque(maxlen=REMEMBERED)
        """The commands that changed the run's state, and the states; the newest last."""
        self.accounted: dict[str, int] = {}
        self.clock: tuple[int, int] | None = None
        """When the last event with a sender's time was sent, and when it was received; nanoseconds since 1970."""
        self.parts: list[SnapshotCharacter] = []
        """Characters of a snapshot whose other parts have not arrived."""

    def note_sent(self, sent: int, received: int) -> None:
        """Record the times of an event with a sender's time; nanoseconds since 1970."""
        if self.clock is None and self.gaps:  # these gaps were dated before any time was known
            self.gaps = [replace(gap, time=_by_stream(gap.time, sent, received)) for gap in self.gaps]
            self.rows = [
                replace(row, time=_by_stream(row.time, sent, received)) if row.type == MessageTypes.GAP else row
                for row in self.rows
            ]
        self.clock = (sent, received)

    def gap_time(self, gap: Gap, stamp: int | None, received: int) -> int:
        """Return when a gap begins by the stream's clock, which may differ from the receiver's (issue 10).

        It begins with the last event before it. `stamp` is the gap's own time; it is more exact for a gap without seqs,
        if it is by the same clock.
        """
        said = received if stamp is None else stamp
        if self.clock is None:
            return said
        time, came = self.clock
        is_better = stamp is not None and gap.start is None and abs(time - came) < SAME_CLOCK
        return said if is_better else time

    def account(self, epoch: str | None, seq: int) -> None:
        """Record that everything up to `seq` was stored, declared missing, or filtered."""
        if epoch is not None and seq > self.accounted.get(epoch, 0):
            self.accounted[epoch] = seq

    def gap(self, row: int, gap: Gap, time: int) -> None:
        """Store a gap."""
        self.gaps.append(GapRow(row, gap, time))
        if gap.start is None or gap.end is None:
            self.missing = None
        elif self.missing is not None:
            self.missing += max(0, gap.end - gap.start + 1)
        if gap.end is not None:
            self.account(gap.epoch, gap.end)

    def note_run_state(self, state: RunState, epoch: str | None = None) -> None:
        """Record the newest state of the run, and the epoch of its message."""
        self.run_state = state
        self.run_state_epoch = epoch
        self.run_state_causes.append((state.command_id, state.state))

    def snapshot(self, part: Snapshot) -> list[SnapshotCharacter] | None:
        """Collect the parts of a snapshot; return all its characters with the last part."""
        if part.part == 0:
            self.parts = []
        self.parts += part.characters
        if not part.last:
            return None
        whole, self.parts = self.parts, []
        return whole

    def forget(self, first_row: int) -> None:
        """Drop control rows before an event; gaps stay, since what is missing stays missing."""
        if self.rows and self.rows[0].row < first_row:
            self.rows = [row for row in self.rows if row.row >= first_row]

    def gap_rows(self) -> Ints:
        """Return the rows that gaps come before, in order."""
        return np.array([gap.row for gap in self.gaps], np.int64)


def _nothing(word: ControlWord) -> None:
    """Do nothing."""


def _by_stream(time: int, first: int, received: int) -> int:
    return first if abs(time - received) < abs(time - first) else time


def gap_table(gaps: list[GapRow]) -> pd.DataFrame:
    """Return the frame of `gaps()`; `at_least` is the highest known seq of a gap whose end is unknown."""
    return pd.DataFrame(
        {
            "epoch": pd.Series([gap.gap.epoch for gap in gaps], dtype="str"),
            "from_seq": pd.array([gap.gap.start for gap in gaps], dtype="Int64"),
            "to_seq": pd.array([gap.gap.end for gap in gaps], dtype="Int64"),
            "reason": pd.Series([gap.gap.reason for gap in gaps], dtype="str"),
            "time": timestamps(np.array([gap.time for gap in gaps], np.int64)),
            "row": np.array([gap.row for gap in gaps], np.int64),
            "at_least": pd.array([gap.gap.at_least for gap in gaps], dtype="Int64"),
        }
    )
