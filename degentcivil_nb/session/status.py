"""The status of a session: its numbers in one `Series`, its problems, and the history of its connection."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from ..core.parameters import known_parameters
from ..core.redaction import redacted
from ..monitoring.health import judge, quiet
from ..protocol.messages import MessageTypes
from ..widgets.interfaces import Standing

if TYPE_CHECKING:
    from ..client.simulation_client import SimulationClient
    from ..monitoring.connection_monitor import ConnectionMonitor
    from ..recordings.recorder import RecorderStats
    from ..store.event_store import EventStore

JOURNAL_LINES: Final = 200
"""The most lines that a journal keeps; it counts all."""
RECENT_S: Final = 60.0
"""A counter of failures is a problem while it has grown within about this time."""

UNREADABLE: Final = (1001, 1005)
"""The codes of messages that could not be read."""
QUIET_S: Final = 3.0
SILENT_S: Final = 10.0
"""After this many seconds without a checkpoint, or without an event in a run without checkpoints, `repr` says so."""


class Run(NamedTuple):
    """The state of the run and its tick, as of what the store holds."""

    state: str | None
    tick: int | None


def run_as_stored(store: EventStore, client: SimulationClient) -> Run:
    """Return the state of the run, for `repr`, `metrics()` and the panels alike.

    It is the last state in the stream of this epoch, so `paused` means that the store holds everything up to the pause,
    as it does when `pause()` returns. Until that stream has a state, it is the one from the server's hello: states of
    an earlier epoch are outdated.
    """
    state = store.run_state_in(client.epoch) or client.run_state
    return Run(state, client.tick if store.tick is None else store.tick)


class Journal:
    """The newest lines about a connection; written on one thread, read on any."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lines: deque[tuple[float, str]] = deque(maxlen=JOURNAL_LINES)
        self._last = ""
        self.written = 0
        """How many lines there ever were."""

    def note(self, line: str) -> None:
        """Add a line, unless it repeats the last one."""
        if line != self._last:
            self._last = line
            self._lines.append((self._clock(), line))
            self.written += 1

    def lines(self) -> list[tuple[float, str]]:
        """Return the lines, oldest first: wall clock in seconds, and the text."""
        return list(self._lines)


class Unreadable:
    """A count of the messages that could not be read, which the store has as errors."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._judged = 0  # the row from which nothing is counted yet
        self._found = 0

    def count(self) -> int:
        """Return how many there were so far."""
        rows, self._judged = self._store.rows_of((MessageTypes.ERROR,), self._judged), self._store.next_row
        if len(rows):
            self._found += int(self._store.frame_of(rows)["code"].isin(UNREADABLE).sum())
        return self._found


class SessionStatus:
    """The numbers of client, store and monitor, under the names of the API."""

    def __init__(
        self,
        client: SimulationClient,
        store: EventStore,
        monitor: ConnectionMonitor,
        journal: Journal,
        reconnect: Callable[[], None],
        recorder: Callable[[], RecorderStats | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        closed: Callable[[], bool] = lambda: False,
        unanswered: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._unanswered = unanswered
        self._unreadable = Unreadable(store)
        self._closed = closed
        self._client = client
        self._store = store
        self._monitor = monitor
        self._journal = journal
        self.reconnect = reconnect
        self._recorder = recorder
        self._clock = clock
        start: tuple[float, Mapping[str, Any]] = (clock(), {})
        self._earlier = (start, start)
        """Numbers of two earlier moments, the first between one and two times `RECENT_S` ago."""

    def metrics(self) -> pd.Series:
        """Return the current numbers; an unknown one is NA. Seconds end in `_s`, bytes in `_bytes`."""
        client, counts, held = self._client, self._monitor.get_metrics(), self._store.stats()
        recorded, run = self._recorder(), run_as_stored(self._store, client)
        return pd.Series(
            {
                "connection": client.state,
                "dialect": client.dialect,
                "run_state": run.state,
                "tick": _known(run.tick),
                "epoch": client.epoch,
                "head": _known(client.head),
                "uptime_s": client.uptime_s,
                "silent_s": _known(client.silent_s),
                "messages_received": counts["messages_received"],
                "messages_sent": counts["messages_sent"],
                "bytes_received": counts["bytes_received"],
                "bytes_sent": counts["bytes_sent"],
                "messages_per_s": counts["messages_per_s"],
                "latency_p50_s": _known(counts["latency_p50_s"]),
                "latency_p95_s": _known(counts["latency_p95_s"]),
                "lag_s": _known(client.lag_s),
                "reconnects": client.reconnects,
                "gaps": held.gaps,
                "missing": _known(held.missing),
                "duplicates": client.duplicates,
                "errors": held.errors,
                "evicted": held.evicted,
                "queue_depth": client.queue_depth,
                "memory_bytes": held.memory_bytes,
                "circuit": client.circuit,
                "recording": pd.NA if recorded is None else recorded.state,
                "checkpoint_age_s": _known(client.checkpoint_age_s),
                "message_age_s": _known(client.message_age_s),
            },
            dtype=object,
            name=redacted(client.uri),
        )

    def health(self) -> Sequence[str]:
        """Return the problems, as sentences; none if there are no problems."""
        figures: dict[str, Any] = {
            **{str(name): value for name, value in self.metrics().items()},
            "errors": 0,  # what the simulation reports says nothing of the connection (issue 16)
            "unreadable": self._unreadable.count(),
            "last_error": self._client.last_error,
            "heartbeat_s": self._client.heartbeat_s,
        }
        recorded = self._recorder()
        if recorded is not None:
            figures |= {"recording_error": recorded.error, "recording_deleted": recorded.lost}
        now = self._clock()
        if now - self._earlier[0][0] >= RECENT_S:
            self._earlier = (self._earlier[1], (now, figures))
        unanswered = self._unanswered()
        return [*([] if unanswered is None else [unanswered]), *judge(figures, self._earlier[0][1]).reasons]

    def quiet(self) -> str | None:
        """Return a text on how long a run has been quiet that should be going on; `None` while that is short."""
        return quiet({str(name): value for name, value in self.metrics().items()}, QUIET_S, SILENT_S)

    def standing(self) -> Standing | None:
        """Return why the data shown is no longer current; `None` while there is a connection."""
        client, name = self._client, redacted(self._client.uri)
        if client.state == "live":
            return None
        because = f" ({client.last_error})" if client.last_error else ""
        if self._closed():
            return Standing("This session is closed", "dc.connect(…) follows the run again.", client.heard_at, True)
        if client.state == "closed":
            todo = "session.reconnect() tries again."
            return Standing(f"The connection to {name} has ended{because}", todo, client.heard_at)
        todo = "Further attempts follow by themselves; session.reconnect() tries now."
        if client.circuit == "open":
            todo = "After many failures it tries less often; session.reconnect() tries now."
        return Standing(f"There is no connection to {name}{because}", todo, client.heard_at)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that the run was started with; empty if there are none."""
        hello = self._client.hello
        return {} if hello is None else known_parameters(hello.parameters)

    def journal(self) -> list[tuple[float, str]]:
        """Return the history of the connection, oldest first."""
        return self._journal.lines()

    def journal_lines(self) -> int:
        """Return how many lines the history ever had."""
        return self._journal.written


def _known(value: float | None) -> object:
    return pd.NA if value is None else value
