"""The composition root: a thread, a client, a store and views behind the words of a researcher."""

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
from .commands import SessionCommands, Timeout
from .status import Journal, SessionStatus
from .subscriptions import Callback, Subscription, Subscriptions
from .wait_for import wait_for

if TYPE_CHECKING:
    from ..widgets.dashboard import Dashboard
    from ..widgets.panels import Panels
    from ..widgets.refresh import Refresher

SILENT_S: Final = 20.0
"""Without a sign of life for so long, a session says so: two pings of a server without heartbeats."""

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
    """Connect to a simulation and give a `Session` that follows it until it is closed.

    `target` is a `ws://` or `wss://` URL, or a server or probe that runs in this process. `history` is how many past
    messages are wanted, `retention` how many events are held at most; `types` and `characters` keep the rest away.
    With `record` everything is written into that folder as it comes; where it holds a recording already, of an earlier
    kernel say, the session takes up what that has, asks for what came since, and goes on with it.
    Returns after the snapshot of the town (or, of servers that have none, after the handshake).

    Raises `ConnectionError`, which says what failed and what to try, and `ValueError` for a URL that cannot be one.
    A `name` in use closes the session that had it, so a cell can be run again.
    """
    url = _url_of(target)
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
        types=names_of(types),
        characters=names_of(characters),
        record=record,
        ssl=ssl,
        timeout=timeout,
        name=name,
    )
    session._start(timeout)
    session._say_what_is_on_its_way()
    return session


def _url_of(target: Any) -> str:
    url = target if isinstance(target, str) else getattr(target, "url", None)
    if not isinstance(url, str):
        raise ValueError(
            f"{target!r} is nothing to connect to; give a URL such as ws://localhost:8765, a local server or a probe"
        )
    return url


