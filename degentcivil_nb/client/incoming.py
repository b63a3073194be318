"""Received messages of all dialects: passed to the sink in order, and read for the client's state."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from ..monitoring.interfaces import Monitor, TrafficLog
from ..protocol.codec import decode_frames, malformed
from ..protocol.command_payloads import CommandSpec
from ..protocol.control_payloads import ClientInfo, Gap, Heartbeat, Hello, Resume, Resumed, RunState, SnapshotPart
from ..protocol.errors import ConnectFailed, WebSocketError
from ..protocol.json_text import encode
from ..protocol.messages import NEWER_CONTROL, ORDERED_CONTROL, MessageTypes, RawMessage
from ..protocol.receiver import StreamReceiver, gap_message
from ..protocol.repairing import decode_repaired
from ..protocol.stream_payloads import ErrorPayload
from .interfaces import Sink
from .peer_clock import PeerClock
from .requests import Requests

V1: Final = "v1"
GUIDE: Final = "guide"
GAME: Final = "game"
UNKNOWN: Final = "unknown"

PROTOCOL: Final = 1
"""The version of the v1 dialect that `hello` must state."""

_logger = logging.getLogger("degentcivil_nb.client")
_T = TypeVar("_T")


class _Version(Struct):
    """The part of any `hello` that shows whether the rest can be understood."""

    protocol: Any = PROTOCOL
    server: Any = None


class Incoming:
    """The receiving side of a client: runs on the portal's thread; its attributes may be read from any other."""

    def __init__(
        self,
        receiver: StreamReceiver,
        requests: Requests,
        *,
        url: str,
        sink: Sink | None,
        monitor: Monitor,
        traffic: TrafficLog,
        changed: Callable[[], None],
        clock: Callable[[], float],
        client: ClientInfo | None = None,
    ) -> None:
        self.receiver = receiver
        self.dialect = UNKNOWN
        self.hello: Hello | None = None
        self.run_state: str | None = None
        self.tick: int | None = None
        self.checkpoint: tuple[float, float] | None = None
        """How many seconds ago the simulation left its last checkpoint, and when (monotonic) the server reported it."""
        self._beat: tuple[int | None, str] | None = None
        """The position and the run's state of the last heartbeat, or `hello`."""
        self.heard_at: float | None = None
        """When anything last arrived, wall clock."""
        self.event_at: float | None = None
        """When an event last arrived, or before the first one, when the connection began; monotonic."""
        self.specs: list[CommandSpec] = []
        self.server_error: ErrorPayload | None = None
        """The last `error` of this connection's server, reset by any other message."""
        self.peer_clock = PeerClock()
        self.round_trip_s = 0.0
        self.lost_at: float | None = None
        """When a connection without seqs was lost, wall clock, until its gap is declared."""
        self._v1_lost_at: float | None = None
        """When the last connection of v1 was lost; if the next one has no seqs, the client declares the gap itself."""
        self.sink_failures = 0
        self.hello_received: asyncio.Future[None]
        """Done when `hello` has arrived."""
        self.ready: asyncio.Future[None]
        """Done when the sink is up to date: it has a snapshot, or is receiving all that it missed."""
        self.arrived = asyncio.Event()
        """Set when the sink has all messages that the server had when it resumed."""
        self._requests = requests
        self._url = url
        self._sink = sink
        self._monitor = monitor
        self._traffic = traffic
        self._changed = changed
        self._clock = clock
        self._client = client

    def resume_request(self) -> Resume:
        """Return the request to a v1 server, with this client's identity and the newer control types it understands."""
        return structs.replace(self.receiver.resume_request(), client=self._client, capabilities=[*NEWER_CONTROL])

    def begin(self, subprotocol: str | None) -> None:
        """Start a connection, of which only the subprotocol is known."""
        loop = asyncio.get_running_loop()
        self.hello_received, self.ready = loop.create_future(), loop.create_future()
        self.dialect = UNKNOWN if subprotocol is None else V1
        self.arrived.clear()
        self.server_error = None
        self.checkpoint = None
        if subprotocol is not None:
            self._v1_lost_at = None
        self._refusable = True
        self.event_at = time.monotonic()
        self.receiver.cut()  # the `hello` of an abandoned attempt may have arrived after its end
        self.peer_clock.reset()
        self._newcomer = self.receiver.position is None

    def end(self, *, live: bool = True) -> None:
        """End a connection; without seqs, all later messages are lost if it was live or had brought any message."""
        if self.dialect != V1 and self.lost_at is None and (live or not self._refusable):
            self.lost_at = self._clock()
        if self.dialect == V1 and self.receiver.position is not None:
            self._v1_lost_at = self._clock()
        self.receiver.cut()

    def declare_loss(self) -> None:
        """Declare a gap without seqs, once, after a connection of another dialect was lost."""
        if self.lost_at is not None:
            self._pass_on([gap_message(Gap(None), self.lost_at)], self._clock())
            self.lost_at = None

    def receive(self, frames: list[bytes], size: int) -> None:
        """Decode frames of `size` bytes on the wire, pass their messages on, and process the control messages."""
        self.heard_at = received = self._clock()
        if self._traffic.enabled:
            for frame in frames:
                self._traffic.record("received", bytes(frame), self._url)
        messages = decode_frames(frames)
        self._monitor.update_metrics("messages_received", len(messages))
        self._monitor.update_metrics("bytes_received", size)
        if self.dialect == V1:
            accepted = self.receiver.accept(messages)
            controls = self.receiver.controls
        else:
            accepted, controls = self._plain(messages)
            if accepted:
                self.declare_loss()  # the gap comes before the first message of the new connection
        if accepted:
            tick = accepted[-1].tick
            if tick is not None:
                if tick != self.tick and self.checkpoint is not None:  # there is a checkpoint between two ticks
                    self.checkpoint = (0.0, time.monotonic())
                self.tick = tick
            if any(message.type not in ORDERED_CONTROL for message in accepted):
                self.event_at = time.monotonic()
            self._pass_on(accepted, received)
        for message in controls:
            self._control(message, received)
        if not self.arrived.is_set() and self.receiver.on_their_way == 0:
            self.arrived.set()
        if messages and messages[-1].type != MessageTypes.ERROR:
            self.server_error = None  # a server that goes on sending has not refused the client

    def _pass_on(self, messages: list[RawMessage], received: float) -> None:
        if self._sink is None:
            return
        try:
            self._sink(messages, received, self.receiver.epoch)
        except Exception:  # the sink must not raise; a bug in it must not end the connection
            self.sink_failures += 1
            if self.sink_failures == 1:
                _logger.exception("the sink failed at %d messages; further failures are only counted", len(messages))

    def _plain(self, messages: list[RawMessage]) -> tuple[list[RawMessage], list[RawMessage]]:
        """Sort the messages of a dialect without `seq`: all are events except heartbeats."""
        accepted: list[RawMessage] = []
        controls: list[RawMessage] = []
        for message in messages:
            kind = message.type
            if self.dialect == UNKNOWN and not (kind == MessageTypes.ERROR and message.timestamp is None):
                self.dialect = GAME if message.timestamp is None else GUIDE
                self._forget_v1()
                self._changed()
            if kind == MessageTypes.HEARTBEAT:
                controls.append(message)
            elif kind in ORDERED_CONTROL:
                alien = WebSocketError(WebSocketError.INVALID_MESSAGE, f"the {self.dialect} dialect has no {kind!r}")
                accepted.append(malformed(encode(message), alien))
            elif kind != MessageTypes.BATCH:
                accepted.append(message)
                if kind != MessageTypes.ERROR:
                    self._refusable = False
                elif self._refusable:  # later errors are the simulation's, whatever their code
                    controls.append(message)
        return accepted, controls

    def _forget_v1(self) -> None:
        """Declare what is missing since a v1 server that another server has replaced; drop its run and commands."""
        if self._v1_lost_at is not None:
            self.lost_at, self._v1_lost_at = self._v1_lost_at, None
            self.run_state, self.tick, self.checkpoint, self.specs = None, None, None, []

    def _control(self, message: RawMessage, received: float) -> None:
        kind = message.type
        if kind == MessageTypes.HEARTBEAT:
            self._heartbeat(message, received)
        elif kind == MessageTypes.RUN_STATE:
            run = self._read(RunState, message)
            if run is not None:
                self._set_run_state(run.state, run.tick)
        elif kind in (MessageTypes.ERROR, MessageTypes.COMMAND_RESULT):
            if kind == MessageTypes.ERROR:
                self.server_error = self._read(ErrorPayload, message) or self.server_error
            try:
                self._requests.answered(message)
            except WebSocketError as error:
                self._pass_on([malformed(encode(message), error)], received)
        elif kind == MessageTypes.SNAPSHOT:
            part = self._read(SnapshotPart, message)  # the sink reads the characters
            if part is not None and part.last:
                _finish(self.ready)
        elif kind == MessageTypes.RESUMED:
            resumed = self._read(Resumed, message)
            if resumed is not None and resumed.recovered and not self._newcomer:
                _finish(self.ready)
        elif kind == MessageTypes.HELLO:
            self._on_hello(message)
        elif kind == MessageTypes.COMMANDS:
            specs = self._read(list[CommandSpec], message)
            if specs is None:
                self._pass_on([malformed(encode(message), ValueError("no list of commands"))], received)
            else:
                self.specs = specs
                self._changed()

    def _on_hello(self, message: RawMessage) -> None:
        hello = self._read(Hello, message)
        theirs = self._read(_Version, message)
        if theirs is not None and theirs.protocol != PROTOCOL:
            if not self.hello_received.done():
                self.hello_received.set_exception(_other_version(self._url, theirs))
        elif hello is not None:
            self.hello = hello
            self._requests.set_capabilities(hello.capabilities)
            self._beat = (hello.head, hello.run_state)
            self._set_run_state(hello.run_state, hello.tick)
            _finish(self.hello_received)
        elif not self.hello_received.done():
            reason = f"{self._url} sends a hello that this client does not understand"
            self.hello_received.set_exception(ConnectFailed(reason, "Install the same version on both sides"))

    def _heartbeat(self, message: RawMessage, received: float) -> None:
        heartbeat = self._read(Heartbeat, message) or Heartbeat()
        sent = heartbeat.timestamp if heartbeat.timestamp is not None else message.timestamp
        if sent is not None:
            self.peer_clock.sample(sent, received, self.round_trip_s)
        if heartbeat.tick is not None:
            self.tick = heartbeat.tick
        if heartbeat.run_state is not None:
            # it can be ahead of what is on its way; if nothing is, the next heartbeat is at the same position
            beat = (heartbeat.head, heartbeat.run_state)
            if beat == self._beat or heartbeat.head is None:
                self._set_run_state(heartbeat.run_state, heartbeat.tick)
            self._beat = beat
        age = heartbeat.checkpoint_age_s
        self.checkpoint = None if age is None or not age >= 0 else (age, time.monotonic())

    def _set_run_state(self, state: str, tick: int | None) -> None:
        if tick is not None:
            self.tick = tick
        if state != self.run_state:
            if "paused" in (state, self.run_state):  # a run is paused and resumed inside a checkpoint
                self.checkpoint = (0.0, time.monotonic())
            self.run_state = state
            self._changed()

    @staticmethod
    def _read(kind: type[_T], message: RawMessage) -> _T | None:
        """Decode a payload; the store reports invalid ones."""
        try:
            return decode_repaired(kind, message.data)
        except WebSocketError:
            return None


def _other_version(url: str, theirs: _Version) -> ConnectFailed:
    newer = isinstance(theirs.protocol, int | float) and theirs.protocol > PROTOCOL
    server = theirs.server if isinstance(theirs.server, dict) else {}
    named = " ".join(str(server[key])[:40] for key in ("name", "version") if key in server)
    advice = (
        "Install a newer degentcivil-nb here: pip install -U degentcivil-nb"
        if newer
        else "Install a newer degentcivil-nb where the simulation runs"
    )
    return ConnectFailed(
        f"{url}{f' ({named})' if named else ''} uses version {str(theirs.protocol)[:40]} of the protocol, "
        f"and this client version {PROTOCOL}",
        advice,
        terminal=True,
    )


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
