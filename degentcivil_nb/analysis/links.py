"""The declared causes of all events as a table, by the rules of `why`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final

import pandas as pd

from ..protocol.messages import MessageTypes
from ..recordings.column_parts import each
from ..recordings.link_columns import read_json
from ..store.interfaces import RunStore
from ..store.pieces import Piece, Pieces
from .run_events import evidence_of, read_event

FAN: Final = 25
"""How many causes or effects of one event are followed."""
UNKNOWN: Final = "named as the cause, but no event held has this id"
LINKS: Final = {"row": "int64", "cause_row": "Int64", "cause_id": "str", "grade": "str", "reason": "str"}


def links_table(store: RunStore) -> pd.DataFrame:
    """Return a row for each declared cause of each event; of many causes of one event the first `FAN`."""
    caused, commands = store.by_pieces(_declared)
    for row, ids in _evidence(store):
        caused[row] = list(dict.fromkeys([*caused.get(row, ()), *ids]))
    named = store.rows_named({one for ids in caused.values() for one in ids[:FAN]})
    found: list[tuple[Any, ...]] = []
    for row in sorted({*caused, *commands}):
        for event_id in caused.get(row, ())[:FAN]:
            if event_id not in named:
                found.append((row, None, event_id, "unknown", UNKNOWN))
            elif (cause := named_before(row, named[event_id])) is not None:
                found.append((row, cause, event_id, "declared", f"row {row} names it as its cause"))
        if row in commands:
            command_id, said = by_command(commands[row])
            found.append((row, None, command_id, "declared", said))
    return pd.DataFrame(found, columns=[*LINKS], dtype="object").astype(LINKS)


def named_before(row: int, rows: Sequence[int]) -> int | None:
    """Return which of the events that have an id, ascending, an event means by it: the last one before it, or the
    first.
    """
    place = bisect_left(rows, row)
    if place:
        return rows[place - 1]
    after = bisect_right(rows, row)
    return rows[after] if after < len(rows) else None


def by_command(intervention: dict[str, Any]) -> tuple[str | None, str]:
    """Return the id of a command that made an event, and what it did."""
    client, command_id = intervention.get("client"), intervention.get("command_id")
    name = client.get("name") or client.get("id") if isinstance(client, dict) else client
    by = f" of {str(name)[:80]}" if name else ""
    return str(command_id or "") or None, f"a command{by} changed the run"


def _declared(pieces: Pieces) -> tuple[dict[int, list[str]], dict[int, Any]]:
    """Return the ids that each event names as its causes, and the command that made it."""
    caused: dict[int, list[str]] = {}
    commands: dict[int, Any] = {}
    for causes, made in each(pieces.parts, _of_piece):
        for row, event_id in causes:
            ids = caused.setdefault(row, [])
            if len(ids) < FAN and event_id not in ids:
                ids.append(event_id)
        commands |= {row: command for row, text in made if isinstance(command := read_json(text), dict)}
    return caused, commands


def _of_piece(piece: Piece) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    view = piece.view()
    found = []
    for texts in (view.links.causes, view.links.interventions):
        rows, said, _ = texts.between(view.first_row, view.next_row)
        found.append(list(zip(rows.tolist(), said, strict=True)))
    return found[0], found[1]


def _evidence(store: RunStore) -> Iterable[tuple[int, list[str]]]:
    """Yield the ids of the events that each thought is based on."""
    thoughts = store.events(MessageTypes.THOUGHT, payload=True)
    for event in thoughts.reset_index().to_dict("records"):
        ids = evidence_of(read_event({str(name): value for name, value in event.items()}))
        if ids:
            yield event["row"], ids
