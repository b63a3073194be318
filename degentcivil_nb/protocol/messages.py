"""Messages: the envelope, the names of the types, and the payloads."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal, NamedTuple

from msgspec import Meta, Raw, Struct, field

from .errors import WebSocketError
from .json_text import decode, encode

NULL: Final = Raw(b"null")


class MessageTypes:
    """The names of the message types that this package knows; any other string is stored and shown too."""

    CHARACTER_UPDATE: Final = "character_update"
    STATE_CHANGE: Final = "state_change"
    EVENT_NOTIFICATION: Final = "event_notification"
    ERROR: Final = "error"
    HEARTBEAT: Final = "heartbeat"
    LLM_CALL: Final = "llm_call"
    CHAT_MESSAGE: Final = "chat_message"
    TOOL_CALL: Final = "tool_call"
    THOUGHT: Final = "thought"
    MEASURE: Final = "measure"
    CHARACTER_LEFT: Final = "character_left"
    LOG: Final = "log"
    # DegentCivil's own server
    ALL_BUILDINGS: Final = "all_buildings"
    ALL_CHARACTERS: Final = "all_characters"
    CHARACTER_UPDATE_LLM: Final = "character_update_llm"
    # control: never sequenced
    HELLO: Final = "hello"
    COMMANDS: Final = "commands"
    RESUME: Final = "resume"
    RESUMED: Final = "resumed"
    GAP: Final = "gap"
    SNAPSHOT: Final = "snapshot"
    BATCH: Final = "batch"
    RUN_STATE: Final = "run_state"
    BREAKPOINTS: Final = "breakpoints"
    COMMAND: Final = "command"
    COMMAND_RESULT: Final = "command_result"
    WITHDRAW: Final = "withdraw"


ORDERED_CONTROL: Final = frozenset(
    {MessageTypes.GAP, MessageTypes.SNAPSHOT, MessageTypes.RUN_STATE, MessageTypes.BREAKPOINTS}
)
"""Control messages that travel in one order with the stream; the store keeps them as rows that are no events."""

NEWER_CONTROL: Final = frozenset({MessageTypes.BREAKPOINTS})
"""Those that only clients are sent which name them among their capabilities."""

CONTROL: Final = ORDERED_CONTROL | {
    MessageTypes.HELLO,
    MessageTypes.COMMANDS,
    MessageTypes.RESUME,
    MessageTypes.RESUMED,
    MessageTypes.BATCH,
    MessageTypes.HEARTBEAT,
    MessageTypes.COMMAND,
    MessageTypes.COMMAND_RESULT,
    MessageTypes.WITHDRAW,
}
"""All control types: a server never sequences them, no matter who publishes them."""

_MOST: Final = 2**53
"""The largest whole number that every JSON reader preserves."""
Seq = Annotated[int, Meta(ge=1, le=_MOST)]
Count = Annotated[int, Meta(ge=0, le=_MOST)]
Tick = Count
CharacterId = str | int


class Links(NamedTuple):
    """What an envelope says beside type, payload, time and tick.

    `sim_time` is the model's own clock where it is no counted tick. `event_id` names the message, so that others can
    name it as their `cause`. `intervention` says which command of which client made it.
    """

    sim_time: float | None = None
    event_id: str | None = None
    cause: str | list[str] | None = None
    intervention: dict[str, Any] | None = None


class WebSocketMessage(Struct, frozen=True, omit_defaults=True):
    """A message with its payload as plain Python data.

    `timestamp` is wall clock in seconds since the Unix epoch, taken when the message is made; it is `None` for a
    message that was read from JSON without one. Values that JSON lacks are converted: bytes to base64 text, NaN and
    infinities to null, tuples and sets to lists, times to ISO text.
    """

    type: str
    data: Any = None
    timestamp: float | None = field(default_factory=time.time)
    seq: Seq | None = None
    tick: Tick | None = None
    id: str | None = None
    sim_time: float | None = None
    event_id: str | None = None
    cause: str | list[str] | None = None
    intervention: dict[str, Any] | None = None

    def to_json(self) -> str:
        """Encode the message as one JSON object; `WebSocketError` 1001 if the data has no JSON form."""
        return encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> WebSocketMessage:
        """Decode a message from JSON text; `WebSocketError` 1001 states what is wrong and where."""
        raw = decode(RawMessage, text)
        return cls(raw.type, raw.payload(), raw.timestamp, raw.seq, raw.tick, raw.id, *raw.links())


class RawMessage(Struct, frozen=True, gc=False, omit_defaults=True):
    """A message with its payload still as bytes, as the client passes it on and the store keeps it.

    A `batch` with `covers` whose messages were unpacked stays in front of them as a marker: seqs in that range (both
    ends included) that do not follow were filtered, not lost.
    """

    type: str
    data: Raw = NULL
    timestamp: float | None = None
    seq: Seq | None = None
    tick: Tick | None = None
    id: str | None = None
    covers: tuple[int, int] | None = None
    sim_time: Any = None
    event_id: Any = None
    cause: Any = None
    intervention: Any = None

    def payload(self) -> Any:
        """Decode the payload; `WebSocketError` 1001 if it is not valid JSON."""
        return decode(Any, self.data)

    def links(self) -> Links:
        """Return what the envelope says beside type, time and tick; what has a wrong shape is left out.

        These keys may mean something else to another server, so that they never make a message malformed.
        """
        return Links(
            self.sim_time if isinstance(self.sim_time, (int, float)) and not isinstance(self.sim_time, bool) else None,
            _link_id(self.event_id),
            _link_ids(self.cause),
            self.intervention if isinstance(self.intervention, dict) else None,
        )


def error_message(code: int, message: str, **details: Any) -> WebSocketMessage:
    """Return an `error` message for a peer; `details` become further keys of its data."""
    return WebSocketMessage(MessageTypes.ERROR, {"code": code, "message": message, **details})


WebSocketError.create_error_message = staticmethod(error_message)


def _link_id(value: Any) -> str | None:
    """Return an id as text; `None` for what is none."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def _link_ids(value: Any) -> str | list[str] | None:
    if isinstance(value, list):
        return [id for item in value if (id := _link_id(item)) is not None] or None
    return _link_id(value)


