"""OpenAI's agents with OpenInference's instrumentation; the model's client is a fake: a tool and a handoff."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.adapters.opentelemetry import ProbeSpanProcessor
from degentcivil_nb.simulation import SimulationProbe

agents = pytest.importorskip("agents")
trace = pytest.importorskip("opentelemetry.sdk.trace")
instrumentation = pytest.importorskip("openinference.instrumentation.openai_agents")
chat = pytest.importorskip("openai.types.chat")


def calls(id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": id, "type": "function", "function": function}]}


def model(*answers: dict[str, Any]) -> Any:
    """Make a model that gives these answers, one after the other, and reaches no network."""
    left = list(answers)

    async def create(**request: Any) -> Any:
        choice = {"index": 0, "finish_reason": "stop", "message": left.pop(0)}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        body = {"id": "r", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        return chat.ChatCompletion.model_validate(body)

    completions = SimpleNamespace(create=create)
    client = SimpleNamespace(chat=SimpleNamespace(completions=completions), base_url="http://nowhere", api_key="secret")
    return agents.OpenAIChatCompletionsModel("m", client)


def look(where: str) -> str:
    """Look somewhere."""
    return "rain"


def test_owners_tokens_tools_handoffs_chat_and_states() -> None:
    provider = trace.TracerProvider()
    with SimulationProbe(port=0) as probe:
        provider.add_span_processor(ProbeSpanProcessor(probe))
        instrumentation.OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)
        noah = agents.Agent(name="noah", model=model({"role": "assistant", "content": "bye"}))
        wants = [calls("1", "look", {"where": "out"}), calls("2", "transfer_to_noah", {})]
        emma = agents.Agent(name="emma", model=model(*wants), tools=[agents.function_tool(look)], handoffs=[noah])
        assert asyncio.run(agents.Runner.run(emma, "hi")).final_output == "bye"
        with dc.connect(probe.url) as session:
            table = session.llm_calls()
            assert table["character_id"].tolist() == ["emma", "emma", "noah"]
            assert table["prompt_tokens"].tolist() == [3, 3, 3]
            assert table["response"].iloc[2] == "bye"
            used = session.tool_calls()
            assert (used["character_id"].iloc[0], used["name"].iloc[0], used["result"].iloc[0]) == (
                "emma",
                "look",
                "rain",
            )
            assert set(session.characters().index) == {"emma", "noah"}
            assert set(session.characters()["state"]) == {"IDLE"}
            assert "bye" in session.chat()["content"].tolist()
            assert len(session.errors()) == 0
            assert "secret" not in json.dumps(session.events(payload=True)["payload"].tolist())
