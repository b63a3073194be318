"""The commands of a replay, which run on its own thread."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from ..core.arguments import positive_number, word
from ..protocol.commands import no_such_character, wrong_argument
from ..protocol.control_payloads import RunState, SnapshotCharacter
from ..protocol.errors import WebSocketError
from ..protocol.messages import MessageTypes
from .playing import PlayingLoop
from .seek_index import SeekTarget
from .tape import MAX_SPEED, seconds_of

log = logging.getLogger("degentcivil_nb.replay")


class ReplayCommands(PlayingLoop):
    """The commands of a replay."""

    def pause(self) -> RunState:
        """Pause the replay.

        Returns
        -------
        RunState
            State, tick, time and speed of the replay.

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
            State, tick, time and speed of the replay.

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

    async def step(self, ticks: int = 1) -> RunState:
        """Publish the messages of that many ticks at once, and pause again; in a recording without ticks, that many
        events.

        Parameters
        ----------
        ticks : int
            How many ticks, at least one; in a recording without ticks, how many events.

        Returns
        -------
        RunState
            State, tick, time and speed of the replay.

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

    def set_speed(self, factor: float) -> RunState:
        """Replay at that many times the speed of the recorded run.

        Parameters
        ----------
        factor : float
            Above 0 and up to 1,000,000; 1 is the recorded run's own pace.

        Returns
        -------
        RunState
            State, tick, time and speed of the replay.

        Raises
        ------
        WebSocketError
            With code 1102 if the factor is larger.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True) as replay, dc.connect(replay) as watcher:
        ...     watcher.set_speed(4)
        'paused' (speed 4)
        """
        factor = positive_number("factor", factor)
        if factor > MAX_SPEED:
            raise wrong_argument("factor", f"a replay runs at most {MAX_SPEED:,.0f} times as fast as the recorded run")
        self._head.set_speed(factor)
        return self.status()

    async def seek(self, tick: Annotated[int, Meta(ge=0)] | None = None, time: str | float | None = None) -> RunState:
        """Go to the end of a tick or to a time (ISO text, or seconds since 1970; naive is UTC), forward or back.

        The messages in between are declared as a gap, and a snapshot of the town at that moment follows.

        Parameters
        ----------
        tick : int, optional
            Go to the end of this tick.
        time : str or float, optional
            Go to this time. Give either `tick` or `time`.

        Returns
        -------
        RunState
            State, tick, time and speed of the replay.

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
        state = self._player.state
        if tick is not None:
            self._tape.require_tick(tick)
            back = state.tick is not None and tick < state.tick
            await self._player.seek(SeekTarget(tick), back, self._progress())
            state.tick = tick
            self._head.set_moment(state.moment)
        else:
            moment = seconds_of(time, state.moment)
            self._tape.require_time(moment)
            just_after = moment + 5e-7  # times are known to the microsecond
            await self._player.seek(SeekTarget(None, just_after), just_after < state.moment, self._progress())
            self._head.set_moment(moment)
        if self._head.moment == -math.inf:  # before everything
            self._head.set_moment(None)
        self._enter(self._state.state, "seek")
        return self.status()

    def inspect(self, character_id: str) -> SnapshotCharacter:
        """Return everything that the recording contains about a character so far.

        Parameters
        ----------
        character_id : str
            The character's id.

        Returns
        -------
        SnapshotCharacter
            Its state, place and attributes as of where the replay is. A session gets it as a dict.

        Raises
        ------
        WebSocketError
            With code 1102 if there is no such character; the message suggests a similar id.

        Examples
        --------
        >>> with dc.start_replay(folder / "saved", paused=True) as replay, dc.connect(replay) as watcher:
        ...     _ = watcher.command("seek", tick=0)
        ...     watcher.inspect("emma")["state"]
        'IDLE'
        """
        character_id = word("character_id", character_id)
        found = self._player.state.present.character(character_id)
        if found is None:
            raise no_such_character(character_id, self._player.state.present.names())
        return found

    def _progress(self) -> Callable[[int, int], None]:
        """Return a callback that reports the progress of a long seek to the log and to clients."""
        told = False

        def progress(done: int, total: int) -> None:
            nonlocal told
            log.info("seeking in %s: %s of %s messages read", self.path, f"{done:,}", f"{total:,}")
            if not told:  # without the command's id, since clients would take the command to be done
                told = True
                state = RunState(self._state.state, "seeking", self._player.state.tick)
                self._server.publish(MessageTypes.RUN_STATE, state)
                self._server.publisher.drain()

        return progress

    async def _require_more(self) -> None:
        if not await self._player.has_more():
            raise WebSocketError(WebSocketError.WRONG_RUN_STATE, "the recording is over: seek to an earlier tick")