class Session(Reader):
    """Follow one simulation: it answers questions, shows itself, and takes commands back.

    Made by `connect`. It is a context manager, closed by `close()` and at the interpreter's exit.
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
        """The frames themselves, both ways, while `.enabled`; `.frames()` gives them as a `DataFrame`."""
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
        )
        self._portal = Portal(f"degentcivil-{self.name}")
        self._subscriptions = Subscriptions(self._store)
        self._commands = SessionCommands(self._client, self._portal, self._store)
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
        """End the connection and every thread of the session; what it holds can still be asked. Idempotent."""
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
                    self._refresher.close()  # last, so that what stays on view says that this is the end

    def reconnect(self) -> None:
        """Try to connect now, and close the circuit breaker by hand."""
        self._portal.call(self._client.reconnect, timeout=15)

    def _give_up(self) -> None:
        """Be closed in a forked child: the threads are not here, and the sockets are the parent's to close."""
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
        run = self._store.run_state or client.run_state
        if run:
            tick = client.tick if self._store.tick is None else self._store.tick
            parts.append(run if tick is None else f"{run} at tick {tick}")
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
        """Write the journal; called on the portal's thread at each change of the connection."""
        client = self._client
        reason = client.last_error if client.state != "live" else None
        dialect = f" ({client.dialect} dialect)" if client.state == "live" else ""
        self._journal.note(f"{client.state}{dialect}" + (f": {reason}" if reason else ""))

    # --- recording ---------------------------------------------------------------------------------------------

    def record(self, path: str | os.PathLike[str]) -> None:
        """Write into a folder from now on, as it comes; the town as it is comes first. Ends an earlier recording.

        A recording that is there is gone on with, and what it lacks is a gap in it. Raises `ValueError` for a folder
        of something else, and `OSError` where nothing can be written or another session is at work.
        """
        if self._closed:
            raise ValueError("the session is closed, so nothing more will come; save(path) writes what it holds")
        self.stop_recording()
        recorder = self._recorder_into(path)
        recorder.run_id = self._run_id()
        self._portal.call(self._begin_recording, recorder, timeout=10)

    async def _begin_recording(self, recorder: Recorder) -> None:
        """Put what was before, and the present, in front; on the portal's thread, so that nothing comes between."""
        position = self._client.position
        before = declare_gap_between(recorder.position, position) if recorder.existed else []
        recorder.put([*before, *self._present_messages()], time.time(), self._client.epoch)
        self._recorder = recorder

    def stop_recording(self) -> None:
        """Finish the recording, if there is one: all that came is written when this returns.

        A `RecordingWarning` says why where that was not possible; what was committed before can be read all the same.
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
        """Write what is held now as a finished recording of its own; `FileExistsError` where there is one."""
        return save(self._store, path, position=self._client.position, run_id=self._run_id(), url=self.url)

    def _recorder_into(self, path: str | os.PathLike[str]) -> Recorder:
        return Recorder(path, url=self.url, snapshot=self._present_messages, monitor=self.monitor)

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
        """Give the connection's and the store's figures; names end in their unit (`_s` seconds)."""
        return self._status.metrics()

    def wait_for(
        self, type: Names = None, *, where: str | None = None, after: int | None = None, timeout: LongTime = 30.0
    ) -> dict[str, Any]:
        """Wait for the next event like that, or the first one after a row, and give it as a dict.

        The dict has the columns of `events()`, and `row`, `payload` and `data`. `timeout` is seconds, a timedelta or a
        text such as `"1min"`. A name that was never seen is waited for, with a `UserWarning` that says which may be
        meant.

        Raises `TimeoutError` when none came in `timeout` seconds, `RuntimeError` when the session is closed, so that
        none will, and `ValueError` for a condition that is a mistake.
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
        """Call `callback` with each event of a type (`None`: of all) as a dict, in order, on one thread of its own.

        Returns a handle with `.remove()`, `.dropped` and `.errors`; an exception in it is shown, and stops nothing.
        """
        return self._subscriptions.add(self._types(type), callback)

    def _types(self, type: Names) -> Collection[str] | None:
        names = names_of(type)
        warn_unknown_names(self._store, {"type": names})
        return None if names is None else dict.fromkeys(names)

    def forget(self, *, before: Moment) -> int:
        """Drop the oldest events, up to the first that is not before a moment; gives how many went."""
        return self._store.forget(before=before)

    # --- commands ----------------------------------------------------------------------------------------------

    def pause(self, timeout: Timeout = 30.0) -> str:
        """Pause the run; returns its `run_state` when it has stopped and the store holds everything up to there.

        Where the tick under way is not over within `timeout` seconds (`None` waits for it) this returns `"pausing"`:
        the pause stays wanted, until it is reached or `resume` takes it back.
        """
        return self._commands.pause(timeout)

    def resume(self, timeout: Timeout = None) -> str:
        """Let the run go on; returns its `run_state`. A pause that was not reached yet is taken back."""
        return self._commands.resume(timeout)

    def step(self, ticks: int = 1, timeout: Timeout = None) -> str:
        """Run that many ticks and pause again; returns when the store holds everything up to there.

        Waits `timeout` seconds at most, and without one as long as the ticks take; from one second on a bar shows how
        far it is. An interrupt (Ctrl-C) leaves, and has the run paused where it is by then.

        Raises `CommandError` 1104 when the time is over, while the step goes on, and 1105 when it was cut short.
        """
        return self._commands.step(whole(ticks, "`ticks`"), timeout)

    def set_speed(self, factor: float, timeout: Timeout = None) -> str:
        """Run at `factor` times the simulation's own pace; returns its `run_state`, with `.speed`."""
        return self._commands.set_speed(factor, timeout)

    def inspect(self, character_id: str | int, timeout: Timeout = None) -> Any:
        """Give everything that the simulation itself knows of a character.

        At once where the simulation offered it with `anytime=True`, otherwise at its next checkpoint.
        """
        return self.command("inspect", timeout=timeout, character_id=name_of(character_id))

    def set_attribute(self, character_id: str | int, name: str, value: Any, *, timeout: Timeout = None) -> int | None:
        """Change an attribute of a character in the simulation; the change is itself an event in the stream.

        Returns the row of that event, which the store holds by then; `None` if `types` or `characters` keep it away.
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

        Returns the row of that event, which the store holds by then; `None` if `types` or `characters` keep it away.
        """
        whose = None if character_id is None else name_of(character_id)
        arguments = {"event_type": name_of(event_type), "data": data, "character_id": whose}
        return self._commands.change("inject_event", arguments, timeout=timeout)

    def command(
        self, name: str, /, *, timeout: Timeout = None, arguments: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        """Have the simulation run one of its commands and give the result.

        Waits `timeout` seconds, and without one as long as it takes: commands are carried out at the simulation's
        checkpoints. Arguments are given by name, or in `arguments` where a name is `timeout` or `arguments`. An
        interrupt (Ctrl-C) leaves, and withdraws what was not begun.

        Raises `CommandError` with the server's code, message and details when it fails, and `OutcomeUnknown` when
        the reply was lost, so that nobody knows whether it took effect.
        """
        return self._commands.call(name, {**(arguments or {}), **more}, timeout=timeout)

    def commands(self) -> pd.DataFrame:
        """List the commands that the server offers: `name`, `role`, `arguments` (JSON Schema), `doc`."""
        return self._commands.table()

    def send(self, message: str | WebSocketMessage) -> None:
        """Send a bare text frame (`"start"` for DegentCivil's own server) or a `WebSocketMessage`."""
        self._portal.call(self._client.send, message, timeout=10)

    # --- seeing ------------------------------------------------------------------------------------------------

    @cached_property
    def _refresher(self) -> Refresher:
        from ..widgets.refresh import Refresher  # ipywidgets is imported when first used

        return Refresher(standing=self._status.standing)

    @cached_property
    def panel(self) -> Panels:
        """Make one panel: `session.panel.characters()`, `.events()`, `.rates()`, `.errors()`, `.connection()` …"""
        from ..widgets.panels import Panels

        return Panels(self._store, self._status, self._commands, self._refresher, self.traffic)

    def dashboard(self) -> Dashboard:
        """Show all panels in one widget, which follows the run and goes on while a cell blocks."""
        return self.panel.dashboard()
