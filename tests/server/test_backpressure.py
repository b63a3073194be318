"""Slow clients: they are told what they miss, or are closed, and nobody else is affected."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from degentcivil_nb.monitoring.connection_monitor import ConnectionMonitor
from degentcivil_nb.protocol.control_payloads import RunState
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.server.entrance.connection_pool import ConnectionPool
from degentcivil_nb.server.peers import peer
from degentcivil_nb.server.peers.v1_peer import V1Peer
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from degentcivil_nb.server.stream.history import History
from degentcivil_nb.server.stream.receipts import Receipt
from tests.support.server_helpers import V1, serving, shape, v1
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_task_left")


async def settled(server: SimulationWebSocket, websocket: ClientConnection) -> None:
    """Wait until what is published is news to this client."""
    await eventually(lambda: len(server.clients) == 1)
    while websocket.subprotocol is not None and json.loads(await websocket.recv())["type"] != "snapshot":
        pass


async def stall(client: V1) -> None:
    client.websocket.transport.pause_reading()


def flood(server: SimulationWebSocket, messages: int = 400) -> None:
    for number in range(messages):
        server.publish("event_notification", {"event_type": "flood", "data": "x" * 20_000, "n": number})


def accounts_for(message: RawMessage) -> int | None:
    """Give the position that a client has reached with this message, the last one of a skip included."""
    if message.type == "run_state":
        return int(message.payload()["head"])
    return message.seq


def account(messages: list[RawMessage], last: int) -> list[tuple[int, int]]:
    """Check that every position is there once or in one gap, told with what belongs to it; list the gaps."""
    said = shape(messages)
    position, gaps = 0, []
    for number, part in enumerate(said):
        if isinstance(part, tuple):
            reason, start, end = part
            assert (reason, start) == ("slow", position + 1)
            assert said[number + 1 : number + 3] == ["snapshot", "run_state"]
            assert messages[number + 1].payload()["seq"] == end
            gaps.append((start, end))
            position = end
        elif isinstance(part, int):
            assert part == position + 1
            position = part
    assert position == last
    return gaps


async def test_a_client_that_lags_beyond_the_history_is_told_and_moved_on() -> None:
    async with serving(history=History(max_messages=50)) as server, v1(server, max_queue=1) as client:
        await client.resume()
        await client.until_type("snapshot")
        await stall(client)
        for _ in range(60):
            flood(server, 20)
            await asyncio.sleep(0.01)  # the server sends until the client's buffers are full
        server.feed.head_after_drain()
        client.websocket.transport.resume_reading()
        messages = await client.until(lambda message: accounts_for(message) == 1_200)
        assert account(messages, 1_200)


@pytest.mark.parametrize("pool", [ConnectionPool(max_lag=20), ConnectionPool(max_lag_bytes=400_000)])
async def test_a_client_that_lags_beyond_its_own_cap_is_moved_on_too(pool: ConnectionPool) -> None:
    async with serving(pool=pool) as server, v1(server, max_queue=1) as client:
        await client.resume()
        await client.until_type("snapshot")
        await stall(client)
        for _ in range(12):
            flood(server, 100)
            await asyncio.sleep(0.01)  # the server sends until the client's buffers are full
        server.feed.head_after_drain()
        client.websocket.transport.resume_reading()
        messages = await client.until_type("run_state")
        assert account(messages, 1_200)


async def test_a_burst_makes_nobody_slow() -> None:
    async with serving(pool=ConnectionPool(max_lag=20)) as server, v1(server) as client:
        await client.resume()
        await client.until_type("snapshot")
        flood(server, 200)
        assert account(await client.until_seq(200), 200) == []


@pytest.mark.parametrize("subprotocols", [None, [Subprotocol("degentcivil.v1")]])
async def test_a_client_that_makes_no_progress_is_closed(subprotocols: list[Subprotocol] | None) -> None:
    async with (
        serving(pool=ConnectionPool(max_stall_s=0.3), heartbeat_s=0.2, resume_s=0.01) as server,
        connect(server.url, subprotocols=subprotocols, ping_interval=None) as websocket,
    ):
        await settled(server, websocket)
        websocket.transport.pause_reading()
        flood(server)

        def closed_while_more_comes() -> bool:
            flood(server, 1)
            return not server.clients

        await eventually(closed_while_more_comes)
        websocket.transport.abort()


async def test_a_stalled_client_takes_nothing_from_a_healthy_one() -> None:
    async with serving() as server, v1(server) as stalled, v1(server) as healthy:
        for client in (stalled, healthy):
            await client.resume()
            await client.until_type("snapshot")
        await stall(stalled)
        flood(server)
        assert shape(await healthy.until_seq(400)) == list(range(1, 401))
        stalled.websocket.transport.abort()


@pytest.mark.parametrize("subprotocols", [None, [Subprotocol("degentcivil.v1")]])
async def test_who_makes_no_progress_reads_4008_and_is_counted(
    subprotocols: list[Subprotocol] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "_CLOSE_S", 5.0)  # it has megabytes to read before the close, on a busy machine
    monitor = ConnectionMonitor()
    pool = ConnectionPool(max_stall_s=0.3)
    async with (
        serving(pool=pool, heartbeat_s=1.0, resume_s=0.01, monitor=monitor) as server,
        connect(server.url, subprotocols=subprotocols, ping_interval=None) as websocket,
    ):
        await settled(server, websocket)
        websocket.transport.pause_reading()
        flood(server)
        await eventually(lambda: monitor.metrics.get("slow_closed", 0) == 1)
        websocket.transport.resume_reading()
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(5):
                while True:
                    await websocket.recv()
        assert websocket.close_code == 4008


async def test_what_a_slow_client_costs_is_seen_in_the_metrics() -> None:
    monitor = ConnectionMonitor()
    async with serving(history=History(max_messages=50), monitor=monitor) as server, v1(server, max_queue=1) as client:
        await client.resume()
        await client.until_type("snapshot")
        await stall(client)
        for _ in range(60):
            flood(server, 20)
            await asyncio.sleep(0.01)  # the server sends until the client's buffers are full
        client.websocket.transport.resume_reading()
        await client.until(lambda message: message.type == "gap")
        client.websocket.transport.abort()
    assert monitor.metrics["slow_gaps"] >= 1


async def positions(client: ClientConnection, number: int) -> list[int]:
    return [json.loads(await client.recv())["seq"] for _ in range(number)]


async def test_a_guide_client_beyond_the_history_is_closed_and_never_silently_skipped() -> None:
    monitor = ConnectionMonitor()
    async with (
        serving(history=History(max_messages=200), monitor=monitor) as server,
        connect(server.url, max_queue=1) as slow,
        connect(server.url) as healthy,
    ):
        await eventually(lambda: len(server.clients) == 2)
        reading = asyncio.create_task(positions(healthy, 1_200))
        slow.transport.pause_reading()
        for _ in range(120):
            flood(server, 10)
            await asyncio.sleep(0.005)  # slowly enough for the healthy one
        assert await asyncio.wait_for(reading, 10) == list(range(1, 1_201))
        slow.transport.resume_reading()
        read = []
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(5):
                while True:
                    read.append(json.loads(await slow.recv()))
        numbers = [message["seq"] for message in read if "seq" in message]
        assert numbers == list(range(1, len(numbers) + 1))
        assert slow.close_code == 4008
        assert monitor.metrics["slow_closed"] == 1


async def test_a_publisher_never_waits_whoever_stands_still() -> None:
    async with serving() as server, v1(server) as stalled:
        await stalled.resume()
        await stalled.until_type("snapshot")
        await stall(stalled)
        (websocket,) = server.clients

        def is_full() -> bool:
            flood(server, 10)
            return websocket.transport.get_write_buffer_size() > 0

        await eventually(is_full)
        simulation = threading.Thread(target=flood, args=(server, 300), daemon=True)
        simulation.start()
        simulation.join(10)  # on the server's own thread, which does nothing else meanwhile
        assert not simulation.is_alive()
        stalled.websocket.transport.abort()


async def test_a_flood_beyond_the_publisher_s_queue_is_a_declared_gap_and_a_count() -> None:
    monitor = ConnectionMonitor()
    async with serving(monitor=monitor) as server, v1(server) as client:
        await client.resume()
        await client.until_type("snapshot")
        server.publisher.publish("event_notification", {"event_type": "first"})
        room = 1
        while not server.publisher.overflowed and room < 1_000_000:  # on the loop's thread: nobody drains meanwhile
            server.publish("event_notification", None)
            room += 1
        messages = await client.until(lambda message: message.type == "gap")
    gap = messages[-1].payload()
    assert gap["reason"] == "overflow"
    assert gap["to"] == room
    assert [m.seq for m in messages if m.seq is not None] == list(range(1, gap["from"]))


async def test_a_client_that_is_moved_on_is_sent_the_position_of_everything_published_before() -> None:
    async with serving() as server, v1(server) as client:
        await client.resume()
        await client.until_type("snapshot")
        (one,) = server._peers.values()
        assert isinstance(one, V1Peer)
        receipt, known = Receipt(), []

        def status() -> RunState:
            known.append(receipt.seq)
            return RunState("paused")

        server.feed.status = status
        server.publish("event_notification", {"event_type": "word", "data": None}, receipt=receipt)
        await one._skip()
        assert known == [1], "the state may name this event as the one that a breakpoint matched"
