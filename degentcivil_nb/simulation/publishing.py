"""What a simulation tells: the calls it makes in its own code, which encode, append and return."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ..core.plain import SCALARS, is_plain, key_text, plain
from ..core.text_of import text_of
from ..protocol.errors import WebSocketError
from ..protocol.messages import MessageTypes
from ..server.stream.publishing import Receipt
from . import payloads
from .values import Known, count_of, error_code_of, id_of, number_of, place_of, word_of

log = logging.getLogger("degentcivil_nb.simulation")

CharacterId = str | int
_REPEAT_S: Final = 10.0
_FIGURES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "prompt_tokens": count_of,
    "completion_tokens": count_of,
    "latency_s": number_of,
    "cost_usd": number_of,
}
"""What is a number of an LLM call, and how it is read."""
_WORDS: Final = ("model", "prompt_type", "error")


class Publish(Protocol):
    """Take a message from any thread, without a wait and without an error."""

    def __call__(
        self,
        type: str,
        data: Any,
        tick: int | None = None,
        timestamp: float | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        """Encode and append; `receipt` is given the position in the stream."""


class Ticking(Protocol):
    """Know the tick that what happens now belongs to."""

    tick: int


class EventPublisher:
    """Tell a stream what happens, with values of any type.

    Nothing is raised from here: what cannot be told is an `error` 1005 in its place, logged and counted.
    """

    def __init__(self, publish: Publish, ticking: Ticking, clock: Callable[[], float]) -> None:
        self.states: dict[CharacterId, str] = {}
        """The state last told of each character."""
        self.known = Known()
        """The characters' ids as the simulation itself has them."""
        self.left_behind = 0
        """Calls that failed in here."""
        self.converted = 0
        """Values that were not plain, and were converted."""
        self.unknown_keywords = 0
        """Keywords that no word of the probe knows; they are kept in the payload."""
        self._publish = publish
        self._ticking = ticking
        self._clock = clock
        self._whole: set[int] = set()  # ids that were seen to be plain whole numbers
        self._warned: set[tuple[str, str]] = set()
        self._last_complaint = -_REPEAT_S

    def state_change(
        self,
        character_id: Any,
        new_state: Any,
        location: Any = None,
        *,
        previous_state: Any = None,
        **more: Any,
    ) -> None:
        """Tell that a character is in a new state; the previous one is remembered when it is not given.

        A pair of numbers as `location` is told as text, and sets the attributes `x` and `y`.
        """
        try:
            pair = None
            if type(character_id) is not str and (type(character_id) is not int or character_id not in self._whole):
                character_id = self._character(character_id)
            if type(new_state) is not str:
                new_state = self._converted(new_state, word_of)
            if location is not None and type(location) is not str:
                location, pair = self._place(location)
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
            self._publish(MessageTypes.STATE_CHANGE, payload, self._ticking.tick, now)
            if pair is not None:
                self.character_update(character_id, x=pair[0], y=pair[1])
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.STATE_CHANGE, character_id, error)

    def character_update(self, character_id: Any, **attributes: Any) -> None:
        """Tell attributes of a character; they are merged over what is known of it."""
        self.update(character_id, attributes)

    def update(self, character_id: Any, attributes: Mapping[str, Any]) -> None:
        """Tell attributes of any name, `character_id` excepted, which is what a character is known by."""
        try:
            if type(character_id) is not str:
                character_id = self._character(character_id)
            payload = {**attributes, "character_id": character_id}
            if payload.get("state") is not None and type(payload["state"]) is not str:
                payload["state"] = self._converted(payload["state"], word_of)
            if payload.get("location") is not None and type(payload["location"]) is not str:
                payload["location"], pair = self._place(payload["location"])
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
    ) -> None:
        """Tell that something happened; `id` names it, and `cause` is the `id` of what led to it."""
        try:
            if type(event_type) is not str:
                event_type = self._converted(event_type, word_of)
            if type(data) not in SCALARS and not is_plain(data):
                data = self._converted(data, plain)
            if character_id is not None and type(character_id) is not str:
                character_id = self._character(character_id, needed=False)
            now = self._clock()
            payload = payloads.event(event_type, data, now, character_id, id_of(id), id_of(cause))
            if more:
                self._keep(payload, "event", more)
            self._publish(MessageTypes.EVENT_NOTIFICATION, payload, self._ticking.tick, now)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.EVENT_NOTIFICATION, character_id, error)

    def error(
        self,
        code: Any,
        message: Any = "",
        *,
        character_id: Any = None,
        exception: BaseException | None = None,
        **more: Any,
    ) -> None:
        """Tell that something went wrong, with the traceback of an exception.

        A text as code is told as 1004 with the text as `code_name`.
        """
        try:
            number, name = error_code_of(code)
            text = message if type(message) is str else self._converted(message, word_of)
            payload = payloads.error(number, text, self._character(character_id, needed=False), exception)
            if name is not None:
                payload["code_name"] = name
            self._keep(payload, "error", more)
            self.publish(MessageTypes.ERROR, payload)
        except Exception as failed:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.ERROR, character_id, failed)

    def llm_call(
        self,
        character_id: Any = None,
        *,
        prompt_type: Any = None,
        prompt: Any = None,
        response: Any = None,
        model: Any = None,
        prompt_tokens: Any = None,
        completion_tokens: Any = None,
        latency_s: Any = None,
        cost_usd: Any = None,
        error: Any = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> None:
        """Tell of a call of a language model, with its prompt and its response (text, messages or any data).

        Numbers may be of any type, and `latency_s` a `timedelta`; a figure that is no number stays as it was told
        under a name of its own, such as `cost_usd_text`.
        """
        try:
            figures = {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "latency_s": latency_s,
                "cost_usd": cost_usd,
            }
            details = {"prompt": prompt, "response": response, **self._figures(figures)}
            for name, word in zip(_WORDS, (model, prompt_type, error), strict=True):
                details[name] = word if word is None or type(word) is str else self._converted(word, word_of)
            payload = payloads.llm_call(
                self._character(character_id, needed=False), id=id_of(id), cause=id_of(cause), **details
            )
            self._keep(payload, "llm_call", more)
            self.publish(MessageTypes.LLM_CALL, payload)
        except Exception as failed:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.LLM_CALL, character_id, failed)

    def publish(self, type: str, data: Any = None, *, receipt: Receipt | None = None) -> None:
        """Tell anything else, such as `all_buildings`: it is kept as it came, under its type.

        A `receipt` has the message's position once it is in the stream.
        """
        try:
            if not is_plain(data):
                data = self._converted(data, plain)
            self._publish(type, data, self._ticking.tick, self._clock(), receipt)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(type, None, error)

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

    def _figures(self, told: Mapping[str, Any]) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for name, value in told.items():
            try:
                read[name] = _FIGURES[name](value)
            except (ValueError, TypeError, ArithmeticError):
                read[f"{name}_text"] = text_of(value)
                self._warn("llm_call", name, "%s() was told a %s that is no number: it is kept as %s_text", name)
        return read

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
