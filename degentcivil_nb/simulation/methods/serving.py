"""The probe's server: its address, its contents, and its replacement."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from ...core.portal import Portal
from ...protocol.control_payloads import SnapshotCharacter
from ...protocol.messages import MessageTypes
from ...server.simulation_websocket import SimulationWebSocket
from ...server.stream.history import History
from ...server.stream.receipts import Receipt
from ..breakpoints import Breakpoints
from ..control import Control
from ..lease import ControlLease
from ..watches import Watches
from .publishing import PublishingMethods

log = logging.getLogger("degentcivil_nb.simulation")

CLOSE_S: Final = 10.0
"""How long the server's thread may take for an answer."""


class ServingMethods(PublishingMethods):
    """The methods of a probe about its server."""

    control: Control
    breakpoints: Breakpoints
    watches: Watches
    lease: ControlLease
    _server: SimulationWebSocket
    _portal: Portal
    _replacing: asyncio.Lock
    _closed: bool
    _history: int
    _options: dict[str, Any]

    @property
    def url(self) -> str:
        """Return the URL to connect to.

        Returns
        -------
        str
            Such as ``"ws://127.0.0.1:8765"``.

        Examples
        --------
        >>> probe.url.rpartition(":")[0]
        'ws://127.0.0.1'
        """
        return self._server.url

    @property
    def server(self) -> SimulationWebSocket:
        """Return the server, which runs on the portal's loop.

        Returns
        -------
        SimulationWebSocket
            A different object after `restart_server`.

        Examples
        --------
        >>> type(probe.server).__name__
        'SimulationWebSocket'
        """
        return self._server

    @property
    def portal(self) -> Portal:
        """Return the thread that the server runs on.

        Returns
        -------
        Portal
            `portal.call(function)` runs a coroutine function on the server's loop.

        Examples
        --------
        >>> probe.portal.thread.name
        'degentcivil-probe'
        """
        return self._portal

    @property
    def run_state(self) -> str:
        """Return the state of the run.

        Returns
        -------
        str
            ``"running"``, ``"pausing"``, ``"paused"``, ``"finished"`` or ``"dead"``.

        Examples
        --------
        >>> probe.run_state
        'running'
        """
        return self.control.status().state

    def _must_be_open(self) -> None:
        """Raise `RuntimeError` if the probe was closed."""
        if self._closed:
            raise RuntimeError(f"the probe at {self.url} was closed; make another one")

    def flush(self) -> int:
        """Wait until everything published has its position in the stream.

        Returns
        -------
        int
            The last position.

        Raises
        ------
        RuntimeError
            If the probe is closed.
        TimeoutError
            If the server's thread does not answer within 10 seconds.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.event("trade", {"price": 3})
        ...     town.flush()
        1
        """
        self._must_be_open()

        async def head_after_drain() -> int:
            return self._server.feed.head_after_drain()

        return self._portal.call(head_after_drain, timeout=CLOSE_S)

    def characters(self) -> list[str]:
        """List the characters that were published so far.

        Returns
        -------
        list of str
            Their ids, in the order of first appearance.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.character_update("emma", money=12)
        ...     _ = town.state_change("noah", "MOVE")
        ...     town.characters()
        ['emma', 'noah']
        """
        self._settle()
        return self._server.feed.present.names()

    def _told_of(self, character_id: str) -> Mapping[str, Any]:
        told = self._server.feed.present.character(character_id)
        return {} if told is None else told.attributes

    def _judge(self, tick: int) -> None:
        """Judge a checkpoint, before the run stops there."""
        self.breakpoints.checkpoint(tick)
        self.watches.checkpoint(tick)

    def _say_aloud(self, text: str) -> None:
        """Report what happens to the run without a command, in the simulation's log and in the stream."""
        log.warning("%s", text)
        self._server.publish(MessageTypes.LOG, {"text": text, "breakpoint": None}, self.control.reached)

    def _say_that_it_waits(self, tick: int | None) -> None:
        """Log how a run that is paused from its start goes on; nobody is there to read it in the stream."""
        at = "" if tick is None else f" at tick {tick}"
        token = "" if self._options.get("auth") is None else ", token=…"
        log.warning("the run is paused%s until a notebook resumes it: session = dc.connect(%r%s)", at, self.url, token)

    def _characters_now(self) -> list[SnapshotCharacter]:
        self._settle()
        return list(self._server.feed.present.characters())

    def _settle(self) -> None:
        """Wait for what is on its way, where there is still a server."""
        if self._closed:
            return
        try:
            self.flush()
        except (RuntimeError, TimeoutError) as error:  # the number of messages in flight is unknown then
            log.warning("the server at %s did not answer: %s", self.url, error)

    def restart_server(self) -> None:
        """Replace the server by a new one, with a new epoch.

        Raises
        ------
        RuntimeError
            If the probe is closed.
        ConnectionError
            If another program has taken the port meanwhile.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     before = town.server.epoch
        ...     town.restart_server()
        ...     town.server.epoch == before
        False
        """
        self._must_be_open()
        self._portal.call(self._replace_server, timeout=CLOSE_S)

    async def _replace_server(self) -> None:
        async with self._replacing:
            if self._closed:
                return
            old = self._server
            self._server = self._make_server(old.host, old.port)
            self._route()
            await old.close()
            await self._server.start()
            for declared in (self.breakpoints, self.watches):
                if declared.rows():
                    declared.tell()
            self.lease.tell()

    def stats(self) -> dict[str, float | None]:
        """Count what was published, and what happened to it.

        Returns
        -------
        dict
            `published`: everything published, each a message, an `error` 1005 or part of a gap; `converted`: values
            that were not plain; `unencodable`: replaced by an `error` 1005; `overflowed`: lost, and declared as a gap,
            because the server's thread did not keep up; `unknown_keywords`: kept in payloads; `discarded`: published
            after the probe was closed, or in a forked process; `held`: still kept for those who connect; `clients`:
            connected now; `checkpoint_age_s`: seconds since the last checkpoint, `None` before the first. All but the
            last three count from the start of the server.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...     probe.event("trade", {"price": 3})
        ...     _ = probe.flush()
        ...     probe.stats()["published"], probe.stats()["unencodable"]
        (1, 0)
        """
        publisher = self._server.publisher
        return {
            "published": publisher.published,
            "converted": publisher.converted + self.converted,
            "unencodable": publisher.unencodable + self.left_behind,
            "overflowed": publisher.overflowed,
            "unknown_keywords": self.unknown_keywords,
            "discarded": self.discarded,
            "held": len(self._server.history),
            "clients": len(self._server.clients),
            "checkpoint_age_s": self.control.status().checkpoint_age_s,
        }

    async def _close_server(self) -> None:
        async with self._replacing:  # or a restart under way would listen again afterwards
            self._closed = True
            await self._server.close()

    # --- what runs on the server's thread -------------------------------------------------------------------------

    def _make_server(self, host: str, port: int) -> SimulationWebSocket:
        return SimulationWebSocket(
            host,
            port,
            commands=self.control,
            status=self.control.status,
            history=History(self._history),
            **self._options,
        )

    def _publish_control(self, type: str, state: Any, receipt: Receipt | None = None) -> None:
        self._server.publish(type, state, None, self._clock(), receipt)

    def _route(self) -> None:
        """Send messages through the breakpoints if any is enabled, and otherwise straight to the server.

        Likewise, checkpoints judge only if something is declared.
        """
        self.control.judge = self._judge if self.breakpoints.declared or self.watches.declared else None
        if not self.control.ended:
            self._publish = self.breakpoints.publishing() if self.breakpoints.any else self._server.publish

    def _on_loop(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """Start a coroutine function on the server's loop, if it is running; return a function that cancels it."""
        try:
            return self._portal.submit(function, *arguments).cancel
        except RuntimeError:  # closed, or another process's
            return nothing

    def _later(self, delay_s: float, function: Callable[[], None]) -> Callable[[], None]:
        async def wait() -> None:
            await asyncio.sleep(delay_s)
            function()

        return self._on_loop(wait)

    def _alive(self) -> bool:
        return self._portal.thread.is_alive() and not self._portal.closed


def nothing() -> None:
    """Do nothing."""