# --- stream payloads -------------------------------------------------------------------------------------------


class StateChange(Struct, frozen=True, gc=False, omit_defaults=True):
    """A character's change to a new state."""

    character_id: CharacterId
    new_state: str
    location: str | None = None
    timestamp: float | str | None = None
    previous_state: str | None = None


class CharacterUpdate(Struct, frozen=True, gc=False):
    """A change of a character's attributes, which are the payload's other keys."""

    character_id: CharacterId


class EventNotification(Struct, frozen=True, gc=False, omit_defaults=True):
    """An event in the town."""

    event_type: str
    data: Raw = NULL
    timestamp: float | str | None = None
    character_id: CharacterId | None = None
    id: CharacterId | None = None
    cause: CharacterId | None = None


class ErrorPayload(Struct, frozen=True, gc=False, omit_defaults=True):
    """An error in the simulation, or in what a client sent."""

    code: int
    message: str
    character_id: CharacterId | None = None
    traceback: str | None = None
    code_name: Any = None


class LlmCall(Struct, frozen=True, gc=False, omit_defaults=True):
    """A call of a language model, with its prompt and its response (text or any JSON)."""

    character_id: CharacterId | None = None
    prompt_type: str | None = None
    prompt: Any = None
    response: Any = None
    model: str | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    error: str | None = None
    id: CharacterId | None = None
    cause: CharacterId | None = None


class ChatMessage(Struct, frozen=True, gc=False, omit_defaults=True):
    """A message of one character to others."""

    character_id: CharacterId
    receivers: list[CharacterId] = []
    content: Any = None
    channel: str | None = None


class ToolCall(Struct, frozen=True, gc=False, omit_defaults=True):
    """A use of a tool by a character."""

    character_id: CharacterId | None = None
    name: str | None = None
    arguments: Any = None
    result: Any = None
    latency_s: float | None = None
    error: str | None = None


class Thought(Struct, frozen=True, gc=False, omit_defaults=True):
    """A plan, a memory or a reflection, with the `event_id`s that it is based on."""

    character_id: CharacterId
    kind: str | None = None
    text: Any = None
    evidence: list[CharacterId] = []


class Measure(Struct, frozen=True, gc=False):
    """A figure of the whole model."""

    name: str
    value: Any = None


class CharacterLeft(Struct, frozen=True, gc=False):
    """A character's departure from the town."""

    character_id: CharacterId


class GameLlmCall(Struct, frozen=True, gc=False):
    """DegentCivil's own report of a call, which does not name the character."""

    latest_prompt_type: str | None = None
    latest_prompt: Any = None
    latest_response: Any = None


