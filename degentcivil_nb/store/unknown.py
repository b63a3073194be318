"""Warnings for names that were never seen, with a similar name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import fields

from ..core.event_columns import EVENT_COLUMNS, NOUNS
from ..core.names import NEARLY, did_you_mean
from ..core.user_warnings import warn_user as warn_user
from ..expressions.compared import Compared
from ..protocol.messages import STANDARD_TYPES
from ..protocol.stream_payloads import ErrorPayload, EventNotification, GameLlmCall, LlmCall, StateChange

NAMED: Final = {**{name: name for name in NOUNS}, "previous_state": "state"}
"""Names of a condition whose values are words of a column."""
STANDARD_KEYS: Final = frozenset(
    field.encode_name
    for kind in (StateChange, EventNotification, ErrorPayload, LlmCall, GameLlmCall)
    for field in fields(kind)
) | {"row", "data", "payload", "state", *EVENT_COLUMNS}
"""Names that a condition may use in any run: columns, and keys of the protocol's payloads."""


def warn_unknown(
    what: str,
    names: Iterable[str],
    known: Collection[Any],
    *more: str,
    sought: str = "so far",
    warn: Callable[[str], None] = warn_user,
) -> None:
    """Warn of each unknown name, at the user's line; `more` are further names to suggest.

    `sought` says where the names were looked for, if that was not everything.
    """
    for name in names:
        if name not in known and name not in more:
            hint = did_you_mean(name, (*known, *more))
            warn(f"no {what} {name[:80]!r} was seen {sought}{hint}")


def warn_unknown_values(
    compared: Iterable[Compared],
    words: Mapping[str, Collection[Any]],
    *,
    coming: bool = False,
    warn: Callable[[str], None] = warn_user,
) -> None:
    """Warn of each value in a condition that a column of names never had, such as `type == 'eror'`, and of null.

    If the condition is about events that are still `coming`, warn only of values that resemble a known one, or are
    one of another column.
    """
    for one in compared:
        if one.value is None:
            warn(
                f"a comparison with null is never true: `not {one.name[:80]}` finds what is missing (or 0, or empty), "
                f"and `{one.name[:80]}` what is there"
            )
        column = NAMED.get(one.name)
        if column is None or one.value is None:
            continue
        known = [word for word in words[column] if word is not None] + list(STANDARD_TYPES if column == "type" else ())
        if not isinstance(one.value, str):
            if column != "character_id":  # an id equals a number and its text alike
                warn(f"{one.name} is a text, so it is never {one.value!r:.80}; write it in quotes")
        elif one.value not in known and (other := column_of(one.value, words)):
            warn(
                f"no {NOUNS[column]} {one.value[:80]!r} was seen so far, it is a {NOUNS[other]}: "
                f"{other} == {one.value[:80]!r}"
            )
        elif not coming or did_you_mean(one.value, known, NEARLY):
            warn_unknown(NOUNS[column], [one.value], known, warn=warn)


def column_of(value: str, words: Mapping[str, Collection[Any]]) -> str | None:
    """Return a column of names that had a value, as a location that was taken for a state; `None` if none."""
    return next((column for column in NOUNS if value in words[column]), None)


def warn_mistyped(types: Iterable[str], seen: Iterable[Any]) -> None:
    """Warn of each type to receive that resembles one of the protocol; a simulation may have types of its own."""
    for name in types:
        if name not in STANDARD_TYPES and name not in seen and (hint := did_you_mean(name, STANDARD_TYPES, NEARLY)):
            warn_user(f"the protocol has no type {name[:80]!r}{hint}")
