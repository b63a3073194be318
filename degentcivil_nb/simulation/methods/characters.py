"""Publishing the characters: states, places, attributes, departures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import UNSET

from ...core.plain import SCALARS
from ...core.text_of import class_name
from ...protocol.errors import WebSocketError
from ...protocol.messages import MessageTypes
from ...server.stream.receipts import Publish
from .. import payloads
from ..payloads import StateChange
from ..tracking import Tracker
from ..values import place_of, word_of
from .publishing import PublishingMethods, Ticking

NOT_SAID: Final = object()
"""The default of a location: the character stays where it was."""

_STATE_CHANGE: Final = MessageTypes.STATE_CHANGE
_CHARACTER_UPDATE: Final = MessageTypes.CHARACTER_UPDATE
NOWHERE: Final = ""
"""The wire's value for a character that left its place; `null` would mean that the location is not given."""


class CharacterMethods(PublishingMethods):
    """The methods of a probe that publish states, locations and attributes of characters."""

    def __init__(self, publish: Publish, ticking: Ticking, clock: Callable[[], float]) -> None:
        super().__init__(publish, ticking, clock)
        self._tracker = Tracker(self.update, self._absent)

    def state_change(
        self,
        character_id: Any,
        new_state: Any,
        location: Any = NOT_SAID,
        *,
        previous_state: Any = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Publish that a character is in a new state.

        Parameters
        ----------
        character_id : any
            Text and whole numbers are published as they are, an enum by its name, an object by its `unique_id`, `id` or
            `name`, everything else as text.
        new_state : any
            The state from now on; it is converted like the id.
        location : any, optional
            Where the character is, also of any type; a pair of numbers, or an object with a `coordinate` (a cell),
            is published as text and sets the attributes `x` and `y`. Left out, the character stays where it was; `None`
            means that it left its place.
        previous_state : any, optional
            The state before; left out, the one published last.
        id : any, optional
            A name for this event, or `True` to have one made.
        cause : any, optional
            The `id` of what led to it, or a list of them.
        **more
            Further keys of the payload.

        Returns
        -------
        str or None
            The event's `id`, if it has one.

        Examples
        --------
        >>> plan = probe.thought("emma", "plan", "go for a walk")
        >>> probe.state_change("emma", "MOVE", location=(3, 4), cause=plan, id="walk")
        'walk'
        >>> probe.states["emma"]
        'MOVE'
        """
        try:
            pair = None
            if type(character_id) is not str:
                if type(character_id) is not int or character_id not in self._whole:
                    character_id = self._character(character_id)
            elif not character_id:
                self._character(character_id)
            if type(new_state) is not str or not new_state:
                new_state = self._word("state_change", "new_state", new_state)
            if location is NOT_SAID:
                location = None
            elif type(location) is not str:
                location, pair = (NOWHERE, None) if location is None else self._place(location)
            states = self.states
            if previous_state is None:
                previous_state = states.get(character_id)
            elif type(previous_state) is not str:
                previous_state = self._converted(previous_state, word_of)
            states[character_id] = new_state
            clock, publish, ticking = self._clock, self._publish, self._ticking
            now = clock()
            if not more and id is None and cause is None and ticking.links is None:  # what most are
                before = UNSET if previous_state is None else previous_state
                publish(_STATE_CHANGE, StateChange(character_id, new_state, location, now, before), ticking.tick, now)
            else:
                payload = payloads.state_change(character_id, new_state, location, previous_state, now)
                self._keep(payload, "state_change", more)
                id = self._publish_linked(_STATE_CHANGE, payload, now, id, cause)
            if pair is not None:
                self.character_update(character_id, x=pair[0], y=pair[1])
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.STATE_CHANGE, character_id, error)
            return None
        return id  # type: ignore[no-any-return]

    def character_update(self, character_id: Any, **attributes: Any) -> None:
        """Publish attributes of a character; they are merged into those that are known.

        Parameters
        ----------
        character_id : any
            Whose, as in `state_change`.
        **attributes
            Names and values of any type.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.character_update("emma", money=12, mood="calm")
        ...     with dc.connect(town) as session:
        ...         session.characters()[["money", "mood"]].to_dict("index")
        {'emma': {'money': 12, 'mood': 'calm'}}
        """
        try:
            ticking = self._ticking
            plain = type(character_id) is str and ticking.links is None
            if plain and character_id and "state" not in attributes and "location" not in attributes:
                for value in attributes.values():
                    if type(value) not in SCALARS:
                        break
                else:  # what most are: plain values
                    attributes["character_id"] = character_id
                    clock, publish = self._clock, self._publish
                    publish(_CHARACTER_UPDATE, attributes, ticking.tick, clock())
                    return
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.CHARACTER_UPDATE, character_id, error)
            return
        self.update(character_id, attributes)

    def update(self, character_id: Any, attributes: Mapping[str, Any]) -> None:
        """Publish attributes whose names cannot be keyword arguments in Python, or clash with `character_id`.

        Parameters
        ----------
        character_id : any
            Whose, as in `state_change`.
        attributes : mapping
            Names and values of any type. `character_id` cannot be an attribute.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.update("emma", {"self": 1, "favourite colour": "red"})
        ...     with dc.connect(town) as session:
        ...         session.characters()[["self", "favourite colour"]].to_dict("index")
        {'emma': {'self': 1, 'favourite colour': 'red'}}
        """
        try:
            if type(character_id) is not str:
                if type(character_id) is not int or character_id not in self._whole:
                    character_id = self._character(character_id)
            elif not character_id:
                self._character(character_id)
            if type(attributes) is not dict and not isinstance(attributes, Mapping):
                raise WebSocketError(
                    WebSocketError.INVALID_MESSAGE,
                    f"the attributes must be a mapping, not of {class_name(type(attributes))}",
                )
            payload = {**attributes, "character_id": character_id}
            if "state" not in payload and "location" not in payload:
                self.publish(MessageTypes.CHARACTER_UPDATE, payload)
                return
            if payload.get("state") is not None and type(payload["state"]) is not str:
                payload["state"] = self._converted(payload["state"], word_of)
            if "location" in payload and type(payload["location"]) is not str:
                place = payload["location"]
                payload["location"], pair = (NOWHERE, None) if place is None else self._place(place)
                if pair is not None:
                    payload = {"x": pair[0], "y": pair[1], **payload}
            self.publish(MessageTypes.CHARACTER_UPDATE, payload)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.CHARACTER_UPDATE, character_id, error)

    def _place(self, location: Any) -> tuple[str | None, tuple[float, float] | None]:
        self.converted += 1
        place, pair = place_of(location)
        self._needs_a_name("location", location, place)
        return place, pair

    def left(self, character_id: Any) -> None:
        """Publish that a character has left the town; it is no longer listed among the characters, and no longer
        tracked.

        Parameters
        ----------
        character_id : any
            The character's id.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.state_change("emma", "MOVE"), town.state_change("noah", "MOVE")
        ...     town.left("emma")
        ...     town.characters()
        ['noah']
        """
        try:
            known = self._character(character_id)
            self.publish(MessageTypes.CHARACTER_LEFT, {"character_id": known})
            if known is not None:
                self.states.pop(known, None)
                self.known.forget(known)
                self._tracker.forget(known)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.CHARACTER_LEFT, character_id, error)

    def track(self, character_id: Any, thing: Any, attributes: Iterable[str]) -> None:
        """Read attributes (or keys) of an object at each checkpoint, and publish those that changed.

        The object is not kept alive for this if its class allows weak references.

        Parameters
        ----------
        character_id : any
            Whose attributes they are.
        thing : any
            The object, or a dict.
        attributes : str or iterable of str
            The names of the attributes. Their current values are published at once.

        Examples
        --------
        >>> emma = {"money": 3}
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.track("emma", emma, ["money"])
        ...     emma["money"] = 5
        ...     town.checkpoint()
        ...     with dc.connect(town) as session:
        ...         session.attribute("money")["value"].to_list()
        [3, 5]
        """
        try:
            self._tracker.track(character_id, thing, attributes)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind("track", character_id, error)

    def _absent(self, kind: str, name: str) -> None:
        self._misused(
            f"track {kind}.{name}", f"track(): a {kind} has no {name!r} so far; null is published until it has one"
        )

    def _look(self) -> None:
        try:
            self._tracker.look()
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind("track", None, error)
