"""Commands that look into the simulation or change it: each change is itself an event in the stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..protocol.errors import WebSocketError
from ..protocol.message import MessageTypes, RunState


class Teller(Protocol):
    """Be what a simulation tells things to: the probe."""

    def state_change(self, character_id: str, new_state: str, location: str | None = None) -> None:
        """Tell a new state."""

    def publish(self, type: str, data: Any = None) -> None:
        """Tell anything."""

    def event(self, event_type: str, data: Any = None, *, character_id: str | None = None) -> None:
        """Tell an event."""

    def error(self, code: int, message: str, *, character_id: str | None = None) -> None:
        """Tell an error."""


class StreamCommands:
    """Hold the commands; those that change something answer with the run's state, whose `head` includes the change."""

    def __init__(self, teller: Teller, status: Callable[[], RunState]) -> None:
        self._teller = teller
        self._status = status
        self.inspector: Callable[[str], Any] | None = None
        self.setter: Callable[[str, str, Any], Any] | None = None
        self.always = (self.inject_event, self.inject_state_change, self.inject_character_update, self.inject_error)

    def inspect(self, character_id: str) -> Any:
        """Give everything the simulation knows of a character."""
        assert self.inspector is not None
        try:
            return self.inspector(character_id)
        except LookupError as error:
            raise _no_such_character(character_id) from error

    def set_attribute(self, character_id: str, name: str, value: Any) -> RunState:
        """Set an attribute of a character in the simulation."""
        assert self.setter is not None
        if name == "character_id":
            raise _refused("name", "a character's id is what it is known by, and stays")
        try:
            self.setter(character_id, name, value)
        except LookupError as error:
            raise _no_such_character(character_id) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise _refused("name" if isinstance(error, AttributeError) else "value", str(error)) from error
        self._update(character_id, {name: value})
        return self._status()

    def inject_event(self, event_type: str, data: Any = None, character_id: str | None = None) -> RunState:
        """Make the simulation tell an event."""
        self._teller.event(event_type, data, character_id=character_id)
        return self._status()

    def inject_state_change(self, character_id: str, new_state: str, location: str | None = None) -> RunState:
        """Make the simulation tell that a character is in a new state."""
        self._teller.state_change(character_id, new_state, location)
        return self._status()

    def inject_character_update(self, character_id: str, attributes: dict[str, Any]) -> RunState:
        """Make the simulation tell attributes of a character."""
        self._update(character_id, attributes)
        return self._status()

    def inject_error(self, code: int, message: str, character_id: str | None = None) -> RunState:
        """Make the simulation tell an error."""
        self._teller.error(code, message, character_id=character_id)
        return self._status()

    def _update(self, character_id: str, attributes: dict[str, Any]) -> None:
        # not by keywords: the names are anybody's
        self._teller.publish(MessageTypes.CHARACTER_UPDATE, {**attributes, "character_id": character_id})


def _no_such_character(character_id: str) -> WebSocketError:
    return _refused("character_id", f"there is no character {character_id[:80]!r}")


def _refused(field: str, reason: str) -> WebSocketError:
    return WebSocketError(WebSocketError.INVALID_ARGUMENTS, reason, details={"field": field})
