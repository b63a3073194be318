"""Warnings for names that were never seen, with the similar name that may be meant."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Iterable
from types import FrameType
from typing import Any, Final, cast

from msgspec.structs import fields

from ..core.names import did_you_mean
from ..protocol.messages import CONTROL, MessageTypes
from ..protocol.stream_payloads import ErrorPayload, EventNotification, GameLlmCall, LlmCall, StateChange
from .schema import EVENT_COLUMNS

NEARLY: Final = 0.8
"""How similar a name must be for a slip, where others may yet come: `mony` is to `money`, `weather` not to `watch`."""
PACKAGE: Final = __name__.partition(".")[0]
STANDARD_TYPES: Final = frozenset(
    value for name, value in vars(MessageTypes).items() if name.isupper() and isinstance(value, str)
)
"""Types of the protocol: asking for them before any has arrived is not a mistake."""
STANDARD_KEYS: Final = frozenset(
    field.encode_name
    for kind in (StateChange, EventNotification, ErrorPayload, LlmCall, GameLlmCall)
    for field in fields(kind)
) | {"row", "data", "payload", "state", *EVENT_COLUMNS}
"""Names that a condition may use in any run: columns, and keys of the protocol's payloads."""


def warn_unknown(what: str, names: Iterable[str], known: Collection[Any], *more: str) -> None:
    """Warn of each unknown name, at the user's line; `more` are names that may still appear."""
    for name in names:
        if name not in known and name not in more:
            hint = did_you_mean(name, [word for word in (*known, *more) if isinstance(word, str)])
            warn_user(f"no {what} {name[:80]!r} was seen so far{hint}")


def warn_mistyped(types: Iterable[str], seen: Iterable[Any]) -> None:
    """Warn of each type to receive that resembles one of the protocol; a simulation may have types of its own."""
    for name in types:
        if (
            name not in STANDARD_TYPES
            and name not in seen
            and (hint := did_you_mean(name, STANDARD_TYPES - CONTROL, NEARLY))
        ):
            warn_user(f"the protocol has no type {name[:80]!r}{hint}")


def warn_user(text: str) -> None:
    """Warn at the user's line: the first of the stack outside this package, and outside IPython, which runs `%dc`."""
    level, frame = 1, cast("FrameType | None", sys._getframe())
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in (PACKAGE, "IPython"):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)
