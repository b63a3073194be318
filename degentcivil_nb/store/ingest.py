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
from ..protocol.message import (
    ErrorPayload,
    EventNotification,
    GameLlmCall,
    LlmCall,
    MessageTypes,
    RawMessage,
    StateChange,
)
from .changes import NO_CODES, Changes, merged
from .columns import Dictionary
from .schema import Codes, Ints, Mask, times_of
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
    times: Ints
    seqs: Ints
    characters: Codes
    states: Codes
    codes: tuple[Array, Array] | None = None
    """Rows of errors and their codes."""
    changes: Changes = field(default_factory=Changes)
    updates: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    """Row of the batch, character, attributes; in order."""
    listed: Mask | None = None
    """Rows that are lists of characters, so that no column names whose their changes are."""
    places: list[tuple[int, list[dict[str, Any]]]] = field(default_factory=list)
    calls: list[LlmCall | GameLlmCall] = field(default_factory=list)
    malformed: int = 0

    def named(self) -> tuple[Array, Codes]:
        """Give rows and the characters that they name, in order; a list of characters names several."""
        rows = np.flatnonzero(self.characters >= 0)
        who = self.characters[rows]
        listed = [(row, character) for row, character, _ in self.updates if self.characters[row] < 0]
        if not listed:
            return rows, who
        more = np.array(listed)
        rows = np.concatenate([rows, more[:, 0]])
        order = np.argsort(rows, kind="stable")
        return rows[order], np.concatenate([who, more[:, 1].astype(np.int32)])[order]


class _Reader:
    """Decode payloads of one type: all in one go, or one by one once any of them is bad."""

    def __init__(self, type: Any) -> None:
        self._one = msgspec.json.Decoder(type).decode
        self._many = msgspec.json.Decoder(list[type]).decode

    def __call__(self, raws: Sequence[Raw]) -> tuple[list[Any], dict[int, str]]:
        """Give what could be read, and the reasons by position of what could not."""
        try:
            read = self._many(b"[" + b",".join(raws) + b"]")
            if len(read) == len(raws):
                return read, {}
        except FOREIGN:
            pass  # found out below, one by one
        read, reasons = [], {}
        for position, raw in enumerate(raws):
            try:
                read.append(self._one(raw))
            except FOREIGN as error:
                reasons[position] = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return read, reasons


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
            MessageTypes.ALL_CHARACTERS: (_Reader(list[dict[str, Any]]), self._lists),
            MessageTypes.ALL_BUILDINGS: (_Reader(list[dict[str, Any]]), self._buildings),
        }

    def __call__(self, messages: Sequence[RawMessage], received_ns: int, epoch: str | None) -> Ingested:
        """Read a run of messages without ordered control ones."""
        size = len(messages)
        words = self._types
        types = [m.type for m in messages]
        kinds = set(types)
        type_codes = np.full(size, words[types[0]], np.int32) if len(kinds) == 1 else _codes(words, types)
        raws = [m.data for m in messages]
        seqs = _whole([m.seq for m in messages])
        ticks = _whole([m.tick for m in messages])
        times, absurd = times_of([m.timestamp for m in messages], received_ns)
        nothing = np.int32(-1)
        columns: dict[str, Any] = {
            "epoch": self._epochs[epoch],
            "seq": seqs,
            "tick": ticks,
            "time": times,
            "received": received_ns,
            "time_source": absurd,
            "type": type_codes,
            "character_id": nothing,
            "state": nothing,
            "location": nothing,
            "event_type": nothing,
            "message": nothing,
            "code": np.zeros((), np.int64),
        }
        masks: dict[str, Any] = {"seq": seqs < 1, "tick": ticks < 0, "code": True}
        found = Ingested(
            batch=Batch(size, columns, masks),
            payloads=raws,
            lengths=np.fromiter([*map(len, raws)], np.int64, size),
            times=times,
            seqs=seqs,
            characters=NO_CODES,
            states=NO_CODES,
        )
        # rows first: a malformed one changes its type, and must not be read again as what it became
        for kind, rows in [
            (kind, np.flatnonzero(type_codes == words[kind])) for kind in kinds.intersection(self._kinds)
        ]:
            read, take = self._kinds[kind]
            payloads, reasons = read(raws if len(rows) == size else [raws[row] for row in rows.tolist()])
            if reasons:
                for position, reason in reasons.items():
                    self._malformed(found, int(rows[position]), reason)
                rows = np.delete(rows, list(reasons))
            take(found, rows, payloads)
        found.updates.sort(key=lambda update: update[0])
        found.characters = _full(columns["character_id"], size)
        found.states = _full(columns["state"], size)
        return found

    # --- a type each: its payloads into the columns ---------------------------------------------------------------

    def _state_changes(self, found: Ingested, rows: Array, payloads: list[StateChange]) -> None:
        characters, states, locations = self._characters, self._states, self._locations
        changes = Changes(
            rows,
            _codes(characters, [p.character_id for p in payloads]),
            _codes(states, [p.new_state for p in payloads]),
            _codes(locations, [p.location for p in payloads]),
            lambda: _codes(states, [p.previous_state for p in payloads]),
        )
        _put(found, "character_id", rows, changes.character)
        _put(found, "state", rows, changes.state)
        _put(found, "location", rows, changes.location)
        found.changes = merged(found.changes, changes)

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
            changes = _changes(moves)
            _put(found, "state", changes.index, changes.state)
            _put(found, "location", changes.index, changes.location)
            found.changes = merged(found.changes, changes)

    def _lists(self, found: Ingested, rows: Array, payloads: list[list[dict[str, Any]]]) -> None:
        moves: list[tuple[int, int, int, int]] = []
        for row, items in zip(rows.tolist(), payloads, strict=True):
            for attributes in items:
                # the game's lists have no id: there the name is the identity
                name = character_of(attributes) or attributes.get("name")
                if isinstance(name, str):
                    self._merge_later(found, row, name, attributes, moves)
        if moves:
            found.listed = np.zeros(found.batch.size, np.bool_)
            found.listed[rows] = True
            found.changes = merged(found.changes, _changes(moves))

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

    def _buildings(self, found: Ingested, rows: Array, payloads: list[list[dict[str, Any]]]) -> None:
        found.places += zip(rows.tolist(), payloads, strict=True)

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
    columns = found.batch.columns
    if columns[column].ndim == 0:
        if isinstance(values, np.ndarray) and len(values) == found.batch.size:
            columns[column] = values
            return
        columns[column] = np.full(found.batch.size, -1, np.int32)
    columns[column][rows] = values


def _full(column: Any, size: int) -> Codes:
    return column if column.ndim else np.full(size, -1, np.int32)


def _changes(moves: list[tuple[int, int, int, int]]) -> Changes:
    return Changes(*np.array(moves, np.int32).T)


def _codes(words: Dictionary, column: list[Any]) -> Codes:
    return np.fromiter(map(words.__getitem__, column), np.int32, len(column))


def _whole(values: list[Any]) -> Ints:
    """Make 64-bit numbers; what is missing, does not fit, or is no whole number is −1."""
    try:
        return np.fromiter(values, np.int64, len(values))
    except (OverflowError, TypeError, ValueError):
        fits = [value if isinstance(value, int) and 0 <= value <= INT64_MAX else -1 for value in values]
        return np.fromiter(fits, np.int64, len(values))
