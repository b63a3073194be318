"""What an older version recorded goes on opening, and what it says of today's server."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import websockets

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe

OLD = Path(__file__).parent / "of_36f6bde"
"""A run of three ticks, recorded (`finished`) and saved by the first version: commit 36f6bde."""
HELLO = {"epoch", "head", "oldest", "protocol", "server", "run_id", "run_state", "tick", "role", "capabilities"}


@pytest.mark.parametrize("name", ["finished", "saved"])
@pytest.mark.parametrize("memory_rows", [1, 1_000])
def test_recordings_of_the_first_version_open_with_ids_and_causes_from_payloads(
    name: str, memory_rows: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(OLD / name, tmp_path / name))
    with dc.open_recording(folder, memory_rows=memory_rows) as old:
        advice = (
            f"{folder} was written by an earlier version, so each question reads all of it. `degentcivil-nb migrate"
        )
        assert any(text.startswith(advice) for text in caplog.messages) == (memory_rows == 1)
        assert len(old) == 18 and not old.problems
        trades = old.events("event_notification")
        assert trades["event_id"].to_list() == ["trade-0", "trade-1", "trade-2"]
        assert set(trades["cause"]) == {"call-0"}
        assert old.llm_calls()["event_id"].to_list() == ["call-0", "call-1", "call-2"]
        assert old.why(trades.index[1]).table()["type"].to_list() == ["event_notification", "llm_call"]
        assert len(old.errors()) == 3 and old.characters().loc["emma", "money"] == 2
        chat = old.chat()
        assert len(chat) == 3 and chat["content"].isna().all(), "an own type of that name is a custom event"
        assert old.info()["parameters"] == {}
    runs = dc.open_runs(tmp_path)
    found = runs.sql("select count(event_id) as ids, count(cause) as causes, count(sim_time) as times from events")
    assert found.iloc[0].to_list() == [6, 3, 0]


def test_a_client_of_the_first_version_is_told_what_it_knows() -> None:
    """It ignores keys and types that it does not know; those that it needs are as they were."""
    with SimulationProbe(port=0, parameters={"seed": 7}) as probe:
        plan = probe.thought("emma", "plan", "walk")
        probe.state_change("emma", "MOVE", cause=plan)
        probe.checkpoint(0.5)
        probe.event("end", id="end")
        frames = asyncio.run(_as_the_first_version(probe.url))
    hello, messages = frames
    assert hello["type"] == "hello" and hello["data"].keys() >= HELLO
    assert [message["type"] for message in messages] == ["thought", "state_change", "event_notification"]
    for message in messages:
        assert isinstance(message["seq"], int) and isinstance(message["timestamp"], float)
    assert messages[2]["data"]["id"] == "end", "where the first version looks for it"


async def _as_the_first_version(url: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    async with websockets.connect(url, subprotocols=[websockets.Subprotocol("degentcivil.v1")]) as server:
        hello = json.loads(await server.recv())
        resume = {"type": "resume", "data": {"epoch": None, "seq": None, "history": 1000}}
        await server.send(json.dumps(resume))
        messages: list[dict[str, Any]] = []
        while not messages or messages[-1]["type"] != "event_notification":
            frame = json.loads(await server.recv())
            messages += [one for one in (frame["data"] if frame["type"] == "batch" else [frame]) if "seq" in one]
        return hello, messages
