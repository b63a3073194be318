"""Further methods of the probe: model and tool calls, chat, thoughts, measures, departures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ..core.plain import is_plain, plain
from ..core.text_of import text_of
from ..protocol.messages import MessageTypes
from . import payloads
from .publishing import EventPublisher
from .values import causes_of, count_of, number_of, word_of

_FIGURES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "prompt_tokens": count_of,
    "completion_tokens": count_of,
    "latency_s": number_of,
    "cost_usd": number_of,
}
"""The numeric details of a model call, and how each is read."""
_WORDS: Final = ("model", "prompt_type", "error")
_MORE: Final = ("provider", "parameters", "retries", "rejected", "messages", "agent")
"""What else the wire knows of an LLM call (docs/protocol.md)."""


class Words(EventPublisher):
    """Methods for events with an id: each returns its `id`, for use as the `cause` of later events."""

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
    ) -> str | None:
        """Tell of a call of a language model.

        Parameters
        ----------
        character_id : any, optional
            Whose call it is; left out, of whoever acts here (`acting`), or nobody's.
        prompt_type : any, optional
            What the call was for, such as ``"PLAN"``.
        prompt, response : any, optional
            Text, messages or any data.
        model : any, optional
            The model's name.
        prompt_tokens, completion_tokens : number, optional
            How many tokens went in and came out.
        latency_s : number or timedelta, optional
            How long it took, in seconds.
        cost_usd : number, optional
            What it cost, in US dollars.
        error : any, optional
            Why it failed.
        id : any, optional
            A name for this call; left out, one is made.
        cause : any, optional
            The `id` of what led to it, or a list of them.
        **more
            Further keys of the payload. A figure that is no number stays under a name of its own, such as
            `cost_usd_text`.

        Returns
        -------
        str or None
            The call's `id`; `None` if it could not be told.

        Examples
        --------
        >>> probe.llm_call("emma", prompt_type="PLAN", prompt="What now?", response="sleep", latency_s=0.4, id="call-1")
        'call-1'
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
            details.update({name: more.pop(name) for name in _MORE if name in more})
            payload = payloads.llm_call(self._whose(character_id), details.pop("prompt_type"), **details)
            self.totals.add(payload.get("cost_usd"))
            named = None if id is None else self._event_id(id)
            self._name_in(payload, named, cause)
            id = named or id
            return self._rare("llm_call", MessageTypes.LLM_CALL, payload, id, cause, more)
        except Exception as failed:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.LLM_CALL, character_id, failed)
            return None

    def said(
        self,
        character_id: Any,
        receivers: Any,
        content: Any,
        *,
        channel: Any = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Tell that a character said something to others; a row of `session.chat()`.

        Parameters
        ----------
        character_id : any
            Who speaks; `None` means whoever acts here (`acting`).
        receivers : any
            One id or a list of them.
        content : any
            What was said.
        channel : any, optional
            Where, such as ``"street"``.
        id : any, optional
            A name for this message; left out, one is made.
        cause : any, optional
            The `id` of what led to it, or a list of them.
        **more
            Further keys of the payload.

        Returns
        -------
        str or None
            The message's `id`; `None` if it could not be told.

        Examples
        --------
        >>> probe.said("emma", ["noah", "mia"], "Good morning!", channel="street", id="chat-1")
        'chat-1'
        """
        try:
            payload: dict[str, Any] = {
                "character_id": self._speaker(character_id),
                "receivers": [self._character(receiver) for receiver in _each(receivers)],
                "content": content,
            }
            if channel is not None:
                payload["channel"] = word_of(channel)
            return self._rare("said", MessageTypes.CHAT_MESSAGE, payload, id, cause, more)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.CHAT_MESSAGE, character_id, error)
            return None

    def tool_call(
        self,
        character_id: Any,
        name: Any,
        arguments: Any = None,
        result: Any = None,
        *,
        latency_s: Any = None,
        error: Any = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Tell that a character used a tool; a row of `session.tool_calls()`.

        Parameters
        ----------
        character_id : any
            Whose call it is; `None` means whoever acts here (`acting`), or nobody.
        name : any
            The tool's name.
        arguments, result : any, optional
            What it was given and gave.
        latency_s : number or timedelta, optional
            How long it took, in seconds.
        error : any, optional
            Why it failed.
        id : any, optional
            A name for this call; left out, one is made.
        cause : any, optional
            The `id` of what led to it, or a list of them.
        **more
            Further keys of the payload.

        Returns
        -------
        str or None
            The call's `id`; `None` if it could not be told.

        Examples
        --------
        >>> probe.tool_call("emma", "search", {"query": "bread"}, ["Market"], latency_s=0.2, id="tool-1")
        'tool-1'
        """
        try:
            payload = {
                "character_id": self._whose(character_id),
                "name": word_of(name),
                "arguments": arguments,
                "result": result,
            }
            figures = self._figures({"latency_s": latency_s}, "tool_call")
            payload.update({key: value for key, value in figures.items() if value is not None})
            if error is not None:
                payload["error"] = word_of(error)
            return self._rare("tool_call", MessageTypes.TOOL_CALL, payload, id, cause, more)
        except Exception as failed:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.TOOL_CALL, character_id, failed)
            return None

    def thought(
        self,
        character_id: Any,
        kind: Any,
        text: Any,
        *,
        evidence: Any = None,
        id: Any = None,
        cause: Any = None,
        **more: Any,
    ) -> str | None:
        """Return what a character thinks: a plan, a memory, a reflection; a row of `session.thoughts()`.

        Parameters
        ----------
        character_id : any
            Who thinks; `None` means whoever acts here (`acting`).
        kind : any
            Such as ``"plan"``, ``"memory"`` or ``"reflection"``.
        text : any
            The thought.
        evidence : any, optional
            The `id`s of what it rests on.
        id : any, optional
            A name for this thought; left out, one is made.
        cause : any, optional
            The `id` of what led to it, or a list of them.
        **more
            Further keys of the payload.

        Returns
        -------
        str or None
            The thought's `id`; `None` if it could not be told.

        Examples
        --------
        >>> probe.thought("emma", "plan", "buy bread", evidence=["chat-1"], id="plan-1")
        'plan-1'
        """
        try:
            payload = {"character_id": self._speaker(character_id), "kind": word_of(kind), "text": text}
            found = [causes_of(item) for item in _each(evidence)]
            if found:
                payload["evidence"] = [item for item in found if isinstance(item, str)]
            return self._rare("thought", MessageTypes.THOUGHT, payload, id, cause, more)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.THOUGHT, character_id, error)
            return None

    def measure(self, name: Any, value: Any) -> None:
        """Tell a figure of the whole model, such as a Gini coefficient, as of this tick; a row of `session.measures()`.

        Parameters
        ----------
        name : any
            What the figure is called.
        value : any
            A number, or any data.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.measure("gini", 0.25)
        ...     with dc.connect(town) as session:
        ...         session.measures("gini")["value"].to_list()
        [0.25]
        """
        try:
            self.publish(MessageTypes.MEASURE, {"name": word_of(name), "value": value})
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.MEASURE, None, error)

    def left(self, character_id: Any) -> None:
        """Tell that a character is gone from the town; the present no longer lists it.

        Parameters
        ----------
        character_id : any
            Who is gone.

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
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.CHARACTER_LEFT, character_id, error)

    def _speaker(self, character_id: Any) -> Any:
        return self._character(self._whose(None) if character_id is None else character_id)

    def _rare(
        self, word: str, type: str, payload: dict[str, Any], id: Any, cause: Any, more: Mapping[str, Any]
    ) -> str | None:
        """Publish what always has an id, with its values converted."""
        self._keep(payload, word, more)
        if not is_plain(payload):
            payload = self._converted(payload, plain)
        return self._publish_linked(type, payload, self._clock(), True if id is None else id, cause)

    def _figures(self, told: Mapping[str, Any], word: str = "llm_call") -> dict[str, Any]:
        read: dict[str, Any] = {}
        for name, value in told.items():
            try:
                read[name] = _FIGURES[name](value)
            except (ValueError, TypeError, ArithmeticError):
                read[f"{name}_text"] = text_of(value)
                self._warn(word, name, "%s() was told a %s that is no number: it is kept as %s_text", name)
        return read


def _each(values: Any) -> Iterable[Any]:
    """Return the items of any list-like, and what is none as the only one."""
    if values is None:
        return ()
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(type(values), "__iter__"):
        return (values,)
    return list(values)
