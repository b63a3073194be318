"""Writing into a store: messages become rows, and everything that is kept beside the rows is updated."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from msgspec import Raw

from ..protocol.breakpoints import BreakpointRows
from ..protocol.codec import malformed
from ..protocol.control_payloads import Gap, RunState, Snapshot
from ..protocol.debugging import LISTS, ControlWord, WatchRows
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import ORDERED_CONTROL, MessageTypes, RawMessage
from .arguments import Moment, moment_ns
from .controls import ControlRow, StreamPosition
from .derived_state import WAITING_ROWS
from .ingested import Ingested, Taken
from .parts import StoreParts
from .schema import NAT, NOWHERE, SECOND, Ints, to_ns

logger = logging.getLogger("degentcivil_nb.store")

RUN_ROWS: Final = 4_096
"""How many rows are published at a time; a reader never waits for more."""
COUNTED: Final = ("type", "code", "character_id", "state")


class StoreWriter:
    """The writing side of a store, used by one thread.

    Retention by rows, bytes (columns and payloads) and age (seconds since receipt) drops the oldest events.
    """

    def __init__(
        self,
        parts: StoreParts,
        *,
        max_bytes: int | None = None,
        max_age_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._parts = parts
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._clock = clock

    # --- writing: one thread ----------------------------------------------------------------------------------------

    def append(self, messages: list[RawMessage], received: float, epoch: str | None = None) -> None:
        """Store messages in order, received at a wall clock time in seconds; a malformed one becomes an error row.

        Never raises.
        """
        self.take(messages, received, epoch)

    def take(self, messages: list[RawMessage], received: float, epoch: str | None = None) -> Taken:
        """Store messages as `append` does, and return their columns if all were valid events."""
        received_ns = to_ns(received)
        if received_ns == NAT:
            received_ns = to_ns(self._clock())
        types = [message.type for message in messages]
        kinds = set(types)
        if len(kinds) == 1:
            types = types[:1] * len(types)  # one text, not many equal ones, which are slower to compare
        taken: list[Ingested] = []
        for start, stop in self._runs(messages, types, kinds, epoch):
            run = messages[start:stop]
            try:
                found = self._take(run, received_ns, epoch, types[start:stop])
            except Exception as error:  # a boundary: a bug at one message must not cost the others
                logger.warning("messages could not be stored as they are: %s", error, exc_info=error)
                self._salvage(run, received_ns, epoch)
                found = None
            if found is not None and not found.malformed:
                taken.append(found)
        return tuple(taken) if sum([found.batch.size for found in taken]) == len(messages) else ()

    def _runs(
        self, messages: list[RawMessage], types: list[str], kinds: set[str], epoch: str | None
    ) -> Iterator[tuple[int, int]]:
        """Cut messages into stretches of events, and single ordered control messages.

        A stretch also ends where the stream passes the position of the snapshot that set the present, and after
        departures: a character that comes back must not get its earlier attributes.
        """
        cuts: list[int] = []
        if not ORDERED_CONTROL.isdisjoint(kinds):
            ordered = [i for i, type in enumerate(types) if type in ORDERED_CONTROL]
            cuts = sorted({cut for i in ordered for cut in (i, i + 1)})
        if MessageTypes.CHARACTER_LEFT in kinds:
            cuts = sorted({*cuts, *_behind_departures(types)})
        start = 0
        for end in [*cuts, len(messages)]:
            while start < end:
                stop = min(end, start + RUN_ROWS)
                stop = start + (self._first_live(messages[start:stop], epoch) or stop - start)
                yield start, stop
                start = stop

    def _first_live(self, run: Sequence[RawMessage], epoch: str | None) -> int | None:
        at = self._parts.snapshot
        if at is None or at.epoch != epoch:
            return None
        return next((i for i, message in enumerate(run) if message.seq is None or message.seq > at.seq), None)

    def _take(
        self, run: Sequence[RawMessage], received_ns: int, epoch: str | None, types: list[str] | None = None
    ) -> Ingested | None:
        if run[0].type in ORDERED_CONTROL:
            self._control(run[0], received_ns, epoch)
            return None
        found = self._parts.ingest(run, received_ns, epoch, types)
        self._append(found, found.payloads, received_ns, epoch)
        return found

    def takes(self, seqs: Ints, epoch: str | None) -> bool:
        """Return whether messages at these positions can be stored as columns; False if they must be read."""
        at = self._parts.snapshot
        if at is None or at.epoch != epoch:
            return True
        live = (seqs <= 0) | (seqs > at.seq)
        return bool(live.all() or not live.any())

    def append_ingested(self, found: Ingested, payloads: bytes | memoryview, epoch: str | None) -> None:
        """Store the columns that another store made, with this store's words; it must take them (`takes`).

        The payloads are given end to end. A departure may only be followed by others.
        """
        self._append(found, payloads, int(found.batch.columns["received"][-1]), epoch)

    def _append(self, found: Ingested, payloads: bytes | memoryview, received_ns: int, epoch: str | None) -> None:
        with self._parts.changed:
            table = self._parts.table
            live = self._live(found.seqs, epoch)
            if live:
                self.go_on_from_snapshot(table.next_row)
            alone = found.lists is not None or not live
            left = found.batch.columns["type"][-1] == table.dictionaries["type"].get(MessageTypes.CHARACTER_LEFT, -2)
            if alone:
                self._parts.derived.catch_up()
            self._parts.derived.catch_up_before(table.first_row, found.batch.size)
            first_row = table.next_row
            table.append(found.batch)
            self._parts.payloads.extend(payloads, found.lengths)
            self._note(found, first_row, live)
            if alone or left or table.next_row - self._parts.derived.caught_up_to >= WAITING_ROWS:
                self._parts.derived.catch_up(found.lists, live)
            self._account(found, epoch)
            self._retain(received_ns)
            self._publish()

    def _publish(self) -> None:
        self._parts.version += 1
        self._parts.changed.notify_all()

    def _salvage(self, run: Sequence[RawMessage], received_ns: int, epoch: str | None) -> None:
        for message in run:
            try:
                bad = malformed(bytes(message.data), WebSocketError(WebSocketError.INVALID_MESSAGE, "cannot be stored"))
                kept = RawMessage(MessageTypes.ERROR, Raw(bytes(bad.data)), None, message.seq)
                self._take([message] if len(run) > 1 else [kept], received_ns, epoch)
            except Exception:  # a boundary: see `append`
                logger.exception("a message was lost")

    def _note(self, found: Ingested, first_row: int, live: bool) -> None:
        """Note what the columns of new rows do not contain."""
        if live and found.updates:
            self._parts.derived.present.fit()
            self._parts.derived.present.update(found.updates.characters, found.updates.attributes)
        for row, places in found.places:
            self._parts.places.update(places, first_row + row)
        self._parts.llm.add(call for _, call in found.calls)
        if found.links:
            self._parts.links.extend(first_row, found.links)
        if found.codes is not None:
            self._parts.errors += int(np.count_nonzero(~found.codes[1]))
            self._parts.malformed += found.malformed
        self._note_times(found)
        last_tick = int(found.batch.columns["tick"][-1])
        if last_tick >= 0:
            self._parts.tick = last_tick

    def _note_times(self, found: Ingested) -> None:
        columns, unsaid, note = found.batch.columns, found.batch.columns["time_source"], self._parts.controls.note_sent
        received = columns["received"]  # one time for all rows, unless another store made the columns
        said = (0, -1) if unsaid is NOWHERE else np.flatnonzero(~unsaid)[[0, -1]] if not unsaid.all() else ()
        for row in said:
            note(int(columns["time"][row]), int(received[row]) if np.ndim(received) else int(received))

    def _account(self, found: Ingested, epoch: str | None) -> None:
        last = int(found.seqs.max())
        if last > 0:
            self._parts.controls.account(epoch, last)
            if (
                self._parts.snapshot is not None
                and self._parts.snapshot.epoch == epoch
                and last >= self._parts.snapshot.seq
            ):
                self.go_on_from_snapshot(self._parts.table.next_row)

    def _live(self, seqs: Ints, epoch: str | None) -> bool:
        """Return whether a stretch, which that position never cuts, lies beyond the snapshot that set the present."""
        at = self._parts.snapshot
        return at is None or at.epoch != epoch or not 0 < seqs[0] <= at.seq

    def go_on_from_snapshot(self, row: int) -> None:
        """Continue the stream from the snapshot whose position it has reached."""
        if self._parts.snapshot_states is not None:
            self._parts.derived.catch_up()
            self._parts.derived.checkpoints.add(row, self._parts.derived.present, from_snapshot=True)
            self._parts.derived.transitions.restore_snapshot(row, *self._parts.snapshot_states)
            self._parts.snapshot_states = None

    def _control(self, message: RawMessage, received_ns: int, epoch: str | None) -> None:
        try:
            payload = decode(_CONTROL_PAYLOADS[message.type], message.data)
        except WebSocketError as error:
            bad = malformed(encode(message), error)
            self._take([bad], received_ns, epoch)
            return
        stamp = to_ns(message.timestamp)
        when = received_ns if stamp == NAT else stamp
        controls = self._parts.controls
        with self._parts.changed:
            self._parts.derived.catch_up()
            row = self._parts.table.next_row
            if isinstance(payload, Gap):
                when = controls.gap_time(payload, None if stamp == NAT else stamp, received_ns)
            controls.rows.append(ControlRow(row, message.type, when, epoch, bytes(message.data)))
            if isinstance(payload, Gap):
                controls.gap(row, payload, when)
                self._parts.derived.transitions.interrupt()
                if payload.reason == "restart":
                    self._parts.tick = None  # the new run begins to count again
            elif isinstance(payload, Snapshot):
                self._parts.places.update(payload.places, row)
                whole = controls.snapshot(payload)
                if whole is not None:
                    self._parts.snapshot = StreamPosition(epoch, payload.seq)
                    self._parts.snapshot_states = self._parts.derived.present.replace(whole)
                    if epoch is not None and controls.accounted.get(epoch, 0) >= payload.seq:
                        self.go_on_from_snapshot(row)
            elif isinstance(payload, BreakpointRows):
                controls.breakpoints = payload.breakpoints
            elif isinstance(payload, WatchRows):
                controls.watches = payload.watches
            elif isinstance(payload, ControlWord):
                controls.control = (payload, epoch)
            elif isinstance(payload, RunState):
                controls.note_run_state(payload, epoch)
                if payload.tick is not None:
                    self._parts.tick = payload.tick
                if payload.head is not None:
                    controls.account(epoch, payload.head)
            self._publish()
        if isinstance(payload, ControlWord):
            controls.on_control(payload)

    # --- retention --------------------------------------------------------------------------------------------------

    def _retain(self, now_ns: int) -> None:
        table = self._parts.table
        if len(table) > table.max_rows:
            self.evict(len(table) - table.max_rows)
        if self._max_age_s is not None and len(table):
            received = table.oldest(len(table))["received"]
            self.evict(int(np.searchsorted(received, now_ns - int(self._max_age_s * SECOND))))
        if self._max_bytes is not None:
            while len(table) > 1 and (over := self._held_bytes() - self._max_bytes) > 0:
                self.evict(min(len(table) - 1, max(1, over * len(table) // self._held_bytes())))

    def _held_bytes(self) -> int:
        beside = self._parts.payloads.nbytes + self._parts.links.memory_bytes
        return len(self._parts.table) * (self._parts.table.row_bytes + 2) + beside

    def evict(self, count: int) -> None:
        """Drop the oldest events."""
        if not count:
            return
        self._parts.derived.catch_up_before(self._parts.table.first_row + count, 0)
        self._parts.table.evict(count)
        first_row = self._parts.table.first_row
        self._parts.payloads.evict(first_row)
        self._parts.links.evict(first_row)
        if not self._parts.keep_all:
            self._parts.controls.forget(first_row)
        self._parts.derived.forget(first_row)

    def forget(self, *, before: Moment) -> int:
        """Drop the oldest events up to the first that is not before a time; return how many."""
        with self._parts.changed:
            newest = self._parts.table.view().newest
        moment = moment_ns(before, newest)
        with self._parts.changed:
            late = self._parts.table.oldest(len(self._parts.table))["time"] >= moment
            count = int(np.argmax(late)) if late.any() else len(self._parts.table)
            self.evict(count)
            self._publish()
        return count


_CONTROL_PAYLOADS: Final[dict[str, Any]] = {
    MessageTypes.GAP: Gap,
    MessageTypes.SNAPSHOT: Snapshot,
    MessageTypes.RUN_STATE: RunState,
    **LISTS,
}


def _behind_departures(types: list[str]) -> list[int]:
    """Return the indices after each series of departures."""
    left = MessageTypes.CHARACTER_LEFT
    return [i + 1 for i, type in enumerate(types[:-1]) if type == left and types[i + 1] != left]
