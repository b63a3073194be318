"""Spans as instrumentations write them, newer and older, made calls, tool use, chat and states of the agents around."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.adapters.opentelemetry import ProbeSpanProcessor
from degentcivil_nb.simulation import SimulationProbe

trace = pytest.importorskip("opentelemetry.sdk.trace", reason="the SDK is an extra of the tests")


@pytest.fixture
def probe() -> Iterator[SimulationProbe]:
    with SimulationProbe(port=0) as probe:
        yield probe


@pytest.fixture
def tracer(probe: SimulationProbe) -> Any:
    provider = trace.TracerProvider()
    provider.add_span_processor(ProbeSpanProcessor(probe))
    return provider.get_tracer("tests")


def told(probe: SimulationProbe, type: str) -> list[dict[str, Any]]:
    with dc.connect(probe.url, history=100_000) as session:
        return list(session.events(type, payload=True)["payload"])


def agent(tracer: Any, name: str, **more: Any) -> Any:
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name, **more}
    return tracer.start_as_current_span(f"invoke_agent {name}", attributes=attributes)


def text(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


NOW = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "m",
    "gen_ai.response.model": "m-2026",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.usage.input_tokens": 7,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.usage.cost": 0.01,
    "gen_ai.prompt.name": "PLAN",
    "gen_ai.input.messages": json.dumps([text("system", "You are Emma."), text("user", "What now?")]),
    "gen_ai.output.messages": json.dumps([text("assistant", "sleep")]),
    "http.request.header.authorization": "Bearer secret",
    "gen_ai.request.api_key": "secret",
}
OLDER = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.response.model": "m-2026",
    "gen_ai.usage.prompt_tokens": 7,
    "gen_ai.usage.completion_tokens": 3,
    "gen_ai.prompt": json.dumps([{"role": "user", "content": "What now?"}]),
    "gen_ai.completion": json.dumps([{"role": "assistant", "content": "sleep"}]),
}
SPREAD = {
    "llm.request.type": "chat",
    "gen_ai.system": "openai",
    "gen_ai.response.model": "m-2026",
    "gen_ai.usage.prompt_tokens": 7,
    "gen_ai.usage.completion_tokens": 3,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "You are Emma.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "What now?",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "sleep",
}
OPEN_INFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "openai",
    "llm.model_name": "m-2026",
    "llm.token_count.prompt": 7,
    "llm.token_count.completion": 3,
    "llm.cost.prompt": 0.004,
    "llm.cost.completion": 0.006,
    "llm.invocation_parameters": json.dumps({"temperature": 0.5, "api_key": "secret"}),
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.contents.0.message_content.type": "text",
    "llm.input_messages.0.message.contents.0.message_content.text": "What now?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "sleep",
}


@pytest.mark.parametrize(
    "attributes", [NOW, OLDER, SPREAD, OPEN_INFERENCE], ids=["now", "older", "spread", "inference"]
)
def test_a_call_is_read_as_each_convention_writes_it(
    probe: SimulationProbe, tracer: Any, attributes: dict[str, Any]
) -> None:
    with agent(tracer, "emma"), tracer.start_as_current_span("chat m", attributes=attributes):
        pass
    (call,) = told(probe, "llm_call")
    assert call["character_id"] == "emma"
    assert (call["prompt"], call["response"], call["model"]) == ("What now?", "sleep", "m-2026")
    assert (call["prompt_tokens"], call["completion_tokens"], call["provider"]) == (7, 3, "openai")
    assert call["latency_s"] >= 0
    assert "secret" not in json.dumps(call)
    if attributes in (NOW, OPEN_INFERENCE):
        assert call["cost_usd"] == pytest.approx(0.01)
        assert call["parameters"] == {"temperature": 0.5}
    if attributes is NOW:
        assert call["prompt_type"] == "PLAN"


def test_content_may_stand_in_events_of_the_span(probe: SimulationProbe, tracer: Any) -> None:
    with tracer.start_as_current_span("chat m", attributes={"gen_ai.operation.name": "chat"}) as span:
        span.add_event("gen_ai.content.prompt", {"gen_ai.prompt": "What now?"})
        span.add_event("gen_ai.content.completion", {"gen_ai.completion": "sleep"})
    (call,) = told(probe, "llm_call")
    assert (call["prompt"], call["response"]) == ("What now?", "sleep")


def test_who_acts_is_the_nearest_agent_else_who_was_said_to_act_else_nobody(
    probe: SimulationProbe, tracer: Any
) -> None:
    def ask() -> None:
        with tracer.start_as_current_span("chain"), tracer.start_as_current_span("chat m", attributes=NOW):
            pass

    with agent(tracer, "emma"), agent(tracer, "noah"):
        ask()
    with probe.acting("mia"):
        ask()
    ask()
    assert [call["character_id"] for call in told(probe, "llm_call")] == ["noah", "mia", None]


def test_an_agent_whose_span_ended_first_is_still_known(probe: SimulationProbe, tracer: Any) -> None:
    with agent(tracer, "emma"):
        late = tracer.start_span("chat m", attributes=NOW)
    late.end()
    assert told(probe, "llm_call")[0]["character_id"] == "emma"
    assert told(probe, "state_change")[-1]["new_state"] == "IDLE"


def test_a_tool_names_the_call_that_asked_for_it_and_the_next_call_the_tool(
    probe: SimulationProbe, tracer: Any
) -> None:
    wanted = {"type": "tool_call", "id": "t1", "name": "look", "arguments": {}}
    asks = json.dumps([{"role": "assistant", "parts": [wanted]}])
    given = json.dumps([{"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "rain"}]}])
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.call.id": "t1",
        "gen_ai.tool.call.arguments": '{"where": "out"}',
        "gen_ai.tool.call.result": "rain",
    }
    with agent(tracer, "emma"):
        with tracer.start_as_current_span("chat m", attributes={**NOW, "gen_ai.output.messages": asks}):
            pass
        with tracer.start_as_current_span("execute_tool look", attributes=tool) as span:
            own_id = f"{span.context.trace_id:032x}:{span.context.span_id:016x}"
        with tracer.start_as_current_span("chat m", attributes={**NOW, "gen_ai.input.messages": given}):
            pass
    (used,) = told(probe, "tool_call")
    assert [used[name] for name in ("character_id", "name", "arguments", "result")] == [
        "emma", "look", {"where": "out"}, "rain",
    ]  # fmt: skip
    first, second = told(probe, "llm_call")
    assert first["response"] == "look({})"
    assert second["cause"] == own_id


def test_agents_that_call_one_another_talk(probe: SimulationProbe, tracer: Any) -> None:
    told_to = {"gen_ai.input.messages": json.dumps([text("user", "buy bread")])}
    with agent(tracer, "emma"), agent(tracer, "noah", **told_to) as span:
        span.set_attribute("gen_ai.output.messages", json.dumps([text("assistant", "done")]))
    talks = [(talk["character_id"], talk["receivers"], talk["content"]) for talk in told(probe, "chat_message")]
    assert talks == [("emma", ["noah"], "buy bread"), ("noah", ["emma"], "done")]


def test_states_follow_the_spans(probe: SimulationProbe, tracer: Any) -> None:
    with agent(tracer, "emma"):
        with tracer.start_as_current_span("chat m", attributes=NOW):
            pass
        with tracer.start_as_current_span("t", attributes={"gen_ai.operation.name": "execute_tool"}):
            pass
    states = [change["new_state"] for change in told(probe, "state_change")]
    assert states == ["WORK", "MODEL", "WORK", "TOOL", "WORK", "IDLE"]


def test_one_request_seen_by_two_instrumentations_is_one_call(probe: SimulationProbe, tracer: Any) -> None:
    outer = tracer.start_as_current_span("ChatOpenAI", attributes=OPEN_INFERENCE)
    with agent(tracer, "emma"), outer, tracer.start_as_current_span("chat m", attributes=NOW):
        pass
    assert len(told(probe, "llm_call")) == 1


def test_what_failed_says_why(probe: SimulationProbe, tracer: Any) -> None:
    with pytest.raises(RuntimeError), agent(tracer, "emma"), tracer.start_as_current_span("chat m", attributes=NOW):
        raise RuntimeError("429")
    assert told(probe, "llm_call")[0]["error"] == "RuntimeError: 429"
    (error,) = told(probe, "error")
    assert (error["code_name"], error["character_id"]) == ("AGENT_FAILED", "emma")


def test_spans_without_content_say_once_how_to_have_it(probe: SimulationProbe, tracer: Any) -> None:
    for _ in range(3):
        with tracer.start_as_current_span("chat m", attributes={"gen_ai.operation.name": "chat"}):
            pass
    hints = [event for event in told(probe, "event_notification") if event["event_type"] == "adapter"]
    assert len(hints) == 1
    assert "CAPTURE_MESSAGE_CONTENT" in hints[0]["data"]["missing"]


def test_images_are_left_out_of_what_is_told(probe: SimulationProbe, tracer: Any) -> None:
    seen = [
        {"role": "user", "parts": [{"type": "blob", "content": "AAAA"}, {"type": "text", "content": "What is it?"}]}
    ]
    with tracer.start_as_current_span("chat m", attributes={**NOW, "gen_ai.input.messages": json.dumps(seen)}):
        pass
    (call,) = told(probe, "llm_call")
    assert call["prompt"] == "What is it?"
    assert "AAAA" not in json.dumps(call)


def test_other_spans_are_let_alone_and_odd_ones_stop_nothing(probe: SimulationProbe, tracer: Any) -> None:
    with tracer.start_as_current_span("GET /"):
        pass
    odd = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": "[1, {", "gen_ai.output.messages": "[[], 3, null]"}
    with tracer.start_as_current_span("chat", attributes=odd):
        pass
    (call,) = told(probe, "llm_call")
    assert call["prompt"] == "[1, {"
    assert told(probe, "error") == []
