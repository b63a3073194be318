"""The probe: its server, its control, its end. Most of its methods are in `methods/`, by concern."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..core import lifetime, logs
from ..core.arguments import flag, instance, positive_number, text, text_or_none, whole_number
from ..core.arguments import port as checked_port
from ..core.cards import card, tone_of_run
from ..core.parameters import plain_parameters
from ..core.portal import Portal
from ..monitoring.connection_monitor import ConnectionMonitor
from ..monitoring.prometheus import serve_metrics
from ..monitoring.websocket_debugger import WebSocketDebugger
from ..protocol.commands import DeclaredCommand, Role
from ..protocol.control_payloads import RunState
from ..protocol.messages import MessageTypes
from ..server.entrance.auth import WebSocketAuth
from ..server.workers import Workers
from .barrier import Barrier
from .breakpoints import Breakpoints
from .control import Control
from .desertion import ABANDONED_S, Desertion
from .lease import ControlLease
from .methods.capturing import CapturingMethods
from .methods.checkpoints import CheckpointMethods
from .methods.commands import CommandMethods
from .methods.ending import EndingMethods
from .methods.serving import nothing
from .methods.thoughts import ThoughtMethods
from .methods.workers import WorkerMethods
from .stream_commands import StreamCommands
from .watches import Watches

log = logging.getLogger("degentcivil_nb.simulation")


class SimulationProbe(
    WorkerMethods, CheckpointMethods, CapturingMethods, ThoughtMethods, CommandMethods, EndingMethods
):
    """The object through which a simulation publishes and takes commands, with a server on a thread of its own.

    The server listens when the constructor returns. After that nothing here raises into the simulation, and nothing but
    a checkpoint blocks it. It is a context manager, closed by `close()` and at the interpreter's exit.

    Parameters
    ----------
    host : str
        The address to listen on. One that other machines can reach needs a token.
    port : int
        Where to listen; 0 takes a free port.
    token : str, optional
        The secret that a debugger needs to connect. Without `token` and `tokens` only this machine can connect.
    tokens : mapping of str to {"viewer", "debugger"}, optional
        More tokens, with the role that each gives.
    ssl : ssl.SSLContext, optional
        The TLS context; with one, the server speaks ``wss://``.
    tick_s : float or timedelta, optional
        The least time between two checkpoints at speed 1, in seconds. Left out, the simulation runs as fast as it can.
    paused : bool
        Stop at the first checkpoint.
    run_id : str, optional
        The name of the run.
    parameters : mapping, optional
        What the run was started with: configuration, seed, model, version, with values of any type. They are kept in
        recordings, are columns of `runs.table()`, and are shown with a session or a recording.
    compression : bool, optional
        Whether to compress what is sent. Left out: yes, unless only this machine can connect.
    metrics_port : int, optional
        The port at which Prometheus finds the server's counters, at `metrics_url`; 0 takes a free port. Needs the extra
        ``prometheus``.
    name : str, optional
        The probe's name in this process. An earlier probe of the same name is closed, so a cell can be run again.
    history : int
        How many messages the server keeps for clients that connect or reconnect, 64 MB of them at most.
    keep_up_s : float or timedelta, optional
        How many seconds each checkpoint waits at most until the connected clients have received everything, so that
        they miss nothing at full speed. Left out, the simulation never waits for clients, and one that is too slow has
        a gap.
    abandoned_s : float or timedelta, optional
        How many seconds a paused run waits after its last debugger has disconnected; then the run goes on. Both are
        reported in the log and in the stream. `None`: for ever.
    clock : callable
        A function that returns the time in seconds since 1970.

    Attributes
    ----------
    auth : WebSocketAuth or None
        The tokens of clients, which can be changed at any time. `None`: everyone on this machine may connect.
    monitor : ConnectionMonitor
        The server's counters.
    traffic : WebSocketDebugger
        A record of the frames in both directions, while `.enabled`.
    metrics_url : str or None
        The URL at which Prometheus finds the counters.
    name : str or None
        The probe's name in this process.
    states : dict
        The last published state of each character.

    Raises
    ------
    ConnectionError
        If the port is in use.
    ValueError
        If an argument is not possible.

    Examples
    --------
    >>> with dc.SimulationProbe(port=0) as town:
    ...     for tick in range(3):
    ...         _ = town.state_change("emma", "MOVE", location="Market")
    ...         town.checkpoint(tick)
    ...     with dc.connect(town) as session:
    ...         session.events("state_change")["tick"].to_list()
    [0, 1, 2]
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8765,
        *,
        token: str | None = None,
        tokens: Mapping[str, Role] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        tick_s: float | None = None,
        paused: bool = False,
        run_id: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        compression: bool | None = None,
        metrics_port: int | None = None,
        name: str | None = None,
        history: int = 100_000,
        keep_up_s: float | None = None,
        abandoned_s: float | None = ABANDONED_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._history = min(whole_number("history", history, 1), sys.maxsize)
        run_id = text_or_none("run_id", run_id)
        metrics_port = None if metrics_port is None else checked_port("metrics_port", metrics_port)
        compression = None if compression is None else flag("compression", compression)
        ssl = instance("ssl", ssl, ssl_module.SSLContext, "an ssl.SSLContext")
        self._keep_up_s = None if keep_up_s is None else positive_number("keep_up_s", keep_up_s, "seconds")
        self._barrier: Barrier | None = None
        host = text("host", host)
        self.name = text_or_none("name", name)
        """The probe's name in this process; another probe of that name replaces it."""
        token, paused = text_or_none("token", token), flag("paused", paused)
        tick_s = None if tick_s is None else positive_number("tick_s", tick_s, "seconds")
        self.control = Control(
            self._publish_control,
            later=self._later,
            alive=self._alive,
            tick_s=tick_s,
            paused=paused,
        )
        self.breakpoints = Breakpoints(
            self.control,
            forward=lambda: self._server.publish,
            stop=self.control.stop,
            totals=lambda: self.totals.both,
            characters=self._characters_now,
            present=lambda: self._server.client_ids(),  # noqa: PLW0108 — the server may be replaced
            later=self._later,
            changed=self._route,
            goes_on=lambda: self.control.goes_on,
        )
        """The breakpoints that notebooks have declared."""
        self.watches = Watches(
            self.control,
            self.breakpoints,
            reached=lambda: self.control.reached,
            forward=lambda: self._server.publish,
            present=lambda: self._server.client_ids(),  # noqa: PLW0108 — as above
            later=self._later,
        )
        """The watches that notebooks have declared."""
        self.lease = ControlLease(
            tell=partial(self._publish_control, MessageTypes.CONTROL),
            present=lambda: self._server.client_ids(),  # noqa: PLW0108 — as above
            later=self._later,
        )
        """The lease: which client alone may change the run, if any."""
        self.control.abandoned = Desertion(
            debuggers=lambda: self._server.debuggers(),  # noqa: PLW0108 — as above
            say=self._say_aloud,
            waits=self._say_that_it_waits,
            after_s=None if abandoned_s is None else positive_number("abandoned_s", abandoned_s, "seconds"),
        ).is_over
        self.control.refusal = self.lease.refusal
        self.control.misused = self._misused
        for word in (self.lease.take_control, self.lease.release_control):
            self.control.commands.add(DeclaredCommand(word, anytime=True))
        self.control.commands.add(DeclaredCommand(self.breakpoints.set_breakpoints, anytime=True))
        self.control.commands.add(DeclaredCommand(self.watches.set_watches, anytime=True))
        self._stream_commands = StreamCommands(self, self.control.answer, clock)
        self._stream_commands.told_of = self._told_of
        for function in self._stream_commands.always:
            self.control.commands.add(DeclaredCommand(function))
        self._own = frozenset(command.name for command in self.control.commands) | {"inspect", "set_attribute", "ask"}
        self.auth = _make_auth(token, tokens)
        """The tokens of clients, which can be changed at any time. `None`: everyone on this machine."""
        self.monitor = ConnectionMonitor()
        """The server's counters: connections, messages, bytes, errors, latencies."""
        self.traffic = WebSocketDebugger(secrets=() if self.auth is None else self.auth.tokens)
        """A record of frames in both directions, while `.enabled`."""
        self.metrics_url: str | None = None
        self._stop_metrics = nothing
        self._options: dict[str, Any] = {
            "ssl": ssl,
            "run_id": run_id,
            "parameters": plain_parameters(parameters),
            "workers": Workers(self._tell_of_worker),
            "clock": clock,
            "auth": self.auth,
            "monitor": self.monitor,
            "traffic": self.traffic,
            "compression": compression,
        }
        logs.install_filters()
        lifetime.close_named(SimulationProbe, name)
        self._server = self._make_server(host, port)
        super().__init__(self._server.publish, self.control, clock)
        self._over = ""  # why nothing reaches anybody any more
        self._replacing = asyncio.Lock()  # two at once would use the same port
        self._closed = False
        self._portal = Portal("degentcivil-probe")
        try:
            self._portal.call(self._server.start)
            if metrics_port is not None:
                self.metrics_url, self._stop_metrics = serve_metrics(self.monitor, metrics_port)
        except BaseException:
            self._portal.call(self._close_server)  # the server listens already if the metrics' port is in use
            self._portal.close()
            raise
        lifetime.register(self, close=type(self).close, inherited=type(self)._give_up, name=name)

    def __repr__(self) -> str:
        state: RunState = self.control.status()
        at = "" if state.tick is None else f" at tick {state.tick}"
        unencodable = self.stats()["unencodable"]
        failed = f", {unencodable:,} unencodable" if unencodable else ""
        return f"<SimulationProbe {self.url}: {state.state}{at}{failed}>"

    def _repr_html_(self) -> str:
        state, stats = self.control.status(), self.stats()
        facts = {
            "run": state.state,
            "tick": state.tick,
            "published": stats["published"],
            "clients": stats["clients"],
            "unencodable": stats["unencodable"] or None,
            "connect": f'dc.connect("{self.url}")',
        }
        return card("SimulationProbe", self.url, facts, tone_of_run(state.state))


def would_wait_for_itself(epoch: str | None, command: str) -> bool:
    """Return whether this thread is the one that has to carry out a command to the run with that epoch."""
    held = lifetime.held(SimulationProbe)
    return any(probe.server.epoch == epoch and probe.control.would_wait_for_itself(command) for probe in held)


def _make_auth(token: str | None, tokens: Mapping[str, Role] | None) -> WebSocketAuth | None:
    if tokens is not None and not isinstance(tokens, Mapping):
        raise TypeError(f"tokens must be a mapping of tokens to roles, not {type(tokens).__name__}")
    known: dict[str, str] = dict(tokens or {})
    if token is not None:
        known[token] = "debugger"
    return WebSocketAuth(known) if known else None
