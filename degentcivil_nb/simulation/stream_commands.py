"""Commands that inspect or change the simulation; each change is an event in the stream."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from ..core.names import did_you_mean
from ..core.plain import plain
from ..expressions.values import kind_of
from ..protocol.commands import no_such_character, wrong_argument
from ..protocol.control_payloads import RunState
from ..protocol.errors import WebSocketError
from ..protocol.messages import CharacterId
from ..server.dispatch import Change
from ..server.stream.receipts import Receipt
from .injections import Injection, Injections
from .values import Known


class EventSink(Protocol):
    """The publisher of events: the probe."""

    states: dict[Any, str]
    known: Known

    def publish(self, type: str, data: Any = None, *, receipt: Receipt | None = None) -> None:
        """Publish a message; `receipt` gets its seq."""

    def characters(self) -> list[str]:
        """Return the ids of all characters published so far."""


class StreamCommands:
    """The commands; those that change something answer with the run's state, whose `seq` is the change's position."""

    def __init__(
        self, events: EventSink, status: Callable[[], RunState], clock: Callable[[], float] = time.time
    ) -> None:
        self._events = events
        self._status = status
        self._injections = Injections(events, clock)
        self.inspector: Callable[[Any], Any] | None = None
        self.asker: Callable[[Any, str], Any] | None = None
        self.told_of: Callable[[str], Mapping[str, Any]] = lambda character_id: {}
        """A function that returns the last published attributes of a character."""
        self.setter: Callable[[Any, str, Any], Any] | None = None
        self.always = (self.inject_event, self.inject_state_change, self.inject_character_update, self.inject_error)

    def inspect(self, character_id: CharacterId, branch: list[str | int] | None = None) -> Any:
        """Return everything the simulation knows of a character, or only the part that the keys in `branch` lead to."""
        assert self.inspector is not None
        whole = self._ask(character_id, self.inspector)
        if not branch:
            return whole
        return _branch_later(whole, branch) if inspect.isawaitable(whole) else branch_of(plain(whole), branch)

    def ask(self, character_id: CharacterId, question: str) -> Any:
        """Ask a character a question, and check that the simulation is unchanged afterwards."""
        interview = self._interview(character_id, question)
        if any(map(inspect.iscoroutinefunction, (self.asker, self.inspector))):
            return interview
        try:
            interview.send(None)
        except StopIteration as done:
            return done.value
        interview.close()
        raise WebSocketError(
            WebSocketError.SERVER_ERROR, "an asker that returns an awaitable must be an `async def` function"
        )

    async def _interview(self, character_id: CharacterId, question: str) -> dict[str, Any]:
        if self.asker is None:
            raise WebSocketError(
                WebSocketError.UNKNOWN_COMMAND,
                "this simulation offers no interviews; a function under @probe.asker offers them",
            )
        asker = self.asker
        before = await self._seen(character_id)
        answer = plain(await _value(self._ask(character_id, lambda own_id: asker(own_id, question))))
        after = await self._seen(character_id)
        result = {"answer": answer, "unchanged": None if self.inspector is None else before == after}
        if before != after:
            result["changed"] = _differences(before, after)
        self._publish(self._injections.event("interview", {"question": question, **result}, character_id))
        return result

    async def _seen(self, character_id: CharacterId) -> Any:
        return None if self.inspector is None else plain(await _value(self._ask(character_id, self.inspector)))

    def set_attribute(self, character_id: CharacterId, name: str, value: Any) -> Change:
        """Set an attribute of a character in the simulation."""
        assert self.setter is not None
        if name == "character_id":
            raise wrong_argument("name", "the id of a character cannot be changed")
        self._require_kind(name, self.told_of(str(character_id)).get(name), value)
        setter = self.setter
        try:
            self._ask(character_id, lambda own_id: setter(own_id, name, value))
        except (TypeError, ValueError, AttributeError) as error:
            raise wrong_argument("name" if isinstance(error, AttributeError) else "value", str(error)) from error
        return self._publish(self._injections.character_update(character_id, {name: value}))

    def _require_kind(self, name: str, before: Any, value: Any) -> None:
        """Refuse a value of another kind than the last published one; null is allowed with every kind."""
        was, new = kind_of(before), kind_of(value)
        if "null" not in (was, new) and was != new:
            raise wrong_argument("value", f"{name} is a {was} ({str(plain(before))[:40]}), and this is a {new}")

    def inject_event(self, event_type: str, data: Any = None, character_id: CharacterId | None = None) -> Change:
        """Make the simulation publish an event."""
        self._require(character_id)
        return self._publish(self._injections.event(event_type, data, character_id))

    def inject_state_change(self, character_id: CharacterId, new_state: str, location: str | None = None) -> Change:
        """Make the simulation publish that a character is in a new state."""
        self._require(character_id)
        return self._publish(self._injections.state_change(character_id, new_state, location))

    def inject_character_update(self, character_id: CharacterId, attributes: dict[str, Any]) -> Change:
        """Make the simulation publish attributes of a character."""
        self._require(character_id)
        return self._publish(self._injections.character_update(character_id, attributes))

    def inject_error(self, code: int, message: str, character_id: CharacterId | None = None) -> Change:
        """Make the simulation publish an error."""
        self._require(character_id)
        return self._publish(self._injections.error(code, message, character_id))

    def _require(self, character_id: CharacterId | None) -> None:
        """Refuse a character that was never published and that the simulation's inspector does not have either."""
        if character_id is None or not (known := self._events.characters()) or str(character_id) in known:
            return
        if self.inspector is None:
            raise self._no_such_character(character_id)
        self.inspect(character_id)

    def _no_such_character(self, character_id: CharacterId) -> WebSocketError:
        return no_such_character(str(character_id), self._events.characters())

    def _publish(self, injection: Injection) -> Change:
        receipt = Receipt()
        self._events.publish(injection.type, injection.payload, receipt=receipt)
        return Change(self._status(), receipt)

    def _ask(self, character_id: CharacterId, function: Callable[[Any], Any]) -> Any:
        """Call a function with a character's id as the simulation has it: 5 for a notebook's "5"."""
        for own_id in self._events.known.candidates(character_id):
            try:
                return function(own_id)
            except LookupError as error:
                unknown = error
        raise self._no_such_character(character_id) from unknown


async def _value(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _differences(before: Any, after: Any) -> dict[str, Any]:
    """Return the differing values, as `[before, after]` by key."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return {"value": [before, after]}
    names = dict.fromkeys([*before, *after])
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}


async def _branch_later(whole: Awaitable[Any], branch: list[str | int]) -> Any:
    return branch_of(plain(await whole), branch)


def branch_of(value: Any, branch: list[str | int]) -> Any:
    """Follow keys and indexes into plain data; `WebSocketError` 1102 names the first one that does not exist."""
    for depth, key in enumerate(branch):
        try:
            value = value[int(key)] if isinstance(value, list) else value[str(key)]
        except (LookupError, TypeError, ValueError):
            keys = list(value) if isinstance(value, dict) else []
            place = "/".join(map(str, branch[: depth + 1]))[:200]
            raise wrong_argument("branch", f"there is nothing at {place}{did_you_mean(str(key), keys)}") from None
    return value
