"""The part that all peers share: history, snapshot, the frames cut from them, and the task that wakes the peers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from ...monitoring.interfaces import Monitor
from ...protocol.batching import BatchTiming
from ...protocol.control_payloads import RunState
from .fair_turns import FairTurns
from .frames import Filter, Frames
from .history import History
from .publishing import StreamPublisher
from .snapshot import SnapshotBuilder

log = logging.getLogger("degentcivil_nb.server")

POLL_S: Final = 0.005
"""How often the loop polls for published messages: waking it would cost the simulation more.

After it has notified peers it waits until it may notify them again, since a poll costs as much as ten messages.
"""
BATCH_S: Final = 0.020
"""How long a message waits for others at most; the first after a silence does not wait."""
CROWDED_S: Final = 0.050
"""How long a message waits at most if notifying all peers takes more than `_SHARE` of the time."""
_SHARE: Final = 0.04  # of the loop's time, for notifying peers
_TURN: Final = 5_000
"""How many messages are given their seq in one turn of the loop."""


class IdlePeer(Protocol):
    """A peer that was sent everything and waits for more."""

    def on_new_entries(self, end: int) -> None:
        """Continue: the history now ends at `end`."""


class Feed:
    """The history of this server and the peers that wait for its next entries."""

    def __init__(
        self,
        epoch: str,
        history: History,
        present: SnapshotBuilder,
        publisher: StreamPublisher,
        *,
        max_message_bytes: int,
        status: Callable[[], RunState],
        monitor: Monitor,
        batch_s: float = BATCH_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.epoch = epoch
        self.history = history
        self.present = present
        self.publisher = publisher
        self.frames = Frames(history, max_message_bytes)
        self.max_message_bytes = max_message_bytes
        self.status = status
        self.clock = clock
        self.replays = asyncio.Semaphore(16)
        """Limits how many peers catch up at the same time, so that many reconnects do not delay live peers."""
        self.turns = FairTurns()
        """A turn for each large piece of past messages that a peer is sent."""
        self.monitor = monitor
        self._batch_s = batch_s
        self._timing = BatchTiming(_TURN, batch_s, adaptive=True)
        self._idle: set[IdlePeer] = set()
        self._notified_end = 0  # the end of the history when peers were last woken
        self._sent_messages = 0
        self._sent_bytes = 0

    def add_idle(self, peer: IdlePeer) -> None:
        """Notify `peer` of new entries until it is removed."""
        self._idle.add(peer)

    def remove_idle(self, peer: IdlePeer) -> None:
        """Stop notifying `peer`."""
        self._idle.discard(peer)

    def head_after_drain(self) -> int:
        """Return every message published so far its seq and return the last one."""
        self.publisher.drain()
        return self.history.head

    def snapshot(self, filter: Filter | None) -> Iterator[bytes]:
        """Encode a snapshot as of the history's head."""
        only = None if filter is None else filter.characters
        return self.present.snapshot(self.history.head, self.max_message_bytes, only)

    async def run(self) -> None:
        """Process published messages until cancelled."""
        while True:
            try:
                more = self._turn(time.monotonic())
            except Exception:  # the boundary: one invalid message must not stop the stream
                log.exception("processing published messages failed")
                more = False
            await asyncio.sleep(0 if more else max(POLL_S, self._timing.earliest - time.monotonic()))

    def _turn(self, now: float) -> bool:
        more = self.publisher.drain(_TURN) == _TURN
        waiting = self.history.end - self._notified_end
        if waiting:
            self._timing.waits(now)
        if self._timing.due(waiting, now):
            self.notify_peers()
            took = time.monotonic() - now
            self._timing.sent(now)
            self._timing.max_wait = max(self._batch_s, min(took / _SHARE, CROWDED_S))
        self.report()
        return more

    def notify_peers(self) -> None:
        """Notify all waiting peers of new entries."""
        self._notified_end = end = self.history.end
        for peer in list(self._idle):
            peer.on_new_entries(end)

    def count_sent(self, messages: int, size: int) -> None:
        """Count a sent frame; the monitor is updated once a turn."""
        self._sent_messages += messages
        self._sent_bytes += size

    def report(self) -> None:
        """Add what was sent since the last report to the monitor."""
        if self._sent_bytes:
            self.monitor.update_metrics("messages_sent", self._sent_messages)
            self.monitor.update_metrics("bytes_sent", self._sent_bytes)
            self._sent_messages = self._sent_bytes = 0
