"""Conversion of messages to columns: each column in one comprehension, each type in one decoding, without dicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from ..core.links import IN_PAYLOADS, link_id, link_ids
from ..protocol.codec import character_of
from ..protocol.listed import listed_characters, listed_places
from ..protocol.messages import Links, MessageTypes, RawMessage, linked
from ..protocol.stream_payloads import ErrorPayload, EventNotification, GameLlmCall, LlmCall, StateChange
from .changes import CharacterLists
from .characters import AttributeNames
from .columns import Dictionary
from .ingested import ColumnWords, Ingested, put_codes
from .payload_reader import PayloadReader
from .schema import NOWHERE, Codes, Ints, Mask, times_of
from .table import Array, Batch
from .word_codes import codes_of, kinds_in, number

T = TypeVar("T")
INT64_MAX: Final = np.iinfo(np.int64).max
INVALID: Final = 1001
NO_LINKS: Final = Links()
SENT, RECEIVED = 0, 1
OBJECT: Final = ord("{")
"""The first byte of a payload with keys."""


_LENIENT: Final = IN_PAYLOADS - {MessageTypes.EVENT_NOTIFICATION, MessageTypes.LLM_CALL}
"""Types that older recordings may use for their own messages: another shape is a custom event, never malformed."""


class _Whose(msgspec.Struct, gc=False):
    """The keys of a payload that name its character, its `event_id` and its causes; other keys are ignored."""

    character_id: Any = None
    id: Any = None
    cause: Any = None


class _Whom(msgspec.Struct, gc=False):
    """The key of a payload of any other type that names its character; other keys are ignored."""

    character_id: Any = None


class Ingest:
    """A converter of messages to columns with one store's words; pure except for the words and names that it adds.

    Words are numbered in the order of their rows, regardless of message types and batch boundaries.
    """

    def __init__(self, dictionaries: dict[str, Dictionary], names: AttributeNames) -> None:
        self._words = dictionaries
        self._types = dictionaries["type"]
        self._names = names
        if [dictionaries["time_source"][word] for word in ("sent", "received")] != [SENT, RECEIVED]:
            raise ValueError("the words are not those of a new store")
        self._kinds: dict[str, tuple[PayloadReader, Callable[[Ingested, Array, list[Any]], None]]] = {
            MessageTypes.STATE_CHANGE: (PayloadReader(StateChange), self._state_changes),
            MessageTypes.CHARACTER_UPDATE: (PayloadReader(dict[str, Any]), self._updates),
            MessageTypes.EVENT_NOTIFICATION: (PayloadReader(EventNotification), self._notifications),
            MessageTypes.ERROR: (PayloadReader(ErrorPayload), self._errors),
            MessageTypes.LLM_CALL: (PayloadReader(LlmCall), self._calls),
            MessageTypes.CHARACTER_UPDATE_LLM: (PayloadReader(GameLlmCall), self._game_calls),
            MessageTypes.ALL_CHARACTERS: (PayloadReader(Any), self._lists),
            MessageTypes.ALL_BUILDINGS: (PayloadReader(Any), self._buildings),
            **{kind: (PayloadReader(_Whose), self._named) for kind in _LENIENT},
        }
        self._read_others = PayloadReader(_Whom)

    def __call__(
        self, messages: Sequence[RawMessage], received_ns: int, epoch: str | None, types: list[str] | None = None
    ) -> Ingested:
        """Convert a stretch of messages without ordered control messages; `types` are their types, if already known."""
        size = len(messages)
        if types is None:
            types = [m.type for m in messages]
        raws = [m.data for m in messages]
        joined = b"".join(raws)
        seqs, no_seq = _whole([m.seq for m in messages], 1)
        ticks, no_tick = _whole([m.tick for m in messages], 0)
        times, absurd = times_of([m.timestamp for m in messages], received_ns)
        columns: dict[str, Any] = {
            "epoch": self._words["epoch"][epoch],
            "seq": seqs,
            "tick": ticks,
            "time": times,
            "received": received_ns,
            "time_source": absurd,
        }
        found = Ingested(
            batch=Batch(size, columns, {"seq": no_seq, "tick": no_tick}),
            payloads=joined,
            lengths=np.fromiter(map(len, raws), np.int64, size),
            seqs=seqs,
            words=self._words,
        )
        codes, rows_of = kinds_in(types, self._types)
        for kind, rows in rows_of.items():
            if kind not in self._kinds:
                self._others(found, rows, raws)
                continue
            read, take = self._kinds[kind]
            if len(rows) == size:
                payloads, reasons = read(raws, joined)
            else:
                payloads, reasons = read([raws[row] for row in rows.tolist()])
            if reasons:
                if kind in _LENIENT:
                    rows = np.delete(rows, list(reasons))
                    reasons = {}
                for position, reason in reasons.items():
                    found.bad[int(rows[position])] = reason
                rows = np.delete(rows, list(reasons)) if reasons else rows
            take(found, rows, payloads)
        self._note_bad(found, types, codes)
        number(found.column_words, self._words)
        for finish in found.later:
            finish()
        found.later.clear()  # they refer to `found`: a cycle that would keep all payloads until garbage collection
        found.column_words.clear()
        found.links = _links(messages, found.payload_links)
        found.calls.sort(key=_row)
        return found

    # --- one method for each type -------------------------------------------------------------------

    def _state_changes(self, found: Ingested, rows: Array, payloads: list[StateChange]) -> None:
        found.put("character_id", rows, [p.character_id for p in payloads])
        before = [p.previous_state for p in payloads]
        if before.count(None) != len(before):
            found.previous = ColumnWords("state", rows, before)
            known = self._words["state"].keys()
            if not known >= set(before):  # new words are numbered now, with those of the other rows
                found.column_words.append(found.previous)
        found.put("state", rows, [p.new_state for p in payloads])
        found.put("location", rows, [p.location for p in payloads])

    def _updates(self, found: Ingested, rows: Array, payloads: list[dict[str, Any]]) -> None:
        names: list[str | None] = []
        moves: list[tuple[int, str | None, str | None]] = []
        for row, attributes in zip(rows.tolist(), payloads, strict=True):
            name = character_of(attributes)
            names.append(name)
            if name is None:
                found.bad[row] = "`character_id` is neither text nor a whole number"
                continue
            self._names.said.update(attributes)
            state, location = _pop_state_and_location(attributes)
            if state is not None or location is not None:
                moves.append((row, state, location))
        whose = found.collect("character_id", rows, names)

        def finish() -> None:
            put_codes(found, "character_id", rows, whose.codes)
            if len(whose.codes) and whose.codes.min() < 0:
                named = np.flatnonzero(whose.codes >= 0)
                told = [payloads[place] for place in named.tolist()]
                found.updates.add(rows[named].tolist(), whose.codes[named].tolist(), told)
            else:
                found.updates.add(rows.tolist(), whose.codes.tolist(), payloads)

        found.later.append(finish)
        if moves:
            at, states, locations = zip(*moves, strict=True)
            found.put("state", np.array(at), list(states))
            found.put("location", np.array(at), list(locations))

    def _lists(self, found: Ingested, rows: Array, payloads: list[Any]) -> None:
        items: list[tuple[int, str, str | None, str | None, dict[str, Any]]] = []
        for row, told in zip(rows.tolist(), payloads, strict=True):
            for name, attributes in _listed(found, row, listed_characters(told)):
                self._names.known.update(attributes)
                items.append((row, name, *_pop_state_and_location(attributes), attributes))
        at = np.array([row for row, *_ in items], np.int64)
        characters = found.collect("character_id", at, [name for _, name, *_ in items])
        states = found.collect("state", at, [state for _, _, state, _, _ in items])
        locations = found.collect("location", at, [location for _, _, _, location, _ in items])

        def finish() -> None:
            mentioned = [*zip(at.tolist(), characters.codes.tolist(), strict=True)]
            moves = zip(mentioned, states.codes.tolist(), locations.codes.tolist(), strict=True)
            found.lists = CharacterLists(
                [(*who, what, where) for who, what, where in moves if what >= 0 or where >= 0], mentioned
            )
            found.updates.add(at.tolist(), characters.codes.tolist(), [attributes for *_, attributes in items])

        found.later.append(finish)

    def _named(self, found: Ingested, rows: Array, payloads: list[_Whose]) -> None:
        found.put("character_id", rows, [link_id(payload.character_id) for payload in payloads])
        _note_links(found, rows, payloads)

    def _others(self, found: Ingested, rows: Array, raws: Sequence[Any]) -> None:
        """Read the character of types that a simulation has of its own, as breakpoints and the server's filter do."""
        rows = np.array([row for row in rows.tolist() if raws[row] and memoryview(raws[row])[0] == OBJECT], np.int64)
        payloads, bad = self._read_others([raws[row] for row in rows.tolist()])
        if bad:
            rows = np.delete(rows, list(bad))
        names = [link_id(payload.character_id) for payload in payloads]
        if names.count(None) != len(names):
            found.put("character_id", rows, names)

    def _notifications(self, found: Ingested, rows: Array, payloads: list[EventNotification]) -> None:
        found.put("character_id", rows, [p.character_id for p in payloads])
        found.put("event_type", rows, [p.event_type for p in payloads])
        _note_links(found, rows, payloads)

    def _errors(self, found: Ingested, rows: Array, payloads: list[ErrorPayload]) -> None:
        try:
            codes = np.fromiter([p.code for p in payloads], np.int64, len(payloads))
        except OverflowError:
            fits = [-INT64_MAX <= p.code <= INT64_MAX for p in payloads]
            for row, payload, fit in zip(rows.tolist(), payloads, fits, strict=True):
                if not fit:
                    found.bad[row] = f"`code` does not fit into 64 bits: {str(payload.code)[:40]}"
            kept = [payload for payload, fit in zip(payloads, fits, strict=True) if fit]
            self._errors(found, rows[np.array(fits)], kept)
            return
        _put_errors(found, rows, codes)
        found.put("message", rows, [p.message for p in payloads])
        found.put("character_id", rows, [p.character_id for p in payloads])

    def _calls(self, found: Ingested, rows: Array, payloads: list[LlmCall]) -> None:
        found.put("character_id", rows, [p.character_id for p in payloads])
        found.calls += zip(rows.tolist(), payloads, strict=True)
        _note_links(found, rows, payloads)

    def _game_calls(self, found: Ingested, rows: Array, payloads: list[GameLlmCall]) -> None:
        found.calls += zip(rows.tolist(), payloads, strict=True)

    def _buildings(self, found: Ingested, rows: Array, payloads: list[Any]) -> None:
        for row, told in zip(rows.tolist(), payloads, strict=True):
            found.places.append((row, _listed(found, row, listed_places(told))))

    def _note_bad(self, found: Ingested, types: list[str], codes: Codes | None) -> None:
        """Set the types; a row whose payload does not have the shape of its type becomes an `error`."""
        columns, words = found.batch.columns, self._types
        if not found.bad:
            columns["type"] = codes_of(words, types) if codes is None else codes
            return
        texts = [f"not a valid {types[row]}: {reason}" for row, reason in found.bad.items()]
        at = np.array([*found.bad], np.int64)
        _put_errors(found, at, INVALID)
        found.put("message", at, texts)
        final = [MessageTypes.ERROR if row in found.bad else kind for row, kind in enumerate(types)]
        columns["type"] = codes_of(words, final)


