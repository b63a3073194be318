"""The probe, by which a simulation is shown and controlled, with its server on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from ..core import lifetime, logs
from ..core.arguments import flag, positive_number, text, text_or_none
from ..core.portal import Portal
from ..monitoring.connection_monitor import ConnectionMonitor
from ..monitoring.prometheus import serve_metrics
from ..monitoring.websocket_debugger import WebSocketDebugger
from ..protocol.commands import DeclaredCommand, Role
from ..protocol.messages import Links, RunState, SnapshotCharacter
from ..server.entrance.auth import WebSocketAuth
from ..server.simulation_websocket import SimulationWebSocket
from ..server.stream.history import History
from ..server.stream.publishing import Receipt
from .barrier import Barrier
from .breakpoints import Breakpoints
from .continuing import continuing
from .control import Control
from .stream_commands import StreamCommands
from .watching import Watching

log = logging.getLogger("degentcivil_nb.simulation")

_Function = TypeVar("_Function", bound=Callable[..., Any])
_CLOSE_S: Final = 10.0


class SimulationProbe(Watching):
    """What a simulation calls to be seen and steered, with the server that shows it on a thread of its own.

    The server listens when the constructor returns. After that nothing here raises into the simulation, and nothing but
    a checkpoint blocks it. It is a context manager, closed by `close()` and at the interpreter's exit.

    Parameters
    ----------
    host : str
        The address to listen on. One that other machines can reach needs a token.
    port : int
        Where to listen; 0 takes a free port.
    token : str, optional
        What a debugger must know to connect. Without `token` and `tokens` only this machine can connect.
    tokens : mapping of str to {"viewer", "debugger"}, optional
        More tokens, with the role that each gives.
    ssl : ssl.SSLContext, optional
        Serve ``wss://`` with it.
    tick_s : float or timedelta, optional
        The least time between two checkpoints at speed 1, in seconds. Left out, the simulation runs as fast as it can.
    paused : bool
        Stop at the first checkpoint.
    run_id : str, optional
        What the run is called.
    compression : bool, optional
        Compress what is sent. Left out: not where only this machine can connect.
    metrics_port : int, optional
        Where Prometheus finds the server's figures, at `metrics_url`; 0 takes a free port. Needs the extra
        ``prometheus``.
    name : str, optional
        What the probe is called in this process. It closes the probe that had the name, so a cell can be run again.
    history : int
        How many messages the server keeps for those who connect or come back, 64 MB of them at most.
    clock : callable
        Gives the time in seconds since 1970.

    Attributes
    ----------
    auth : WebSocketAuth or None
        Who may connect; its tokens can be changed at any time. `None`: everybody on this machine.
    monitor : ConnectionMonitor
        What the server counts.
    traffic : WebSocketDebugger
        The frames themselves, both ways, while `.enabled`.
    metrics_url : str or None
        Where Prometheus finds the figures.
    name : str or None
        What the probe is called in this process.
    states : dict
        The state last told of each character.

    Raises
    ------
    ConnectionError
        If the port is in use.
    ValueError
        If an argument cannot be.

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
        compression: bool | None = None,
        metrics_port: int | None = None,
        name: str | None = None,
        history: int = 100_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._history = history
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
        )
        """What the notebooks have declared."""
        self.control.judge = self.breakpoints.checkpoint
        self.control.commands.add(DeclaredCommand(self.breakpoints.set_breakpoints, anytime=True))
        self._stream_commands = StreamCommands(self, self.control.answer, clock)
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
        self._stop_metrics = _nothing
        self._options: dict[str, Any] = {
            "ssl": ssl,
            "run_id": run_id,
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
        self._replacing = asyncio.Lock()  # two at once would use the same port
        self._portal = Portal("degentcivil-probe")
        try:
            self._portal.call(self._server.start)
            if metrics_port is not None:
                self.metrics_url, self._stop_metrics = serve_metrics(self.monitor, metrics_port)
        except BaseException:
            self._portal.close()
            raise
        lifetime.register(self, close=type(self).close, inherited=type(self)._give_up, name=name)

    def _make_server(self, host: str, port: int) -> SimulationWebSocket:
        return SimulationWebSocket(
            host,
            port,
            commands=self.control,
            status=self.control.status,
            history=History(self._history),
            **self._options,
        )

    @property
    def url(self) -> str:
        """Say where to connect.

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
        """Give the server, which lives on the portal's loop.

        Returns
        -------
        SimulationWebSocket
            Another one after `restart_server`.

        Examples
        --------
        >>> type(probe.server).__name__
        'SimulationWebSocket'
        """
        return self._server

    @property
    def portal(self) -> Portal:
        """Give the thread that the server runs on.

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
        """Say how the run is.

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

    # --- being stopped and steered -------------------------------------------------------------------------------

    def checkpoint(self, tick: Any = None, *, blocking: bool = False) -> None:
        """Let commands happen here, and stay while the run is paused. Call it once a tick, on the simulation's thread.

        Parameters
        ----------
        tick : int, optional
            The tick that is over; left out, the next number. A number that is no counted tick, such as 0.25, goes on as
            the model's own clock (`sim_time`), and the ticks are counted.
        blocking : bool
            Whether it may block a running event loop, where it otherwise does nothing but warn. In a notebook's cell it
            blocks as anywhere.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     for tick in range(3):
        ...         town.checkpoint(tick)
        ...     town
        <SimulationProbe ws://127.0.0.1:...: running at tick 2>
        """
        self._look()
        try:
            self.control.checkpoint(tick, blocking=blocking)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._fail(error)

    async def acheckpoint(self, tick: Any = None) -> None:
        """Do in a coroutine what `checkpoint` does.

        It never blocks the loop, and handlers may be coroutine functions.

        Parameters
        ----------
        tick : int, optional
            As in `checkpoint`.

        Examples
        --------
        >>> import asyncio
        >>> async def run(town):
        ...     for tick in range(3):
        ...         await town.acheckpoint(tick)
        >>> with dc.SimulationProbe(port=0) as town:
        ...     asyncio.run(run(town))
        ...     town
        <SimulationProbe ws://127.0.0.1:...: running at tick 2>
        """
        self._look()
        try:
            if self._barrier is None:
                await self.control.acheckpoint(tick)
            else:
                await self._barrier.arrive(partial(self.control.acheckpoint, tick))
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._fail(error)

    def barrier(self, n: int) -> Barrier:
        """Let a tick of an asyncio simulation end when `n` coroutines have come to `acheckpoint`.

        So `step(1)` is one tick of all of them.

        Parameters
        ----------
        n : int
            How many coroutines have to come, at least 1.

        Returns
        -------
        Barrier
            A coroutine that ends calls its `leave()`; `join()` adds one.

        Raises
        ------
        ValueError
            For a number that is none.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...     probe.barrier(200).parties
        200
        """
        self._barrier = Barrier(n)
        return self._barrier

    def when_running(self, function: _Function) -> _Function:
        """Give a function, sync or async, that waits while the run is paused: for an answer that arrives meanwhile.

        Parameters
        ----------
        function : callable
            What follows, such as the use of a model's answer.

        Returns
        -------
        callable
            A function with the same arguments.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...     act = probe.when_running(lambda answer: answer.upper())
        ...     act("go")
        'GO'
        """
        return continuing(self.control, function)

    def asker(self, function: _Function) -> _Function:
        """Offer `ask`: the function takes a character's id and a question, and gives the character's answer.

        The interview is told as an event, with what `inspect` gives before and after it where that is offered, so that
        it can be seen that nothing changed.

        Parameters
        ----------
        function : callable
            Takes a character's id and a question.

        Returns
        -------
        callable
            The function itself, so that this is a decorator.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...
        ...     @probe.asker
        ...     def ask(character_id: str, question: str) -> str:
        ...         return f"{character_id} says: I do not know"
        """
        self._stream_commands.asker = function
        self._offer(DeclaredCommand(self._stream_commands.ask))
        return function

    def _fail(self, error: Exception) -> None:
        self.left_behind += 1
        self._complain(error)

    @overload
    def command(self, function: _Function, /) -> _Function: ...

    @overload
    def command(
        self, /, *, role: Role = "debugger", name: str | None = None, anytime: bool = False
    ) -> Callable[[_Function], _Function]: ...

    def command(
        self,
        function: _Function | None = None,
        /,
        *,
        role: Role = "debugger",
        name: str | None = None,
        anytime: bool = False,
    ) -> _Function | Callable[[_Function], _Function]:
        """Offer a function as a command of the simulation. Used as a decorator, with or without arguments.

        Notebooks give the function's arguments by name, and they are checked against its annotations. The first line of
        its docstring describes it in `session.commands()`. It runs on the simulation's thread inside the next
        checkpoint.

        Parameters
        ----------
        function : callable
            What is offered. A name used before is used anew.
        role : {"debugger", "viewer"}
            Who may run it.
        name : str, optional
            The command's name; left out, the function's.
        anytime : bool
            Run it at once, on a worker thread of the probe, instead of at the next checkpoint. That it may race the
            model is then its own affair.

        Returns
        -------
        callable
            The function itself.

        Raises
        ------
        TypeError
            If its signature cannot be called by name, or an annotation has no JSON form.
        ValueError
            If the name is none, is one of the probe's own commands, or the role is unknown.

        Examples
        --------
        >>> purse = {"emma": 3}
        >>> with dc.SimulationProbe(port=0) as town:
        ...
        ...     @town.command(anytime=True)
        ...     def give_money(character_id: str, amount: int) -> int:
        ...         purse[character_id] += amount
        ...         return purse[character_id]
        ...
        ...     with dc.connect(town) as session:
        ...         session.command("give_money", character_id="emma", amount=2)
        5
        """

        def offer(function: _Function) -> _Function:
            declared = DeclaredCommand(function, name=name, role=role, anytime=anytime)
            if declared.name in self._own:
                raise ValueError(f"{declared.name!r} is a command of the probe itself; give yours another name")
            self._offer(declared)
            return function

        return offer if function is None else offer(function)

    @overload
    def inspector(self, function: _Function, /) -> _Function: ...

    @overload
    def inspector(self, /, *, anytime: bool = False) -> Callable[[_Function], _Function]: ...

    def inspector(
        self, function: _Function | None = None, /, *, anytime: bool = False
    ) -> _Function | Callable[[_Function], _Function]:
        """Offer `inspect`. Used as a decorator, with or without arguments.

        Parameters
        ----------
        function : callable
            Takes a character's id and gives all that is known of it. A `LookupError` says that there is no such
            character.
        anytime : bool
            Ask it at once, on a worker thread of the probe, instead of at the next checkpoint.

        Returns
        -------
        callable
            The function itself.

        Examples
        --------
        >>> people = {"emma": {"money": 3}}
        >>> with dc.SimulationProbe(port=0) as town:
        ...
        ...     @town.inspector(anytime=True)
        ...     def find(character_id):
        ...         return people[character_id]
        ...
        ...     with dc.connect(town) as session:
        ...         session.inspect("emma")
        {'money': 3}
        """

        def offer(function: _Function) -> _Function:
            self._stream_commands.inspector = function
            self._offer(DeclaredCommand(self._stream_commands.inspect, role="viewer", anytime=anytime))
            return function

        return offer if function is None else offer(function)

    @overload
    def attributes(self, function: _Function, /) -> _Function: ...

    @overload
    def attributes(self, /, *, anytime: bool = False) -> Callable[[_Function], _Function]: ...

    def attributes(
        self, function: _Function | None = None, /, *, anytime: bool = False
    ) -> _Function | Callable[[_Function], _Function]:
        """Offer `set_attribute`. Used as a decorator, with or without arguments.

        Parameters
        ----------
        function : callable
            Takes a character's id, a name and a value, and sets it. A `LookupError`, `TypeError` or `ValueError`
            refuses. What is set is told as a `character_update` by itself.
        anytime : bool
            Call it at once, on a worker thread of the probe, instead of at the next checkpoint.

        Returns
        -------
        callable
            The function itself.

        Examples
        --------
        >>> people = {"emma": {"money": 3}}
        >>> with dc.SimulationProbe(port=0) as town:
        ...
        ...     @town.attributes(anytime=True)
        ...     def set_one(character_id, name, value):
        ...         people[character_id][name] = value
        ...
        ...     with dc.connect(town) as session:
        ...         _ = session.set_attribute("emma", "money", 100)
        >>> people
        {'emma': {'money': 100}}
        """

        def offer(function: _Function) -> _Function:
            self._stream_commands.setter = function
            self._offer(DeclaredCommand(self._stream_commands.set_attribute, anytime=anytime))
            return function

        return offer if function is None else offer(function)

    def _offer(self, command: DeclaredCommand) -> None:
        self.control.commands.add(command)
        self._on_loop(self._tell_commands)

    async def _tell_commands(self) -> None:
        self._server.offer_commands()

    # --- the server's thread -------------------------------------------------------------------------------------

    def _publish_control(self, type: str, state: Any, receipt: Receipt | None = None) -> None:
        self._server.publish(type, state, None, self._clock(), receipt)

    def _route(self) -> None:
        """Have messages pass the breakpoints, if there are any that are on, and otherwise go straight to the server."""
        if not self.control.ended:
            self._publish = self.breakpoints.publish if self.breakpoints.any else self._server.publish

    def _characters_now(self) -> list[SnapshotCharacter]:
        try:
            self.flush()
        except (RuntimeError, TimeoutError) as error:  # what is on its way is not known then
            log.warning("the server at %s did not answer: %s", self.url, error)
        return list(self._server.feed.present.characters())

    def _on_loop(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """Start a coroutine function on the server's loop, if it is running; return a function that cancels it."""
        try:
            return self._portal.submit(function, *arguments).cancel
        except RuntimeError:  # closed, or another process's
            return _nothing

    def flush(self) -> int:
        """Wait until all that was told has its position in the stream.

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

        async def head_after_drain() -> int:
            return self._server.feed.head_after_drain()

        return self._portal.call(head_after_drain, timeout=_CLOSE_S)

    def characters(self) -> list[str]:
        """List the characters told of so far.

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
        try:
            self.flush()
        except (RuntimeError, TimeoutError) as error:  # the number of messages in flight is unknown then
            log.warning("the server at %s did not answer: %s", self.url, error)
        return self._server.feed.present.names()

    def _later(self, delay_s: float, function: Callable[[], None]) -> Callable[[], None]:
        async def wait() -> None:
            await asyncio.sleep(delay_s)
            function()

        return self._on_loop(wait)

    def _alive(self) -> bool:
        return self._portal.thread.is_alive() and not self._portal.closed

    def restart_server(self) -> None:
        """Put a new server, with a new epoch, in the place of the one there is.

        Raises
        ------
        ConnectionError
            If the port was taken meanwhile.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     before = town.server.epoch
        ...     town.restart_server()
        ...     town.server.epoch == before
        False
        """
        self._portal.call(self._replace_server, timeout=_CLOSE_S)

    async def _replace_server(self) -> None:
        async with self._replacing:
            old = self._server
            self._server = self._make_server(old.host, old.port)
            self._route()
            await old.close()
            await self._server.start()
            if self.breakpoints.rows():
                self.breakpoints.tell()

    # --- the end -------------------------------------------------------------------------------------------------

    def finish(self, state: str = "finished", reason: str | None = None) -> None:
        """Tell that the run is over, and go on serving what there is to see.

        Parameters
        ----------
        state : {"finished", "dead"}
            How it ended.
        reason : str, optional
            Why, such as ``"exception"``.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.finish()
        ...     with dc.connect(town) as session:
        ...         session.metrics()["run_state"]
        'finished'
        """
        self.control.finish(state, reason)

    def close(self) -> None:
        """Tell that the run is over, and end the server and its thread. A second call does nothing.

        Examples
        --------
        >>> town = dc.SimulationProbe(port=0)
        >>> town.close()
        >>> town.run_state
        'finished'
        """
        if not lifetime.release(self):
            return
        self.control.finish("finished")
        try:
            self._portal.call(self._server.close, timeout=_CLOSE_S)
        except (RuntimeError, TimeoutError) as error:
            log.warning("the server at %s did not close in order: %s", self.url, error)
        self._publish = _nowhere
        self._portal.close()
        self._stop_metrics()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, GeneratorExit):
            self.finish("dead", "exception")
        self.close()

    def stats(self) -> dict[str, float | None]:
        """Count what was told, and what became of it.

        Returns
        -------
        dict
            `published`: everything told, each a message, an `error` 1005 or part of a gap; `converted`: values that
            were not plain; `unencodable`: told as an `error` 1005; `overflowed`: lost, and declared as a gap, because
            the server's thread did not keep up; `unknown_keywords`: kept in payloads; `clients`: connected now;
            `checkpoint_age_s`: seconds since the last checkpoint, `None` before the first. All but the last two
            count from the start of the server.

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
            "clients": len(self._server.clients),
            "checkpoint_age_s": self.control.status().checkpoint_age_s,
        }

    def __repr__(self) -> str:
        state: RunState = self.control.status()
        at = "" if state.tick is None else f" at tick {state.tick}"
        unencodable = self.stats()["unencodable"]
        failed = f", {unencodable:,} unencodable" if unencodable else ""
        return f"<SimulationProbe {self.url}: {state.state}{at}{failed}>"

    def _give_up(self) -> None:
        """Do nothing from now on: this is a forked child, and the server stayed in the parent."""
        self._publish = _nowhere
        self.control.disarm()


def calls_checkpoints_here(epoch: str | None) -> bool:
    """Return whether this thread is the one that calls the checkpoints of the run with that epoch."""
    held = lifetime.held(SimulationProbe)
    return any(probe.server.epoch == epoch and probe.control.is_own_thread for probe in held)


def _make_auth(token: str | None, tokens: Mapping[str, Role] | None) -> WebSocketAuth | None:
    known: dict[str, str] = dict(tokens or {})
    if token is not None:
        known[token] = "debugger"
    return WebSocketAuth(known) if known else None


def _nowhere(
    type: str,
    data: Any,
    tick: int | None = None,
    timestamp: float | None = None,
    receipt: Receipt | None = None,
    links: Links | None = None,
) -> None:
    """Discard a message."""


def _nothing() -> None:
    """Do nothing."""
