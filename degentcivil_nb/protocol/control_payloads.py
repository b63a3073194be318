"""Payloads of control messages: the connection, the position in the stream, the state of the run."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from .messages import CharacterId, Count, Seq, Tick


class Hello(Struct, frozen=True, omit_defaults=True):
    """The server's first message of a v1 connection: its epoch, the history it holds, and what the client may do."""

    epoch: str
    head: Count = 0
    oldest: Count = 1
    protocol: int = 1
    server: dict[str, str] = {}
    run_id: str | None = None
    run_state: str = "running"
    tick: Tick | None = None
    role: str = "debugger"
    capabilities: list[str] = []
    heartbeat_s: float = 5.0
    max_message_bytes: int = 1 << 20
    parameters: Any = None


class ClientInfo(Struct, frozen=True, omit_defaults=True):
    """The identity of a client: an `id` that outlives its connections, and a name for people."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    name: Annotated[str, Meta(max_length=200)] = ""


class Resume(Struct, frozen=True, omit_defaults=True):
    """A request for the stream: after a position accounted for, or as a newcomer with that much history.

    `capabilities` are the newer control types that the client understands; others are not sent to it.
    """

    epoch: str | None = None
    seq: Count | None = None
    history: Count = 0
    types: list[str] | None = None
    characters: list[str] | None = None
    client: ClientInfo | None = None
    capabilities: list[str] = []


class Resumed(Struct, frozen=True):
    """The answer to a resume: `start` is the first seq that will be accounted for, `head` the last one so far."""

    epoch: str
    head: Count
    start: Count = field(name="from")
    recovered: bool = True


class Gap(Struct, frozen=True, omit_defaults=True):
    """A declaration that seqs `start` to `end` (both included) of an epoch are missing, and why.

    `end` is `None` where the end of an earlier epoch is unknown; both are `None` in dialects without `seq`.
    """

    epoch: str | None
    start: Count | None = field(name="from", default=None)
    end: Count | None = field(name="to", default=None)
    reason: str = "unknown"
    at_least: Count | None = None


class SnapshotCharacter(Struct, frozen=True, omit_defaults=True):
    """A character in a snapshot, as of the snapshot's `seq`."""

    character_id: CharacterId
    state: str | None = None
    location: str | None = None
    since: float | None = None
    last_seen: float | None = None
    attributes: dict[str, Any] = {}


class Snapshot(Struct, frozen=True, omit_defaults=True):
    """Part `part` of the list of all characters and places as of `seq`; `last` marks the final part."""

    seq: Count
    part: Count = 0
    last: bool = True
    characters: list[SnapshotCharacter] = []
    places: list[dict[str, Any]] = []

    def includes(self, seq: int | None, *, same_epoch: bool) -> bool:
        """Return whether it says what came of the event with that seq already: events of before follow it, too."""
        return same_epoch and seq is not None and seq <= self.seq


class SnapshotPart(Struct, frozen=True, omit_defaults=True):
    """The one field of a `Snapshot` that shows whether it is complete, read without decoding the characters."""

    last: bool = True


class Heartbeat(Struct, frozen=True, omit_defaults=True):
    """A regular sign of life of the server: the last seq sent on this connection, and the server's clock."""

    epoch: str | None = None
    head: Count | None = None
    tick: Tick | None = None
    run_state: str | None = None
    clients: Count | None = None
    timestamp: float | None = None
    checkpoint_age_s: float | None = None


class RunState(Struct, frozen=True, omit_defaults=True):
    """The state of the run: `running`, `pausing`, `paused`, `finished` or `dead`, and why.

    `checkpoint_age_s` is how long ago the simulation left its last checkpoint, 0 while it is in one. In the answer to
    a command that put an event into the stream, `seq` is that event's position; at a breakpoint it is that of the
    first event that matched, and `breakpoints` lists all that did (`BreakpointHit`). `speed` is the factor of a run
    that has a pace of its own.
    """

    state: str
    reason: str | None = None
    tick: Tick | None = None
    head: Count | None = None
    breakpoints: list[Any] = []
    command_id: str | None = None
    checkpoint_age_s: float | None = None
    seq: Seq | None = None
    speed: float | None = None
    ticks: Count | None = None
    """The ticks that a step has run, if a breakpoint ended it early."""
