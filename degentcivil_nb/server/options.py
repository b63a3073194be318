"""The options of a server, by the folder that they are for; each is declared once, with its default."""

from __future__ import annotations

import ssl as ssl_module
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from ..core.arguments import number, positive_number, whole_number
from ..core.names import did_you_mean
from ..monitoring.interfaces import Monitor, NullMonitor, TrafficLog
from ..protocol.control_payloads import RunState
from ..protocol.rate_limits import RateLimiter
from .entrance.auth import WebSocketAuth
from .entrance.connection_pool import ConnectionPool
from .interfaces import CommandHandler
from .peers.error_handler import ErrorHandler
from .stream.history import History
from .workers import Workers

INBOUND_MESSAGES: Final = 600
INBOUND_S: Final = 10
"""How many messages a client may send in how many seconds: far more than any person's commands."""
LEAST_BYTES: Final = 1_000
"""A message may be this long at least, so that an error fits that replaces one which is too long."""

_RUNNING: Final = partial(RunState, "running")
_Part = TypeVar("_Part")


def _keep(options: object, name: str, checked: float) -> None:
    """Keep an option as it was read: a duration is a number of seconds from here on."""
    object.__setattr__(options, name, checked)  # before anybody has the frozen options


@dataclass(frozen=True, kw_only=True)
class EntranceOptions:
    """Options about who may connect, and how."""

    auth: WebSocketAuth | None = None
    """The tokens. Without them the server is open to this machine only, and everyone there may do everything."""
    pool: ConnectionPool = field(default_factory=ConnectionPool)
    """How many clients there may be, how far each may lag, and how long it may make no progress."""
    ssl: ssl_module.SSLContext | None = None
    """The TLS context; with one, the server speaks ``wss://``."""
    compression: bool | None = None
    """Whether to compress what is sent; `None`: yes, except on the loopback interface."""
    origins: Collection[str] | None = None
    """The web pages that may connect; `None`: those of this machine."""
    hosts: Collection[str] | None = None
    """The names by which clients may call this server; `None`: its own, and those of this machine."""
    open_s: float = 5.0
    """How many seconds a client has to request a WebSocket."""

    def __post_init__(self) -> None:
        _keep(self, "open_s", positive_number("open_s", self.open_s, "seconds"))


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """Options about the stream of messages."""

    history: History = field(default_factory=History)
    """The messages that are kept for clients that connect or reconnect."""
    batch_s: float = 0.02
    """How many seconds a message may wait for others; it waits longer if notifying the peers takes much of the time."""
    max_message_bytes: int = 1 << 20
    """The longest message, in either direction."""
    max_queued: int = 100_000
    """How many messages may wait for the server's loop; any more are lost, and declared as a gap (`overflow`)."""
    clock: Callable[[], float] = time.time
    """The clock that gives messages without a time theirs, in seconds since 1970."""

    def __post_init__(self) -> None:
        _keep(self, "batch_s", number("batch_s", self.batch_s, 0, "seconds"))
        _keep(self, "max_message_bytes", whole_number("max_message_bytes", self.max_message_bytes, LEAST_BYTES))
        _keep(self, "max_queued", whole_number("max_queued", self.max_queued, 1))


@dataclass(frozen=True, kw_only=True)
class PeerOptions:
    """Options about connected clients."""

    heartbeat_s: float = 5.0
    """How many seconds pass between two heartbeats; a peer that makes no progress for two of them is closed."""
    resume_s: float = 5.0
    """A v1 client that sends no `resume` within so many seconds is served as a new one without history."""
    limiter: RateLimiter = field(default_factory=partial(RateLimiter, INBOUND_MESSAGES, INBOUND_S))
    """How many messages a client may send."""
    error_handler: ErrorHandler | None = None
    """The handler that answers messages that cannot be read."""
    monitor: Monitor = field(default_factory=NullMonitor)
    """The counters of the server."""
    traffic: TrafficLog | None = None
    """A record of frames in both directions."""

    def __post_init__(self) -> None:
        _keep(self, "heartbeat_s", positive_number("heartbeat_s", self.heartbeat_s, "seconds"))
        _keep(self, "resume_s", positive_number("resume_s", self.resume_s, "seconds"))


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options about the run that is served."""

    commands: CommandHandler | None = None
    """The executor of commands; without one the server offers none."""
    status: Callable[[], RunState] = _RUNNING
    """A function that returns the state of the run."""
    run_id: str | None = None
    """The name of the run."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What the run was started with: configuration, seed, model, version."""
    workers: Workers | None = None
    """The worker processes that publish to the same stream."""


class ServerOptions(NamedTuple):
    """All options of a server."""

    entrance: EntranceOptions
    stream: StreamOptions
    peers: PeerOptions
    run: RunOptions


PARTS: Final = (EntranceOptions, StreamOptions, PeerOptions, RunOptions)
NAMES: Final = tuple(option.name for part in PARTS for option in fields(part))


def sort_options(given: Mapping[str, Any]) -> ServerOptions:
    """Sort keyword options into their structs; `None` means the default.

    Raises `TypeError` for an unknown option, with a similar name.
    """
    for name in given:
        if name not in NAMES:
            hint = did_you_mean(name, NAMES) or f"; there are {', '.join(NAMES)}"
            raise TypeError(f"a server has no option {name!r:.80}{hint}")
    wanted = {name: value for name, value in given.items() if value is not None}

    def only(part: type[_Part]) -> _Part:
        return part(**{field.name: wanted[field.name] for field in fields(part) if field.name in wanted})  # type: ignore[arg-type]

    return ServerOptions(only(EntranceOptions), only(StreamOptions), only(PeerOptions), only(RunOptions))
