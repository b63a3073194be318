"""Agents of a framework in one line: whatever is instrumented for OpenTelemetry is shown by its spans.

The framework is Pydantic AI with its own test model, so that nothing is asked for over the network.
Install it first: `pip install 'pydantic-ai-slim>=1' opentelemetry-sdk`.
"""

from opentelemetry.sdk.trace import TracerProvider
from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.test import TestModel

import degentcivil_nb as dc
from degentcivil_nb.adapters.opentelemetry import ProbeSpanProcessor
from degentcivil_nb.simulation import SimulationProbe


def main():
    provider = TracerProvider()
    Agent.instrument_all(InstrumentationSettings(tracer_provider=provider))
    baker = Agent(TestModel(custom_output_text="A loaf, please wait."), name="noah")
    emma = Agent(TestModel(), name="emma")

    @emma.tool_plain
    async def ask_the_baker(wish: str) -> str:
        """Ask the baker for something."""
        return (await baker.run(wish)).output

    with SimulationProbe(port=0) as probe:
        provider.add_span_processor(ProbeSpanProcessor(probe))  # the one line
        emma.run_sync("Buy bread.")
        with dc.connect(probe) as session:
            print(session.llm_calls()[["character_id", "model", "prompt_tokens", "response"]])
            print(session.tool_calls()[["character_id", "name"]])
            print(session.chat()[["character_id", "content"]])


if __name__ == "__main__":
    main()
