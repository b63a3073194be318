"""The facts that a server sends about itself and the run, in its hello and in every heartbeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sized
from typing import Any

from ..core.version import __version__
from ..protocol.command_payloads import NO_DEADLINE, WITHDRAW
from ..protocol.control_payloads import Heartbeat, Hello, RunState
from .stream.history import History


class RunFacts:
    """The facts about a server and its run, as of the moment of the call."""

    def __init__(
        self,
        epoch: str,
        history: History,
        *,
        status: Callable[[], RunState],
        clients: Sized,
        run_id: str | None,
        parameters: Mapping[str, Any],
        takes_commands: bool,
        heartbeat_s: float,
        max_message_bytes: int,
    ) -> None:
        self._epoch = epoch
        self._history = history
        self._status = status
        self._clients = clients
        self._run_id = run_id
        self._parameters = dict(parameters)
        self._capabilities = ["batch", "filter", "snapshot"]
        if takes_commands:
            self._capabilities += ["commands", NO_DEADLINE, WITHDRAW]
        self._heartbeat_s = heartbeat_s
        self._max_message_bytes = max_message_bytes

    def hello(self, role: str) -> Hello:
        """Return the first message to a client with that role."""
        state = self._status()
        return Hello(
            epoch=self._epoch,
            head=self._history.head,
            oldest=self._history.oldest,
            server={"name": "degentcivil_nb", "version": __version__},
            run_id=self._run_id,
            run_state=state.state,
            tick=state.tick,
            role=role,
            capabilities=list(self._capabilities),
            heartbeat_s=self._heartbeat_s,
            max_message_bytes=self._max_message_bytes,
            parameters=self._parameters or None,
        )

    def heartbeat(self, head: int) -> Heartbeat:
        """Return the heartbeat to a client that was sent everything up to `head`."""
        state = self._status()
        now = time.time()  # wall clock: clients compute lag and offset from it
        return Heartbeat(self._epoch, head, state.tick, state.state, len(self._clients), now, state.checkpoint_age_s)

    def guide_heartbeat(self) -> Heartbeat:
        """Return the heartbeat to a client of the guide, which knows neither epochs nor positions."""
        beat = self.heartbeat(0)
        return Heartbeat(tick=beat.tick, clients=beat.clients, timestamp=beat.timestamp)
