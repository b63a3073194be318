"""Looking after the peers that are here: heartbeats, standing still, tokens that are no longer good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from ..entrance.auth import WebSocketAuth
from ..interfaces import Monitor
from ..stream.history import History
from .peer import TOO_SLOW, Peer

log = logging.getLogger("degentcivil_nb.server")


_LOOK_S: Final = 0.5


class LivenessMonitor:
    """Send every peer its heartbeat each `heartbeat_s`, and close those that make no progress for `max_stall_s`."""

    def __init__(
        self,
        peers: Callable[[], Collection[Peer]],
        history: History,
        *,
        heartbeat_s: float,
        max_stall_s: float,
        auth: WebSocketAuth | None,
        monitor: Monitor,
    ) -> None:
        self._peers = peers
        self._history = history
        self._heartbeat_s = heartbeat_s
        self._max_stall_s = max_stall_s
        self._auth = auth
        self._monitor = monitor
        self._closing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look after them until cancelled."""
        loop = asyncio.get_running_loop()
        beat = loop.time() + self._heartbeat_s
        try:
            while True:
                await asyncio.sleep(min(_LOOK_S, self._heartbeat_s / 4))
                now = loop.time()
                due = now >= beat
                if due:
                    beat = now + self._heartbeat_s
                try:
                    self._look(now, due)
                except Exception:  # the boundary of the server's care: one bad peer must not cost the others theirs
                    log.exception("looking after the peers failed")
        finally:
            for task in self._closing:
                task.cancel()
            await asyncio.gather(*self._closing, return_exceptions=True)

    def _look(self, now: float, due: bool) -> None:
        self._history.expire()
        if self._auth is not None:
            self._auth.check()
        for peer in list(self._peers()):
            if peer.leaving:
                continue
            if peer.still_for(now) > self._max_stall_s:
                log.info("%s makes no progress and is closed", peer.name, extra={"peer": peer.name})
                self._monitor.update_metrics("slow_closed")
                self._close(peer)
            elif due:
                peer.heartbeat()
                if peer.websocket.latency:
                    self._monitor.observe("latency", peer.websocket.latency)

    def _close(self, peer: Peer) -> None:
        task = asyncio.create_task(peer.close(TOO_SLOW, "no progress"))
        self._closing.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._closing.discard)
