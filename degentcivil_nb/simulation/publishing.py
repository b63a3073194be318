"""Publishing from a simulation's own code: the calls encode, append and return."""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ..core.plain import SCALARS, is_plain, key_text, plain
from ..core.text_of import text_of
from ..protocol.errors import WebSocketError
from ..protocol.messages import Links, MessageTypes
from ..server.stream.publishing import Receipt
from . import payloads
from .acting import who_acts
from .totals import Totals
from .values import Known, causes_of, error_code_of, id_of, place_of, word_of

log = logging.getLogger("degentcivil_nb.simulation")

CharacterId = str | int
NOT_SAID: Final = object()
"""The default of a location: the character stays where it was."""
NOWHERE: Final = ""
"""The wire's value for a character that left its place; `null` would mean that the location is not given."""
_REPEAT_S: Final = 10.0


class Publish(Protocol):
    """A function that accepts a message from any thread, without waiting and without errors."""

    def __call__(
        self,
        type: str,
        data: Any,
        tick: int | None = None,
        timestamp: float | None = None,
        receipt: Receipt | None = None,
        links: Links | None = None,
    ) -> None:
        """Encode and append a message; `receipt` gets its seq."""


class Ticking(Protocol):
    """The current tick, and what every envelope contains now."""

    tick: int
    links: Links | None

    def handles_command(self) -> bool:
        """Return whether this thread is inside a command's handler."""


