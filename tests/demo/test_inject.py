"""Events and faults on purpose, as tests and notebooks use them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from degentcivil_nb.demo.faults import MALFORMED
from degentcivil_nb.demo.local_server import LocalServer, start_local_server
from degentcivil_nb.protocol.messages import WebSocketMessage
from tests.support.client_helpers import following
from tests.support.waiting import eventually


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    """Give a town that stands still, so that what comes is what was injected."""
    server = await asyncio.to_thread(start_local_server, paused=True)
    yield server
    await asyncio.to_thread(server.stop)


async def fault(server: LocalServer, kind: str, **options: Any) -> int:
    return await asyncio.to_thread(lambda: server.inject_fault(kind, **options))


async def test_injected_events_are_returned_as_sent_with_their_seq(server: LocalServer) -> None:
    def inject() -> list[WebSocketMessage]:
        return [
            server.inject_event("storm", {"wind": 9}, character_id="emma"),
            server.inject_state_change("emma", "DRAW", "Park"),
            server.inject_state_change("emma", "CRITIC"),
            server.inject_character_update("emma", money=3, mood="calm"),
            server.inject_error(1004, "on purpose", character_id="emma"),
            server.inject_llm_call("emma", prompt_type="PLAN", prompt="?", response="!", latency_s=1.5),
        ]

    async with following(server.url, history=0) as (_, seen):
        sent = await asyncio.to_thread(inject)
        await seen.until(lambda: len(seen.seqs) >= 6)
        arrived = [message for message in seen.messages if message.seq is not None]
        assert [(m.type, m.seq, m.payload(), m.timestamp) for m in arrived] == [
            (m.type, m.seq, m.data, m.timestamp) for m in sent
        ]
        first = sent[0].seq
        assert first is not None
        assert [message.seq for message in sent] == list(range(first, first + 6))
        assert sent[0].data["event_type"] == "storm" and sent[0].data["data"] == {"wind": 9}
        assert (sent[2].data["previous_state"], sent[2].data["location"]) == ("DRAW", None)
        assert sent[5].data["latency_s"] == 1.5


async def test_unknown_faults_and_options_say_what_there_is(server: LocalServer) -> None:
    with pytest.raises(ValueError, match=r"malformed, disconnect, stall, flood, restart"):
        server.inject_fault("earthquake")
    with pytest.raises(ValueError, match="not_json"):
        server.inject_fault("malformed", kinds="odd")
    with pytest.raises(ValueError, match="above 0"):
        server.inject_fault("flood", rate=0)
    with pytest.raises(TypeError, match="colour"):
        server.inject_fault("flood", colour="blue")


async def test_malformed_frames_cost_a_row_each_and_nothing_else(server: LocalServer) -> None:
    async with following(server.url, history=0) as (client, seen):
        assert await fault(server, "malformed") == len(MALFORMED)
        assert await fault(server, "malformed", kinds=["array", "nan"], count=3) == 6
        last = await asyncio.to_thread(server.inject_event, "after")
        await seen.until(lambda: last.seq in seen.seqs)
        bad = [message.payload() for message in seen.of("error") if message.seq is None]
        assert len(bad) >= 6
        assert {payload["code"] for payload in bad} == {1001}
        assert all("excerpt" in payload for payload in bad)
        assert client.reconnects == 0


@pytest.mark.parametrize("clean", [False, True])
async def test_a_disconnect_cuts_and_the_client_comes_back_without_loss(server: LocalServer, clean: bool) -> None:
    async with following(server.url, history=0) as (client, seen), following(server.url) as (other, _):
        assert await fault(server, "disconnect", clean=clean) == 2
        last = await asyncio.to_thread(server.inject_event, "meanwhile")
        await seen.until(lambda: last.seq in seen.seqs)
        await eventually(lambda: client.reconnects == 1 and other.reconnects == 1)
        assert not seen.gaps
        assert await fault(server, "disconnect", which=0) == 1
        await eventually(lambda: client.reconnects + other.reconnects == 3)


async def test_a_stall_holds_everything_up_for_a_while(server: LocalServer) -> None:
    async with following(server.url, history=0) as (_, seen):
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert await fault(server, "stall", seconds=0.3) == 1
        server.probe.event("during")
        await seen.until(lambda: seen.of("event_notification"))
        assert loop.time() - started >= 0.25
        assert not seen.gaps


async def test_a_flood_reaches_its_rate_and_loses_nothing(server: LocalServer) -> None:
    async with following(server.url, history=0) as (_, seen):
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert await fault(server, "flood", rate=20_000, seconds=0.5) == 10_000
        took = loop.time() - started
        assert 0.45 <= took < 3, "half a second, or what a busy machine makes of it"
        await seen.until(lambda: len(seen.of("event_notification")) == 10_000)
        assert [m.payload()["data"]["n"] for m in seen.of("event_notification")] == list(range(10_000))
        assert not seen.gaps


async def test_a_flood_in_the_background_ends_with_the_server() -> None:
    server = await asyncio.to_thread(start_local_server, paused=True)
    assert server.inject_fault("flood", rate=100, seconds=1_000, wait=False) == 100_000
    await asyncio.to_thread(server.stop)
    with pytest.raises(RuntimeError, match="stopped"):
        server.inject_fault("disconnect")
    with pytest.raises(RuntimeError, match="stopped"):
        server.inject_event("too late")


async def test_a_restart_is_another_epoch_with_the_whole_town(server: LocalServer) -> None:
    async with following(server.url) as (client, seen):
        url, epoch = server.url, client.epoch
        assert await fault(server, "restart") == 1
        assert server.url == url
        await eventually(lambda: client.state == "live" and client.epoch != epoch)
        last = await asyncio.to_thread(server.inject_event, "after")
        await seen.until(lambda: any(m.payload().get("event_type") == "after" for m in seen.of("event_notification")))
        assert last.seq is not None
        assert "restart" in {gap.reason for gap in seen.gaps}
        await eventually(lambda: client.run_state == "paused")
    async with following(server.url, history=0) as (client, seen):
        assert sum(len(m.payload()["characters"]) for m in seen.of("snapshot")) == 12
        assert (await client.request("step", {})).result["tick"] == 1
