"""The client recognizes all three dialects by itself, and can be used as the guide does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.control_payloads import Gap
from degentcivil_nb.protocol.errors import CommandError, ConnectFailed
from degentcivil_nb.protocol.json_text import decode
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from tests.support.client_helpers import Collector, following, scripted
from tests.support.dialect_servers import BUILDINGS, CHARACTERS, GameServer, GuideServer
from tests.support.waiting import eventually


async def test_v1_is_known_from_the_handshake() -> None:
    server = SimulationWebSocket(port=0)
    await server.start()
    try:
        async with following(server.url) as (client, _):
            assert client.dialect == "v1"
            assert client.hello is not None and client.epoch == server.epoch
    finally:
        await server.close()


async def test_the_game_server_gets_nothing_but_what_the_user_sends() -> None:
    with GameServer() as server:
        async with following(server.url) as (client, sink):
            assert (client.state, client.dialect, client.epoch, client.head) == ("live", "unknown", None, None)
            await client.send("start")
            await sink.until(lambda: len(sink.messages) == 3)
            assert server.received == ["start"]
            assert client.dialect == "game"


async def test_the_game_server_s_lists_arrive_as_they_are() -> None:
    with GameServer() as server:
        async with following(server.url) as (client, sink):
            await client.send("start")
            await sink.until(lambda: len(sink.messages) == 3)
    assert [message.type for message in sink.messages] == ["all_buildings", "all_characters", "character_update_llm"]
    assert sink.messages[0].payload() == BUILDINGS and sink.messages[1].payload() == CHARACTERS
    assert {message.timestamp for message in sink.messages} == {None} and set(sink.epochs) == {None}


async def test_the_guide_s_dialect_is_known_by_its_timestamps() -> None:
    with GuideServer() as server:
        async with following(server.url) as (client, sink):
            assert client.dialect == "unknown"
            await asyncio.to_thread(server.state_change, "emma", "MOVE", "Park")
            await sink.until(lambda: sink.messages)
            assert client.dialect == "guide"
            assert sink.messages[0].payload()["new_state"] == "MOVE"


async def test_a_guide_s_heartbeat_is_no_event_but_tells_the_lag() -> None:
    with GuideServer() as server:
        async with following(server.url) as (client, sink):
            await asyncio.to_thread(server.heartbeat)
            await eventually(lambda: client.lag_s is not None)
            assert client.dialect == "guide" and sink.messages == []
            assert client.lag_s is not None and 0 <= client.lag_s < 1


async def test_a_guide_s_batch_is_laid_open() -> None:
    inner = [{"type": "a", "data": 1, "timestamp": 1.0}, {"type": "b", "data": 2, "timestamp": 2.0}]
    with GuideServer() as server:
        async with following(server.url) as (_, sink):
            await asyncio.to_thread(server.send, "batch", inner)
            await sink.until(lambda: len(sink.messages) == 2)
    assert [(message.type, message.timestamp) for message in sink.messages] == [("a", 1.0), ("b", 2.0)]


async def test_what_would_be_control_in_v1_is_an_error_row_elsewhere() -> None:
    with GuideServer() as server:
        async with following(server.url) as (_, sink):
            await asyncio.to_thread(server.send, "gap", {"epoch": "x", "from": 1, "to": 9})
            await sink.until(lambda: sink.messages)
    assert sink.messages[0].type == "error" and "no 'gap'" in sink.messages[0].payload()["message"]


async def test_a_bad_frame_is_an_error_row_and_the_connection_carries_on() -> None:
    with GuideServer() as server:
        async with following(server.url) as (client, sink):
            for text in ("{", "[]", '{"type": 7}', "[" * 100_000, "NaN", ""):
                await asyncio.to_thread(server.send_text, text)
            await asyncio.to_thread(server.state_change, "emma", "MOVE")
            await sink.until(lambda: sink.of("state_change"))
            assert client.state == "live" and client.reconnects == 0
    assert [message.payload()["code"] for message in sink.of("error")] == [1001] * 6


async def test_case_7_a_reconnect_is_a_gap_without_bounds_but_with_times() -> None:
    now = 1000.0
    with GuideServer() as server:
        async with following(server.url, clock=lambda: now) as (client, sink):
            now = 2000.0
            await asyncio.to_thread(server.drop)
            await sink.until(lambda: sink.messages)
            assert client.reconnects == 1
    assert decode(Gap, sink.messages[0].data) == Gap(None, None, None, "unknown")
    assert sink.messages[0].timestamp == 2000.0


async def test_a_server_without_commands_is_said_to_be_one() -> None:
    with GuideServer() as server:
        async with following(server.url) as (client, _):
            with pytest.raises(CommandError, match="dialect accepts no commands") as refused:
                await client.request("pause", {})
    assert refused.value.code == CommandError.UNKNOWN_COMMAND


async def test_a_guide_s_refusal_right_after_the_handshake_fails_the_opening() -> None:
    async def refuse(websocket: ServerConnection) -> None:
        await websocket.close(1008, "Invalid token")

    async with scripted(refuse, v1=False) as url:
        with pytest.raises(ConnectFailed, match=r"refuses the token: Invalid token\. Pass as token=") as failed:
            await SimulationClient(url).open()
    assert failed.value.terminal


async def test_a_message_can_be_sent_whole() -> None:
    with GuideServer() as server:
        async with following(server.url) as (client, _):
            await client.send(WebSocketMessage("hello", {"from": "a notebook"}, 5.0))
            await eventually(lambda: server.received)
    assert json.loads(server.received[0]) == {"type": "hello", "data": {"from": "a notebook"}, "timestamp": 5.0}


# --- as the guide uses it ------------------------------------------------------------------------------------------


def test_before_connecting_there_is_a_uri_and_no_websocket() -> None:
    client = SimulationClient()
    assert client.uri == "ws://localhost:8765" and client.websocket is None


@pytest.mark.parametrize("awaited", [True, False])
async def test_a_subclass_handles_messages_as_dicts(awaited: bool) -> None:
    got: list[dict[str, Any]] = []

    class Sync(SimulationClient):
        def handle_message(self, message: dict[str, Any]) -> None:
            got.append(message)

    class Async(SimulationClient):
        async def handle_message(self, message: dict[str, Any]) -> None:
            await asyncio.sleep(0)  # a coroutine that gives way once
            got.append(message)

    with GuideServer() as server:
        client = (Async if awaited else Sync)(server.url)
        await client.connect()
        assert client.websocket is not None
        receiving = asyncio.create_task(client.receive_updates())
        await eventually(lambda: server.clients)
        await asyncio.to_thread(server.state_change, "emma", "MOVE")
        await asyncio.to_thread(server.send, "nothing", None)
        await eventually(lambda: len(got) == 2)
        await asyncio.to_thread(server.drop)
        await asyncio.wait_for(receiving, 5)
        await client.close()
    assert got[0]["type"] == "state_change" and got[0]["data"]["character_id"] == "emma"
    assert got[1]["data"] is None and isinstance(got[1]["timestamp"], float)


async def test_our_server_serves_the_guide_s_client_guide_messages_only() -> None:
    got: list[dict[str, Any]] = []
    server = SimulationWebSocket(port=0, heartbeat_s=0.05)
    await server.start()
    try:
        client = SimulationClient(server.url)
        client.handle_message = got.append  # type: ignore[method-assign, assignment]
        await client.connect()
        receiving = asyncio.create_task(client.receive_updates())
        await eventually(lambda: server.clients)
        server.publish("state_change", {"character_id": "emma", "new_state": "MOVE"})
        await eventually(lambda: {message["type"] for message in got} >= {"heartbeat", "state_change"})
        await client.close()
        await asyncio.wait_for(receiving, 5)
    finally:
        await server.close()
    assert {message["type"] for message in got} == {"heartbeat", "state_change"}


async def test_the_guide_s_face_feeds_a_sink_too() -> None:
    sink = Collector()
    with GuideServer() as server:
        client = SimulationClient(server.url, sink=sink)
        await client.connect()
        receiving = asyncio.create_task(client.receive_updates())
        await eventually(lambda: server.clients)
        await asyncio.to_thread(server.state_change, "emma", "MOVE")
        await sink.until(lambda: sink.messages)
        await client.close()
        await asyncio.wait_for(receiving, 5)
    assert client.dialect == "guide" and client.state == "closed"
