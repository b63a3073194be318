"""`connect(history=…)` returns when past events are there, or says how many are missing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

import degentcivil_nb as dc
from degentcivil_nb.core.portal import Portal
from degentcivil_nb.protocol.control_payloads import Hello, Resumed, Snapshot
from degentcivil_nb.simulation.probe import SimulationProbe
from tests.support.client_helpers import frame, scripted, stay
from tests.support.waiting import until


def test_all_that_was_asked_for_is_there_when_connect_returns() -> None:
    probe = SimulationProbe(port=0)
    try:
        for number in range(6_000):
            probe.event("trade", {"n": number, "pad": "x" * 500})
        probe.flush()
        for _ in range(5):
            with dc.connect(probe, history=5_000) as session:
                assert len(session) == 5_000 and "on their way" not in repr(session)
    finally:
        probe.close()


def test_what_the_server_no_longer_holds_of_the_history_is_a_gap_and_is_said(tmp_path: Path) -> None:
    with SimulationProbe(port=0, history=100) as probe:
        for number in range(250):
            probe.event("trade", {"n": number}, character_id="emma")
        probe.flush()
        assert probe.stats()["held"] == 100
        with pytest.warns(UserWarning, match="^120 of the past messages that were requested are missing"):
            session = dc.connect(probe, history=220, record=tmp_path / "run")
        with session:
            probe.event("trade")
            session.wait_for(where="seq == 251", after=-1)
            assert session.gaps()[["from_seq", "to_seq", "reason"]].to_numpy().tolist() == [[31, 150, "window"]]
            assert len(session) == 101 and session.events()["seq"].min() == 151
            assert session.metrics()["missing"] == 120 and "1 gap" in repr(session)
    with dc.open_recording(tmp_path / "run") as recording:
        assert recording.gaps()["to_seq"].to_list() == [150] and len(recording) == 101
    with SimulationProbe(port=0, history=100) as probe, dc.connect(probe, history=220) as session:  # nothing is missing
        assert session.gaps().empty


def test_after_the_timeout_it_says_how_many_are_on_their_way() -> None:
    read_until = asyncio.Event()

    async def slow(websocket: ServerConnection) -> None:
        await websocket.send(frame("hello", Hello("one", head=1_500)))
        await websocket.recv()
        await websocket.send(frame("resumed", Resumed("one", 1_500, 501)))
        await websocket.send(frame("snapshot", Snapshot(1_500)))
        await websocket.send(frame("x", 501, seq=501))
        await read_until.wait()
        for seq in range(502, 1_501):
            await websocket.send(frame("x", seq, seq=seq))
        await stay(websocket)

    async def serve() -> str:
        running = scripted(slow)
        keep.append(running)
        return await running.__aenter__()

    async def release() -> None:
        read_until.set()

    keep: list[object] = []
    with Portal("slow server") as portal:
        url = portal.call(serve, timeout=10)
        with pytest.warns(UserWarning, match="999 past messages are still on their way"):
            session = dc.connect(url, timeout=0.5)
        with session:
            assert "999 past messages on their way" in repr(session)
            portal.call(release, timeout=5)
            until(lambda: len(session) == 1_000)
            assert "on their way" not in repr(session)
