"""Agents of any instrumented framework, made visible by their spans.

provider.add_span_processor(ProbeSpanProcessor(probe))
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from ..core.text_of import class_name, text_of
from ..simulation.acting import who_acts
from .genai_spans import Span, agent_of, kind_of, read_call, read_group_message, read_said, read_tool

log = logging.getLogger("degentcivil_nb.adapters")

_MOST: Final = 10_000
"""How many spans are remembered, so that spans that end later find their agent, and tool calls their cause."""
_DEEPEST: Final = 1_000
"""How many parents are searched outwards."""
_NAME: Final = 200
"""How many characters of a span's name an error quotes."""
_WORK, _IDLE, _STATES = "WORK", "IDLE", {"model": "MODEL", "tool": "TOOL"}
_NAMED_BY_THEIR_SPAN: Final = ".openai_agents"
"""The instrumentation whose agents' spans have the agent's name, and an attribute with it only when they end."""
_NO_CONTENT: Final = (
    "the spans of models contain no prompts and answers: most instrumentations record them only with "
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true, or their own option"
)


class Telling(Protocol):
    """The methods of a probe that publish the content of spans."""

    def state_change(self, character_id: Any, new_state: Any, /) -> Any: ...
    def event(self, event_type: Any, data: Any, /) -> Any: ...
    def error(self, code: Any, message: Any, /, *, character_id: Any = None) -> Any: ...
    def llm_call(self, *arguments: Any, **details: Any) -> Any: ...
    def tool_call(self, *arguments: Any, **details: Any) -> Any: ...
    def said(self, character_id: Any, receivers: Any, content: Any, /, *, channel: Any, id: Any) -> Any: ...


class _Seen(NamedTuple):
    """The remembered part of a span: the object while it is open, and afterwards its facts."""

    span: Any
    parent: tuple[int, int] | None
    actor: Any
    """The character that acted, by `probe.acting`, when the span was started."""
    agent: str | None = None
    kind: str | None = None


