"""Publishing from a simulation's own code: the calls encode, append and return."""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Final, Protocol

from ...core.calling_line import calling_line
from ...core.logs import SAID_ONCE
from ...core.names import did_you_mean
from ...core.plain import SCALARS, is_plain, key_text, plain
from ...core.text_of import class_name, text_of
from ...core.things import is_nameless
from ...protocol.errors import WebSocketError
from ...protocol.messages import Links, MessageTypes
from ...server.stream.receipts import Publish, Receipt
from .. import payloads
from ..acting import who_acts
from ..request import intervention
from ..totals import Totals
from ..values import Known, causes_of, id_of, is_missing, word_of

log = logging.getLogger("degentcivil_nb.simulation")

CharacterId = str | int
_REPEAT_S: Final = 10.0
_type: Final = type
"""The function, where a parameter has its name."""
_SHOWN: Final = 100
"""How many characters of a wrong value are shown."""
_KINDS: Final = 1_000
"""Kinds of wrong use that are remembered, so that each is said once."""


class Ticking(Protocol):
    """The current tick, and the present links of every envelope."""

    links: Links | None

    @property
    def tick(self) -> int:
        """Return the tick of messages published now."""

    def handles_command(self) -> bool:
        """Return whether this thread is inside a command's handler."""


class PublishingMethods:
    """The method of a probe that publishes anything, and what the other methods share.

    Nothing is raised from here: a message that cannot be published is replaced by an `error` 1005, logged and counted.
    """

    def __init__(self, publish: Publish, ticking: Ticking, clock: Callable[[], float]) -> None:
        self.states: dict[CharacterId, str] = {}
        """The last published state of each character."""
        self.known = Known()
        """The characters' ids as the simulation itself has them."""
        self.totals = Totals()
        """The cost and number of all calls of models so far."""
        self.left_behind = 0
        """How many calls of the probe's methods failed."""
        self.converted = 0
        """How many values were not plain, and were converted."""
        self.unknown_keywords = 0
        """How many keywords were no parameters of a method; they are kept in the payload."""
        self.discarded = 0
        """How many messages were published after the probe was closed, or in a process that was forked from its own."""
        self._publish = publish
        self._ticking = ticking
        self._clock = clock
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._whole: set[int] = set()  # ids that were seen to be plain whole numbers
        self._warned: set[tuple[str, str]] = set()
        self._last_complaint = -_REPEAT_S

    def publish(self, type: str, data: Any = None, *, receipt: Receipt | None = None) -> None:
        """Publish anything else, such as `all_buildings`. The message is kept unchanged, under its type.

        Parameters
        ----------
        type : str
            The message's type.
        data : any, optional
            Its payload, of any type.
        receipt : Receipt, optional
            An object whose `seq` is set to the message's position once the message is in the stream.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.publish("weather", {"rain_mm": 2})
        ...     with dc.connect(town) as session:
        ...         session.payload(0)
        {'rain_mm': 2}
        """
        try:
            checked = False
            if _type(data) is dict:  # what most are: the beginning of `is_plain`, without its call
                try:
                    for key in data:
                        if _type(key) is not str or _type(data[key]) not in SCALARS:
                            break
                    else:
                        checked = True
                except (RuntimeError, KeyError):  # another thread changes it
                    pass
            if not checked and not is_plain(data):
                data = self._converted(data, plain)
            clock, publish, ticking = self._clock, self._publish, self._ticking
            if receipt is None and ticking.links is None:  # what most are
                publish(type, data, ticking.tick, clock())
                return
            publish(type, data, ticking.tick, clock(), self._receipt(receipt), self._links(None, None))
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(type, None, error)

    def _receipt(self, receipt: Any) -> Receipt | None:
        """Return a receipt; complain about anything else, which the server's thread could not fill."""
        if receipt is None or isinstance(receipt, Receipt):
            return receipt
        kind = class_name(type(receipt))
        self._misused(f"receipt {kind}", f"publish(): receipt must be a Receipt, not of {kind}; it is left out")
        return None

    # --- what the envelope says ----------------------------------------------------------------------------------

    def _publish_linked(self, type: str, payload: dict[str, Any], now: float, id: Any, cause: Any) -> str | None:
        """Publish with an id and causes, and return the id."""
        links = self._links(id, cause)
        self._publish(type, payload, self._ticking.tick, now, None, links)
        return None if links is None else links.event_id

    def _links(self, id: Any, cause: Any) -> Links | None:
        links = self._ticking.links
        if links is not None and links.intervention is not None:
            inside = self._ticking.handles_command()  # another thread's command did not cause this event
            links = links._replace(intervention=intervention() if inside else None)
        if id is None and cause is None:
            return links
        if id is not None and is_missing(id):
            self._say_missing("id", id)
        parts = cause if isinstance(cause, (list, tuple, set, frozenset)) else (cause,)
        if cause is not None and any(map(is_missing, parts)):
            self._say_missing("cause", cause)
        return (links or Links())._replace(event_id=self._event_id(id), cause=causes_of(cause))

    def _event_id(self, id: Any) -> str | None:
        """Return an id as text; make one for `True`."""
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
        """Return the character of an event that may have none; without an id, the one that acts here."""
        if character_id is None:
            character_id = who_acts()
        if character_id is None or (type(character_id) is str and character_id):
            return character_id
        return self._character(character_id, needed=False)

    def _publish_named(
        self, word: str, type: str, payload: dict[str, Any], id: Any, cause: Any, more: Mapping[str, Any]
    ) -> str | None:
        """Publish a message that always has an id, with its values converted."""
        self._keep(payload, word, more)
        if not is_plain(payload):
            payload = self._converted(payload, plain)
        return self._publish_linked(type, payload, self._clock(), True if id is None else id, cause)

    # --- values that are not plain -------------------------------------------------------------------------------

    def _converted(self, value: Any, convert: Callable[[Any], Any]) -> Any:
        self.converted += 1
        return convert(value)

    def _character(self, value: Any, *, needed: bool = True) -> CharacterId | None:
        id = id_of(value)
        if id is value and type(value) is int:
            self._whole.add(value)
        if id is None and needed:
            raise WebSocketError(WebSocketError.INVALID_MESSAGE, "the id of the character is missing")
        if id == "":
            self._say_missing("character_id", id)
        if type(value) is not type(id):
            self.converted += 1
            self._needs_a_name("character_id", value, id)
        self.known.note(id, value)
        return id

    def _word(self, method: str, name: str, value: Any) -> str:
        """Return a word that a message needs as text; complain once if it is missing, and publish it as it is."""
        word = value if type(value) is str else self._converted(value, word_of)
        if is_missing(value):
            self._say_missing(name, value, f"{method}()")
        return word

    def _say_missing(self, name: str, value: Any, method: str = "a call") -> None:
        """Complain once about an argument, or an item of one, that is empty where a message needs it."""
        self._misused(
            f"missing {method} {name}",
            f"{method} was given {text_of(value)[:_SHOWN]!r} as {name}: that is empty, or a part of it is. The message "
            "is published all the same",
        )

    def _needs_a_name(self, word: str, value: Any, told: Any) -> None:
        """Complain once a class about an object that has neither an id nor a name."""
        if is_nameless(value) and told == text_of(value):
            kind = class_name(type(value))
            self._misused(
                f"nameless {word} {kind}",
                f"a {kind} was given as {word}, and has no id or name that distinguishes it from others: all are "
                f"published as {told!r}. Pass an id, or give the class a __repr__",
            )

    def _keep(self, payload: dict[str, Any], word: str, more: Mapping[str, Any]) -> None:
        """Keep keywords that a method does not have in the payload, under a free name."""
        for name, value in more.items():
            self.unknown_keywords += 1
            key = key_text(name)
            while key in payload:
                key += "_"
            payload[key] = value if is_plain(value) else self._converted(value, plain)
            if self._is_new((word, name)):
                text = "%s() has no parameter %r: it is kept in the payload as %r%s%s"
                log.warning(text, word, name, key, self._meant(word, str(name)), calling_line(), extra=SAID_ONCE)

    def _meant(self, word: str, name: str) -> str:
        """Return the end of a sentence that suggests a parameter, such as `cost_usd` for `cost`."""
        known = signature(getattr(self, word)).parameters
        longer = next((parameter for parameter in known if parameter.startswith(f"{name}_")), name)
        return did_you_mean(longer, known)

    def _warn(self, word: str, name: str, text: str, *more: Any) -> None:
        """Log a warning once; one of the `warnings` module could be made an error, and would stop the simulation."""
        if self._is_new((word, name)):
            log.warning(text + "%s", word, name, *more, calling_line(), extra=SAID_ONCE)

    def _misused(self, kind: str, text: str) -> None:
        """Log what is wrong with a call, once a kind, and publish it as an `error`; nothing may be raised here."""
        if not self._is_new((kind, "")):
            return
        text += calling_line()
        log.warning("%s", text, extra=SAID_ONCE)
        self._publish(
            MessageTypes.ERROR, payloads.error(WebSocketError.INVALID_MESSAGE, text), self._ticking.tick, time.time()
        )

    def _is_new(self, kind: tuple[str, str]) -> bool:
        if kind in self._warned or len(self._warned) >= _KINDS:
            return False
        self._warned.add(kind)
        return True

    def _leave_behind(self, type: Any, character_id: Any, error: Exception) -> None:
        """Publish an `error` 1005 in place of a message that failed, count it, and log it now and then."""
        self.left_behind += 1
        name = text_of(type)
        try:
            reason = f"{name} could not be encoded: {text_of(error)}"
            payload = payloads.error(WebSocketError.UNENCODABLE, reason, id_of(character_id))
            self._publish(MessageTypes.ERROR, {**payload, "type": name}, self._ticking.tick, time.time())
        except Exception:  # the last boundary to the simulation
            log.exception("a failure of the probe could not be published")
        if isinstance(error, WebSocketError):  # the given value is wrong, and not the probe
            self._warn(name, error.message, "%s: %s. An error 1005 is published instead")
        else:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._last_complaint >= _REPEAT_S:
            self._last_complaint = now
            log.error(
                "the probe failed, and the simulation goes on (%d failures so far)", self.left_behind, exc_info=error
            )
