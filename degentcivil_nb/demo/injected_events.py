"""Injecting events into the demo town's stream, as if the town had published them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..core.arguments import text, whole_number, word, word_or_none
from ..core.names import NEARLY, nearest
from ..core.user_warnings import warn_user
from ..protocol.messages import WebSocketMessage
from ..simulation.injections import Injection, Injections
from ..simulation.probe import SimulationProbe

ANSWER_S: Final = 10.0
"""How long the server's thread may take for an answer."""


class EventInjection:
    """The methods of a local server that inject events."""

    probe: SimulationProbe
    _clock: Callable[[], float]
    _stopped: bool

    def inject_event(self, event_type: str, data: Any = None, *, character_id: str | None = None) -> WebSocketMessage:
        """Put an event into the stream, as if the town had published it.

        Parameters
        ----------
        event_type : str
            What kind of event it is.
        data : any, optional
            Its inner value.
        character_id : str, optional
            Whose event it is.

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town:
        ...     message = town.inject_event("market_day", {"bread": 3})
        ...     message.type, message.data["data"]
        ('event_notification', {'bread': 3})
        """
        kind, whose = word("event_type", event_type), self._whose(character_id)
        return self._publish(self._injections.event(kind, data, whose))

    def inject_state_change(self, character_id: str, new_state: str, location: str | None = None) -> WebSocketMessage:
        """Put a change of state into the stream, as if the town had published it. The town's character does not change.

        Parameters
        ----------
        character_id : str
            Whose state it is.
        new_state : str
            The state from now on.
        location : str, optional
            Where the character is. Left out, it stays where it was.

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, seed=1, paused=True) as town:
        ...     message = town.inject_state_change("emma", "BARGAIN", "Gallery")
        ...     message.data["previous_state"], message.data["new_state"]
        ('IDLE', 'BARGAIN')
        """
        whose, state = self._who(character_id), word("new_state", new_state)
        return self._publish(self._injections.state_change(whose, state, word_or_none("location", location)))

    def inject_character_update(self, character_id: str, **attributes: Any) -> WebSocketMessage:
        """Put attributes of a character into the stream, as if the town had published them.

        Parameters
        ----------
        character_id : str
            Whose attributes they are.
        **attributes
            Names and values; they are merged into the character's known attributes.

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town:
        ...     town.inject_character_update("emma", money=12, mood="calm").data
        {'character_id': 'emma', 'money': 12, 'mood': 'calm'}
        """
        return self._publish(self._injections.character_update(self._who(character_id), attributes))

    def inject_error(self, code: int, message: str, *, character_id: str | None = None) -> WebSocketMessage:
        """Put an error into the stream, as if the town had published it.

        Parameters
        ----------
        code : int
            The error's code, such as 1004.
        message : str
            What went wrong.
        character_id : str, optional
            Whose error it is.

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town:
        ...     message = town.inject_error(1004, "planner failed", character_id="emma")
        ...     message.data["code"], message.data["message"]
        (1004, 'planner failed')
        """
        code, message = whole_number("code", code), text("message", message)
        return self._publish(self._injections.error(code, message, self._whose(character_id)))

    def inject_llm_call(
        self, character_id: str | None = None, *, prompt_type: str = "TEST", **details: Any
    ) -> WebSocketMessage:
        """Put a call of a language model into the stream, as if the town had published it.

        Parameters
        ----------
        character_id : str, optional
            Whose call it is.
        prompt_type : str
            What the call was for.
        **details
            The keywords of `SimulationProbe.llm_call`: `prompt`, `response`, `model`, `latency_s` (seconds), `error` …

        Returns
        -------
        WebSocketMessage
            The message as it was sent; `.seq` is its position in the stream.

        Raises
        ------
        RuntimeError
            If the server was stopped.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town:
        ...     message = town.inject_llm_call("emma", prompt="What now?", response="sleep", latency_s=0.4)
        ...     message.data["response"], message.data["latency_s"]
        ('sleep', 0.4)
        """
        whose, kind = self._whose(character_id), word("prompt_type", prompt_type)
        return self._publish(self._injections.llm_call(whose, kind, details))

    def _who(self, character_id: Any) -> str:
        """Return a character's id; warn of one that is nearly another's, for a stranger's may be meant."""
        whose, known = word("character_id", character_id), [str(one) for one in self.probe.states]
        if whose not in known and (meant := nearest(whose[:200], known, NEARLY)) is not None:
            warn_user(f"the town has no character {whose[:80]!r}; did you mean {meant[:80]!r}?")
        return whose

    def _whose(self, character_id: Any) -> str | None:
        return None if character_id is None else self._who(character_id)

    @property
    def _injections(self) -> Injections:
        self._require_running()
        return Injections(self.probe, self._clock)

    def _publish(self, injection: Injection) -> WebSocketMessage:
        message = WebSocketMessage(*injection, self._clock(), tick=self.probe.control.tick)
        return self.probe.portal.call(self.probe.server.publish_now, message, timeout=ANSWER_S)

    def _require_running(self) -> None:
        if self._stopped:
            raise RuntimeError("this server was stopped; start another with start_local_server()")