class ProbeSpanProcessor:
    """A span processor that publishes spans of models, tools and agents as calls, tool use, chat and states.

    It exports nothing, and other processors are not affected. The acting character is the nearest agent whose span
    encloses the span, else the one set by `probe.acting`, else nobody.

    Parameters
    ----------
    probe : SimulationProbe
        The probe that shows the run.
    remembered : int
        How many spans are remembered, so that spans that end later find their agent.

    Examples
    --------
    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from degentcivil_nb.simulation import SimulationProbe
    >>> with SimulationProbe(port=0) as probe:
    ...     provider = TracerProvider()
    ...     provider.add_span_processor(ProbeSpanProcessor(probe))
    ...     tracer = provider.get_tracer("my.agents")
    ...     agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "emma"}
    ...     with tracer.start_as_current_span("invoke_agent emma", attributes=agent):
    ...         with tracer.start_as_current_span("chat m", attributes={"gen_ai.operation.name": "chat"}):
    ...             pass
    ...     probe.characters()
    ['emma']
    """

    def __init__(self, probe: Telling, *, remembered: int = _MOST) -> None:
        self._probe = probe
        self._most = remembered
        self._seen: OrderedDict[tuple[int, int], _Seen] = OrderedDict()
        self._tools: OrderedDict[str, str] = OrderedDict()
        self._talks: OrderedDict[tuple[int, int], tuple[Any, Any]] = OrderedDict()
        self._covered: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._lock = threading.Lock()
        self._warned = False

    # --- what the SDK calls --------------------------------------------------------------------------------------

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Remember a span, and publish the state that begins with it."""
        self._quietly(self._started, span)

    def _on_ending(self, span: Any) -> None:
        """Do nothing: only the ended span has the content."""

    def on_end(self, span: Any) -> None:
        """Publish a span that has ended."""
        self._quietly(self._ended, span)

    def shutdown(self) -> None:
        """Forget all spans."""
        with self._lock:
            self._seen.clear()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True at once: each span is published when it ends."""
        return True

    def _quietly(self, tell: Callable[[Any], None], span: Any) -> None:
        try:
            tell(span)
        except Exception as error:  # the last boundary to the program
            log.exception("a span could not be published; the program goes on")
            name = text_of(getattr(span, "name", None))[:_NAME]
            text = f"the span {name!r} cannot be read: {class_name(type(error))}: {text_of(error)}"
            self._probe.error("SPAN_UNREADABLE", text)

    # --- spans ---------------------------------------------------------------------------------------------------

    def _started(self, span: Any) -> None:
        key = _key(span.context)
        parent = None if span.parent is None else _key(span.parent)
        with self._lock:
            self._keep(self._seen, key, _Seen(span, parent, who_acts()))
        kind = kind_of(span.attributes or {})
        if kind is not None:
            agent = self._agent(key)
            if agent is not None:
                self._probe.state_change(agent, _STATES.get(kind, _WORK))

    def _ended(self, span: Any) -> None:
        key, attributes = _key(span.context), dict(span.attributes or {})
        kind, agent = kind_of(attributes), self._agent(key)
        spoken = read_group_message(attributes)
        if spoken is not None:
            self._probe.said(spoken[0], [], spoken[1], channel="group", id=f"{_text(key)}:said")
        if kind is not None:
            plain = _plain(span, attributes)
            if kind == "model":
                self._tell_call(key, plain, agent)
            elif kind == "tool":
                self._tell_tool(key, plain, agent, attributes)
            else:
                self._tell_agent(key, plain, agent)
            if agent is not None:
                self._probe.state_change(agent, self._state_after(key, kind))
        with self._lock:
            seen = self._seen.get(key)
            if seen is not None:  # its agent is kept, its prompts are not
                self._seen[key] = _Seen(None, seen.parent, seen.actor, _agent_named(span), kind)

    def _tell_call(self, key: tuple[int, int], span: Span, agent: Any) -> None:
        with self._lock:
            covered = self._covered.pop(key, self) is None
        outer = self._nearest(key, "model")
        if outer is not None:  # one request seen by two instrumentations: the inner one is the request itself
            with self._lock:
                self._keep(self._covered, outer, None)
        if covered:
            return
        call = read_call(span)
        if "prompt" not in call.details and not self._warned:
            self._warned = True
            self._probe.event("adapter", {"missing": _NO_CONTENT})
        id = _text(key)
        causes = [self._tools[tool] for tool in call.given_tools if tool in self._tools]
        self._remember_talk(key, call.details)
        missing = self._missing(key, call.details.get("prompt"), call.details.get("response"))
        if missing:
            call.details["missing"] = missing
        self._probe.llm_call(agent, **call.details, id=id, cause=causes[0] if len(causes) == 1 else causes or None)
        with self._lock:
            for tool in call.asked_tools:
                self._keep(self._tools, tool, id)

    def _missing(self, key: tuple[int, int], *content: Any) -> list[str]:
        """Return which parts of a span are missing: the parent that it names, input and output."""
        seen = self._seen.get(key)
        parent = None if seen is None else seen.parent
        lacks_parent = parent is not None and parent not in self._seen
        return ["parent"] * lacks_parent + ["content"] * all(value is None for value in content)

    def _remember_talk(self, key: tuple[int, int], details: dict[str, Any]) -> None:
        """Remember an agent's first prompt and its last answer, as its input and its output."""
        around = self._nearest(key, "agent")
        if around is None and key in self._seen:
            around = self._seen[key].parent  # some instrumentations mark a span as an agent's only when it ends
        if around is not None:
            with self._lock:
                first, _ = self._talks.get(around, (None, None))
                self._keep(self._talks, around, (first or details.get("prompt"), details.get("response")))

    def _tell_tool(self, key: tuple[int, int], span: Span, agent: Any, attributes: dict[str, Any]) -> None:
        tool = attributes.get("gen_ai.tool.call.id")
        cause = self._tools.get(tool) if isinstance(tool, str) else None
        told = read_tool(span)
        id = _text(key)
        missing = self._missing(key, told["arguments"], told["result"])
        if missing:
            told["missing"] = missing
        self._probe.tool_call(agent, told.pop("name"), **told, id=id, cause=cause)
        if isinstance(tool, str):
            with self._lock:
                self._keep(self._tools, tool, id)

    def _tell_agent(self, key: tuple[int, int], span: Span, agent: Any) -> None:
        asked, answered = read_said(span)
        with self._lock:
            first, last = self._talks.pop(key, (None, None))
        asked, answered = asked or first, answered or last  # many agents' spans do not contain the messages
        outer = self._nearest(key, "agent")
        other = None if outer is None else self._agent(outer)
        if agent is None:
            return
        if other is not None and other != agent and asked is not None:
            self._probe.said(other, [agent], asked, channel="invoke_agent", id=f"{_text(key)}:asked")
        if answered is not None:
            receivers = [] if other is None or other == agent else [other]
            self._probe.said(agent, receivers, answered, channel="invoke_agent", id=f"{_text(key)}:said")
        if span.error is not None:
            self._probe.error("AGENT_FAILED", f"{span.name}: {span.error}", character_id=agent)

    def _keep(self, known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
        known[key] = value
        if len(known) > self._most:
            known.popitem(last=False)

    # --- who is around -------------------------------------------------------------------------------------------

    def _agent(self, key: tuple[int, int] | None) -> Any:
        """Return the nearest agent from a span outwards; else the character acting when the outermost one began."""
        actor = None
        for _ in range(_DEEPEST):
            seen = None if key is None else self._seen.get(key)
            if seen is None:
                break
            agent = seen.agent if seen.span is None else _agent_named(seen.span)
            if agent is not None:
                return agent
            actor = seen.actor if actor is None else actor
            key = seen.parent
        return actor

    def _nearest(self, key: tuple[int, int], kind: str) -> tuple[int, int] | None:
        """Return the nearest enclosing span of a kind, if no span of another kind is in between."""
        seen = self._seen.get(key)
        outer = None if seen is None else seen.parent
        for _ in range(_DEEPEST):
            if outer is None or (seen := self._seen.get(outer)) is None:
                break
            found = seen.kind if seen.span is None else kind_of(seen.span.attributes or {})
            if found == kind:
                return outer
            if found is not None and kind == "model":
                return None
            outer = seen.parent
        return None

    def _state_after(self, key: tuple[int, int], kind: str) -> str:
        """Return the state to which an agent returns when one of its spans ends."""
        outer = self._nearest(key, "agent")
        if kind != "agent":
            ended = outer is not None and self._seen[outer].span is None  # its spans may end after the agent's own
            return _IDLE if ended else _WORK
        return _WORK if outer is not None and self._agent(outer) == self._agent(key) else _IDLE


def _agent_named(span: Any) -> str | None:
    """Return the agent that a span names; an open span of OpenAI's agents has only its own name."""
    attributes = span.attributes or {}
    found = agent_of(span.name, attributes)
    if found is not None or span.parent is None or kind_of(attributes) != "agent":
        return found
    scope = getattr(getattr(span, "instrumentation_scope", None), "name", None)
    return span.name if isinstance(scope, str) and scope.endswith(_NAMED_BY_THEIR_SPAN) else None


def _key(context: Any) -> tuple[int, int]:
    return context.trace_id, context.span_id


def _text(key: tuple[int, int]) -> str:
    return f"{key[0]:032x}:{key[1]:016x}"


def _plain(span: Any, attributes: dict[str, Any]) -> Span:
    events = [(event.name, dict(event.attributes or {})) for event in span.events or ()]
    seconds = None
    if span.start_time is not None and span.end_time is not None:
        seconds = (span.end_time - span.start_time) / 1e9
    return Span(span.name, attributes, events, seconds, _error(span, attributes, events))


def _error(span: Any, attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]]) -> str | None:
    """Return why a span failed: its exception, its status' description, or its `error.type`."""
    failed = getattr(getattr(span.status, "status_code", None), "name", "") == "ERROR"
    if not failed and "error.type" not in attributes:
        return None
    for name, told in events:
        if name == "exception":
            return f"{told.get('exception.type')}: {told.get('exception.message')}"
    return getattr(span.status, "description", None) or str(attributes.get("error.type", "failed"))
