"""Rows that are no events: gaps, snapshots and states of the run, kept in order by the event they stand before."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from ..protocol.messages import Gap, MessageTypes, RunState, Snapshot, SnapshotCharacter
from .schema import SECOND, Ints, timestamps

REMEMBERED: Final = 256
SAME_CLOCK: Final = 60 * SECOND
"""Two clocks that differ by less than that many nanoseconds tell the same time, as far as gaps are concerned."""


@dataclass(frozen=True, slots=True)
class ControlRow:
    """Hold an ordered control message: it came after event `row − 1` and before event `row`."""

    row: int
    type: str
    time: int
    """Its own time if it has one, else that of receipt; nanoseconds since 1970."""
    epoch: str | None
    data: bytes


@dataclass(frozen=True, slots=True)
class GapRow:
    """Hold a gap with the event that it stands before."""

    row: int
    gap: Gap
    time: int


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """Name a place in the stream."""

    epoch: str | None
    seq: int


class Controls:
    """Keep the ordered control messages, which gaps there are, and how far each epoch is accounted for."""

    def __init__(self) -> None:
        self.rows: list[ControlRow] = []
        self.gaps: list[GapRow] = []
        self.missing: int | None = 0
        self.run_state: RunState | None = None
        self.run_state_causes: deque[tuple[str | None, str]] = deque(maxlen=REMEMBERED)
        """Which command brought the run into which state, the newest last."""
        self.accounted: dict[str, int] = {}
        self.clock: tuple[int, int] | None = None
        """When the last event was sent whose sender says that, and when it was received; nanoseconds since 1970."""
        self.parts: list[SnapshotCharacter] = []
        """Of a snapshot whose other parts have not come yet."""

    def note_sent(self, first: int, last: int, received: int) -> None:
        """Take note of the times of new events whose senders say when; nanoseconds since 1970."""
        if self.clock is None and self.gaps:  # they came before any time was known
            self.gaps = [replace(gap, time=_by_stream(gap.time, first, received)) for gap in self.gaps]
            self.rows = [
                replace(row, time=_by_stream(row.time, first, received)) if row.type == MessageTypes.GAP else row
                for row in self.rows
            ]
        self.clock = (last, received)

    def gap_time(self, gap: Gap, stamp: int | None, received: int) -> int:
        """Say when a gap begins by the clock of the stream, which may be another than the receiver's (issue 10).

        That is with the last event before it. `stamp` is what the gap says itself: more exact where no position says
        what it follows, if it is by the same clock.
        """
        said = received if stamp is None else stamp
        if self.clock is None:
            return said
        time, came = self.clock
        is_better = stamp is not None and gap.start is None and abs(time - came) < SAME_CLOCK
        return said if is_better else time

    def account(self, epoch: str | None, seq: int) -> None:
        """Note that everything up to a position was stored, declared missing, or filtered."""
        if epoch is not None and seq > self.accounted.get(epoch, 0):
            self.accounted[epoch] = seq

    def gap(self, row: int, gap: Gap, time: int) -> None:
        """Keep a gap."""
        self.gaps.append(GapRow(row, gap, time))
        if gap.start is None or gap.end is None:
            self.missing = None
        elif self.missing is not None:
            self.missing += max(0, gap.end - gap.start + 1)
        if gap.end is not None:
            self.account(gap.epoch, gap.end)

    def note_run_state(self, state: RunState) -> None:
        """Take the newest word on the run."""
        self.run_state = state
        self.run_state_causes.append((state.command_id, state.state))

    def snapshot(self, part: Snapshot) -> list[SnapshotCharacter] | None:
        """Collect the parts of a snapshot; gives all its characters with the last."""
        if part.part == 0:
            self.parts = []
        self.parts += part.characters
        if not part.last:
            return None
        whole, self.parts = self.parts, []
        return whole

    def forget(self, first_row: int) -> None:
        """Let control rows before an event go; gaps stay, for what is missing stays missing."""
        if self.rows and self.rows[0].row < first_row:
            self.rows = [row for row in self.rows if row.row >= first_row]

    def gap_rows(self) -> Ints:
        """Give the events that gaps stand before, in order."""
        return np.array([gap.row for gap in self.gaps], np.int64)


def _by_stream(time: int, first: int, received: int) -> int:
    return first if abs(time - received) < abs(time - first) else time


def gap_table(gaps: list[GapRow]) -> pd.DataFrame:
    """Make the frame of `gaps()`; `at_least` is the last position ever heard of where the end is unknown."""
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
