"""The session: a thread, a client, a store and views. Most of its methods are in `methods/`, by concern."""

from __future__ import annotations

import logging
import os
import ssl as ssl_module
import time
import uuid
import warnings
from collections.abc import Sequence
from concurrent.futures import CancelledError
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ..analysis.reader import Reader
from ..client.failures import unheld_text
from ..client.simulation_client import SimulationClient
from ..core import lifetime, logs
from ..core.cards import card, tone_of_run
from ..core.counting import counted
from ..core.escaping import visible
from ..core.parameters import in_short
from ..core.portal import Portal
from ..core.redaction import redacted
from ..monitoring.connection_monitor import ConnectionMonitor
from ..monitoring.websocket_debugger import WebSocketDebugger
from ..protocol.errors import DegentCivilError
from ..protocol.messages import MessageTypes, RawMessage
from ..recordings.save import restore_into
from ..store.event_store import EventStore
from .breakpoints import SessionBreakpoints
from .commands import SessionCommands
from .lease import SessionLease
from .methods.breakpoints import BreakpointMethods
from .methods.case import CaseMethods
from .methods.commands import CommandMethods
from .methods.control import ControlMethods
from .methods.events import EventMethods
from .methods.lease import LeaseMethods
from .methods.recording import RecordingMethods
from .methods.seeing import SeeingMethods
from .methods.traces import TraceMethods
from .methods.watches import WatchMethods
from .status import Journal, SessionStatus, run_as_stored
from .subscriptions import Subscriptions
from .unanswered import Unanswered
from .watches import SessionWatches

if TYPE_CHECKING:
    from ..widgets.panels import Panels
    from ..widgets.refresh import Refresher

LEAVE_S: Final = 2.0
"""How many seconds `close` waits until control, breakpoints and watches are given back."""
ENDED: Final = (MessageTypes.BREAKPOINTS, MessageTypes.WATCHES)
"""The lists that change because a session is closed."""
SILENT_S: Final = 20.0
"""After this many seconds without a message a session reports silence: two pings of a server without heartbeats."""

logger = logging.getLogger("degentcivil_nb.session")


