"""A folder of small runs with calls of a language model, and what they cost by prompt type."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from tests.support.run_helpers import told

PROMPTS: Final = ("BARGAIN", "PLAN", "REFLECT")
RUNS: Final = 4
CALLS: Final = 12


def costs_of(run: int) -> list[tuple[str, float]]:
    """Give prompt type and cost of each call of a run; the last run has no call."""
    return [] if run == RUNS - 1 else [(PROMPTS[call % (run + 1)], call / 64 + run) for call in range(CALLS)]


def messages_of(run: int) -> list[RawMessage]:
    """Give the messages of a run: a state before each call, and a gap, which is no event."""
    found = [
        told("gap", {"epoch": "one", "from": 1, "to": 2}),
        told("state_change", {"character_id": "a", "new_state": "X"}, seq=3),
    ]
    for call, (prompt_type, cost) in enumerate(costs_of(run)):
        who = f"c{call % 3}"
        found += [
            told("state_change", {"character_id": who, "new_state": "PLAN"}, seq=2 * call + 4, tick=call),
            told(
                "llm_call",
                {"character_id": who, "prompt_type": prompt_type, "cost_usd": cost},
                seq=2 * call + 5,
                tick=call,
            ),
        ]
    return found


def write_runs(folder: Path) -> Path:
    """Write the runs, each of several segments."""
    for run in range(RUNS):
        writer = SegmentWriter(folder / f"run-{run}", run_id=f"run-{run}", segment_messages=10)
        for message in messages_of(run):
            writer.write([RecordedMessage([message], 1_000.0, "one")])
            if writer.full:
                writer.seal()
        writer.close()
    return folder


def calls_of() -> dict[str, tuple[int, float]]:
    """Give the number of calls and their cost by prompt type, over all runs."""
    calls: Counter[str] = Counter()
    costs: dict[str, float] = {}
    for run in range(RUNS):
        for prompt_type, cost in costs_of(run):
            calls[prompt_type] += 1
            costs[prompt_type] = costs.get(prompt_type, 0.0) + cost
    return {name: (calls[name], costs[name]) for name in sorted(calls)}
