"""Messages: the envelope, and the names of the types. Their payloads are in `*_payloads.py`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

from msgspec import Meta, Raw, Struct, field

from ..core.links import link_id, link_ids
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
    WATCH: Final = "watch"
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
    WATCHES: Final = "watches"
    CONTROL: Final = "control"
    COMMAND: Final = "command"
    COMMAND_RESULT: Final = "command_result"
    WITHDRAW: Final = "withdraw"


NEWER_CONTROL: Final = frozenset({MessageTypes.BREAKPOINTS, MessageTypes.WATCHES, MessageTypes.CONTROL})
"""Control types that are sent only to clients that name them among their capabilities."""

ORDERED_CONTROL: Final = NEWER_CONTROL | {MessageTypes.GAP, MessageTypes.SNAPSHOT, MessageTypes.RUN_STATE}
"""Control messages that travel in order with the stream; the store keeps them in rows that are not events."""

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

_LARGEST: Final = 1.7e308
"""The largest whole number that can be converted to a float."""

STANDARD_TYPES: Final = frozenset(
    value
    for name, value in vars(MessageTypes).items()
    if name.isupper() and isinstance(value, str) and value not in CONTROL
)
"""Types of the protocol's events: a question about one before any has arrived is not a typo."""

MOST: Final = 2**53
"""The largest whole number that every JSON reader preserves."""
Seq = Annotated[int, Meta(ge=1, le=MOST)]
Count = Annotated[int, Meta(ge=0, le=MOST)]
Tick = Count
CharacterId = str | int


class Links(NamedTuple):
    """The links of an envelope: its keys beside type, payload, time and tick.

    `sim_time` is the model's own clock if that is not a counted tick. `event_id` names the message, so that others can
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


class PlainMessage(Struct, frozen=True, gc=False, omit_defaults=True, eq=False, forbid_unknown_fields=True):
    """A `RawMessage` as the codec makes it of an envelope that has neither links nor unknown keys, as most have.

    It has all attributes of a `RawMessage`, but is smaller and decoded faster.
    """

    type: str
    data: Raw = NULL
    timestamp: float | None = None
    seq: Seq | None = None
    tick: Tick | None = None
    id: str | None = None
    covers: tuple[int, int] | None = None

    @property
    def sim_time(self) -> Any:
        """The model's own clock, as it was sent."""
        return None

    @property
    def event_id(self) -> Any:
        """The name of the event, as it was sent."""
        return None

    @property
    def cause(self) -> Any:
        """The names of what led to it, as they were sent."""
        return None

    @property
    def intervention(self) -> Any:
        """The command that made it, as it was sent."""
        return None

    def __eq__(self, other: object) -> bool:
        """Compare all fields, whether the class has links or not."""
        return isinstance(other, PlainMessage) and _values(self) == _values(other)

    __hash__ = None  # type: ignore[assignment]  # a payload as bytes has none

    def payload(self) -> Any:
        """Decode the payload; `WebSocketError` 1001 if it is not valid JSON."""
        return decode(Any, self.data)

    def links(self) -> Links:
        """Return the envelope's links; a value of a wrong type is left out.

        These keys may mean something else to another server, so that they never make a message malformed.
        """
        return Links(
            _link_time(self.sim_time),
            link_id(self.event_id),
            link_ids(self.cause),
            self.intervention if isinstance(self.intervention, dict) else None,
        )


class RawMessage(PlainMessage, frozen=True, gc=False, omit_defaults=True, eq=False, forbid_unknown_fields=False):
    """A message with its payload still as bytes, as the client passes it on and the store keeps it.

    A `batch` with `covers` whose messages were unpacked stays in front of them as a marker: seqs in that range (both
    ends included) that do not follow were filtered, not lost.
    """

    sim_time: Any = None
    event_id: Any = None
    cause: Any = None
    intervention: Any = None


def _values(message: PlainMessage) -> tuple[Any, ...]:
    links = (message.sim_time, message.event_id, message.cause, message.intervention)
    return *(getattr(message, name) for name in PlainMessage.__struct_fields__), *links


def linked(messages: Sequence[RawMessage]) -> list[int]:
    """Return the indices of messages whose envelopes have links."""
    if [*map(type, messages)].count(PlainMessage) == len(messages):  # what most are
        return []
    return [
        place for place, m in enumerate(messages) if not (m.event_id is m.cause is m.sim_time is m.intervention is None)
    ]


def error_message(code: int, message: str, **details: Any) -> WebSocketMessage:
    """Return an `error` message for a peer; `details` become further keys of its data."""
    return WebSocketMessage(MessageTypes.ERROR, {"code": code, "message": message, **details})


WebSocketError.create_error_message = staticmethod(error_message)


def _link_time(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST:
        return None
    return float(value)
