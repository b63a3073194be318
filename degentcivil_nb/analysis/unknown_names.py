"""Warnings of names that never occurred in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..core.counting import counted
from ..core.event_columns import NOUNS
from ..core.names import NEARLY, nearest
from ..expressions.conditions import compile_condition
from ..expressions.nodes import TOTALS
from ..protocol.messages import STANDARD_TYPES
from ..store.unknown import STANDARD_KEYS, column_of, warn_unknown, warn_unknown_values, warn_user

if TYPE_CHECKING:
    from ..store.interfaces import RunStore


def warn_unknown_names(store: RunStore, asked: dict[str, list[str] | None]) -> None:
    """Warn of names that never occurred in a store's column, with similar names."""
    for column, names in asked.items():
        if names:
            more = STANDARD_TYPES if column == "type" else ()
            warn_unknown(NOUNS[column], names, store.words[column], *more)


def warn_unknown_keys(
    store: RunStore,
    where: str,
    matched: list[int],
    *,
    coming: bool = False,
    judged: bool = False,
    warn: Callable[[str], None] = warn_user,
) -> None:
    """Warn of names in a condition that are neither columns nor keys of any searched payload, and of unknown values.

    `coming`: the condition is about events that are still to come. `judged`: it is evaluated as a breakpoint's is.
    """
    condition = compile_condition(where)
    warn_unknown_values(condition.compared, store.words, coming=coming, warn=warn)
    known = STANDARD_KEYS | store.names.said | store.names.known | (JUDGED if judged else set())
    missing = {name for name in condition.names - known if name.isidentifier()}
    if not missing:
        return
    payloads = [store.payload(row) for row in matched]
    keys = {key for payload in payloads if isinstance(payload, dict) for key in payload}
    if not missing <= keys:
        sought = _sought(store)
        keys |= store.payload_keys(SCANNED)
        for name in sorted(missing & JUDGED - keys):
            warn(f"{name} is known to breakpoints and matches() only; here it is a key that no payload had {sought}")
        what = "column or key of a payload"
        for name in sorted(missing - JUDGED - keys):
            if (column := column_of(name, store.words)) is None:
                warn_unknown(what, [name], known | keys, sought=sought, warn=warn)
            else:
                warn(f"no {what} {name!r} was seen {sought}, it is a {NOUNS[column]}: {column} == {name!r}")


def warn_misspelt(store: RunStore, condition: str) -> None:
    """Warn of names and values in a breakpoint's condition that resemble a known one; all others may still appear."""
    warn_unknown_values(compile_condition(condition).compared, store.words, coming=True)
    known = STANDARD_KEYS | JUDGED | store.names.said | store.names.known
    missing = sorted(compile_condition(condition).names - known)
    sought = _sought(store)
    keys = known | store.payload_keys(SCANNED) if missing else known
    said = {word for column in NOUNS for word in store.words[column]}
    for name in missing:
        if name not in keys and name in said:
            warn_user(
                f"{name[:80]} is looked for as the name of an attribute here; a text stands in quotes: {name[:80]!r}"
            )
        elif name not in keys and (meant := nearest(name, keys, NEARLY)) is not None:
            warn_user(f"no attribute or key of a payload {name[:80]!r} was seen {sought}; did you mean {meant[:80]!r}?")


def unseen_text(store: RunStore, names: Iterable[str]) -> str | None:
    """Return a sentence about names in a breakpoint's condition; the simulation had none of them since it was set.

    A name that the store knows from before is left out: it will come again.
    """
    missing = sorted(set(names) - STANDARD_KEYS - JUDGED - store.names.said - store.names.known)
    keys = store.payload_keys(NEWEST) if missing else ()
    missing = [repr(name[:80]) for name in missing if name not in keys]
    return f"no message has had {' or '.join(missing)} since it was set" if missing else None


def _sought(store: RunStore) -> str:
    """Return in which events a key of a payload is looked for: all so far, or the newest where the run had more."""
    looked_at = min(SCANNED, store.next_row - store.first_row)
    return "so far" if looked_at == store.next_row else f"in the newest {counted(looked_at, 'event')}"


JUDGED: Final = frozenset({"exception", "malformed", *TOTALS})
"""Names that have a meaning only in conditions of breakpoints; in other conditions they are keys of payloads."""
SCANNED: Final = 10_000
"""How many of the newest events are searched for a name before a condition's name counts as unknown."""
NEWEST: Final = 1_000
"""The same, where it is asked several times a second."""
