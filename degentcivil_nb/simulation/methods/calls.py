"""Publishing calls of models and tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ...core.text_of import text_of
from ...protocol.messages import MessageTypes
from .. import payloads
from ..values import count_of, model_of, number_of, word_of
from .publishing import PublishingMethods

_FIGURES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "prompt_tokens": count_of,
    "completion_tokens": count_of,
    "latency_s": number_of,
    "cost_usd": number_of,
}
"""The numeric details of a model call, and how each is read."""
_WORDS: Final = ("model", "prompt_type", "error")
_READ: Final = (model_of, word_of, word_of)
_MORE: Final = ("provider", "parameters", "retries", "rejected", "messages", "agent", "missing")
"""The other keys of an LLM call on the wire (docs/protocol.md)."""


class CallMethods(PublishingMethods):
    """The methods of a probe that publish calls of models and tools."""

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
        """Publish a call of a language model.

        Parameters
        ----------
        character_id : any, optional
            Whose call it is; left out, that of the acting character (`acting`), or of none.
        prompt_type : any, optional
            What the call was for, such as ``"PLAN"``.
        prompt, response : any, optional
            Text, messages or any data.
        model : any, optional
            The model's name, or the object that calls it.
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
            Further keys of the payload. A value that should be a number and is not gets a name of its own, such as
            `cost_usd_text`.

        Returns
        -------
        str or None
            The call's `id`; `None` if it could not be published.

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
            for name, word, read in zip(_WORDS, (model, prompt_type, error), _READ, strict=True):
                details[name] = word if word is None or type(word) is str else self._converted(word, read)
            details.update({name: more.pop(name) for name in _MORE if name in more})
            payload = payloads.llm_call(self._whose(character_id), details.pop("prompt_type"), **details)
            self.totals.add(payload.get("cost_usd"))
            named = None if id is None else self._event_id(id)
            self._name_in(payload, named, cause)
            id = named or id
            return self._publish_named("llm_call", MessageTypes.LLM_CALL, payload, id, cause, more)
        except Exception as failed:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.LLM_CALL, character_id, failed)
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
        """Publish a character's use of a tool; it becomes a row of `session.tool_calls()`.

        Parameters
        ----------
        character_id : any
            Whose call it is; `None` means the acting character (`acting`), or none.
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
            The call's `id`; `None` if it could not be published.

        Examples
        --------
        >>> probe.tool_call("emma", "search", {"query": "bread"}, ["Market"], latency_s=0.2, id="tool-1")
        'tool-1'
        """
        try:
            payload = {
                "character_id": self._whose(character_id),
                "name": self._word("tool_call", "name", name),
                "arguments": arguments,
                "result": result,
            }
            figures = self._figures({"latency_s": latency_s}, "tool_call")
            payload.update({key: value for key, value in figures.items() if value is not None})
            if error is not None:
                payload["error"] = word_of(error)
            if "missing" in more:
                payload["missing"] = more.pop("missing")
            return self._publish_named("tool_call", MessageTypes.TOOL_CALL, payload, id, cause, more)
        except Exception as failed:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind(MessageTypes.TOOL_CALL, character_id, failed)
            return None

    def _figures(self, told: Mapping[str, Any], word: str = "llm_call") -> dict[str, Any]:
        read: dict[str, Any] = {}
        for name, value in told.items():
            try:
                read[name] = _FIGURES[name](value)
            except (ValueError, TypeError, ArithmeticError):
                read[f"{name}_text"] = text_of(value)
                self._warn(word, name, "%s() was given a %s that is not a number: it is kept as %s_text", name)
        return read
