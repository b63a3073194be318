"""Causes and effects of an event: declared ids, and derived links where none were declared."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice, starmap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from ..protocol.messages import MessageTypes
from ..store.arguments import not_held, whole
from ..store.payloads import read_payload
from .chain import Chain, ChainLink
from .links import FAN, UNKNOWN, by_command, named_before
from .run_events import (
    COLUMNS,
    RunEvent,
    all_text,
    described,
    evidence_of,
    is_answered,
    reaches,
    read_event,
    said_text,
)

if TYPE_CHECKING:
    from ..store.interfaces import RunStore

DEPTH: Final = 32
MOST: Final = 500
"""How many events a chain has at most."""
BEFORE: Final = 200
"""How many events of the kinds in question are searched for a derived link, before or after an event."""
BLOCK: Final = 8_192
"""How many rows form a block, which is read at once."""
FEW: Final = 1_024
"""The number of events of a block from which on they are read together."""
SEARCHED: Final = 200_000
"""How many rows before or after an event are searched for a derived link, so that a long recording answers soon."""
LEAST_TEXT: Final = 8
"""The shortest text that is searched for: shorter ones are in a prompt by chance."""
CALLS: Final = (MessageTypes.LLM_CALL,)
ACTS: Final = (
    *(MessageTypes.STATE_CHANGE, MessageTypes.CHARACTER_UPDATE, MessageTypes.EVENT_NOTIFICATION, MessageTypes.ERROR),
    *(MessageTypes.CHAT_MESSAGE, MessageTypes.TOOL_CALL, MessageTypes.THOUGHT),
)
"""The types of events that a character causes after its call was answered."""


class _Found(NamedTuple):
    """A neighbour in the chain: a row, or an event of which only the id is known."""

    row: int | None
    grade: str
    reason: str
    event_id: str | None = None
    type: str | None = None


def why(store: RunStore, row: int) -> Chain:
    """Follow what led to an event; `KeyError` for a row that is not held."""
    return _Walk(store, forward=False).chain(whole(row, "a row", least=None))


def effects(store: RunStore, row: int) -> Chain:
    """Follow what an event led to; `KeyError` for a row that is not held."""
    return _Walk(store, forward=True).chain(whole(row, "a row", least=None))


class _Walk:
    """One walk through a run, breadth first, every event once."""

    def __init__(self, store: RunStore, *, forward: bool) -> None:
        self._store = store
        self._forward = forward
        self._notes: list[str] = []
        self._blocks: dict[tuple[tuple[str, ...], int], pd.DataFrame] = {}
        self._all_thoughts: pd.DataFrame | None = None
        self._known: dict[int, RunEvent] = {}

    def chain(self, row: int) -> Chain:
        first = self._event(row)
        if first is None:
            raise not_held(row, self._store.first_row, self._store.next_row)
        links = [self._link(first, 0, None, _Found(row, "", ""))]
        ancestors: list[frozenset[int]] = [frozenset({row})]
        seen = {row}
        queue = deque([(first, 0)])
        while queue:
            event, place = queue.popleft()
            depth = links[place].depth + 1
            if depth > DEPTH:
                self._note(f"the chain goes on beyond {DEPTH} steps")
                continue
            found = list(self._effects(event) if self._forward else self._causes(event))
            if len(found) > FAN:
                what = "effects" if self._forward else "causes"
                self._note(f"row {event.row} has {len(found):,} {what}: the first {FAN} are followed")
            for one in found[:FAN]:
                if len(links) >= MOST:
                    self._note(f"there is more: the chain is cut at {MOST} events")
                    return self._made(links)
                if one.row is None:
                    links.append(ChainLink(depth, None, place, one.event_id, one.type, None, None, None, *one[1:3]))
                    ancestors.append(ancestors[place])
                    continue
                if one.row in ancestors[place]:
                    self._note(f"rows {event.row} and {one.row} lead to each other: a cycle of declared ids")
                if one.row in seen:
                    continue
                seen.add(one.row)
                other = self._event(one.row)
                if other is None:
                    continue
                queue.append((other, len(links)))
                links.append(self._link(other, depth, place, one))
                ancestors.append(ancestors[place] | {one.row})
        return self._made(links)

    def _made(self, links: list[ChainLink]) -> Chain:
        rows = [link.row for link in links if link.row is not None]
        first, last = min(rows), max(rows)
        gaps = self._store.gaps()
        between = int(((gaps["row"] > first) & (gaps["row"] <= last)).sum())
        if between:
            lie = f"{between:,} gaps lie" if between > 1 else "1 gap lies"
            self._note(f"{lie} between these events: what led from one to the other may be missing")
        held = self._store.first_row
        if held and not self._forward:
            self._note(f"the {held:,} oldest events are no longer held: causes among them are unknown")
        return Chain("effects" if self._forward else "causes", links, self._notes)

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _link(self, event: RunEvent, depth: int, place: int | None, found: _Found) -> ChainLink:
        text = described(event.type, event.character_id, event.payload)
        text = f"{text} — {found.reason}" if found.reason else text
        where = (event.event_id, event.type, event.character_id, event.tick, event.time)
        return ChainLink(depth, event.row, place, *where, found.grade, text)

    # --- what is declared ---------------------------------------------------------------------------------------

    def _causes(self, event: RunEvent) -> Iterator[_Found]:
        declared = False
        for found in self._declared_causes(event):
            declared = True
            yield found
        if event.intervention is not None:
            declared = True
            yield _command(event.intervention)
        if not declared:
            yield from self._derived_causes(event)

    def _declared_causes(self, event: RunEvent) -> Iterator[_Found]:
        ids = list(dict.fromkeys([*event.causes, *evidence_of(event)]))
        if len(ids) > FAN:
            self._note(f"row {event.row} names {len(ids):,} causes: the first {FAN} are followed")
            ids = ids[:FAN]
        named = self._store.rows_named(ids)
        for event_id in ids:
            rows = [row for row in named.get(event_id, ()) if row != event.row]
            if not rows and event_id in named:
                self._note(f"row {event.row} names itself as its cause: a cycle of declared ids")
                continue
            if not rows:
                self._note(f"no event held has the id {event_id!r}, which row {event.row} names as its cause")
                yield _Found(None, "unknown", f"{event_id} — {UNKNOWN}", event_id)
                continue
            if len(rows) > 1:
                self._note(
                    f"{len(rows):,} events have the id {event_id!r}: the last one before row {event.row} is taken"
                )
            yield _Found(named_before(event.row, rows), "declared", f"row {event.row} names it as its cause")

    def _effects(self, event: RunEvent) -> Iterator[_Found]:
        seen: set[int] = set()
        if event.event_id is not None:
            rows = [*self._store.rows_caused([event.event_id]).get(event.event_id, ())]
            rows += [other.row for other in self._thoughts() if event.event_id in evidence_of(other)]
            for row in sorted({*rows} - {event.row}):
                seen.add(row)
                yield _Found(row, "declared", f"it names row {event.row} as its cause")
        yield from (found for found in self._derived_effects(event) if found.row not in seen)

    def _thoughts(self) -> Iterator[RunEvent]:
        if self._all_thoughts is None:
            self._all_thoughts = self._store.events(MessageTypes.THOUGHT)
        frame = self._all_thoughts
        return (self._at(frame, place) for place in range(len(frame)))

    # --- what is derived ----------------------------------------------------------------------------------------

    def _derived_causes(self, event: RunEvent) -> Iterator[_Found]:
        if event.type in CALLS:
            yield from self._heard(event)
            yield from self._changed(event)
        elif event.type in ACTS and event.character_id is not None:
            call = next(filter(is_answered, self._before(event, CALLS, event.character_id)), None)
            if call is not None:
                reason = f"the last answered call of {event.character_id} before row {event.row}{_ago(call, event)}"
                yield _Found(call.row, "derived", reason)

    def _heard(self, call: RunEvent) -> Iterator[_Found]:
        """Yield the messages and thoughts whose text is in a prompt."""
        prompt = all_text(call.payload.get("prompt") if isinstance(call.payload, dict) else None)
        if not prompt:
            return
        taken: set[str] = set()
        for one in self._before(call, (MessageTypes.CHAT_MESSAGE, MessageTypes.THOUGHT)):
            said = said_text(one)
            if len(said) >= LEAST_TEXT and said not in taken and reaches(one, call.character_id) and said in prompt:
                taken.add(said)
                yield _Found(one.row, "derived", f"its text is in the prompt of row {call.row}")

    def _changed(self, call: RunEvent) -> Iterator[_Found]:
        """Yield the last change that a command made before a character's call."""
        if call.character_id is None:
            return
        for one in self._before(call, ACTS, call.character_id, changed=True):
            yield _Found(one.row, "derived", f"a command changed {call.character_id} before row {call.row}")
            return

    def _derived_effects(self, event: RunEvent) -> Iterator[_Found]:
        if event.type in CALLS and event.character_id is not None and is_answered(event):
            for one in self._after(event, (*ACTS, *CALLS), event.character_id):
                if one.type in CALLS and is_answered(one):
                    return
                if one.type in ACTS and not one.causes and one.intervention is None and not evidence_of(one):
                    reason = f"{event.character_id}'s, after the answer of row {event.row}{_ago(event, one)}"
                    yield _Found(one.row, "derived", reason)
        elif event.type in (MessageTypes.CHAT_MESSAGE, MessageTypes.THOUGHT):
            said = said_text(event)
            for call in self._after(event, CALLS) if len(said) >= LEAST_TEXT else ():
                prompt = all_text(call.payload.get("prompt") if isinstance(call.payload, dict) else None)
                if not call.causes and reaches(event, call.character_id) and said in prompt:
                    yield _Found(call.row, "derived", f"the text of row {event.row} is in its prompt")
        elif event.intervention is not None and event.character_id is not None:
            first = next((one for one in self._after(event, CALLS, event.character_id) if not one.causes), None)
            if first is not None:
                yield _Found(
                    first.row, "derived", f"{event.character_id}'s first call after the change of row {event.row}"
                )

    # --- reading ------------------------------------------------------------------------------------------------

    def _event(self, row: int) -> RunEvent | None:
        return next(map(read_event, self._store.event_dicts(row, row + 1)), None)

    def _before(
        self, event: RunEvent, types: tuple[str, ...], character_id: str | None = None, *, changed: bool = False
    ) -> Iterator[RunEvent]:
        """Yield the events of these types before an event, newest first; with `changed`, only those of commands."""
        last, floor = max(0, event.row - 1) // BLOCK, max(self._store.first_row, event.row - SEARCHED)
        blocks = range(last, floor // BLOCK - 1, -1)
        found = (one for block in blocks for one in self._of_block(types, block, character_id, newest_first=True))
        before = islice(((frame, place) for frame, place in found if frame.index[place] < event.row), BEFORE)
        for frame, place in before:
            if not changed or frame["intervention"].iat[place] is not None:
                yield self._at(frame, place)
        if floor > self._store.first_row:
            self._note(f"links of row {event.row} were looked for in the {SEARCHED:,} events before it")

    def _after(self, event: RunEvent, types: tuple[str, ...], character_id: str | None = None) -> Iterator[RunEvent]:
        """Yield the events of these types after an event, oldest first."""
        stop = min(self._store.next_row, event.row + SEARCHED)
        blocks = range(event.row // BLOCK, (stop - 1) // BLOCK + 1)
        found = (one for block in blocks for one in self._of_block(types, block, character_id))
        after = islice(((frame, place) for frame, place in found if frame.index[place] > event.row), BEFORE)
        yield from starmap(self._at, after)
        if stop < self._store.next_row:
            self._note(f"links of row {event.row} were looked for in the {SEARCHED:,} events after it")

    def _of_block(
        self, types: tuple[str, ...], block: int, character_id: str | None, *, newest_first: bool = False
    ) -> Iterator[tuple[pd.DataFrame, int]]:
        """Yield the indices of the events of these types in a block of rows, which is read once in a walk."""
        frame = self._blocks.get((types, block))
        if frame is None:
            rows = self._store.rows_of(types, block * BLOCK, (block + 1) * BLOCK)
            frame = self._blocks[types, block] = self._store.frame_of(rows)
            if 0 < len(frame) <= FEW:
                self._read(frame)
        places = range(len(frame))
        if character_id is not None:
            mine: Any = (frame["character_id"] == character_id).to_numpy(bool, na_value=False)
            places = mine.nonzero()[0].tolist()
        return ((frame, place) for place in (reversed(places) if newest_first else places))

    def _read(self, frame: pd.DataFrame) -> None:
        """Read all events of a frame at once, which is much faster than one by one."""
        rows = frame.index.tolist()
        payloads = map(read_payload, self._store.take_payloads(rows))
        for row, *values in zip(rows, *(frame[name].tolist() for name in COLUMNS[:-1]), payloads, strict=True):
            self._known[row] = read_event({"row": row, **dict(zip(COLUMNS, values, strict=True))})

    def _at(self, frame: pd.DataFrame, place: int) -> RunEvent:
        row = int(frame.index[place])
        if row not in self._known:
            values = {name: frame[name].iat[place] for name in COLUMNS[:-1]}
            self._known[row] = read_event({"row": row, **values, "payload": self._store.payload(row)})
        return self._known[row]


def _ago(before: RunEvent, after: RunEvent) -> str:
    if before.tick is None or after.tick is None or after.tick == before.tick:
        return ""
    ticks = after.tick - before.tick
    return f", {ticks:,} tick{'s' if ticks != 1 else ''} between"


def _command(intervention: dict[str, Any]) -> _Found:
    command_id, said = by_command(intervention)
    return _Found(None, "declared", said, command_id, "command")
