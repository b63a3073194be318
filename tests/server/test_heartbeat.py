"""Heartbeats in both directions, and notice of a dead peer within two intervals."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from degentcivil_nb.monitoring.connection_monitor import ConnectionMonitor
from degentcivil_nb.protocol.control_payloads import RunState
from tests.support.client_helpers import following, never_again
from tests.support.fault_proxy import FaultProxy
from tests.support.server_helpers import publish, serving, v1
from tests.support.waiting import eventually

HEARTBEAT_S = 0.3
SLACK_S = 5.0
"""What a busy machine may add. Whoever notices nothing goes on for ever, so that this does not hide it."""
"""For a machine that is busy."""

pytestmark = pytest.mark.usefixtures("no_task_left")


async def test_a_heartbeat_says_where_the_stream_is() -> None:
    async with serving(heartbeat_s=0.05) as server, v1(server) as client:
        await client.resume()
        await client.until_type("snapshot")
        publish(server, 1, 2, 3)
        beat = (await client.until(lambda message: message.type == "heartbeat" and message.payload()["head"] == 3))[-1]
        told = beat.payload()
        assert told["epoch"] == server.epoch
        assert told["clients"] == 1
        assert told["run_state"] == "running"
        assert told["timestamp"] == pytest.approx(beat.timestamp, abs=0.1)


async def test_a_heartbeat_says_how_long_ago_the_last_checkpoint_was() -> None:
    async with (
        serving(heartbeat_s=0.05, status=lambda: RunState("running", checkpoint_age_s=60.0)) as server,
        v1(server) as client,
    ):
        await client.resume()
        beat = (await client.until_type("heartbeat"))[-1]
        assert beat.payload()["checkpoint_age_s"] == 60


async def test_the_client_counts_on_between_heartbeats_and_a_paused_run_is_at_its_checkpoint() -> None:
    state = RunState("running", checkpoint_age_s=60.0)
    async with serving(heartbeat_s=0.05, status=lambda: state) as server, following(server.url) as (client, _):
        await eventually(lambda: (client.checkpoint_age_s or 0) >= 60)
        state = RunState("paused")  # a server that does not say is not guessed at
        await eventually(lambda: client.run_state == "paused" and client.checkpoint_age_s is None)
        state = RunState("paused", checkpoint_age_s=0.0)
        await eventually(lambda: client.checkpoint_age_s == 0)
        state = RunState("finished", checkpoint_age_s=5.0)
        await eventually(lambda: client.run_state == "finished" and client.checkpoint_age_s is None)


async def test_a_guide_client_is_told_tick_and_clients() -> None:
    async with serving(heartbeat_s=0.05) as server, connect(server.url) as client:
        beat = json.loads(await asyncio.wait_for(client.recv(), 5))
        assert beat["type"] == "heartbeat"
        assert beat["data"]["clients"] == 1


async def test_the_server_notices_a_dead_client_within_two_intervals() -> None:
    async with (
        serving(heartbeat_s=HEARTBEAT_S) as server,
        FaultProxy(server.port) as proxy,
        connect(proxy.url, ping_interval=None) as client,
    ):
        await eventually(lambda: len(server.clients) == 1)
        await client.ping()
        loop = asyncio.get_running_loop()
        proxy.up.black_hole(True)
        began = loop.time()
        await eventually(lambda: not server.clients)
        assert loop.time() - began < 2 * HEARTBEAT_S + SLACK_S
        client.transport.abort()


@pytest.mark.parametrize("subprotocols", [None, [Subprotocol("degentcivil.v1")]])
async def test_the_server_notices_a_dead_client_within_two_intervals_with_everything_full(
    subprotocols: list[Subprotocol] | None,
) -> None:
    async with (
        serving(heartbeat_s=HEARTBEAT_S, resume_s=0.01) as server,
        FaultProxy(server.port) as proxy,
        connect(proxy.url, subprotocols=subprotocols, ping_interval=None) as client,
    ):
        await eventually(lambda: len(server.clients) == 1)
        await client.ping()
        loop = asyncio.get_running_loop()
        for direction in (proxy.up, proxy.down):
            direction.black_hole(True)
        (websocket,) = server.clients

        def is_full() -> bool:
            server.publish("event_notification", {"event_type": "flood", "data": "x" * 1_000_000})
            return websocket.transport.get_write_buffer_size() > 0

        await eventually(is_full)  # now no ping gets out, and none has to
        began = loop.time()
        await eventually(lambda: not server.clients)
        assert loop.time() - began < 2 * HEARTBEAT_S + HEARTBEAT_S / 4 + SLACK_S
        client.transport.abort()


async def test_the_client_notices_a_dead_server_within_two_intervals() -> None:
    async with (
        serving(heartbeat_s=HEARTBEAT_S) as server,
        FaultProxy(server.port) as proxy,
        following(proxy.url, delays=never_again) as (client, _),
    ):
        loop = asyncio.get_running_loop()
        proxy.down.black_hole(True)
        began = loop.time()
        await eventually(lambda: client.state == "reconnecting")
        assert loop.time() - began < 2 * HEARTBEAT_S + SLACK_S


async def test_round_trips_are_sampled_on_both_sides() -> None:
    here, there = ConnectionMonitor(), ConnectionMonitor()
    async with serving(heartbeat_s=0.05, monitor=there) as server, following(server.url, monitor=here):
        await eventually(lambda: all(monitor.get_metrics()["latency_p50_s"] for monitor in (here, there)))
    for monitor in (here, there):
        assert 0 < (monitor.get_metrics()["latency_p95_s"] or 0) < 1
