"""A recording served as if it were live: its own messages, times and ticks, which can be paused, stepped and sought."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Final, Self

from msgspec import Meta
from msgspec.structs import replace

from ..core import lifetime, logs
from ..core.arguments import flag, text_or_none
from ..core.arguments import path as checked_path
from ..core.portal import Portal
from ..protocol.command_payloads import Command, CommandSpec
from ..protocol.commands import CommandTable, DeclaredCommand, no_such_character, refusal, wrong_argument
from ..protocol.control_payloads import RunState, SnapshotCharacter
from ..protocol.errors import WebSocketError
from ..protocol.messages import MessageTypes
from ..server.entrance.auth import WebSocketAuth
from ..server.simulation_websocket import SimulationWebSocket
from ..simulation.request import Reply, Request, over
from .player import Player
from .seek_index import SeekTarget
from .tape import LONGEST_SILENCE_S, MAX_SPEED, Playhead, Tape, seconds_of, span

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
    pauses, and can be sought in. The first far seek in a long recording that was never opened has to read it: it
    takes that long, or is refused until that is done.

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
        How long a silence lasts at most, in seconds of the recorded run. A longer one (a laptop asleep, a clock that
        jumped) is shortened to that, which a log record and a `run_state` of reason ``silence`` say. `None` waits as
        long as the recorded run did.
    name : str, optional
        What the replay is called in this process. It stops the replay that had the name, so a cell can be run again.

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
        If a speed, a silence or another argument cannot be.

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


class Replay:
    """A recording played over a server of its own. Made by `start_replay`.

    It is a context manager, stopped by `stop()` and at the interpreter's exit. What a recording lacks is declared as a
    gap where it is missing, and so is what a `seek` passes over; the town as it is there follows at once.

    A session steers it: `session.pause()`, `session.step()`, `session.command("seek", tick=120)`. The methods `pause`,
    `resume`, `step`, `set_speed`, `seek` and `inspect` are what these commands run on the replay's own thread.

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
        """What it is known by in this process: another of that name takes its place."""
        paused = flag("paused", paused)
        lifetime.close_named(Replay, name)
        self._tape = Tape(self.path)
        self._state = RunState("paused", "start") if paused else RunState("running")
        if not paused:
            self._head.run()
        self._queue: deque[Request] = deque()
        self._current: str | None = None
        self._commands = CommandTable()
        for function in (self.pause, self.resume, self.step, self.set_speed, self.seek):
            self._commands.add(DeclaredCommand(function))
        self._commands.add(DeclaredCommand(self.inspect, role="viewer"))
        manifest = self._tape.folder.manifest
        self._server = SimulationWebSocket(
            host,
            port,
            auth=None if token is None else WebSocketAuth({token: "debugger"}),
            commands=self,
            status=self.status,
            run_id=None if manifest is None else manifest.run_id,
        )
        self._player = Player(self._tape, self._server, self._head, self._say_shortened, self._later)
        self._commands.add(DeclaredCommand(self._player.breakpoints.set_breakpoints))
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
        """Say where to connect.

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
        """Give the tick that the replay has come to.

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
        return self._player.scene.tick

    @property
    def run_state(self) -> str:
        """Say how the replay is.

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

    def status(self) -> RunState:
        """Say how the replay is, where, and how fast."""
        return replace(self._state, tick=self._player.scene.tick, speed=self._head.speed)

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

    # --- the loop -----------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        await self._server.start()
        self._task = asyncio.create_task(self._run())

    async def _close(self) -> None:
        self._tape.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._player.close()
        self._enter("finished", "closed")
        self._refuse_waiting()
        await self._server.close()

    async def _run(self) -> None:
        try:
            while True:
                self._wake.clear()
                while self._queue:
                    request = self._queue.popleft()
                    if not request.claim():
                        continue
                    self._current = request.id
                    await request.run_async()
                    self._current = None
                wait = await self._play()
                if self._queue or wait == 0:
                    continue
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        except Exception:  # the boundary of the replay's heart: whoever looks on is told
            log.exception("the replay of %s died", self.path)
            self._enter("dead", "exception")
            self._refuse_waiting()

    async def _play(self) -> float | None:
        """Return what is due; gives the seconds until there is more to tell, `None` while nothing is."""
        if self._state.state != "running":
            return None
        wait = await self._player.play(lambda: bool(self._queue))
        if self._stopped_at_breakpoint():
            return None
        if wait is None:
            self._head.stop()
            self._enter("paused", "end")
        return wait

    def _say_shortened(self, left_out_s: float) -> None:
        """Say that a silence is shortened: the first one aloud, and all to watchers."""
        first = self._head.left_out_s == left_out_s
        advice = "; longest_silence_s=None waits as the run did" if first else ""
        level = logging.WARNING if first else logging.INFO
        log.log(level, "%s of silence in %s are left out%s", span(left_out_s), self.path, advice)
        self._enter(self._state.state, "silence")

    def _later(self, delay_s: float, function: Callable[[], None]) -> None:
        self._loop.call_later(delay_s, function)

    def _stopped_at_breakpoint(self) -> bool:
        """Stop, if a breakpoint was met."""
        hits = self._player.breakpoints.take()
        if hits:
            self._head.stop()
            self._enter("paused", "breakpoint", hits)
        return bool(hits)

    def _enter(self, state: str, reason: str, hits: Sequence[dict[str, Any]] = ()) -> None:
        seq = next((hit["seq"] for hit in hits if hit["seq"] is not None), None)
        self._state = RunState(
            state, reason, self._player.scene.tick, command_id=self._current, breakpoints=list(hits), seq=seq
        )
        self._server.publish(MessageTypes.RUN_STATE, self._state)
        self._server.publisher.drain()

    # --- commands -----------------------------------------------------------------------------------------------

    def specs(self) -> list[CommandSpec]:
        """List the commands on offer."""
        return self._commands.specs()

    def submit(self, id: str, command: Command, role: str, reply: Reply) -> None:
        """Take a command from any thread and return; `reply` is called once, after its effect."""
        try:
            declared, arguments = self._commands.admit(command, role)
            if self._state.state in ("finished", "dead"):
                raise over()
        except WebSocketError as error:
            reply(refusal(error))
            return
        self._queue.append(Request(id, declared, arguments, math.inf, reply, command.client))
        self._loop.call_soon_threadsafe(self._wake.set)

    def withdraw(self, id: str, reason: str) -> None:
        """Refuse a command that was not begun."""
        for request in self._queue.copy():
            if request.id == id and request.claim():
                request.fail(WebSocketError(WebSocketError.TIMEOUT, reason))

    def _refuse_waiting(self) -> None:
        while self._queue:
            self._queue.popleft().fail(over())

    def pause(self) -> RunState:
        """Pause the replay.

        Returns
        -------
        RunState
            How the replay is, where, and how fast.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", speed=0.001) as replay, dc.connect(replay) as watcher:
        ...     watcher.pause()
        'paused'
        """
        if self._state.state == "running":
            self._head.stop()
            self._enter("paused", "command")
        return self.status()

    async def resume(self) -> RunState:
        """Let a paused replay go on.

        Returns
        -------
        RunState
            How the replay is, where, and how fast.

        Raises
        ------
        WebSocketError
            With code 1105 if the recording is over.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True, speed=0.001) as replay, dc.connect(replay) as watcher:
        ...     watcher.resume()
        'running'
        """
        if self._state.state == "paused":
            await self._require_more()
            self._head.run()
            self._enter("running", "command")
        return self.status()

    async def step(self, ticks: Annotated[int, Meta(ge=1)] = 1) -> RunState:
        """Tell at once what that many ticks hold, and pause again; without ticks, that many events.

        Parameters
        ----------
        ticks : int
            How many ticks, at least one; in a recording without ticks, how many events.

        Returns
        -------
        RunState
            How the replay is, where, and how fast.

        Raises
        ------
        WebSocketError
            With code 1105 if the replay is not paused, or the recording is over.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True) as replay, dc.connect(replay) as watcher:
        ...     _ = watcher.command("seek", tick=20)
        ...     watcher.step(5), replay.tick
        ('paused', 25)
        """
        if self._state.state != "paused":
            raise WebSocketError(WebSocketError.WRONG_RUN_STATE, "only a paused replay can step: pause it first")
        await self._require_more()
        self._enter("running", "step")
        done = await self._player.step(ticks)
        if self._stopped_at_breakpoint():
            return replace(self.status(), ticks=done)
        self._enter("paused", "step")
        return self.status()

    def set_speed(self, factor: Annotated[float, Meta(gt=0, le=MAX_SPEED)]) -> RunState:
        """Replay at that many times the speed of the recorded run.

        Parameters
        ----------
        factor : float
            Above 0 and up to 1,000,000; 1 is the recorded run's own pace.

        Returns
        -------
        RunState
            How the replay is, where, and how fast.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True) as replay, dc.connect(replay) as watcher:
        ...     watcher.set_speed(4)
        'paused' (speed 4)
        """
        self._head.set_speed(factor)
        return self.status()

    async def seek(self, tick: Annotated[int, Meta(ge=0)] | None = None, time: str | float | None = None) -> RunState:
        """Go to the end of a tick or to a time (ISO text, or seconds since 1970; naive is UTC), forward or back.

        What lies between is declared as a gap, and the town as it was there follows.

        Parameters
        ----------
        tick : int, optional
            Go to the end of this tick.
        time : str or float, optional
            Go to this time. Give either `tick` or `time`.

        Returns
        -------
        RunState
            How the replay is, where, and how fast.

        Raises
        ------
        WebSocketError
            With code 1102 if neither or both are given, or the recording does not reach so far.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True) as replay, dc.connect(replay) as watcher:
        ...     result = watcher.command("seek", tick=30)
        ...     result["state"], result["tick"]
        ('paused', 30)
        """
        if (tick is None) == (time is None):
            raise wrong_argument("tick", "seek takes either a tick or a time")
        scene = self._player.scene
        if tick is not None:
            self._tape.require_tick(tick)
            back = scene.tick is not None and tick < scene.tick
            await self._player.seek(SeekTarget(tick), back, self._progress())
            scene.tick = tick
            self._head.place(scene.moment)
        else:
            moment = seconds_of(time, scene.moment)
            self._tape.require_time(moment)
            just_after = moment + 5e-7  # times are known to the microsecond
            await self._player.seek(SeekTarget(None, just_after), just_after < scene.moment, self._progress())
            self._head.place(moment)
        if self._head.moment == -math.inf:  # before everything
            self._head.place(None)
        self._enter(self._state.state, "seek")
        return self.status()

    def _progress(self) -> Callable[[int, int], None]:
        """Tell log and watchers that a seek takes its time."""
        told = False

        def progress(done: int, total: int) -> None:
            nonlocal told
            log.info("seeking in %s: %s of %s messages read", self.path, f"{done:,}", f"{total:,}")
            if not told:  # without the command's id, for which they would take the command to be done
                told = True
                state = RunState(self._state.state, "seeking", self._player.scene.tick)
                self._server.publish(MessageTypes.RUN_STATE, state)
                self._server.publisher.drain()

        return progress

    async def _require_more(self) -> None:
        if not await self._player.has_more():
            raise WebSocketError(WebSocketError.WRONG_RUN_STATE, "the recording is over: seek to an earlier tick")

    def inspect(self, character_id: str) -> SnapshotCharacter:
        """Give everything the recording has told of a character so far.

        Parameters
        ----------
        character_id : str
            Whose.

        Returns
        -------
        SnapshotCharacter
            Its state, place and attributes as of where the replay is. A session gets it as a dict.

        Raises
        ------
        WebSocketError
            With code 1102 if there is no such character; the message names the nearest.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True) as replay, dc.connect(replay) as watcher:
        ...     _ = watcher.command("seek", tick=0)
        ...     watcher.inspect("emma")["state"]
        'IDLE'
        """
        found = self._player.scene.present.character(character_id)
        if found is None:
            raise no_such_character(character_id, self._player.scene.present.names())
        return found
