"""Pydantic AI with its own spans and its own test model: one agent uses another as a tool."""

from __future__ import annotations

import pytest

import degentcivil_nb as dc
from degentcivil_nb.adapters.opentelemetry import ProbeSpanProcessor
from degentcivil_nb.simulation import SimulationProbe

pydantic_ai = pytest.importorskip("pydantic_ai")
trace = pytest.importorskip("opentelemetry.sdk.trace")


def test_owners_tokens_tools_chat_and_states() -> None:
    instrumented = pytest.importorskip("pydantic_ai.models.instrumented")
    model = pytest.importorskip("pydantic_ai.models.test").TestModel
    provider = trace.TracerProvider()
    with SimulationProbe(port=0) as probe:
        provider.add_span_processor(ProbeSpanProcessor(probe))
        pydantic_ai.Agent.instrument_all(instrumented.InstrumentationSettings(tracer_provider=provider))
        noah = pydantic_ai.Agent(model(), name="noah")
        emma = pydantic_ai.Agent(model(), name="emma")

        async def ask_noah(what: str) -> str:
            return str((await noah.run(what)).output)

        emma.tool_plain(ask_noah)
        emma.run_sync("buy bread")
        with dc.connect(probe.url) as session:
            calls = session.llm_calls()
            assert calls["character_id"].tolist() == ["emma", "noah", "emma"]
            assert calls["prompt"].iloc[0] == "buy bread"
            assert calls["prompt_tokens"].notna().all()
            assert session.tool_calls()["name"].tolist() == ["ask_noah"]
            said = session.events("chat_message", payload=True)["payload"]
            talks = [(talk["character_id"], talk["receivers"]) for talk in said]
            assert talks[:2] == [("emma", ["noah"]), ("noah", ["emma"])]
            assert set(session.characters()["state"]) == {"IDLE"}
            assert len(session.errors()) == 0