class EventPublisher:
    """Tell a stream what happens, with values of any type.

    Nothing is raised from here: what cannot be told is an `error` 1005 in its place, logged and counted.
    """

    def __init__(self, publish: Publish, ticking: Ticking, clock: Callable[[], float]) -> None:
        self.states: dict[CharacterId, str] = {}
        """The last published state of each character."""
        self.known = Known()
        """The characters' ids as the simulation itself has them."""
        self.totals = Totals()
        """What all calls of models have cost so far."""
        self.left_behind = 0
        """Calls that failed here."""
        self.converted = 0
        """Values that were not plain, and were converted."""
        self.unknown_keywords = 0
        """Keywords that no method of the probe has; they are kept in the payload."""
        self._publish = publish
        self._ticking = ticking
        self._clock = clock
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._whole: set[int] = set()  # ids that were seen to be plain whole numbers
        self._warned: set[tuple[str, str]] = set()
        self._last_complaint = -_REPEAT_S

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
        """Tell that a character is in a new state.

        Parameters
        ----------
        character_id : any
            Text and whole numbers are told as they are, an enum by its name, everything else as text.
        new_state : any
            The state from now on, told as an id is.
        location : any, optional
            Where the character is, also of any type; a pair of numbers is told as text and sets the attributes `x` and
            `y`. Left out, the character stays where it was; `None` says that it left its place.
        previous_state : any, optional
            The state before; left out, the one told last.
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
            if type(character_id) is not str and (type(character_id) is not int or character_id not in self._whole):
                character_id = self._character(character_id)
            if type(new_state) is not str:
                new_state = self._converted(new_state, word_of)
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
            now = self._clock()
            payload = {"character_id": character_id, "new_state": new_state, "location": location, "timestamp": now}
            if previous_state is not None:
                payload["previous_state"] = previous_state
            if more:
                self._keep(payload, "state_change", more)
            ticking = self._ticking
            if id is None and cause is None and ticking.links is None:
                self._publish(MessageTypes.STATE_CHANGE, payload, ticking.tick, now)
            else:
                id = self._publish_linked(MessageTypes.STATE_CHANGE, payload, now, id, cause)
            if pair is not None:
                self.character_update(character_id, x=pair[0], y=pair[1])
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.STATE_CHANGE, character_id, error)
            return None
        return id  # type: ignore[no-any-return]

    def character_update(self, character_id: Any, **attributes: Any) -> None:
        """Tell attributes of a character; they are merged over what is known of it.

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
        self.update(character_id, attributes)

    def update(self, character_id: Any, attributes: Mapping[str, Any]) -> None:
        """Tell attributes of a character whose names are no keywords of Python, or clash.

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
            if type(character_id) is not str and (type(character_id) is not int or character_id not in self._whole):
                character_id = self._character(character_id)
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

    def event(
        self,
        event_type: Any,
        data: Any = None,
        *,
        character_id: Any = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Tell that something happened.

        Parameters
        ----------
        event_type : any
            What kind of event it is, as text or an enum.
        data : any, optional
            Its inner value, of any type.
        character_id : any, optional
            Whose event it is; left out, of whoever acts here (`acting`), or nobody's.
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
        >>> probe.event("trade", {"price": 3}, character_id="emma", id="trade-7")
        'trade-7'
        """
        try:
            if type(event_type) is not str:
                event_type = self._converted(event_type, word_of)
            if type(data) not in SCALARS and not is_plain(data):
                data = self._converted(data, plain)
            if type(character_id) is not str:
                character_id = self._whose(character_id)
            now = self._clock()
            payload: dict[str, Any] = {"event_type": event_type, "data": data, "timestamp": now}
            if character_id is not None:
                payload["character_id"] = character_id
            if more:
                self._keep(payload, "event", more)
            ticking = self._ticking
            if id is None and cause is None and ticking.links is None:
                self._publish(MessageTypes.EVENT_NOTIFICATION, payload, ticking.tick, now)
                return None
            id = self._event_id(id)
            self._name_in(payload, id, cause)
            return self._publish_linked(MessageTypes.EVENT_NOTIFICATION, payload, now, id, cause)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.EVENT_NOTIFICATION, character_id, error)
            return None

    def error(
        self,
        code: Any,
        message: Any = "",
        *,
        character_id: Any = None,
        exception: BaseException | None = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Tell that something went wrong.

        Parameters
        ----------
        code : any
            A whole number, or an enum. A text is told as 1004 with the text as `code_name`.
        message : any, optional
            What went wrong.
        character_id : any, optional
            Whose error it is; left out, of whoever acts here (`acting`), or nobody's.
        exception : BaseException, optional
            Its traceback is told too.
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
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.error(2001, "the answer is not JSON", character_id="emma")
        ...     with dc.connect(town) as session:
        ...         session.errors()[["character_id", "code", "message"]].to_numpy().tolist()
        [['emma', 2001, 'the answer is not JSON']]
        """
        try:
            number, name = error_code_of(code)
            text = message if type(message) is str else self._converted(message, word_of)
            payload = payloads.error(number, text, self._whose(character_id), exception)
            if name is not None:
                payload["code_name"] = name
            self._keep(payload, "error", more)
            return self._publish_linked(MessageTypes.ERROR, payload, self._clock(), id, cause)
        except Exception as failed:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.ERROR, character_id, failed)
            return None

    def publish(self, type: str, data: Any = None, *, receipt: Receipt | None = None) -> None:
        """Tell anything else, such as `all_buildings`. It is kept as it came, under its type.

        Parameters
        ----------
        type : str
            The message's type.
        data : any, optional
            Its payload, of any type.
        receipt : Receipt, optional
            Has the message's position as `seq` once it is in the stream.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.publish("weather", {"rain_mm": 2})
        ...     with dc.connect(town) as session:
        ...         session.payload(0)
        {'rain_mm': 2}
        """
        try:
            if not is_plain(data):
                data = self._converted(data, plain)
            links = None if self._ticking.links is None else self._links(None, None)
            self._publish(type, data, self._ticking.tick, self._clock(), receipt, links)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(type, None, error)

    # --- what the envelope says ----------------------------------------------------------------------------------

    def _publish_linked(self, type: str, payload: dict[str, Any], now: float, id: Any, cause: Any) -> str | None:
        """Publish with a name and with causes, and give the name."""
        links = self._links(id, cause)
        self._publish(type, payload, self._ticking.tick, now, None, links)
        return None if links is None else links.event_id

    def _links(self, id: Any, cause: Any) -> Links | None:
        links = self._ticking.links
        if links is not None and links.intervention is not None and not self._ticking.handles_command():
            links = links._replace(intervention=None)  # another thread's command did not cause this event
        if id is None and cause is None:
            return links
        return (links or Links())._replace(event_id=self._event_id(id), cause=causes_of(cause))

    def _event_id(self, id: Any) -> str | None:
        """Return an id as text, and make one where it is asked for by `True`."""
        if id is None or type(id) is str:
            return id
        if id is True:
            return f"{self._prefix}:{next(self._numbers)}"
        known = id_of(id)
        return None if known is None else str(known)

    def _name_in(self, payload: dict[str, Any], id: str | None, cause: Any) -> None:
        """Name an event and its one cause in its payload too, where readers of older versions look."""
        if id is not None:
            payload["id"] = id
        causes = causes_of(cause)
        if isinstance(causes, str):
            payload["cause"] = causes

    def _whose(self, character_id: Any) -> CharacterId | None:
        """Return whose an event is that may be nobody's: without an id, of whoever acts here."""
        if character_id is None:
            character_id = who_acts()
        if character_id is None or type(character_id) is str:
            return character_id
        return self._character(character_id, needed=False)

    # --- values that are not plain -------------------------------------------------------------------------------

    def _converted(self, value: Any, convert: Callable[[Any], Any]) -> Any:
        self.converted += 1
        return convert(value)

    def _character(self, value: Any, *, needed: bool = True) -> CharacterId | None:
        id = id_of(value)
        if id is value and type(value) is int:
            self._whole.add(value)
        if id is None and needed:
            raise WebSocketError(WebSocketError.INVALID_MESSAGE, "it names no character: the id is missing")
        if type(value) is not type(id):
            self.converted += 1
        self.known.note(id, value)
        return id

    def _place(self, location: Any) -> tuple[str | None, tuple[float, float] | None]:
        self.converted += 1
        return place_of(location)

    def _keep(self, payload: dict[str, Any], word: str, more: Mapping[str, Any]) -> None:
        """Keep keywords that a word does not know in its payload, under a free name."""
        for name, value in more.items():
            self.unknown_keywords += 1
            key = key_text(name)
            while key in payload:
                key += "_"
            payload[key] = value if is_plain(value) else self._converted(value, plain)
            self._warn(word, name, "%s() knows no keyword %r: it is kept in the payload as %r", key)

    def _warn(self, word: str, name: str, text: str, *more: Any) -> None:
        """Log a warning once; one of the `warnings` module could be made an error, and would stop the simulation."""
        if (word, name) not in self._warned:
            self._warned.add((word, name))
            log.warning(text, word, name, *more)

    def _leave_behind(self, type: Any, character_id: Any, error: Exception) -> None:
        """Put an `error` 1005 in the place of what could not be told, count it, and log it now and then."""
        self.left_behind += 1
        try:
            name = text_of(type)
            reason = f"{name} could not be encoded: {text_of(error)}"
            payload = payloads.error(WebSocketError.UNENCODABLE, reason, id_of(character_id))
            self._publish(MessageTypes.ERROR, {**payload, "type": name}, self._ticking.tick, time.time())
        except Exception:  # the last boundary to the simulation
            log.exception("a failure of the probe could not be told")
        self._complain(error)

    def _complain(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._last_complaint >= _REPEAT_S:
            self._last_complaint = now
            log.error("the probe failed and goes on (%d times so far)", self.left_behind, exc_info=error)
