"""Supervision of connected peers: heartbeats, stalled connections, and tokens that are no longer valid."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from ...monitoring.interfaces import Monitor
from ..entrance.auth import WebSocketAuth
from ..stream.history import History
from .peer import TOO_SLOW, Peer

log = logging.getLogger("degentcivil_nb.server")


_CHECK_S: Final = 0.5  # how often peers are checked
STANDSTILL_S: Final = 1.0
"""A run without a checkpoint for this many seconds is reported each second, so that clients need not extrapolate."""


class LivenessMonitor:
    """The task that sends heartbeats each `heartbeat_s` and closes peers without progress for `max_stall_s`."""

    def __init__(
        self,
        peers: Callable[[], Collection[Peer]],
        history: History,
        *,
        heartbeat_s: float,
        max_stall_s: float,
        auth: WebSocketAuth | None,
        monitor: Monitor,
        checkpoint_age_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._peers = peers
        self._history = history
        self._heartbeat_s = heartbeat_s
        self._max_stall_s = max_stall_s
        self._auth = auth
        self._monitor = monitor
        self._checkpoint_age_s = checkpoint_age_s
        self._was_still = False
        self._beat_at = 0.0  # by the loop's clock, of the last heartbeat
        self._closing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Check the peers until cancelled."""
        loop = asyncio.get_running_loop()
        self._beat_at = loop.time()
        try:
            while True:
                await asyncio.sleep(min(_CHECK_S, self._heartbeat_s / 4))
                now = loop.time()
                try:
                    self._check_peers(now, self._due(now))
                except Exception:  # the boundary: a failure at one peer must not stop the checks of the others
                    log.exception("checking the peers failed")
        finally:
            for task in self._closing:
                task.cancel()
            await asyncio.gather(*self._closing, return_exceptions=True)

    def _due(self, now: float) -> bool:
        """Return whether a heartbeat is due: sooner while the run is without a checkpoint, and once it continues."""
        still = (self._checkpoint_age_s() or 0.0) >= STANDSTILL_S
        seconds = min(self._heartbeat_s, STANDSTILL_S) if still or self._was_still else self._heartbeat_s
        due = now >= self._beat_at + seconds
        if due:
            self._beat_at, self._was_still = now, still
        return due

    def _check_peers(self, now: float, due: bool) -> None:
        self._history.expire()
        if self._auth is not None:
            self._auth.check()
        for peer in list(self._peers()):
            if peer.leaving:
                continue
            if peer.stalled_s(now) > self._max_stall_s:
                log.info("closing %s, which makes no progress", peer.name, extra={"peer": peer.name})
                self._monitor.update_metrics("slow_closed")
                self._close(peer)
            elif due:
                peer.heartbeat()
                if peer.websocket.latency:
                    self._monitor.observe("latency", peer.websocket.latency)

    def _close(self, peer: Peer) -> None:
        task = asyncio.create_task(peer.close(TOO_SLOW, "no progress"))
        self._closing.add(task)  # the loop holds tasks only weakly
        task.add_done_callback(self._closing.discard)