def _note_links(found: Ingested, rows: Array, payloads: Sequence[EventNotification | LlmCall | _Whose]) -> None:
    """Note the ids and causes that are in payloads, where older versions of the wire had them."""
    said = [place for place, payload in enumerate(payloads) if not (payload.id is payload.cause is None)]
    for place in said:
        found.payload_links[int(rows[place])] = payloads[place].id, payloads[place].cause


def _links(messages: Sequence[RawMessage], said: dict[int, tuple[Any, Any]]) -> list[tuple[int, Links]]:
    """Return the links of the rows; if an envelope has no id or cause, the payload's are taken."""
    rows = linked(messages)
    if not said and not rows:
        return []
    found: list[tuple[int, Links]] = []
    for row in sorted({*rows, *said}):
        links = messages[row].links()
        event_id, cause = said.get(row, (None, None))
        if links.event_id is None and event_id is not None:
            links = links._replace(event_id=link_id(event_id))
        if links.cause is None and cause is not None:
            links = links._replace(cause=link_ids(cause))
        if links != NO_LINKS:
            found.append((row, links))
    return found


def _row(item: tuple[Any, ...]) -> int:
    row: int = item[0]
    return row


def _listed(found: Ingested, row: int, items: list[T] | None) -> list[T]:
    """Return the items of a list; note a list that contains no object as malformed."""
    if items is None:
        found.bad[row] = "none of its entries is an object"
    return items or []


