"""What a simulation tells: the calls it makes in its own code, which encode, append and return."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from ..protocol.messages import MessageTypes
from ..server.stream.publishing import Receipt
from . import payloads

log = logging.getLogger("degentcivil_nb.simulation")

CharacterId = str | int
_REPEAT_S: Final = 10.0


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
    """Tell a stream what happens. Nothing is raised from here: what goes wrong is logged, counted and left behind."""

    def __init__(self, publish: Publish, ticking: Ticking, clock: Callable[[], float]) -> None:
        self.states: dict[CharacterId, str] = {}
        """The state last told of each character."""
        self.left_behind = 0
        """Calls that failed in here."""
        self._publish = publish
        self._ticking = ticking
        self._clock = clock
        self._last_complaint = -_REPEAT_S

    def state_change(
        self,
        character_id: CharacterId,
        new_state: str,
        location: str | None = None,
        *,
        previous_state: str | None = None,
    ) -> None:
        """Tell that a character is in a new state; the previous one is remembered when it is not given."""
        try:
            states = self.states
            previous = previous_state or states.get(character_id)
            states[character_id] = new_state
            now = self._clock()
            self._publish(
                MessageTypes.STATE_CHANGE,
                payloads.state_change(character_id, new_state, location, previous, now),
                self._ticking.tick,
                now,
            )
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(error)

    def character_update(self, character_id: CharacterId, **attributes: Any) -> None:
        """Tell attributes of a character; they are merged over what is known of it."""
        self.publish(MessageTypes.CHARACTER_UPDATE, {"character_id": character_id, **attributes})

    def event(
        self,
        event_type: str,
        data: Any = None,
        *,
        character_id: CharacterId | None = None,
        id: CharacterId | None = None,
        cause: CharacterId | None = None,
    ) -> None:
        """Tell that something happened; `id` names it, and `cause` is the `id` of what led to it."""
        now = self._clock()
        self.publish(MessageTypes.EVENT_NOTIFICATION, payloads.event(event_type, data, now, character_id, id, cause))

    def error(
        self,
        code: int,
        message: str,
        *,
        character_id: CharacterId | None = None,
        exception: BaseException | None = None,
    ) -> None:
        """Tell that something went wrong, with the traceback of an exception."""
        try:
            self.publish(MessageTypes.ERROR, payloads.error(code, message, character_id, exception))
        except Exception as failed:  # noqa: BLE001 — an exception's own text may raise
            self._leave_behind(failed)

    def llm_call(
        self,
        character_id: CharacterId | None,
        *,
        prompt_type: str | None = None,
        prompt: Any = None,
        response: Any = None,
        model: str | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        latency_s: float | None = None,
        cost_usd: float | None = None,
        error: str | None = None,
        id: CharacterId | None = None,
        cause: CharacterId | None = None,
    ) -> None:
        """Tell of a call of a language model, with its prompt and its response (text or any JSON)."""
        call = payloads.llm_call(
            character_id,
            prompt_type,
            prompt=prompt,
            response=response,
            model=model,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            latency_s=latency_s,
            cost_usd=cost_usd,
            error=error,
            id=id,
            cause=cause,
        )
        self.publish(MessageTypes.LLM_CALL, call)

    def publish(self, type: str, data: Any = None, *, receipt: Receipt | None = None) -> None:
        """Tell anything else, such as `all_buildings`: it is kept as it came, under its type.

        A `receipt` has the message's position once it is in the stream.
        """
        try:
            self._publish(type, data, self._ticking.tick, self._clock(), receipt)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(error)

    def _leave_behind(self, error: Exception) -> None:
        self.left_behind += 1
        now = time.monotonic()
        if now - self._last_complaint >= _REPEAT_S:
            self._last_complaint = now
            log.error("the probe failed and goes on (%d times so far)", self.left_behind, exc_info=error)