# --- control payloads ------------------------------------------------------------------------------------------


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


class ClientInfo(Struct, frozen=True, omit_defaults=True):
    """Say who a client is: an `id` that outlives its connections, and a name for people."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    name: Annotated[str, Meta(max_length=200)] = ""


class Resume(Struct, frozen=True, omit_defaults=True):
    """Ask for the stream: after a position accounted for, or as a newcomer with that much history.

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
    """Part `part` of the list of all characters as of `seq`; `last` marks the final part."""

    seq: Count
    part: Count = 0
    last: bool = True
    characters: list[SnapshotCharacter] = []


class SnapshotPart(Struct, frozen=True, omit_defaults=True):
    """The one field of a `Snapshot` that says whether the present is whole, read without the characters."""

    last: bool = True


class Heartbeat(Struct, frozen=True, omit_defaults=True):
    """A regular sign of life of the server: the last seq sent on this connection, and its clock."""

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
    """Of a step that a breakpoint cut short: the ticks that were done."""


NO_DEADLINE: Final = "no_deadline"
"""The capability of a server that accepts `"none"` as the deadline of a command, for no deadline at all."""
WITHDRAW: Final = "withdraw"
"""The capability of a server that lets a client withdraw a command that has not begun."""


class Command(Struct, frozen=True, omit_defaults=True):
    """A request to the simulation; the envelope's `id` connects it to its answer.

    Without `deadline_s` the server's own deadline applies; with `"none"` there is none.
    """

    name: str
    arguments: dict[str, Any] = {}
    epoch: str | None = None
    deadline_s: Annotated[float, Meta(gt=0)] | Literal["none"] | None = None
    client: ClientInfo | None = None
    """Who asks: written by the server, whatever the client says."""


class ErrorInfo(Struct, frozen=True, omit_defaults=True):
    """The reason why a command failed."""

    code: int
    message: str
    details: dict[str, Any] = {}
    retryable: bool = False


class CommandResult(Struct, frozen=True, omit_defaults=True):
    """The answer to a command, sent exactly once; `head` is the last seq at which its effect may be seen."""

    ok: bool
    result: Any = None
    error: ErrorInfo | None = None
    head: Count | None = None


class CommandSpec(Struct, frozen=True, omit_defaults=True):
    """The description of a command that a server offers; `arguments` is a JSON Schema."""

    name: str
    doc: str = ""
    role: str = "debugger"
    arguments: dict[str, Any] = {}
    anytime: bool = False
    """Answered at once, on another thread than the simulation's, and not at a checkpoint."""


# --- breakpoints -----------------------------------------------------------------------------------------------

_Name = Annotated[str, Meta(min_length=1, max_length=200)]


class BreakpointSpec(Struct, frozen=True, omit_defaults=True):
    """Declare one breakpoint of a client's set.

    It stops the run at the match number `hits` and at each one after it, `once` at that one only; with `log`, a text
    with `{expressions}`, it tells that text instead and stops nothing. A higher `armed` sets one off anew that was
    spent.
    """

    name: _Name
    condition: Annotated[str, Meta(max_length=4_000)]
    hits: Annotated[int, Meta(ge=1, le=_MOST)] = 1
    once: bool = False
    log: Annotated[str, Meta(max_length=1_000)] | None = None
    enabled: bool = True
    armed: int = 0
    at_checkpoint: bool = False
    """Judged at each checkpoint, whatever the condition is about."""


class BreakpointRow(Struct, frozen=True, omit_defaults=True):
    """Say how one breakpoint is: what was declared, by whom, whether it works, and how often it matched."""

    name: str
    condition: str
    owner: ClientInfo
    hits: int = 1
    once: bool = False
    log: str | None = None
    enabled: bool = True
    verified: bool = True
    problem: str | None = None
    at: int | None = None
    """The position in the condition of the character that is wrong, from 0."""
    count: int = 0
    """How often it has matched."""
    last_tick: int | None = None
    last_character_id: str | None = None


class BreakpointRows(Struct, frozen=True):
    """List the breakpoints of all clients."""

    breakpoints: list[BreakpointRow]


class BreakpointHit(Struct, frozen=True, omit_defaults=True):
    """Say which breakpoint a run stands at: at a match in `tick` by the event `seq`; at a checkpoint there is none."""

    name: str
    condition: str
    owner: ClientInfo
    tick: int | None = None
    seq: Seq | None = None
    character_id: str | None = None
    count: int = 1
