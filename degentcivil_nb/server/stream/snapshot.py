"""The characters as of the last stream message, for the snapshots of new clients."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ...protocol.codec import character_of
from ...protocol.control_payloads import SnapshotCharacter
from ...protocol.json_text import FOREIGN, decode, encode
from ...protocol.listed import identity_of, listed_characters, listed_places
from ...protocol.messages import CharacterId, MessageTypes
from ...protocol.stream_payloads import StateChange


class _Who(Struct, gc=False):
    character_id: Any = None


class _About(Struct, gc=False):
    data: _Who
    timestamp: float | None = None


class _Changed(Struct, gc=False):
    data: StateChange
    timestamp: float | None = None


class _Updated(Struct, gc=False):
    data: dict[str, Any]
    timestamp: float | None = None


class _Listed(Struct, gc=False):
    data: Any
    timestamp: float | None = None


_about = msgspec.json.Decoder(_About).decode
_changed = msgspec.json.Decoder(_Changed).decode
_updated = msgspec.json.Decoder(_Updated).decode
_listed = msgspec.json.Decoder(_Listed).decode


class _Character:
    __slots__ = ("attributes", "encoded", "last_seen", "location", "since", "state")

    def __init__(self) -> None:
        self.state: str | None = None
        self.location: str | None = None
        self.since: float | None = None
        self.last_seen: float | None = None
        self.attributes: dict[str, Any] = {}
        self.encoded: bytes | None = None


class SnapshotBuilder:
    """The state, location and attributes of each character as of the last message applied."""

    def __init__(self) -> None:
        self._characters: dict[str, _Character] = {}
        self._places: dict[str, bytes] = {}  # encoded, by what identifies them

    def __len__(self) -> int:
        return len(self._characters)

    def names(self) -> list[str]:
        """Return the ids of all characters; from any thread."""
        return list(self._characters)

    def apply(self, type: str, message: bytes) -> str | None:
        """Apply an encoded stream message; return the id of its character, `None` if it has none."""
        try:
            if type == MessageTypes.STATE_CHANGE:
                return self._change(_changed(message))
            if type == MessageTypes.CHARACTER_UPDATE:
                return self._update(_updated(message))
            if type == MessageTypes.ALL_CHARACTERS:
                self._list(_listed(message))
                return None
            if type == MessageTypes.ALL_BUILDINGS:
                self.tell_places(listed_places(_listed(message).data) or ())
                return None
            about = _about(message)
            if type == MessageTypes.CHARACTER_LEFT:
                return self._leave(character_of({"character_id": about.data.character_id}))
        except FOREIGN:
            return None
        return character_of({"character_id": about.data.character_id})

    def tell_places(self, places: Iterable[Mapping[str, Any]]) -> None:
        """Take the latest descriptions of places."""
        for place in places:
            identity = identity_of(place)
            if identity is not None:
                self._places[identity] = encode(place)

    def places(self) -> list[dict[str, Any]]:
        """Return all places as they were published."""
        return [decode(dict[str, Any], text) for text in self._places.values()]

    def _change(self, seen: _Changed) -> str:
        name = str(seen.data.character_id)
        character = self._of(name, seen.timestamp)
        if character.state != seen.data.new_state:
            character.state = seen.data.new_state
            character.since = seen.timestamp
        if seen.data.location is not None:
            character.location = seen.data.location or None  # an empty text: the character left its place
        return name

    def _leave(self, name: str | None) -> str | None:
        if name is not None:
            self._characters.pop(name, None)
        return name

    def _update(self, seen: _Updated) -> str | None:
        name = character_of(seen.data)
        if name is not None:
            self._merge(name, seen.data, seen.timestamp)
        return name

    def _list(self, seen: _Listed) -> None:
        for name, attributes in listed_characters(seen.data) or ():
            self._merge(name, attributes, seen.timestamp)

    def _merge(self, name: str, attributes: dict[str, Any], timestamp: float | None) -> None:
        character = self._of(name, timestamp)
        rest = {key: value for key, value in attributes.items() if key != "character_id"}
        state, location = rest.get("state"), rest.get("location")
        if isinstance(state, str):
            del rest["state"]
            if state != character.state:
                character.state, character.since = state, timestamp
        if isinstance(location, str):
            character.location = rest.pop("location") or None
        character.attributes.update(rest)

    def _of(self, name: str, timestamp: float | None) -> _Character:
        character = self._characters.get(name)
        if character is None:
            character = self._characters[name] = _Character()
        character.last_seen = timestamp
        character.encoded = None
        return character

    def characters(self) -> Iterator[SnapshotCharacter]:
        """Yield all characters."""
        return filter(None, map(self.character, list(self._characters)))

    def character(self, name: str) -> SnapshotCharacter | None:
        """Return one character; `None` if it is unknown."""
        one = self._characters.get(name)
        if one is None:
            return None
        return SnapshotCharacter(name, one.state, one.location, one.since, one.last_seen, dict(one.attributes))

    def restore(self, characters: Iterable[SnapshotCharacter]) -> None:
        """Replace all characters by the given ones."""
        restored: dict[str, _Character] = {}
        for given in characters:
            one = restored[str(given.character_id)] = _Character()
            one.state, one.location = given.state, given.location
            one.since, one.last_seen, one.attributes = given.since, given.last_seen, dict(given.attributes)
        self._characters = restored

    def snapshot(self, seq: int, max_bytes: int, only: Collection[CharacterId] | None = None) -> Iterator[bytes]:
        """Encode `snapshot` frames of at most `max_bytes`; `only` limits them to the named characters."""
        room = max_bytes - 200  # the envelope around the characters
        parts: list[tuple[list[bytes], list[bytes]]] = [([], [])]  # characters and places
        size = 0
        for kind, text in self._texts(room, only):
            if size + len(text) + 1 > room and size:
                parts.append(([], []))
                size = 0
            parts[-1][kind].append(text)
            size += len(text) + 1
        for part, (characters, places) in enumerate(parts):
            last = b"true" if part == len(parts) - 1 else b"false"
            yield (
                b'{"type":"snapshot","data":{"seq":%d,"part":%d,"last":%b,"characters":[' % (seq, part, last)
                + b",".join(characters)
                + (b'],"places":[' + b",".join(places) if places else b"")
                + b"]}}"
            )

    def _texts(self, room: int, only: Collection[CharacterId] | None) -> Iterator[tuple[int, bytes]]:
        """Yield what a snapshot has: characters with 0, places with 1. A place that no frame can hold is left out."""
        for name, character in self._characters.items():
            if only is None or name in only:
                yield 0, character.encoded or self._encode(name, character, room)
        yield from ((1, text) for text in self._places.values() if len(text) <= room)

    @staticmethod
    def _encode(name: str, character: _Character, room: int) -> bytes:
        whole = SnapshotCharacter(
            name, character.state, character.location, character.since, character.last_seen, character.attributes
        )
        text = encode(whole)
        if len(text) > room:
            text = encode(msgspec.structs.replace(whole, attributes={"truncated": True, "bytes": len(text)}))
        character.encoded = text
        return text