class Session(
    ControlMethods,
    LeaseMethods,
    BreakpointMethods,
    WatchMethods,
    CommandMethods,
    EventMethods,
    RecordingMethods,
    SeeingMethods,
    CaseMethods,
    TraceMethods,
    Reader,
):
    """A live connection to one simulation: it answers questions, shows the run, and takes commands back.

    Made by `connect`. It is a context manager, closed by `close()` and at the interpreter's exit.

    Attributes
    ----------
    url : str
        The URL that the session is connected to, without secrets.
    name : str
        The session's name in this process.
    monitor : ConnectionMonitor
        The connection's counters; `metrics()` has them too.
    traffic : WebSocketDebugger
        A record of the frames in both directions, while `.enabled`; `.frames()` returns them as a table.
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
        self._watches = SessionWatches(self._commands, self._store, self._client.info)
        self._lease = SessionLease(
            self._commands, self._store, self._client.info, lambda: self._client.epoch, self._journal.note
        )
        self._unanswered = Unanswered(lambda: self._store.next_row, self._journal.note)
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
            unanswered=self._unanswered.sentence,
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
            self._recorder.note_run(self._run_id(), self.parameters)
        lifetime.register(self, close=type(self).close, inherited=type(self)._give_up, name=self.name)

    def _warn_of_missing_history(self) -> None:
        """Warn of past messages that were requested and are not there: not yet, or never."""
        if self._client.unheld:
            warnings.warn(unheld_text(self._client.unheld), stacklevel=3)
        behind = self._client.on_their_way
        if behind:
            warnings.warn(
                f"{behind:,} past messages are still on their way; answers do not include them yet. "
                "A longer timeout= waits for them, a smaller history= requests fewer",
                stacklevel=3,
            )

    # --- life --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the connection and every thread of the session, and its breakpoints and watches. Questions still work on
        the events held. A second call does nothing.

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
        self._leave()
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

    def _leave(self) -> None:
        """Give control, breakpoints and watches back: they outlive a lost connection for a while, not one that ends."""
        if self._client.state != "live":
            return
        deadline = time.monotonic() + LEAVE_S
        leaving = {
            "control": self._lease.leave(),
            "breakpoints": self._breakpoints.leave(),
            "watches": self._watches.leave(),
        }
        for what, left in leaving.items():
            try:
                if left is not None:
                    left.result(max(0.0, deadline - time.monotonic()))
            except (DegentCivilError, TimeoutError, CancelledError, RuntimeError) as error:
                logger.info("%s could not be released: %s; this ends by itself", what, error)

    def reconnect(self) -> None:
        """Try to connect now, without waiting for the next attempt. A live session is not changed.

        Raises
        ------
        ConnectionError
            If this attempt fails too; after a temporary failure further attempts follow by themselves.

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
        return f"<Session {self.url}: {', '.join(self._facts().values())}>"

    def _repr_html_(self) -> str:
        run = run_as_stored(self._store, self._client)
        live = self._client.state == "live"
        tone = tone_of_run(run.state) if live else "over" if self._closed else "bad"
        stop = self.stopped() if live else None
        more = {
            "stands": None if stop is None or stop.breakpoint is None else str(stop),
            "breakpoints": len(self._store.breakpoints) or None,
            "problems": " · ".join(self._status.health()),
        }
        return card(f"Session {self.name}", self.url, {**self._facts(), **more}, tone)

    def _facts(self) -> dict[str, str]:
        """Return the state of the session in a few words."""
        client, run = self._client, run_as_stored(self._store, self._client)
        recorded, silent_s = self._recording_stats(), client.silent_s
        said = {
            "connection": client.state,
            "dialect": "" if client.dialect == "v1" else f"{client.dialect} dialect",
            "parameters": visible(in_short(self.parameters)),
            "run": (run.state or "") + ("" if run.tick is None or not run.state else f" at tick {run.tick}"),
            "quiet": self._status.quiet(),
            "control": "" if (control := self._lease.state).holder is None else str(control),
            "events": counted(len(self), "event"),
            "characters": counted(self._store.stats().characters, "character"),
            "gaps": counted(gaps, "gap") if (gaps := len(self.gaps())) else "",
            "recording": "" if recorded is None else "recording",
            "awaited": f"{client.on_their_way:,} past messages on their way" if client.on_their_way else "",
            "silence": "",
            "unanswered": self._unanswered.sentence() or "",
            "error": "" if client.state == "live" or self._closed else client.last_error,
        }
        if recorded is not None and recorded.state != "writing":
            said["recording"] = f"recording: {recorded.state}"
        if client.state == "live" and silent_s is not None and silent_s > SILENT_S:
            said["silence"] = f"silent for {silent_s:.0f} s"
        return {name: text for name, text in said.items() if text}

    def _quiet_s(self) -> float:
        client = self._client
        running = run_as_stored(self._store, client).state in (None, "running", "pausing")
        age = client.message_age_s if client.checkpoint_age_s is None else client.checkpoint_age_s
        return (age or 0.0) if running and client.state == "live" else 0.0

    def _note_change(self) -> None:
        """Add a line to the journal; called on the portal's thread at each change of the connection."""
        client = self._client
        if client.state == "live" and client.reconnects > self._connections:
            self._connections = client.reconnects
            self._breakpoints.declare_again()
            self._watches.declare_again()
        reason = client.last_error if client.state != "live" else None
        dialect = f" ({client.dialect} dialect)" if client.state == "live" else ""
        self._journal.note(f"{client.state}{dialect}" + (f": {reason}" if reason else ""))

    def _take(self, messages: list[RawMessage], received: float, epoch: str | None) -> None:
        if self._closed:  # what this session itself ends is still listed in its answers and in its recording
            messages = [message for message in messages if message.type not in ENDED]
        taken = self._store.take(messages, received, epoch)
        recorder = self._recorder
        if recorder is not None:
            recorder.put(messages, received, epoch, taken)

    # --- seeing ------------------------------------------------------------------------------------------------

    @cached_property
    def _refresher(self) -> Refresher:
        from ..widgets.refresh import Refresher  # ipywidgets is imported when first used

        return Refresher(standing=self._status.standing, about=f"session {self.name}, {self.url}")

    def _case_facts(self) -> tuple[str, dict[str, object]]:
        return f"Session {self.name}", {"session": self.name, "simulation": self.url, **self._facts()}

    def _panels(self) -> Panels:
        from ..widgets.panels import Panels

        return Panels(self._store, self._status, self._commands, self._refresher, self._cursor, self, self.traffic)
