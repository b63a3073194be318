"""The session: a thread, a client, a store and views behind a researcher's methods."""

from __future__ import annotations

import logging
import os
import ssl as ssl_module
import time
import uuid
import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from ..analysis.reader import Reader, warn_unknown_keys, warn_unknown_names
from ..client.simulation_client import SimulationClient
from ..core import lifetime, logs
from ..core.arguments import path as checked_path
from ..core.counting import counted
from ..core.escaping import visible
from ..core.portal import Portal
from ..core.redaction import redacted
from ..monitoring.connection_monitor import ConnectionMonitor
from ..monitoring.websocket_debugger import WebSocketDebugger
from ..protocol.errors import DegentCivilError, RecordingWarning
from ..protocol.messages import RawMessage, WebSocketMessage
from ..recordings.recorder import Recorder, RecorderStats
from ..recordings.save import declare_gap_between, restore_into, save, snapshot_messages
from ..store.arguments import LongTime, Moment, Names, name_of, names_of, wait_s, whole
from ..store.event_store import EventStore
from ..store.unknown import warn_mistyped
from .breakpoints import Breakpoint, SessionBreakpoints, Stop
from .commands import SessionCommands, Timeout, timeout_s
from .status import Journal, SessionStatus, run_as_stored
from .subscriptions import Callback, Subscription, Subscriptions
from .wait_for import wait_for

if TYPE_CHECKING:
    from ..widgets.dashboard import Dashboard
    from ..widgets.panels import Panels
    from ..widgets.refresh import Refresher

SILENT_S: Final = 20.0
"""After so long without a message, a session reports silence: two pings of a server without heartbeats."""

logger = logging.getLogger("degentcivil_nb.session")


def connect(
    target: Any,
    *,
    token: str | None = None,
    history: int = 1000,
    retention: int = 1_000_000,
    types: Names = None,
    characters: Names = None,
    record: str | os.PathLike[str] | None = None,
    name: str | None = None,
    ssl: ssl_module.SSLContext | None = None,
    timeout: LongTime = 10.0,
) -> Session:
    """Connect to a simulation, and follow it until the session is closed.

    Returns when the town is known and the past messages asked for are there, or, with servers that have no snapshot,
    after the handshake. If past messages are still on their way when `timeout` is over, a `UserWarning` says how many.

    Parameters
    ----------
    target : str, LocalServer, Replay or SimulationProbe
        A ``ws://`` or ``wss://`` URL, or a server or probe that runs in this process.
    token : str, optional
        What the server asks for. A server or probe in this process is asked for its own.
    history : int
        How many past messages are wanted.
    retention : int
        How many events are held at most; the oldest are dropped first.
    types : str or list-like of str, optional
        Receive only events of these types.
    characters : str, int or list-like of them, optional
        Receive only events of these characters.
    record : str or path-like, optional
        Write everything into this folder as it comes. If it holds a recording already, the session takes up what that
        has, asks for what came since, and goes on with it.
    name : str, optional
        What the session is called in this process. It closes the session that had the name, so a cell can be run again.
    ssl : ssl.SSLContext, optional
        How to trust a ``wss://`` server; left out, as the system does.
    timeout : number, str or timedelta
        How long to wait for the connection: seconds, or a text such as ``"1min"``.

    Returns
    -------
    Session
        The live session.

    Raises
    ------
    ConnectionError
        If there is no connection; it says what failed and what to try.
    ValueError
        If the URL or another argument cannot be.

    Examples
    --------
    >>> with dc.connect(server, types="error", history=100_000) as errors:
    ...     errors.events()["code"].to_list()
    [2001, 2001, 2002, 2001]
    """
    url, asked = _url_of(target), names_of(types)
    history, retention, timeout = whole(history, "`history`"), whole(retention, "`retention`"), wait_s(timeout)
    if not isinstance(target, str):
        token = token or getattr(target, "token", None)
        ssl = ssl or getattr(target, "client_ssl", None)
    lifetime.close_named(Session, name)
    session = Session(
        url,
        token=token,
        history=history,
        retention=retention,
        types=asked,
        characters=names_of(characters),
        record=record,
        ssl=ssl,
        timeout=timeout,
        name=name,
    )
    session._start(timeout)
    session._say_what_is_on_its_way()
    warn_mistyped(asked or (), session._store.words["type"])
    return session


