"""What all peers share: the history, the present, the frames cut from them, and the turn that brings on_new_entries."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sized
from typing import Final, Protocol

from ...monitoring.interfaces import Monitor
from ...protocol.batching import BatchTiming
from ...protocol.messages import RunState
from .fair_turns import FairTurns
from .frames import Filter, Frames
from .history import History
from .publishing import StreamPublisher
from .snapshot import SnapshotBuilder

log = logging.getLogger("degentcivil_nb.server")

POLL_S: Final = 0.005
"""How often the loop looks for what the simulation has published: a wake-up would cost the simulation more.

After on_new_entries it looks no sooner than more of them may go, for a look costs as much as some ten messages.
"""
BATCH_S: Final = 0.020
"""How long a message waits for others at most; the first after a silence does not wait."""
CROWDED_S: Final = 0.050
"""How long it waits where there are so many peers that telling them all takes more than `_SHARE` of the time."""
_SHARE: Final = 0.04
_TURN: Final = 5_000
"""Messages given their positions in one turn of the loop."""


class Parked(Protocol):
    """Be a peer that has sent everything there was."""

    def on_new_entries(self, end: int) -> None:
        """Take note that the history has moved on and ends at that place now."""


class Feed:
    """Hold the one history of this server's life and tell whoever waits that its end has moved."""

    def __init__(
        self,
        epoch: str,
        history: History,
        present: SnapshotBuilder,
        publisher: StreamPublisher,
        *,
        max_message_bytes: int,
        status: Callable[[], RunState],
        clients: Sized,
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
        self.clients = clients
        self.replays = asyncio.Semaphore(16)
        """Peers that catch up at the same time; a storm of reconnects must not starve those who are live."""
        self.turns = FairTurns()
        """For each larger piece that a peer is sent of what lies behind it."""
        self.monitor = monitor
        self._batch_s = batch_s
        self._timing = BatchTiming(_TURN, batch_s, adaptive=True)
        self._parked: set[Parked] = set()
        self._told = 0  # the end of the history when peers were last woken
        self._sent_messages = 0
        self._sent_bytes = 0

    def park(self, peer: Parked) -> None:
        """Tell `peer` of on_new_entries until it is unparked."""
        self._parked.add(peer)

    def unpark(self, peer: Parked) -> None:
        """Forget `peer`, which goes on by itself."""
        self._parked.discard(peer)

    def head_after_drain(self) -> int:
        """Give everything published so far its position and return the last one."""
        self.publisher.drain()
        return self.history.head

    def snapshot(self, filter: Filter | None) -> Iterator[bytes]:
        """Write the present as of the history's head."""
        only = None if filter is None else filter.characters
        return self.present.snapshot(self.history.head, self.max_message_bytes, only)

    async def run(self) -> None:
        """Look for on_new_entries until cancelled."""
        while True:
            try:
                more = self._turn(time.monotonic())
            except Exception:  # the boundary of the server's heart: one bad message must not stop the stream
                log.exception("a turn of the stream failed")
                more = False
            await asyncio.sleep(0 if more else max(POLL_S, self._timing.earliest - time.monotonic()))

    def _turn(self, now: float) -> bool:
        more = self.publisher.drain(_TURN) == _TURN
        waiting = self.history.end - self._told
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
        """Bring the on_new_entries to everybody who waits for it."""
        self._told = end = self.history.end
        for peer in list(self._parked):
            peer.on_new_entries(end)

    def count_sent(self, messages: int, size: int) -> None:
        """Count what went out; the monitor hears of it once a turn."""
        self._sent_messages += messages
        self._sent_bytes += size

    def report(self) -> None:
        """Tell the monitor what went out since last time."""
        if self._sent_bytes:
            self.monitor.update_metrics("messages_sent", self._sent_messages)
            self.monitor.update_metrics("bytes_sent", self._sent_bytes)
            self._sent_messages = self._sent_bytes = 0
