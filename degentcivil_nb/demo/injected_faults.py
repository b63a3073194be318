"""Injecting faults of a network, a server or a simulation, as clients would meet them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from ..protocol.command_payloads import Command, CommandResult
from . import faults
from .injected_events import ANSWER_S, EventInjection
from .town import Town


class FaultInjection(EventInjection):
    """The method of a local server that injects faults."""

    town: Town
    _floods: list[faults.Flood]

    def inject_fault(self, kind: str, **options: Any) -> int:
        """Do to the connected clients what a network, a server or a simulation might do.

        Parameters
        ----------
        kind : {"malformed", "disconnect", "stall", "flood", "restart"}
            ``"malformed"`` sends frames that are not messages, ``"disconnect"`` cuts connections, ``"stall"`` blocks
            the server for a while, ``"flood"`` publishes many events of type ``flood``, and ``"restart"`` stops the
            server and starts a new one at the same port, with a new epoch.
        **options
            Of ``"malformed"``: `kinds`, some of ``faults.MALFORMED`` (default all), and `count`, how many of each (1).
            Of ``"disconnect"``: `which`, the number of one connection (default all), `clean`, close properly instead
            (`False`), and its `code` (1012). Of ``"stall"``: `seconds` (2.0). Of ``"flood"``: `rate`, events per second
            (10,000), `seconds` (1.0) and `wait`, return when all are published (`True`).

        Returns
        -------
        int
            The number of frames sent, connections cut, clients held up, events published, or clients that were
            connected.

        Raises
        ------
        ValueError
            If there is no such kind of fault.
        TypeError
            If the kind has no such option.
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as session:
        ...     frames = town.inject_fault("malformed", kinds="not_json")
        ...     event = session.wait_for("error", after=-1)
        ...     frames, event["code"]
        (1, 1001)
        """
        handlers: dict[str, Callable[..., int]] = {
            "malformed": self._malformed,
            "disconnect": self._disconnect,
            "stall": self._stall,
            "flood": self._flood,
            "restart": self._restart,
        }
        if not isinstance(kind, str) or kind not in handlers:
            raise ValueError(f"there is no fault {kind!r:.80}; there are {', '.join(handlers)}")
        checked = faults.checked_options(kind, options)
        self._require_running()
        return handlers[kind](**checked)

    def _malformed(self, *, kinds: str | Sequence[str] | None = None, count: int = 1) -> int:
        chosen = faults.chosen_kinds(kinds)
        return self.probe.portal.call(faults.send_malformed, self.probe.server, chosen, count, timeout=ANSWER_S)

    def _disconnect(self, *, which: int | None = None, clean: bool = False, code: int = 1012) -> int:
        return self.probe.portal.call(faults.disconnect, self.probe.server, which, clean, code, timeout=ANSWER_S)

    def _stall(self, *, seconds: float = 2.0) -> int:
        self.probe.portal.submit(faults.stall, seconds)
        return len(self.probe.server.clients)

    def _flood(self, *, rate: float = 10_000, seconds: float = 1.0, wait: bool = True) -> int:
        flood = faults.Flood(self.probe, rate, seconds)
        self._floods = [*(other for other in self._floods if other.alive), flood]
        return flood.wait() if wait else flood.total

    def _restart(self) -> int:
        clients = len(self.probe.server.clients)
        self.probe.restart_server()
        self._announce_again()
        return clients

    def _announce_again(self) -> None:
        """Publish all characters to the new server, on the town's own thread if it is running."""
        answered: Future[CommandResult] = Future()
        self.probe.control.submit(str(uuid.uuid4()), Command("announce"), "debugger", answered.set_result)
        if not answered.result(ANSWER_S + 1).ok:
            self.town.announce()
