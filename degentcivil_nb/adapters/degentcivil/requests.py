"""Requests to models: character, kind, tokens, price, retries, and why an answer was rejected."""

from __future__ import annotations

import contextvars
import functools
import inspect
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from ...simulation.acting import acting, who_acts
from ...simulation.llm_reading import read_request, read_response, without_media
from ...simulation.probe import SimulationProbe
from .facts import name_of, read, word
from .seams import Function, Seam, after, inside, quietly

_MESSAGES: Final = 20
"""How many messages of a conversation are published with a request."""
_LOOK_BACK: Final = 20
"""How many prompts of a kind are compared with a message to find its kind."""
_THOUGHTS: Final = {
    "PLAN": ("plan", ("BestPlan", "GeneralDescription")),
    "SUM": ("summary", ("interaction_summary",)),
    "ACTREFLECTION": ("reflection", ("new_understanding",)),
    "APPRECIATE": ("appreciation", ("appreciation",)),
}
"""The kinds of answers that are thoughts, and the key of the thought in each."""


class _Asked:
    """A character's question without an answer yet: its kind, its tries, and the call whose answer is checked."""

    def __init__(self, character: Any, kind: str | None) -> None:
        self.character = character
        self.kind = kind
        self.tries = 0
        self.waiting: dict[str, Any] | None = None
        self.last_id: str | None = None


_asked: ContextVar[_Asked | None] = ContextVar("degentcivil_asked", default=None)
_kind: ContextVar[str | None] = ContextVar("degentcivil_kind", default=None)
_agent: ContextVar[str | None] = ContextVar("degentcivil_agent", default=None)


