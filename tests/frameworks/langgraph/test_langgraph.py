"""LangGraph with OpenInference's instrumentation and a fake model: the nodes of the graph act."""

from __future__ import annotations

from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.adapters.opentelemetry import ProbeSpanProcessor
from degentcivil_nb.simulation import SimulationProbe

graphs = pytest.importorskip("langgraph.graph")
trace = pytest.importorskip("opentelemetry.sdk.trace")
instrumentation = pytest.importorskip("openinference.instrumentation.langchain")
fakes = pytest.importorskip("langchain_core.language_models.fake_chat_models")
messages = pytest.importorskip("langchain_core.messages")


def test_owners_tokens_chat_and_states() -> None:
    provider = trace.TracerProvider()
    with SimulationProbe(port=0) as probe:
        provider.add_span_processor(ProbeSpanProcessor(probe))
        instrumentation.LangChainInstrumentor().instrument(tracer_provider=provider)
        usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
        answers = [messages.AIMessage("hello", usage_metadata=usage), messages.AIMessage("bye")]
        model = fakes.GenericFakeChatModel(messages=iter(answers))

        def act(state: Any) -> Any:
            return {"messages": [model.invoke(state["messages"])]}

        graph = graphs.StateGraph(graphs.MessagesState)
        graph.add_node("emma", act)
        graph.add_node("noah", act)
        graph.add_edge(graphs.START, "emma")
        graph.add_edge("emma", "noah")
        graph.compile().invoke({"messages": [("user", "hi")]})
        with dc.connect(probe.url) as session:
            calls = session.llm_calls()
            assert calls["character_id"].tolist() == ["emma", "noah"]
            assert calls["response"].tolist() == ["hello", "bye"]
            assert calls["prompt_tokens"].iloc[0] == 3
            talks = session.events("chat_message", payload=True)["payload"]
            assert [(talk["character_id"], talk["content"]) for talk in talks] == [("emma", "hello"), ("noah", "bye")]
            assert set(session.characters()["state"]) == {"IDLE"}