def _url_of(target: Any) -> str:
    url = target if isinstance(target, str) else getattr(target, "url", None)
    if not isinstance(url, str):
        raise ValueError(
            f"{target!r} is nothing to connect to; give a URL such as ws://localhost:8765, a local server or a probe"
        )
    return url


class Session(Reader):
    """A live connection to one simulation: it answers questions, shows the run, and takes commands back.

    Made by `connect`. It is a context manager, closed by `close()` and at the interpreter's exit.

    Attributes
    ----------
    url : str
        Where it is connected to, without secrets.
    name : str
        What it is called in this process.
    monitor : ConnectionMonitor
        What the connection counts; `metrics()` has it too.
    traffic : WebSocketDebugger
        The frames themselves, both ways, while `.enabled`; `.frames()` gives them as a table.
    """

    _store: EventStore

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        history: int = 1000,
        retention: int = 1_000_000,
        types: Sequence[str] | None = None,
        characters: Sequence[str] | None = None,
        record: str | os.PathLike[str] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        timeout: float = 10.0,
        name: str | None = None,
    ) -> None:
        self.url = redacted(url)
        self.name = name or f"session-{uuid.uuid4().hex[:8]}"
        self.monitor = ConnectionMonitor()
        self.traffic = WebSocketDebugger(secrets=[token] if token else ())
        """A record of frames in both directions, while `.enabled`; `.frames()` returns them as a `DataFrame`."""
        logs.install_filters()
        self._store = EventStore(max_rows=retention)
        self._journal = Journal()
        self._recorder = None if record is None else self._recorder_into(record)
        self._client = SimulationClient(
            url,
            token=token,
            ssl=ssl,
            history=history,
            types=types,
            characters=characters,
            position=None if self._recorder is None else self._recorder.position,
            sink=self._take,
            monitor=self.monitor,
            traffic=self.traffic,
            on_change=self._note_change,
            timeout=timeout,
            name=self.name,
        )
        self._portal = Portal(f"degentcivil-{self.name}")
        self._subscriptions = Subscriptions(self._store)
        self._commands = SessionCommands(self._client, self._portal, self._store)
        self._breakpoints = SessionBreakpoints(
            self._commands, self._store, self._client.info, lambda: (self._client.run_state, self._client.tick)
        )
        self._connections = 0
        self._closed = False
        self._status = SessionStatus(
            self._client,
            self._store,
            self.monitor,
            self._journal,
            self.reconnect,
            self._recording_stats,
            closed=lambda: self._closed,
        )

    def _start(self, timeout: float) -> None:
        try:
            if self._recorder is not None and self._recorder.existed:
                restore_into(self._store, self._recorder)
            self._portal.call(self._client.open, timeout=timeout + 1)
        except BaseException:
            self._portal.close()
            self.stop_recording()
            raise
        if self._recorder is not None:
            self._recorder.run_id = self._run_id()
        lifetime.register(self, close=type(self).close, inherited=type(self)._give_up, name=self.name)

    def _say_what_is_on_its_way(self) -> None:
        behind = self._client.on_their_way
        if behind:
            warnings.warn(
                f"{behind:,} past messages are still on their way; questions asked now do not see them. "
                "A longer timeout= waits for them, a smaller history= asks for fewer",
                stacklevel=3,
            )

    # --- life --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the connection and every thread of the session. What it holds can still be asked. A second call does
        nothing.

        Examples
        --------
        >>> other = dc.connect(server)
        >>> other.close()
        >>> other.metrics()["connection"], len(other.characters())
        ('closed', 12)
        """
        if not lifetime.release(self):
            return
        self._closed = True
        self._subscriptions.close()
        try:
            self._portal.call(self._client.close, timeout=5)
        except (TimeoutError, DegentCivilError) as error:
            logger.warning("the connection to %s did not close in order: %s", self.url, error)
        finally:
            self._portal.close()
            try:
                self.stop_recording()
            finally:
                if "_refresher" in self.__dict__:
                    self._refresher.close()  # last, so that visible panels show that the session has ended

    def reconnect(self) -> None:
        """Try to connect now, without waiting for the next attempt. A session that is live stays as it is.

        Raises
        ------
        ConnectionError
            If this attempt fails too; after a passing failure the trying goes on by itself.

        Examples
        --------
        >>> session.reconnect()
        >>> session.metrics()["connection"]
        'live'
        """
        self._portal.call(self._client.reconnect, timeout=15)

    def _give_up(self) -> None:
        """Close the session in a forked child, where the threads do not exist and the sockets belong to the parent."""
        self._closed = True

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        client = self._client
        parts = [client.state]
        if client.dialect != "v1":
            parts.append(f"{client.dialect} dialect")
        run = run_as_stored(self._store, client)
        if run.state:
            parts.append(run.state if run.tick is None else f"{run.state} at tick {run.tick}")
        if (still := self._status.quiet()) is not None:
            parts.append(still)
        parts.append(counted(len(self), "event"))
        parts.append(counted(self._store.stats().characters, "character"))
        if gaps := len(self.gaps()):
            parts.append(counted(gaps, "gap"))
        recorded = self._recording_stats()
        if recorded is not None:
            parts.append("recording" if recorded.state == "writing" else f"recording: {recorded.state}")
        if client.on_their_way:
            parts.append(f"{client.on_their_way:,} past messages on their way")
        silent_s = client.silent_s
        if client.state == "live" and silent_s is not None and silent_s > SILENT_S:
            parts.append(f"silent for {silent_s:.0f} s")
        if client.state != "live" and client.last_error:
            parts.append(client.last_error)
        return f"<Session {self.url}: {', '.join(parts)}>"

    def _note_change(self) -> None:
        """Add a line to the journal; called on the portal's thread at each change of the connection."""
        client = self._client
        if client.state == "live" and client.reconnects > self._connections:
            self._connections = client.reconnects
            self._breakpoints.declare_again()
        reason = client.last_error if client.state != "live" else None
        dialect = f" ({client.dialect} dialect)" if client.state == "live" else ""
        self._journal.note(f"{client.state}{dialect}" + (f": {reason}" if reason else ""))

    # --- recording ---------------------------------------------------------------------------------------------

    def record(self, path: str | os.PathLike[str]) -> None:
        """Write into a folder from now on, as messages come, the town as it is now first. Ends an earlier recording.

        Parameters
        ----------
        path : str or path-like
            The folder. A recording that is there is gone on with, and what it lacks is a gap in it.

        Raises
        ------
        ValueError
            If the folder holds something else, or the session is closed.
        OSError
            If nothing can be written there, or another session writes into it.

        Examples
        --------
        >>> with dc.connect(server) as other:
        ...     other.record(new_path)
        ...     other.metrics()["recording"]
        'writing'
        """
        if self._closed:
            raise ValueError("the session is closed, so nothing more will come; save(path) writes what it holds")
        self.stop_recording()
        recorder = self._recorder_into(path)
        recorder.run_id = self._run_id()
        self._portal.call(self._begin_recording, recorder, timeout=10)

    async def _begin_recording(self, recorder: Recorder) -> None:
        """Record the past and a snapshot first; runs on the portal's thread, so that nothing arrives in between."""
        position = self._client.position
        before = declare_gap_between(recorder.position, position) if recorder.existed else []
        recorder.put([*before, *self._present_messages()], time.time(), self._client.epoch)
        self._recorder = recorder

    def stop_recording(self) -> None:
        """Finish the recording, if there is one: all that came is written when this returns.

        Warns
        -----
        RecordingWarning
            If that was not possible, with the reason; what was committed before can be read all the same.

        Examples
        --------
        >>> with dc.connect(server) as other:
        ...     other.record(new_path)
        ...     other.stop_recording()
        >>> dc.open_recording(new_path).info()["state"]
        'finished'
        """
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        recorder.close()
        stats = recorder.stats()
        if stats.error is not None:
            warnings.warn(
                f"the recording into {visible(stats.path)} was left unfinished, {counted(stats.unsafe, 'message')} "
                f"short: {visible(stats.error)}",
                RecordingWarning,
                stacklevel=2,
            )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write what is held now as a finished recording of its own.

        Parameters
        ----------
        path : str or path-like
            A folder that does not exist yet, or is empty.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        FileExistsError
            If there is something already.

        Examples
        --------
        >>> session.save(new_path).name
        'recording'
        >>> len(dc.open_recording(new_path)) == len(session)
        True
        """
        return save(self._store, path, position=self._client.position, run_id=self._run_id(), url=self.url)

    def _recorder_into(self, path: str | os.PathLike[str]) -> Recorder:
        return Recorder(checked_path("path", path), url=self.url, snapshot=self._present_messages, monitor=self.monitor)

    def _present_messages(self) -> list[RawMessage]:
        return snapshot_messages(self._store, self._client.position)

    def _recording_stats(self) -> RecorderStats | None:
        recorder = self._recorder
        return None if recorder is None else recorder.stats()

    def _run_id(self) -> str | None:
        return None if self._client.hello is None else self._client.hello.run_id

    def _take(self, messages: list[RawMessage], received: float, epoch: str | None) -> None:
        taken = self._store.take(messages, received, epoch)
        recorder = self._recorder
        if recorder is not None:
            recorder.put(messages, received, epoch, taken)

    # --- questions that only a live session has ----------------------------------------------------------------

    def metrics(self) -> pd.Series:
        """Give the connection's and the store's figures now.

        Returns
        -------
        pandas.Series
            One value for each figure (object; NA where nobody knows): `connection`, `dialect`, `run_state`, `tick`,
            `epoch`, `head`, `circuit` and `recording` (``"writing"``, ``"failing"`` …) say how things are; names that
            end in `_s` are seconds, such as `lag_s`, `latency_p95_s` and `checkpoint_age_s`; `memory_bytes`,
            `bytes_received` and `bytes_sent` are bytes; `messages_per_s` is a rate; the others are counts, such as
            `gaps`, `missing`, `errors`, `evicted`.

        Examples
        --------
        >>> session.metrics()[["connection", "dialect", "run_state", "gaps"]].to_list()
        ['live', 'v1', 'paused', 0]
        """
        return self._status.metrics()

    def wait_for(
        self, type: Names = None, *, where: str | None = None, after: int | None = None, timeout: LongTime = 30.0
    ) -> dict[str, Any]:
        """Wait for the next event that meets the conditions.

        Parameters
        ----------
        type : str or list-like of str, optional
            Only an event of these types.
        where : str, optional
            A condition as in `events`, such as ``"new_state == 'BARGAIN'"``. It also knows the attributes of
            characters.
        after : int, optional
            Take the first such event after this row, which may be there already; ``-1`` begins with the oldest. Left
            out, only events that come from now on count.
        timeout : number, str or timedelta
            How long to wait: seconds, a timedelta, or a text such as ``"1min"``.

        Returns
        -------
        dict
            The columns of `events()`, and `row`, `payload` and `data`.

        Raises
        ------
        TimeoutError
            If none came in time.
        RuntimeError
            If the session is closed, so that none will come.
        ValueError
            If a condition or a length of time cannot be understood.

        Warns
        -----
        UserWarning
            If a name was never seen; it is waited for all the same.

        Examples
        --------
        >>> event = session.wait_for("error", where="code == 2002", after=-1)
        >>> event["message"]
        'no answer to ACTREFLECTION in time'
        """
        types = self._types(type)
        if where is not None:
            warn_unknown_keys(self._store, where, [])
        return wait_for(
            self._store,
            types,
            where=where,
            after=after,
            timeout=timeout,
            closed=lambda: self._closed,
        )

    def on(self, type: Names, callback: Callback) -> Subscription:
        """Call a function with each event that comes from now on, in order, on a thread of its own.

        Parameters
        ----------
        type : str, list-like of str or None
            Only events of these types; `None` means all.
        callback : callable
            Takes one event: a dict with the columns of `events()`, and `row`, `payload` and `data`. An exception in it
            is logged and counted, and stops nothing.

        Returns
        -------
        Subscription
            The handle: `.remove()` ends it, `.dropped` and `.errors` count.

        Raises
        ------
        TypeError
            If `callback` is no function.
        RuntimeError
            If the session is closed.

        Examples
        --------
        >>> from queue import SimpleQueue
        >>> events = SimpleQueue()
        >>> with dc.connect(server) as other:
        ...     handle = other.on("event_notification", events.put)
        ...     _ = other.inject_event("market_day", {"bread": 3})
        ...     events.get(timeout=30)["data"]
        {'bread': 3}
        """
        return self._subscriptions.add(self._types(type), callback)

    def _types(self, type: Names) -> Collection[str] | None:
        names = names_of(type)
        warn_unknown_names(self._store, {"type": names})
        return None if names is None else dict.fromkeys(names)

    def forget(self, *, before: Moment) -> int:
        """Drop the oldest events, to free memory.

        Parameters
        ----------
        before : datetime, str, number or timedelta
            Everything goes up to the first event that is not before this moment; read as `since` in `events`.

        Returns
        -------
        int
            How many events went.

        Raises
        ------
        ValueError
            If the moment cannot be understood.

        Examples
        --------
        >>> with dc.connect(server, history=100_000) as other:
        ...     held = len(other)
        ...     gone = other.forget(before=other.events("error")["time"].iloc[0])
        ...     gone > 0, len(other) == held - gone
        (True, True)
        """
        return self._store.forget(before=before)

    # --- commands ----------------------------------------------------------------------------------------------

    def pause(self, timeout: Timeout = 30.0) -> str:
        """Pause the run, and wait until it has stopped and the store holds everything up to there.

        Parameters
        ----------
        timeout : float or timedelta, optional
            Seconds. If the tick under way is not over by then, the pause stays wanted until it is reached or `resume`
            takes it back. `None` waits for it.

        Returns
        -------
        str
            The run's state: ``"paused"``, or ``"pausing"`` if the time was over first.

        Raises
        ------
        CommandError
            With code 1105 if the run is over, or this is the thread that calls `checkpoint`.
        OutcomeUnknown
            If the answer was lost.

        Examples
        --------
        >>> session.pause()
        'paused'
        """
        return self._commands.pause(timeout)

    def resume(self, timeout: Timeout = None) -> str:
        """Let the run go on. A pause that was not reached yet is taken back.

        Parameters
        ----------
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        str
            The run's state: ``"running"``.

        Raises
        ------
        CommandError
            With code 1105 if the run is over, and 1104 if the time is.
        OutcomeUnknown
            If the answer was lost.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     other.resume()
        'running'
        """
        return self._commands.resume(timeout)

    def step(self, ticks: int = 1, timeout: Timeout = None) -> str:
        """Run that many ticks and pause again, and wait until the store holds everything up to there.

        From one second on a bar shows how far it is. An interrupt (Ctrl-C) leaves, and has the run paused where it is
        by then.

        Parameters
        ----------
        ticks : int
            How many.
        timeout : float or timedelta, optional
            Seconds to wait at most; `None` waits as long as the ticks take.

        Returns
        -------
        str
            The run's state: ``"paused"``.

        Raises
        ------
        CommandError
            With code 1104 if the time is over, while the step goes on, 1105 if the run is not paused or the step was
            cut short, and 1102 if `ticks` is 0.
        OutcomeUnknown
            If the answer was lost.
        ValueError
            If `ticks` is no whole number.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     other.step(5), other.metrics()["tick"]
        ('paused', 5)
        """
        return self._commands.step(whole(ticks, "`ticks`"), timeout)

    # --- breakpoints -------------------------------------------------------------------------------------------

    def break_when(
        self, condition: str, *, hits: int = 1, log: str | None = None, once: bool = False, name: str | None = None
    ) -> Breakpoint:
        """Stop the run in the very tick in which a condition is met; it is kept in the simulation.

        Parameters
        ----------
        condition : str
            Judged at each event as it is published: `money > 3`, `entered("BARGAIN")`, `changed(mood)`; or, with
            `silent(ticks)`, `stuck(ticks)`, `loops(times)`, `total_cost` or `total_calls`, at each checkpoint.
        hits : int
            At which match it begins to stop; it stops at each one after that, too.
        log : str, optional
            A text with `{expressions}` that is told as an event of type `log` instead: the run is not stopped.
        once : bool
            Stop at that match and at no later one.
        name : str, optional
            What it is known by; one of that name is replaced. Without one it is `b1`, `b2` and so on.

        Returns
        -------
        Breakpoint
            A handle with `.remove()`, `.enabled`, `.hits`, `.verified` and `.problem`. It is declared again after a
            reconnect, and after a restart of the simulation.

        Raises
        ------
        ValueError
            For a mistake in the condition, at which it points.
        CommandError
            Where the server takes no breakpoints.

        Examples
        --------
        >>> rich = session.break_when("money >= 1_000_000", name="rich")
        >>> rich
        <Breakpoint 'rich': money >= 1_000_000 (0 hits)>
        >>> rich.remove()
        """
        return self._breakpoints.add(condition, hits=whole(hits, "`hits`"), log=log, once=once, name=name)

    def stopped(self) -> Stop | None:
        """Say why the run stands.

        Returns
        -------
        Stop or None
            `reason`, `tick` (where it stands), and at a breakpoint `breakpoint` (its name), `condition`,
            `character_id`, `matched` (the row of the event that met it; `None` at a checkpoint) and `also` (others
            that were met). `None` while the run goes on.

        Examples
        --------
        >>> session.run_until("type == 'state_change'").reason
        'breakpoint'
        >>> session.stopped().breakpoint
        'run_until'
        """
        return self._breakpoints.stopped()

    def run_until(self, condition: str | None = None, *, tick: int | None = None, timeout: Timeout = None) -> Stop:
        """Let the run go on until a condition is met, or until a tick, and stop there.

        Parameters
        ----------
        condition : str, optional
            As for `break_when`.
        tick : int, optional
            The tick to stop at, instead of a condition.
        timeout : float, timedelta or None
            Seconds to wait; `None` waits as long as it takes.

        Returns
        -------
        Stop
            Why the run stands, as `stopped()` says it: whatever else stops the run first ends this too.

        Raises
        ------
        TimeoutError
            When the time is over. The run goes on.
        ValueError
            For a mistake in the condition, at which it points.

        Examples
        --------
        >>> session.run_until("type == 'state_change'").reason
        'breakpoint'
        """
        if (condition is None) == (tick is None):
            raise ValueError("give a condition or a tick to run until, one of the two")
        wanted = condition if condition is not None else f"tick >= {whole(tick, '`tick`', least=0)}"
        return self._breakpoints.run_until(
            wanted, at_checkpoint=tick is not None, resume=self.resume, timeout=timeout_s(timeout)
        )

    def set_speed(self, factor: float, timeout: Timeout = None) -> str:
        """Run at that many times the simulation's own pace.

        Parameters
        ----------
        factor : float
            Above 0; 1 is the simulation's own pace.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        str
            The run's state, with the speed as its attribute `speed`.

        Raises
        ------
        CommandError
            With code 1102 if the factor cannot be, 1105 if the simulation has no pace of its own or the run is over,
            and 1104 if the time is.
        OutcomeUnknown
            If the answer was lost.

        Examples
        --------
        >>> session.set_speed(1).speed
        1.0
        """
        return self._commands.set_speed(factor, timeout)

    def inspect(self, character_id: str | int, timeout: Timeout = None) -> Any:
        """Give everything that the simulation itself knows of a character.

        It answers at once where the simulation offered it with ``anytime=True``, and otherwise at its next checkpoint.

        Parameters
        ----------
        character_id : str or int
            Whose.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        any
            What the simulation gives: mostly a dict.

        Raises
        ------
        CommandError
            With code 1102 if there is no such character, and 1101 if the simulation does not offer it.
        OutcomeUnknown
            If the answer was lost.

        Examples
        --------
        >>> session.inspect("emma")["home"]
        'Home 1'
        """
        return self.command("inspect", timeout=timeout, character_id=name_of(character_id))

    def set_attribute(self, character_id: str | int, name: str, value: Any, *, timeout: Timeout = None) -> int | None:
        """Change an attribute of a character in the simulation. The change is itself an event in the stream.

        Parameters
        ----------
        character_id : str or int
            Whose attribute.
        name : str
            Which attribute.
        value : any
            The new value, which must have a JSON form.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        int or None
            The row of that event, which the store holds by then; `None` if `types` or `characters` keep it away.

        Raises
        ------
        CommandError
            With code 1102 if the simulation refuses, and 1101 if it does not offer it.
        OutcomeUnknown
            If the answer was lost.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     row = other.set_attribute("emma", "money", 100)
        ...     other.payload(row)["money"], other.characters().loc["emma", "money"].item()
        (100, 100.0)
        """
        arguments = {"character_id": name_of(character_id), "name": name, "value": value}
        return self._commands.change("set_attribute", arguments, timeout=timeout)

    def inject_event(
        self,
        event_type: str,
        data: Any = None,
        *,
        character_id: str | int | None = None,
        timeout: Timeout = None,
    ) -> int | None:
        """Make something happen in the run: an `event_notification` published by the simulation itself.

        Parameters
        ----------
        event_type : str
            What kind of event it is.
        data : any, optional
            Its inner value, which must have a JSON form.
        character_id : str or int, optional
            Whose event it is.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        int or None
            The row of that event, which the store holds by then; `None` if `types` or `characters` keep it away.

        Raises
        ------
        CommandError
            With code 1102 if there is no such character.
        OutcomeUnknown
            If the answer was lost.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     row = other.inject_event("market_day", {"bread": 3})
        ...     other.events(payload=True).loc[row, "data"]
        {'bread': 3}
        """
        whose = None if character_id is None else name_of(character_id)
        arguments = {"event_type": name_of(event_type), "data": data, "character_id": whose}
        return self._commands.change("inject_event", arguments, timeout=timeout)

    def command(
        self, name: str, /, *, timeout: Timeout = None, arguments: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        """Have the simulation run one of its commands, and give the result.

        Commands are carried out at the simulation's checkpoints. An interrupt (Ctrl-C) leaves, and withdraws what was
        not begun.

        Parameters
        ----------
        name : str
            The command, as `commands()` lists it.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.
        arguments : mapping, optional
            Arguments by name, for names such as ``"timeout"`` that clash with those here.
        **more
            Arguments by name.

        Returns
        -------
        any
            What the command gives.

        Raises
        ------
        CommandError
            If the command failed, with the server's `code`, `message` and `details`.
        OutcomeUnknown
            If the answer was lost, so that nobody knows whether it took effect.

        Examples
        --------
        >>> session.command("inspect", character_id="emma")["state"]
        'CHATING'
        """
        return self._commands.call(name, {**(arguments or {}), **more}, timeout=timeout)

    def commands(self) -> pd.DataFrame:
        """List the commands that the simulation offers.

        Returns
        -------
        pandas.DataFrame
            One row for each command: `name`, `role` (who may run it: ``"viewer"`` or ``"debugger"``), `doc` (str) and
            `arguments` (object: a JSON Schema).

        Examples
        --------
        >>> session.commands()["name"].head(3).to_list()
        ['pause', 'resume', 'step']
        """
        return self._commands.table()

    def send(self, message: str | WebSocketMessage) -> None:
        """Send a frame as it is, for servers that take no commands.

        Parameters
        ----------
        message : str or WebSocketMessage
            A bare text frame, such as ``"start"`` for DegentCivil's own server, or a message.

        Raises
        ------
        ConnectionError
            If there is no connection.

        Examples
        --------
        >>> with dc.connect(server) as other:
        ...     other.send("start")  # which this server, unlike DegentCivil's own, does not know
        ...     other.wait_for("error", where="code == 1001", after=-1)["code"]
        1001
        """
        self._portal.call(self._client.send, message, timeout=10)

    # --- seeing ------------------------------------------------------------------------------------------------

    @cached_property
    def _refresher(self) -> Refresher:
        from ..widgets.refresh import Refresher  # ipywidgets is imported when first used

        return Refresher(standing=self._status.standing)

    @cached_property
    def panel(self) -> Panels:
        """Make one panel: `session.panel.characters()`, `.events()`, `.rates()`, `.errors()`, `.connection()` …

        Returns
        -------
        Panels
            Each of its methods makes a widget that follows the run until it is closed.

        Examples
        --------
        >>> panel = session.panel.characters()  # the last line of a cell shows it
        >>> panel.close()
        """
        from ..widgets.panels import Panels

        return Panels(self._store, self._status, self._commands, self._refresher, self.traffic)

    def dashboard(self) -> Dashboard:
        """Show all panels in one widget, which follows the run and goes on while a cell blocks.

        Returns
        -------
        Dashboard
            The widget; the last line of a cell shows it.

        Examples
        --------
        >>> board = session.dashboard()
        >>> board.close()
        """
        return self.panel.dashboard()