class Requests:
    """The publisher of real requests: each is published once, when its answer was received and checked."""

    def __init__(self, probe: SimulationProbe) -> None:
        self.probe = probe

    def seams(self) -> list[Seam]:
        """List the functions to wrap."""
        return [
            Seam("OpenAIWrapper", "create", self._creating, "calls of models"),
            Seam("ConversableAgent", "a_generate_oai_reply", _carrying, "whose call it is, in the executor's threads"),
            Seam("SimsAgent", "generate_oai_reply", inside(self._answering), "calls of buildings"),
            Seam("Character", "a_process_then_reply", inside(self._processing), "kinds and retries of calls"),
            Seam("BaseState", "call_llm", inside(self._calling), "whose call a conversation is", overrides=True),
            Seam("InnerMonologue", "call_llm", inside(self._calling), "whose call a monologue is"),
            Seam("PromptAndResponse", "response_vanity_check", after(self._checked), "rejected answers"),
            Seam("InnerMonologue", "set_monologue", after(self._thought), "monologues"),
        ]

    # --- who asks, and for what ----------------------------------------------------------------------------------

    @contextmanager
    def _calling(self, asker: Any, *arguments: Any, **more: Any) -> Iterator[None]:
        token = _kind.set(word(read(asker, "prompt_type")))
        try:
            with acting(name_of(asker)):
                yield
        finally:
            _kind.reset(token)

    @contextmanager
    def _answering(self, agent: Any, *arguments: Any, **more: Any) -> Iterator[None]:
        token = _agent.set(name_of(agent))
        try:
            yield
        finally:
            _agent.reset(token)

    @contextmanager
    def _processing(self, character: Any, *arguments: Any, **more: Any) -> Iterator[None]:
        before = _asked.get()
        if before is not None and before.character is character:  # it calls itself again after a rejection
            before.tries += 1
            yield
            return
        message = more.get("message", arguments[0] if arguments else None)
        asked = _Asked(character, _kind_of(character, message))
        token = _asked.set(asked)
        try:
            with acting(name_of(character)):
                yield
        finally:
            _asked.reset(token)
            quietly(self._tell, asked)

    # --- the request ---------------------------------------------------------------------------------------------

    def _creating(self, original: Function) -> Function:
        @functools.wraps(original)
        def create(*arguments: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                response = original(*arguments, **more)
            except BaseException as error:
                quietly(self._ended, more, None, time.perf_counter() - began, error)
                raise
            if inspect.iscoroutine(response):
                return self._awaiting(response, more, began)
            quietly(self._ended, more, response, time.perf_counter() - began, None)
            return response

        return create

    async def _awaiting(self, response: Any, request: dict[str, Any], began: float) -> Any:
        try:
            outcome = await response
        except BaseException as error:
            quietly(self._ended, request, None, time.perf_counter() - began, error)
            raise
        quietly(self._ended, request, outcome, time.perf_counter() - began, None)
        return outcome

    def _ended(self, request: dict[str, Any], response: Any, latency_s: float, error: BaseException | None) -> None:
        asked, agent = _asked.get(), _agent.get()
        owner = name_of(asked.character) if asked is not None else who_acts() or agent
        call = _details(request, response, latency_s, error)
        call["character_id"] = owner
        call["prompt_type"] = _kind.get() if asked is None else asked.kind
        if agent is not None and agent != owner:
            call["agent"] = agent  # a building that answers a character
        if asked is None:
            self.probe.llm_call(**call)
            return
        self._tell(asked)
        if asked.tries:
            call["retries"] = asked.tries
        if asked.last_id is not None:
            call["cause"] = asked.last_id
        asked.waiting = call
        if error is not None:
            self._tell(asked)

    def _checked(self, problem: Any, *arguments: Any, **more: Any) -> None:
        asked = _asked.get()
        if asked is not None:
            self._tell(asked, problem if isinstance(problem, str) and problem.strip() else None)

    def _tell(self, asked: _Asked, rejected: str | None = None) -> None:
        call, asked.waiting = asked.waiting, None
        if call is None:
            return
        if rejected is not None:
            call["rejected"] = rejected
        asked.last_id = self.probe.llm_call(**call)
        if rejected is not None:
            self.probe.error(
                "ANSWER_REJECTED",
                f"{call['prompt_type']}: {rejected}",
                character_id=call["character_id"],
                cause=asked.last_id,
            )

    # --- what comes of it ----------------------------------------------------------------------------------------

    def _thought(self, result: Any, monologue: Any, *arguments: Any, **more: Any) -> None:
        said = read(monologue, "content")
        if isinstance(said, dict) and said:
            text = "\n".join(f"{name.removeprefix('monologue_')}: {value}" for name, value in said.items())
            self.probe.thought(name_of(monologue), "monologue", text)

    def tell_thought(self, state: Any, result: Any) -> None:
        """Publish the plan, the summary or the reflection in an answer."""
        kind, path = _THOUGHTS.get(word(read(state, "prompt_type")) or "", ("", ()))
        for name in path:
            result = result.get(name) if isinstance(result, dict) else None
        if kind and result:
            self.probe.thought(name_of(state), kind, result)


def _carrying(original: Function) -> Function:
    """Keep the acting character in the executor's thread: autogen passes `generate_oai_reply` without context."""
    if not inspect.iscoroutinefunction(original):
        return original

    @functools.wraps(original)
    async def a_generate_oai_reply(agent: Any, *arguments: Any, **more: Any) -> Any:
        return await original(_InContext(agent), *arguments, **more)

    return a_generate_oai_reply


class _InContext:
    """An agent whose `generate_oai_reply` runs in the context in which this object was made."""

    def __init__(self, agent: Any) -> None:
        context = contextvars.copy_context()
        self.__dict__["_agent"] = agent
        self.__dict__["generate_oai_reply"] = lambda *arguments, **more: context.run(
            agent.generate_oai_reply, *arguments, **more
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._agent, name, value)


def _kind_of(character: Any, message: Any) -> str | None:
    """Return the kind of the prompt with exactly this text, else of the newest prompt."""
    asked = read(character, "prompt_and_response")
    prompts = read(asked, "prompt_dict")
    if isinstance(prompts, dict):
        for kind, texts in prompts.items():
            if isinstance(texts, list) and any(text is message for text in texts[-_LOOK_BACK:]):
                return word(kind)
    return word(read(asked, "latest_prompt_type")) or _kind.get()


def _details(request: dict[str, Any], response: Any, latency_s: float, error: BaseException | None) -> dict[str, Any]:
    call: dict[str, Any] = {"latency_s": latency_s, "error": error}
    told = read_request((), {name: value for name, value in request.items() if name != "messages"})
    call.update({name: told[name] for name in ("model", "parameters") if name in told})
    messages = request.get("messages")
    if isinstance(messages, list) and messages:
        last = messages[-1]
        call["prompt"] = without_media(last.get("content") if isinstance(last, dict) else last)
        if len(messages) > 1:
            call["messages"] = without_media(messages[-_MESSAGES:])
    if response is not None:
        call.update(read_response(response))
        cost = read(response, "cost")
        if isinstance(cost, (int, float)):
            call["cost_usd"] = cost
    return call
