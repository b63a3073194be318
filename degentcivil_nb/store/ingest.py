"""From messages to columns: one comprehension a column, one decoding a type, never a dict a message on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from msgspec import Raw

from ..protocol.codec import character_of
from ..protocol.json_text import FOREIGN
from ..protocol.mending import mend
from ..protocol.messages import (
    ErrorPayload,
    EventNotification,
    GameLlmCall,
    LlmCall,
    MessageTypes,
    RawMessage,
    StateChange,
)
from .changes import Lists
from .columns import Dictionary
from .schema import NOWHERE, Codes, Ints, Mask, times_of
from .table import Array, Batch

T = TypeVar("T")
INT64_MAX: Final = np.iinfo(np.int64).max
INVALID: Final = 1001
SENT, RECEIVED = 0, 1


@dataclass(slots=True)
class Ingested:
    """Hold a run of messages as columns, and what of them concerns more than their own row."""

    batch: Batch
    payloads: Sequence[Any]
    lengths: Ints
    seqs: Ints
    codes: tuple[Array, Array] | None = None
    """Rows of errors and their codes."""
    updates: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    """Row of the batch, character, attributes; in order."""
    lists: Lists | None = None
    places: list[tuple[int, list[dict[str, Any]]]] = field(default_factory=list)
    calls: list[LlmCall | GameLlmCall] = field(default_factory=list)
    malformed: int = 0


class _Reader:
    """Decode payloads of one type: all in one go, or one by one once any of them is bad."""

    def __init__(self, type: Any) -> None:
        decoder = msgspec.json.Decoder(type)
        self._one, self._many = decoder.decode, decoder.decode_lines

    def __call__(self, raws: Sequence[Raw]) -> tuple[list[Any], dict[int, str]]:
        """Give what could be read, and the reasons by position of what could not."""
        try:
            read: list[Any] = self._many(b"\n".join(raws))
            if len(read) == len(raws):
                return read, {}
        except FOREIGN:
            pass  # found out below, one by one
        read, reasons = [], {}
        for position, raw in enumerate(raws):
            try:
                read.append(self._read(raw))
            except FOREIGN as error:
                reasons[position] = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return read, reasons

    def _read(self, raw: Raw) -> Any:
        try:
            return self._one(raw)
        except FOREIGN:
            try:
                return self._one(mend(bytes(raw)))
            except FOREIGN:
                pass
            raise


class Ingest:
    """Turn messages into columns with the words of one store; pure but for the words that it adds."""

    def __init__(self, dictionaries: dict[str, Dictionary]) -> None:
        self._epochs = dictionaries["epoch"]
        self._types = dictionaries["type"]
        self._characters = dictionaries["character_id"]
        self._states = dictionaries["state"]
        self._locations = dictionaries["location"]
        self._event_types = dictionaries["event_type"]
        self._texts = dictionaries["message"]
        assert dictionaries["time_source"]["sent"] == SENT
        assert dictionaries["time_source"]["received"] == RECEIVED
        self._kinds: dict[str, tuple[_Reader, Callable[[Ingested, Array, list[Any]], None]]] = {
            MessageTypes.STATE_CHANGE: (_Reader(StateChange), self._state_changes),
            MessageTypes.CHARACTER_UPDATE: (_Reader(dict[str, Any]), self._updates),
            MessageTypes.EVENT_NOTIFICATION: (_Reader(EventNotification), self._notifications),
            MessageTypes.ERROR: (_Reader(ErrorPayload), self._errors),
            MessageTypes.LLM_CALL: (_Reader(LlmCall), self._calls),
            MessageTypes.CHARACTER_UPDATE_LLM: (_Reader(GameLlmCall), self._game_calls),
            MessageTypes.ALL_CHARACTERS: (_Reader(list[Any]), self._lists),
            MessageTypes.ALL_BUILDINGS: (_Reader(list[Any]), self._buildings),
        }

    def __call__(
        self, messages: Sequence[RawMessage], received_ns: int, epoch: str | None, types: list[str] | None = None
    ) -> Ingested:
        """Read a run of messages without ordered control ones; `types` are theirs, where they are known already."""
        size = len(messages)
        words = self._types
        if types is None:
            types = [m.type for m in messages]
        raws = [m.data for m in messages]
        seqs, no_seq = _whole([m.seq for m in messages], 1)
        ticks, no_tick = _whole([m.tick for m in messages], 0)
        times, absurd = times_of([m.timestamp for m in messages], received_ns)
        columns: dict[str, Any] = {
            "epoch": self._epochs[epoch],
            "seq": seqs,
            "tick": ticks,
            "time": times,
            "received": received_ns,
            "time_source": absurd,
        }
        # rows first: a malformed one changes its type, and must not be read again as what it became
        if types.count(types[0]) == size:
            columns["type"] = np.full(size, words[types[0]], np.int32)
            kinds = [(types[0], np.arange(size))] if types[0] in self._kinds else []
        else:
            codes = columns["type"] = _codes(words, types)
            kinds = [(kind, np.flatnonzero(codes == words[kind])) for kind in self._kinds.keys() & set(types)]
        found = Ingested(
            batch=Batch(size, columns, {"seq": no_seq, "tick": no_tick}),
            payloads=raws,
            lengths=np.fromiter([*map(len, raws)], np.int64, size),
            seqs=seqs,
        )
        for kind, rows in kinds:
            read, take = self._kinds[kind]
            payloads, reasons = read(raws if len(rows) == size else [raws[row] for row in rows.tolist()])
            if reasons:
                for position, reason in reasons.items():
                    self._malformed(found, int(rows[position]), reason)
                rows = np.delete(rows, list(reasons))
            take(found, rows, payloads)
        found.updates.sort(key=lambda update: update[0])
        return found

    # --- a type each: its payloads into the columns ---------------------------------------------------------------

    def _state_changes(self, found: Ingested, rows: Array, payloads: list[StateChange]) -> None:
        _put(found, "character_id", rows, _codes(self._characters, [p.character_id for p in payloads]))
        _put(found, "state", rows, _codes(self._states, [p.new_state for p in payloads]))
        _put(found, "location", rows, _codes(self._locations, [p.location for p in payloads]))

    def _updates(self, found: Ingested, rows: Array, payloads: list[dict[str, Any]]) -> None:
        codes = np.full(len(rows), -1, np.int32)
        moves: list[tuple[int, int, int, int]] = []
        for position, (row, attributes) in enumerate(zip(rows.tolist(), payloads, strict=True)):
            name = character_of(attributes)
            if name is None:
                self._malformed(found, row, "`character_id` is neither text nor a whole number")
            else:
                codes[position] = self._merge_later(found, row, name, attributes, moves)
        _put(found, "character_id", rows, codes)
        if moves:
            at, _, states, locations = np.array(moves, np.int32).T
            _put(found, "state", at, states)
            _put(found, "location", at, locations)

    def _lists(self, found: Ingested, rows: Array, payloads: list[list[Any]]) -> None:
        lists = found.lists = Lists()
        for row, items in zip(rows.tolist(), payloads, strict=True):
            for attributes in self._objects(found, row, items):
                # the game's lists have no id: there the name is the identity
                name = character_of(attributes) or attributes.get("name")
                if isinstance(name, str):
                    lists.heard.append((row, self._merge_later(found, row, name, attributes, lists.moves)))

    def _merge_later(
        self, found: Ingested, row: int, name: str, attributes: dict[str, Any], moves: list[tuple[int, int, int, int]]
    ) -> int:
        """Note attributes to be merged, and a state and a place among them as what they are."""
        character = self._characters[name]
        attributes.pop("character_id", None)
        state, location = attributes.get("state"), attributes.get("location")
        if isinstance(state, str) or isinstance(location, str):
            codes = [-1, -1]
            if isinstance(state, str):
                codes[0] = self._states[attributes.pop("state")]
            if isinstance(location, str):
                codes[1] = self._locations[attributes.pop("location")]
            moves.append((row, character, codes[0], codes[1]))
        found.updates.append((row, character, attributes))
        return character

    def _notifications(self, found: Ingested, rows: Array, payloads: list[EventNotification]) -> None:
        characters, event_types = self._characters, self._event_types
        _put(found, "character_id", rows, _codes(characters, [p.character_id for p in payloads]))
        _put(found, "event_type", rows, _codes(event_types, [p.event_type for p in payloads]))

    def _errors(self, found: Ingested, rows: Array, payloads: list[ErrorPayload]) -> None:
        try:
            codes = np.fromiter([p.code for p in payloads], np.int64, len(payloads))
        except OverflowError:
            fits = [-INT64_MAX <= p.code <= INT64_MAX for p in payloads]
            for row, payload, fit in zip(rows.tolist(), payloads, fits, strict=True):
                if not fit:
                    self._malformed(found, row, f"`code` is no number of 64 bits: {str(payload.code)[:40]}")
            kept = [payload for payload, fit in zip(payloads, fits, strict=True) if fit]
            self._errors(found, rows[np.array(fits)], kept)
            return
        self._error_rows(found, rows, codes, _codes(self._texts, [p.message for p in payloads]))
        _put(found, "character_id", rows, _codes(self._characters, [p.character_id for p in payloads]))

    def _calls(self, found: Ingested, rows: Array, payloads: list[LlmCall]) -> None:
        characters = self._characters
        codes = _codes(characters, [p.character_id for p in payloads])
        _put(found, "character_id", rows, codes)
        found.calls += payloads

    def _game_calls(self, found: Ingested, rows: Array, payloads: list[GameLlmCall]) -> None:
        found.calls += payloads

    def _buildings(self, found: Ingested, rows: Array, payloads: list[list[Any]]) -> None:
        found.places += [
            (row, self._objects(found, row, items)) for row, items in zip(rows.tolist(), payloads, strict=True)
        ]

    def _objects(self, found: Ingested, row: int, items: list[Any]) -> list[dict[str, Any]]:
        """Give the objects of a list: one bad entry must not cost the whole town, and the payload shows it."""
        objects = [item for item in items if isinstance(item, dict)]
        if items and not objects:
            self._malformed(found, row, "none of its entries is an object")
        return objects

    def _malformed(self, found: Ingested, row: int, reason: str) -> None:
        """Make the row an `error` in its place, with its `seq` and its payload as it came."""
        kind = self._types.words[int(found.batch.columns["type"][row])]
        found.batch.columns["type"][row] = self._types[MessageTypes.ERROR]
        self._error_rows(found, row, INVALID, self._texts[f"not a valid {kind}: {reason}"])
        found.malformed += 1

    def _error_rows(self, found: Ingested, rows: Any, codes: Any, messages: Any) -> None:
        columns, size = found.batch.columns, found.batch.size
        if found.codes is None:
            columns["code"] = np.zeros(size, np.int64)
            found.batch.masks["code"] = np.ones(size, np.bool_)
            found.codes = (columns["code"], found.batch.masks["code"])
        columns["code"][rows] = codes
        found.batch.masks["code"][rows] = False
        _put(found, "message", rows, messages)


def _put(found: Ingested, column: str, rows: Any, values: Any) -> None:
    """Write values into rows of a column of the batch, which is made when first needed."""
    columns, size = found.batch.columns, found.batch.size
    if column not in columns:
        if isinstance(values, np.ndarray) and len(values) == size:
            columns[column] = values
            return
        columns[column] = np.full(size, -1, np.int32)
    columns[column][rows] = values


def _codes(words: Dictionary, column: list[Any]) -> Codes:
    return np.fromiter(map(words.__getitem__, column), np.int32, len(column))


def _whole(values: list[Any], least: int) -> tuple[Ints, Mask]:
    """Make 64-bit numbers and the mask of the missing: what is no whole number, does not fit, or is below `least`."""
    try:
        numbers = np.fromiter(values, np.int64, len(values))
    except (OverflowError, TypeError, ValueError):
        fits = [value if isinstance(value, int) and 0 <= value <= INT64_MAX else -1 for value in values]
        numbers = np.fromiter(fits, np.int64, len(values))
    missing = numbers < least
    return numbers, missing if missing.any() else NOWHERE
