"""The columns of the events table: what each holds, where it comes from, and who else knows its name.

This is their only list. The store, recordings, exports, SQL, conditions and warnings take the names that they need from
it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["word", "whole", "time", "link"]
"""A text out of few ones, a 64-bit number, a moment, or a key of the envelope that most messages lack."""


class EventColumn(NamedTuple):
    """A column of the events table."""

    name: str
    kind: Kind
    of_payload: bool = False
    """Whether it is read from payloads; most rows lack it."""
    types: tuple[str, ...] = ()
    """The types of messages whose payload it is read from; empty for any. It is null for all other types."""
    of_errors: bool = True
    """Whether `errors()` has it."""
    of_character: bool = False
    """Whether a character has it after each tick, so that a watch may name it: see `Judge._standing`."""
    noun: str | None = None
    """What a warning calls a word that this column never had; `None` if any text is usual. Runs are compared by it."""
    key: str | None = None
    """The payload's key, if it is not the name."""


_MOVES: Final = ("state_change", "character_update")
COLUMNS: Final = (
    EventColumn("epoch", "word"),
    EventColumn("seq", "whole"),
    EventColumn("tick", "whole", of_character=True),
    EventColumn("time", "time"),
    EventColumn("time_source", "word"),
    EventColumn("received", "time"),
    EventColumn("type", "word", of_errors=False, noun="event of type"),
    EventColumn("character_id", "word", of_payload=True, of_character=True, noun="character"),
    EventColumn("state", "word", True, _MOVES, of_errors=False, of_character=True, noun="state", key="new_state"),
    EventColumn("location", "word", True, _MOVES, of_errors=False, of_character=True, noun="location"),
    EventColumn("event_type", "word", True, ("event_notification",), of_errors=False, noun="event_type"),
    EventColumn("code", "whole", True, ("error",)),
    EventColumn("message", "word", True, ("error",)),
    EventColumn("event_id", "link"),
    EventColumn("cause", "link"),
    EventColumn("intervention", "link"),
    EventColumn("sim_time", "link"),
)
"""The columns in the order of `events()`."""


def of_kind(*kinds: Kind) -> tuple[str, ...]:
    """Return the names of the columns of some kinds, in the order of the table."""
    return tuple(column.name for column in COLUMNS if column.kind in kinds)


EVENT_COLUMNS: Final = of_kind("word", "whole", "time", "link")
CATEGORIES: Final = of_kind("word")
"""Columns of words: category in pandas, with a dictionary in files."""
NUMBERS: Final = of_kind("whole")
TIMES: Final = of_kind("time")
PAYLOAD_COLUMNS: Final = tuple(column.name for column in COLUMNS if column.of_payload)
PAYLOAD_WORDS: Final = tuple(name for name in PAYLOAD_COLUMNS if name in CATEGORIES)
NOT_OF_ERRORS: Final = tuple(column.name for column in COLUMNS if not column.of_errors)
NOUNS: Final = {column.name: column.noun for column in COLUMNS if column.noun is not None}
"""The columns whose words can be mistyped, each with what a warning calls one."""