def _pop_state_and_location(attributes: dict[str, Any]) -> tuple[str | None, str | None]:
    """Remove state and location from attributes if they are text, and the character's id; return the first two."""
    attributes.pop("character_id", None)
    state, location = attributes.get("state"), attributes.get("location")
    return (
        attributes.pop("state") if isinstance(state, str) else None,
        attributes.pop("location") if isinstance(location, str) else None,
    )


def _put_errors(found: Ingested, rows: Array, codes: Any) -> None:
    columns, size = found.batch.columns, found.batch.size
    if found.codes is None:
        columns["code"] = np.zeros(size, np.int64)
        found.batch.masks["code"] = np.ones(size, np.bool_)
        found.codes = (columns["code"], found.batch.masks["code"])
    columns["code"][rows] = codes
    found.batch.masks["code"][rows] = False


def _whole(values: list[Any], least: int) -> tuple[Ints, Mask]:
    """Return 64-bit numbers and a mask of the missing ones: not whole, too large, or below `least`."""
    try:
        numbers = np.fromiter(values, np.int64, len(values))
    except (OverflowError, TypeError, ValueError):
        fits = [value if isinstance(value, int) and 0 <= value <= INT64_MAX else -1 for value in values]
        numbers = np.fromiter(fits, np.int64, len(values))
    if numbers.min() >= least:
        return numbers, NOWHERE
    return numbers, numbers < least
