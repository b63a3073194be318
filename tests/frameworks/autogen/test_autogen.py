"""AutoGen with its own spans and a replayed model, which emits no span: agents, tools and the chat of a group."""

from __future__ import annotations

import asyncio

import pytest

import degentcivil_nb as dc
from degentcivil_nb.adapters.opentelemetry import ProbeSpanProcessor
from degentcivil_nb.simulation import SimulationProbe

agents = pytest.importorskip("autogen_agentchat.agents")
trace = pytest.importorskip("opentelemetry.sdk.trace")


def look(where: str) -> str:
    """Look somewhere."""
    return "rain"


def test_agents_tools_chat_and_states() -> None:
    api = pytest.importorskip("opentelemetry.trace")
    core = pytest.importorskip("autogen_core")
    models = pytest.importorskip("autogen_core.models")
    teams = pytest.importorskip("autogen_agentchat.teams")
    ends = pytest.importorskip("autogen_agentchat.conditions")
    replay = pytest.importorskip("autogen_ext.models.replay").ReplayChatCompletionClient
    able = dict.fromkeys(("vision", "json_output", "structured_output"), False)
    able = {**able, "function_calling": True, "family": "unknown"}  # type: ignore[dict-item]
    call = core.FunctionCall(id="1", arguments='{"where": "out"}', name="look")
    uses = models.CreateResult(
        finish_reason="function_calls", content=[call], usage=models.RequestUsage(1, 2), cached=False
    )
    provider = trace.TracerProvider()
    with SimulationProbe(port=0) as probe:
        provider.add_span_processor(ProbeSpanProcessor(probe))
        api.set_tracer_provider(provider)
        emma = agents.AssistantAgent("emma", replay([uses], model_info=able), tools=[look])
        noah = agents.AssistantAgent("noah", replay(["bye"], model_info=able))
        team = teams.RoundRobinGroupChat([emma, noah], termination_condition=ends.MaxMessageTermination(3))
        asyncio.run(team.run(task="hi"))
        with dc.connect(probe.url) as session:
            used = session.tool_calls()
            assert list(zip(used["character_id"], used["name"], strict=True)) == [("emma", "look")]
            talks = session.events("chat_message", payload=True)["payload"]
            assert [(talk["character_id"], talk["content"]) for talk in talks] == [("emma", "rain"), ("noah", "bye")]
            assert set(session.characters()["state"]) == {"IDLE"}
