"""A recording served as if it were live, with its own messages, times and ticks; it can pause, step and seek."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final, Self

from ..core import lifetime, logs
from ..core.arguments import flag, text_or_none
from ..core.arguments import path as checked_path
from ..core.cards import card, tone_of_run
from ..core.portal import Portal
from ..protocol.commands import CommandTable, DeclaredCommand
from ..protocol.control_payloads import RunState
from ..protocol.run_commands import run_commands
from ..server.entrance.auth import WebSocketAuth
from ..server.simulation_websocket import SimulationWebSocket
from ..simulation.lease import ControlLease
from ..simulation.request import Request
from .commands import ReplayCommands
from .player import Player
from .tape import LONGEST_SILENCE_S, Playhead, Tape, span

log = logging.getLogger("degentcivil_nb.replay")

_CLOSE_S: Final = 10.0


def start_replay(
    path: str | os.PathLike[str],
    port: int = 0,
    *,
    speed: float = 1.0,
    host: str = "127.0.0.1",
    paused: bool = False,
    token: str | None = None,
    longest_silence_s: float | None = LONGEST_SILENCE_S,
    name: str | None = None,
) -> Replay:
    """Serve a recording as if it were live, on a thread of its own.

    Messages come with the times and ticks that they were recorded with. The commands `pause`, `resume`, `step`,
    `set_speed`, `inspect` and `seek` work: `session.command("seek", tick=120)`. Breakpoints too: they stop the replay
    at the very event; `total_cost` and `total_calls` count what was played since its start. At its end the replay
    pauses, and `seek` still works. The first far seek in a long recording that was never opened has to read the
    recording: it takes as long as that, or is refused until that is done.

    Parameters
    ----------
    path : str or path-like
        The folder of the recording.
    port : int
        Where to listen; 0 takes a free port.
    speed : float
        How many times as fast as the recorded run, above 0 and up to 1,000,000.
    host : str
        The address to listen on. One that other machines can reach needs a `token`.
    paused : bool
        Begin paused, before the first message.
    token : str, optional
        What clients must know to connect. `connect` takes it from the replay by itself.
    longest_silence_s : float, optional
        How long a silence lasts at most, in seconds of the replay, at any speed. A longer one (a laptop asleep, a clock
        that jumped) is shortened to that, and a log record and a `run_state` of reason ``silence`` report it. `None`
        shortens none.
    name : str, optional
        What the replay is called in this process. An earlier replay of the same name is stopped, so a cell can be run
        again.

    Returns
    -------
    Replay
        The running replay; give it to `connect`, or its `.url`.

    Raises
    ------
    FileNotFoundError
        If there is no recording.
    ConnectionError
        If the port is in use.
    ValueError
        If a speed, a silence or another argument is not possible.

    Examples
    --------
    >>> with dc.start_replay(folder / "saved", paused=True) as replay, dc.connect(replay) as watcher:
    ...     _ = watcher.command("seek", tick=20)
    ...     watcher.step(3), replay.tick
    ('paused', 23)
    """
    return Replay(
        path,
        port,
        speed=speed,
        host=host,
        paused=paused,
        token=token,
        longest_silence_s=longest_silence_s,
        name=name,
    )


class Replay(ReplayCommands):
    """A recording played over a server of its own. Made by `start_replay`.

    It is a context manager, stopped by `stop()` and at the interpreter's exit. Messages that a recording lacks are
    declared as gaps, and so are those that a `seek` passes over; a snapshot of the town at the new moment follows at
    once.

    A session controls it: `session.pause()`, `session.step()`, `session.command("seek", tick=120)`. The methods
    `pause`, `resume`, `step`, `set_speed`, `seek` and `inspect` are what these commands run on the replay's own thread.

    Attributes
    ----------
    path : pathlib.Path
        The folder of the recording.
    token : str or None
        What clients must know to connect.
    name : str or None
        What the replay is called in this process.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        port: int = 0,
        *,
        speed: float = 1.0,
        host: str = "127.0.0.1",
        paused: bool = False,
        token: str | None = None,
        longest_silence_s: float | None = LONGEST_SILENCE_S,
        name: str | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._head = Playhead(speed, clock, longest_silence_s)
        self.path = Path(checked_path("path", path))
        self.token = token = text_or_none("token", token)
        self.name = text_or_none("name", name)
        """The replay's name in this process; a new replay of the same name replaces it."""
        paused = flag("paused", paused)
        lifetime.close_named(Replay, name)
        self._tape = Tape(self.path)
        self._state = RunState("paused", "start") if paused else RunState("running")
        if not paused:
            self._head.run()
        self._queue: deque[Request] = deque()
        self._current: str | None = None
        self._commands = CommandTable()
        for command in [*run_commands(self), DeclaredCommand(self.seek)]:
            self._commands.add(command)
        self._commands.add(DeclaredCommand(self.inspect, role="viewer"))
        manifest = self._tape.folder.manifest
        self._server = SimulationWebSocket(
            host,
            port,
            auth=None if token is None else WebSocketAuth({token: "debugger"}),
            commands=self,
            status=self.status,
            run_id=None if manifest is None else manifest.run_id,
            parameters={} if manifest is None else manifest.parameters,
        )
        self._player = Player(self._tape, self._server, self._head, self._say_shortened, self._later)
        self._lease = ControlLease(
            tell=self._tell_control, present=self._server.client_ids, later=self._later, clock=clock
        )
        shared = self._player.breakpoints.set_breakpoints, self._lease.take_control, self._lease.release_control
        for declare in shared:
            self._commands.add(DeclaredCommand(declare))
        logs.install_filters()
        for problem in self._tape.folder.problems:
            log.warning("%s: %s", self.path, problem)
        self._portal = Portal("degentcivil-replay")
        try:
            self._portal.call(self._open)
        except BaseException:
            self._portal.close()
            raise
        lifetime.register(self, close=type(self).stop, name=name)

    @property
    def url(self) -> str:
        """Return the URL to connect to.

        Returns
        -------
        str
            Such as ``"ws://127.0.0.1:50123"``.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True) as replay:
        ...     replay.url
        'ws://127.0.0.1:...'
        """
        return self._server.url

    @property
    def tick(self) -> int | None:
        """Return the tick that the replay has reached.

        Returns
        -------
        int or None
            `None` before the first tick.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True) as replay, dc.connect(replay) as watcher:
        ...     _ = watcher.command("seek", tick=7)
        ...     replay.tick
        7
        """
        return self._player.state.tick

    @property
    def run_state(self) -> str:
        """Return the state of the replay.

        Returns
        -------
        str
            ``"running"``, ``"paused"``, ``"finished"`` or ``"dead"``.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True) as replay:
        ...     replay.run_state
        'paused'
        """
        return self._state.state

    def stop(self) -> None:
        """End the server and its thread. A second call does nothing.

        Examples
        --------
        >>> replay = dc.start_replay(folder / "saved", paused=True)
        >>> replay.stop()
        >>> replay.run_state
        'finished'
        """
        if not lifetime.release(self):
            return
        try:
            self._portal.call(self._close, timeout=_CLOSE_S)
        except (RuntimeError, TimeoutError) as error:
            log.warning("the replay at %s did not close in order: %s", self.url, error)
        self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        at = "" if self.tick is None else f" at tick {self.tick}"
        short = f", {span(self._head.left_out_s)} of silence left out" if self._head.left_out_s else ""
        return f"<Replay {str(self.path)!r} at {self.url}: {self.run_state}{at}{short}>"

    def _repr_html_(self) -> str:
        left_out = self._head.left_out_s
        facts = {
            "recording": self.path,
            "run": self.run_state,
            "tick": self.tick,
            "speed": f"{self._head.speed:g}",
            "silence left out": span(left_out) if left_out else None,
        }
        return card("Replay", self.url, facts, tone_of_run(self.run_state))
