"""The server as its clients see it: what comes in which order, and what it says of what is missing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from degentcivil_nb.monitoring.connection_monitor import ConnectionMonitor
from degentcivil_nb.monitoring.websocket_debugger import WebSocketDebugger
from degentcivil_nb.protocol.control_payloads import RunState
from degentcivil_nb.protocol.errors import ConnectFailed, WebSocketError
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server.entrance.auth import WebSocketAuth
from degentcivil_nb.server.entrance.tls import local_tls
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from degentcivil_nb.server.stream.history import History
from tests.support.server_helpers import publish, serving, shape, v1
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_task_left")


# --- newcomers -------------------------------------------------------------------------------------------------


async def test_hello_says_everything_a_client_must_know() -> None:
    async with serving(run_id="night", heartbeat_s=4.0, status=lambda: RunState("paused", tick=7)) as server:
        publish(server, 1, 2)
        server.feed.head_after_drain()
        async with v1(server) as client:
            hello = (await client.next()).payload()
    assert hello.pop("server")["name"] == "degentcivil_nb"
    assert hello.pop("epoch") == server.epoch
    assert hello == {
        "protocol": 1,
        "head": 2,
        "oldest": 1,
        "run_id": "night",
        "run_state": "paused",
        "tick": 7,
        "role": "debugger",
        "capabilities": ["batch", "filter", "snapshot"],
        "heartbeat_s": 4.0,
        "max_message_bytes": 1 << 20,
        "parameters": None,
    }


async def test_a_newcomer_gets_snapshot_history_and_what_comes() -> None:
    async with serving() as server, v1(server) as client:
        publish(server, *range(1, 11))
        server.feed.head_after_drain()
        await client.resume(history=4)
        messages = await client.until_seq(10)
        assert shape(messages) == ["resumed", "snapshot", 7, 8, 9, 10]
        assert messages[0].payload() == {"epoch": server.epoch, "from": 7, "head": 10, "recovered": True}
        snapshot = messages[1].payload()
        assert snapshot["seq"] == 10
        assert {entry["character_id"]: entry["state"] for entry in snapshot["characters"]} == {
            "c0": "S9",
            "c1": "S10",
            "c2": "S8",
        }
        publish(server, 11)
        assert shape([await client.next()]) == [11]


async def test_a_newcomer_without_history_begins_at_the_head() -> None:
    async with serving() as server, v1(server) as client:
        publish(server, 1, 2)
        server.feed.head_after_drain()
        await client.resume()
        resumed = (await client.until_type("snapshot"))[0]
        assert resumed.payload()["from"] == 3
        publish(server, 3)
        assert shape([await client.next()]) == [3]


async def test_what_was_published_before_a_newcomer_came_is_its_past_and_not_its_news() -> None:
    async with serving(batch_s=60) as server, v1(server) as client:  # the loop looks once, and then not for a minute
        publish(server, 1)
        await eventually(lambda: server.history.head == 1)
        publish(server, 2, 3)
        await client.resume(history=1)
        messages = await client.until_seq(3)
        assert shape(messages) == ["resumed", "snapshot", 3]
        assert messages[1].payload()["seq"] == 3
        publish(server, 4, 5)
        async with connect(server.url) as guide:
            await eventually(lambda: len(server.clients) == 2)
            publish(server, 6)
            server.feed.head_after_drain()
            server.feed.notify_peers()
            assert json.loads(await guide.recv())["data"]["new_state"] == "S6"


async def test_a_client_that_sends_no_resume_is_a_newcomer_without_history() -> None:
    async with serving(resume_s=0.05) as server, v1(server) as client:
        publish(server, 1, 2)
        assert shape(await client.until_type("snapshot")) == ["hello", "commands", "resumed", "snapshot"]
        publish(server, 3)
        assert shape([await client.next()]) == [3]
        await client.send("resume", {"epoch": None, "seq": None})
        answer = await client.next()
        assert answer.type == "error"
        assert answer.payload()["code"] == 1001


# --- resuming --------------------------------------------------------------------------------------------------


async def test_a_position_in_the_history_goes_on_from_there() -> None:
    async with serving() as server:
        publish(server, *range(1, 11))
        server.feed.head_after_drain()
        async with v1(server) as client:
            await client.resume(epoch=server.epoch, seq=7)
            messages = await client.until_seq(10)
    assert shape(messages) == ["resumed", 8, 9, 10]
    assert messages[0].payload()["recovered"] is True


async def test_a_position_too_old_is_one_gap_and_a_snapshot() -> None:
    async with serving(history=History(max_messages=3)) as server:
        publish(server, *range(1, 11))
        server.feed.head_after_drain()
        async with v1(server) as client:
            await client.resume(epoch=server.epoch, seq=2)
            messages = await client.until_seq(10)
    assert shape(messages) == ["resumed", ("window", 3, 7), "snapshot", 8, 9, 10]
    assert messages[0].payload()["recovered"] is False


async def test_another_epoch_is_two_gaps_a_snapshot_and_the_history() -> None:
    async with serving(history=History(max_messages=3)) as server:
        publish(server, *range(1, 6))
        server.feed.head_after_drain()
        async with v1(server) as client:
            await client.resume(epoch="long gone", seq=100)
            messages = await client.until_seq(5)
    assert shape(messages) == ["resumed", ("restart", 101, None), ("window", 1, 2), "snapshot", 3, 4, 5]


async def test_a_position_beyond_the_head_is_refused() -> None:
    async with serving() as server, v1(server) as client:
        await client.resume(epoch=server.epoch, seq=5)
        answer = await client.next()
        assert (answer.type, answer.payload()["code"]) == ("error", 1001)
        with pytest.raises(ConnectionClosed):
            await client.next()
        assert client.websocket.close_code == 1008


async def test_a_filtered_client_is_told_what_its_frames_cover() -> None:
    async with serving() as server, v1(server) as client:
        publish(server, *range(1, 7))
        server.feed.head_after_drain()
        await client.resume(history=10, characters=["c1"], types=["state_change"])
        messages = await client.until_seq(4)
        assert shape(messages) == ["resumed", "snapshot", "batch", 1, 4]
        assert messages[2].covers == (1, 6)
        assert [entry["character_id"] for entry in messages[1].payload()["characters"]] == ["c1"]


# --- what happens on the way -------------------------------------------------------------------------------------


async def test_a_run_state_keeps_its_place_in_the_stream_and_names_its_head() -> None:
    async with serving() as server, v1(server) as client:
        await client.resume()
        await client.until_type("snapshot")
        publish(server, 1, 2)
        server.publish("run_state", RunState("paused", "command", command_id="x"))
        publish(server, 3)
        messages = await client.until_seq(3)
    assert shape(messages) == [1, 2, "run_state", 3]
    assert messages[2].payload() == {"state": "paused", "reason": "command", "head": 2, "command_id": "x"}


async def test_heartbeats_name_the_last_position_put_on_this_connection() -> None:
    async with serving(heartbeat_s=0.05, status=lambda: RunState("running", tick=3)) as server, v1(server) as client:
        publish(server, 1, 2, 3)
        server.feed.head_after_drain()
        await client.resume(history=2)
        heartbeat = (await client.until_type("heartbeat"))[-1].payload()
    assert heartbeat.pop("timestamp") > 0
    assert heartbeat == {"epoch": server.epoch, "head": 3, "tick": 3, "run_state": "running", "clients": 1}


async def test_a_message_published_from_a_quiet_simulation_does_not_wait_for_others() -> None:
    async with serving(batch_s=5.0) as server, v1(server) as client:
        await client.resume()
        await client.until_type("snapshot")
        publish(server, 1)
        assert shape([await asyncio.wait_for(client.next(), 1)]) == [1]


async def test_inject_helpers_get_the_position_behind_everything_published() -> None:
    async with serving() as server:
        publish(server, 1, 2)
        sent = await server.publish_now(WebSocketMessage("event_notification", {"event_type": "trade"}))
        assert sent.seq == 3
        with pytest.raises(WebSocketError):
            await server.publish_now(WebSocketMessage("hello"))


async def test_broadcast_message_reaches_every_dialect() -> None:
    async with serving() as server, v1(server) as ours, connect(server.url) as guides:
        await ours.resume()
        await ours.until_type("snapshot")
        await server.broadcast_message(WebSocketMessage("event_notification", {"event_type": "x"}, 12.5))
        message = await ours.next()
        assert (message.type, message.timestamp) == ("event_notification", 12.5)
        assert json.loads(await guides.recv())["data"] == {"event_type": "x"}


async def test_new_commands_are_offered_to_everybody() -> None:
    async with serving() as server, v1(server) as client:
        await client.resume()
        await client.until_type("snapshot")
        server.offer_commands()
        assert shape([await client.next()]) == ["commands"]


# --- guests who speak the guide's dialect --------------------------------------------------------------------------


async def test_a_guide_client_gets_the_stream_one_message_a_frame_and_no_control() -> None:
    async with serving(heartbeat_s=0.1) as server, connect(server.url) as websocket:
        assert websocket.subprotocol is None
        await eventually(lambda: bool(server.clients))
        publish(server, *range(1, 50))
        server.publish("run_state", RunState("paused"))
        publish(server, 50)
        frames = [json.loads(await websocket.recv()) for _ in range(50)]
        assert {frame["type"] for frame in frames} <= {"state_change", "heartbeat"}
        while frames[-1]["type"] != "heartbeat":
            frames.append(json.loads(await websocket.recv()))
        states = [frame["data"]["new_state"] for frame in frames if frame["type"] == "state_change"]
        assert states == [f"S{number}" for number in range(1, 51)]
        assert all("timestamp" in frame for frame in frames)


async def test_a_client_that_offers_another_subprotocol_is_served_as_the_guides() -> None:
    async with serving() as server, connect(server.url, subprotocols=[Subprotocol("chat")]) as websocket:
        assert websocket.subprotocol is None


async def test_a_subclass_reads_messages_as_the_guide_does() -> None:
    class Echo(SimulationWebSocket):
        async def handle_messages(self, websocket: ServerConnection) -> None:
            async for message in websocket:
                await websocket.send(f"echo {message!r}")

    server = Echo("127.0.0.1", 0)
    await server.start()
    try:
        async with connect(server.url) as websocket:
            await websocket.send("hi")
            assert await websocket.recv() == "echo 'hi'"
            assert {client.id for client in server.clients} and len(server.clients) == 1
    finally:
        await server.close()


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        "start",
        b"\xff\x00",
        "[" * 100_000,
        '{"type": "resume"}',
        '{"type": "resume", "data": {"epoch": 1, "seq": "x"}}',
        '{"type": "resume", "data": {"seq": -1}}',
        '{"type": "hello", "data": {}}',
        '{"data": 1}',
        "null",
    ],
)
async def test_a_bad_frame_is_answered_and_nothing_else_happens(frame: str | bytes) -> None:
    async with serving() as server, v1(server) as client:
        assert (await client.next()).type == "hello"
        assert (await client.next()).type == "commands"
        await client.websocket.send(frame)
        answer = await client.next()
        assert (answer.type, answer.payload()["code"]) == ("error", 1001)
        await client.send("resume", {"epoch": None, "seq": None})
        await client.until_type("snapshot")
        publish(server, 1)
        assert shape([await client.next()]) == [1]


# --- what is seen of it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("traced", [False, True])
async def test_everything_is_counted_and_frames_are_recorded_when_asked(traced: bool) -> None:
    monitor, traffic = ConnectionMonitor(), WebSocketDebugger(enabled=traced)
    async with serving(monitor=monitor, traffic=traffic) as server:
        async with v1(server) as client, connect(server.url) as guide:
            await client.resume()
            await client.until_type("snapshot")
            await eventually(lambda: len(server.clients) == 2)
            assert monitor.metrics["active_connections"] == 2
            publish(server, *range(1, 11))
            await client.until_seq(10)
            for _ in range(10):
                await guide.recv()
            await client.send("nonsense", {})
            await client.until_type("error")
        await eventually(lambda: not server.clients)
    counted = monitor.metrics
    assert (counted["total_connections"], counted["active_connections"]) == (2, 0)
    # hello, commands, resumed, snapshot, error, and the stream twice
    assert counted["messages_sent"] == 5 + 20
    assert counted["messages_received"] == 2
    assert counted["errors"] == 1
    assert counted["bytes_sent"] > 2_000 > counted["bytes_received"] > 0
    assert len(traffic.frames("hello", direction="sent")) == (1 if traced else 0)
    assert bool(len(traffic.frames())) is traced


async def test_wss_serves_with_a_certificate_of_ones_own() -> None:
    tls = local_tls()
    async with serving(ssl=tls.server) as server:
        assert server.url.startswith("wss://")
        async with v1(server, ssl=tls.client) as client:
            await client.resume()
            await client.until_type("snapshot")
            publish(server, 1)
            assert shape([await client.next()]) == [1]


# --- life and death ------------------------------------------------------------------------------------------------


async def test_closing_says_1001_after_the_end_of_the_stream() -> None:
    async with serving() as server, v1(server) as client, connect(server.url) as guide:
        await client.resume()
        await client.until_type("snapshot")
        publish(server, 1)
        server.publish("run_state", RunState("finished"))
        await server.close()
        await server.close()
        assert shape([await client.next(), await client.next()]) == [1, "run_state"]
        with pytest.raises(ConnectionClosed):
            await client.next()
        assert client.websocket.close_code == 1001
        assert json.loads(await guide.recv())["type"] == "state_change"
        await guide.wait_closed()
        assert guide.close_code == 1001
        assert server.clients == set()


@pytest.mark.parametrize("turns", range(5))
async def test_who_is_accepted_in_the_moment_of_closing_is_hung_up_on(turns: int) -> None:
    loop = asyncio.get_running_loop()
    async with serving() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setblocking(False)
            for _ in range(turns):
                await asyncio.sleep(0)  # one turn of the loop: how many is what is tried
            await server.close()
            received = b""
            with contextlib.suppress(ConnectionResetError):
                received = await asyncio.wait_for(loop.sock_recv(client, 1), 10)
            assert received == b""


async def test_start_server_serves_until_closed() -> None:
    server = SimulationWebSocket("127.0.0.1", 0)
    serving = asyncio.create_task(server.start_server())
    await eventually(lambda: bool(server.port))
    async with connect(server.url):
        await server.close()
    await asyncio.wait_for(serving, 5)


async def test_a_port_in_use_is_one_sentence_with_advice() -> None:
    async with serving() as server:
        with pytest.raises(ConnectFailed, match=r"port \d+ on 127\.0\.0\.1 is in use\. .*port=0"):
            await SimulationWebSocket("127.0.0.1", server.port).start()


async def test_a_server_that_serves_already_says_so_and_serves_on() -> None:
    async with serving() as server:
        with pytest.raises(ConnectFailed, match=rf"this server is already running at {server.url}\. Close it first"):
            await server.start()
        async with connect(server.url):
            await eventually(lambda: len(server.clients) == 1)


@pytest.mark.parametrize("port", ["8765", 99_999, 1.5])
async def test_what_is_no_port_is_named(port: int) -> None:
    with pytest.raises(ValueError, match=f"a port must be a number from 1 to 65535, or 0 for a free one, not {port!r}"):
        await SimulationWebSocket("127.0.0.1", port).start()


async def test_the_log_says_why_a_connection_broke_off(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "degentcivil_nb.server")
    async with serving(heartbeat_s=0.1) as server, connect(server.url, ping_interval=None) as client:
        await eventually(lambda: len(server.clients) == 1)
        client.transport.pause_reading()  # so that no ping is answered
        await eventually(lambda: not server.clients)
        client.transport.abort()
    assert "disconnected (1006 after 1011 keepalive ping timeout)" in caplog.text


async def test_a_host_that_is_not_ours_is_one_sentence_with_advice() -> None:
    with pytest.raises(ConnectionError, match="not an address of this machine"):
        await SimulationWebSocket("127.255.255.255.1", 0, auth=WebSocketAuth({"secret": "viewer"})).start()


async def test_localhost_is_both_addresses_on_one_port() -> None:
    server = SimulationWebSocket("localhost", 0)
    await server.start()
    try:
        async with connect(server.url) as websocket:
            await websocket.ping()
    finally:
        await server.close()


def test_without_a_token_the_server_stays_on_this_machine() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org", ""):
        with pytest.raises(ValueError, match="token"):
            SimulationWebSocket(host)
    for host in ("localhost", "127.0.0.1", "127.8.8.8", "::1"):
        SimulationWebSocket(host)
    SimulationWebSocket("0.0.0.0", auth=WebSocketAuth({"secret": "viewer"}))


async def test_a_hundred_connections_leave_nothing(nothing_leaks: Callable[[], None]) -> None:
    async with serving() as server:
        for number in range(100):
            async with v1(server) as client:
                if number % 2:
                    await client.resume()
                if number % 3 == 0:
                    client.websocket.transport.abort()
        await eventually(lambda: not server.clients)
        assert not server.feed._idle
