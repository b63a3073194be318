"""A local server: a town that is ready when the call returns, does what it is told, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.demo.local_server import LocalServer, start_local_server
from degentcivil_nb.protocol.errors import CommandError, ConnectFailed
from degentcivil_nb.protocol.messages import RawMessage
from tests.support.client_helpers import following


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    server = await asyncio.to_thread(start_local_server, tick_s=0.005)
    yield server
    await asyncio.to_thread(server.stop)


async def ask(client: SimulationClient, command: str, **arguments: Any) -> Any:
    return (await client.request(command, arguments)).result


def stream(messages: list[RawMessage]) -> list[tuple[str, int | None, Any]]:
    """Give what a run consists of, without what the clock says."""
    return [(m.type, m.tick, _timeless(m.payload())) for m in messages if m.seq is not None]


def _timeless(payload: Any) -> Any:
    if isinstance(payload, dict):
        return {key: value for key, value in payload.items() if key not in ("timestamp", "traceback")}
    return payload


# --- its life ----------------------------------------------------------------------------------------------------


def test_nothing_is_left_after_stop(nothing_leaks: Callable[[], None]) -> None:
    for _ in range(10):
        with start_local_server(tick_s=0.01) as server:
            port = int(server.url.rpartition(":")[2])
        server.stop()
        with socket.create_server(("127.0.0.1", port)):
            pass  # the port is free again
    nothing_leaks()


async def test_a_stop_with_clients_connected_leaves_nothing(nothing_leaks: Callable[[], None]) -> None:
    server = await asyncio.to_thread(start_local_server, tick_s=0.01)
    async with following(server.url) as (client, seen):
        await ask(client, "pause")
        await asyncio.to_thread(server.stop)
        await seen.until(lambda: seen.of("run_state")[-1].payload()["state"] == "finished")


async def test_it_is_ready_when_the_call_returns(server: LocalServer) -> None:
    async with following(server.url, history=0) as (client, seen):
        [snapshot] = seen.of("snapshot")
        characters = snapshot.payload()["characters"]
        assert len(characters) == 12
        assert all("name" in one["attributes"] and one["state"] for one in characters)
        assert client.run_state == "running"


def test_its_repr_says_how_it_is() -> None:
    with start_local_server(characters=5, paused=True, token="hush") as server:
        assert repr(server) == f"<LocalServer {server.url}: 5 characters, paused at tick 0>"
        assert server.token == "hush"
    assert "stopped" in repr(server)
    assert "hush" not in repr(server) + repr(server.probe) + repr(server.town)


def test_a_port_in_use_is_a_sentence_with_advice(nothing_leaks: Callable[[], None]) -> None:
    with start_local_server() as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ConnectionError, match=rf"port {port} .* in use.*port=0"):
            start_local_server(port)


@pytest.mark.parametrize("options", [{"characters": 0}, {"tick_s": 0}, {"tick_s": float("nan")}, {"host": "0.0.0.0"}])
def test_a_town_that_cannot_be_is_refused(options: dict[str, Any], nothing_leaks: Callable[[], None]) -> None:
    with pytest.raises(ValueError):
        start_local_server(**options)


async def test_with_a_token_only_who_knows_it_may_connect() -> None:
    server = await asyncio.to_thread(start_local_server, token="s3cret")
    try:
        async with following(server.url, token=server.token) as (client, _):
            assert (await ask(client, "pause"))["state"] == "paused"
        with pytest.raises(ConnectFailed):
            async with following(server.url):
                pass
    finally:
        await asyncio.to_thread(server.stop)


async def test_with_tls_the_connection_is_encrypted() -> None:
    pytest.importorskip("trustme")
    server = await asyncio.to_thread(start_local_server, tls=True, token="s3cret")
    try:
        assert server.url.startswith("wss://")
        async with following(server.url, token=server.token, ssl=server.client_ssl) as (client, _):
            assert client.dialect == "v1"
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_town_that_dies_says_so(caplog: pytest.LogCaptureFixture) -> None:
    server = await asyncio.to_thread(start_local_server, tick_s=0.005)
    async with following(server.url) as (client, seen):

        def break_down() -> None:
            raise ZeroDivisionError("the mill burnt down")

        server.town.step = break_down  # type: ignore[method-assign]
        await seen.until(lambda: seen.of("run_state"))
        assert seen.of("run_state")[-1].payload()["state"] == "dead"
        died = seen.of("error")[-1].payload()
        assert "the mill burnt down" in died["message"] and "ZeroDivisionError" in died["traceback"]
        with pytest.raises(CommandError) as caught:
            await ask(client, "resume")
        assert caught.value.code == 1105
    await asyncio.to_thread(server.stop)


# --- steering ----------------------------------------------------------------------------------------------------


async def test_pause_stops_the_ticks_and_resume_lets_them_go_on(server: LocalServer) -> None:
    async with following(server.url) as (client, seen):
        state = await ask(client, "pause")
        assert (state["state"], state["tick"]) == ("paused", server.town.tick)
        await seen.until(lambda: seen.seqs and seen.seqs[-1] == state["head"])
        await asyncio.sleep(0.05)  # several ticks, if there were any
        assert (server.town.tick, seen.seqs[-1]) == (state["tick"], state["head"])
        assert (await ask(client, "resume"))["state"] == "running"
        await seen.until(lambda: seen.seqs[-1] > state["head"])


async def test_steps_run_as_many_ticks(server: LocalServer) -> None:
    async with following(server.url) as (client, _):
        before = (await ask(client, "pause"))["tick"]
        assert (await ask(client, "step", ticks=10))["tick"] == before + 10 == server.town.tick
        assert server.probe.run_state == "paused"


async def test_the_same_seed_gives_the_same_stream() -> None:
    runs = []
    for _ in range(2):
        server = await asyncio.to_thread(start_local_server, tick_s=0.001, seed=5, paused=True)
        async with following(server.url) as (client, seen):
            head = (await ask(client, "step", ticks=60))["head"]
            await seen.until(lambda head=head, seen=seen: seen.seqs[-1] >= head)  # type: ignore[misc]
            runs.append(stream(seen.messages))
        await asyncio.to_thread(server.stop)
    assert len(runs[0]) > 100
    assert runs[0] == runs[1]


async def test_characters_are_inspected_and_changed(server: LocalServer) -> None:
    async with following(server.url) as (client, seen):
        assert {"inspect", "set_attribute", "give_money", "pause"} <= {spec.name for spec in client.specs}
        await ask(client, "pause")
        await ask(client, "set_attribute", character_id="emma", name="money", value=1000)
        assert (await ask(client, "inspect", character_id="emma"))["attributes"]["money"] == 1000.0
        assert (await ask(client, "give_money", character_id="emma", amount=5))["money"] == 1005.0
        head = (await ask(client, "pause"))["head"]
        await seen.until(lambda: seen.seqs[-1] == head)
        told = [m.payload()["money"] for m in seen.of("character_update") if m.payload().get("money", 0) >= 1000]
        assert told == [1000, 1005.0]


async def test_speed_changes_the_pace(server: LocalServer) -> None:
    slow = await asyncio.to_thread(start_local_server, tick_s=30.0)
    async with following(slow.url) as (client, seen):
        assert slow.town.tick <= 1
        await ask(client, "set_speed", factor=30_000)
        await seen.until(lambda: (client.tick or 0) >= 20 or (seen.messages[-1].tick and seen.messages[-1].tick > 20))
    await asyncio.to_thread(slow.stop)


async def test_five_thousand_characters_run() -> None:
    server = await asyncio.to_thread(start_local_server, characters=5_000, tick_s=0.001, paused=True)
    try:
        async with following(server.url, history=0) as (client, seen):
            await seen.until(lambda: any(m.payload()["last"] for m in seen.of("snapshot")))
            assert sum(len(m.payload()["characters"]) for m in seen.of("snapshot")) == 5_000
            state = await ask(client, "step", ticks=5)
            assert state["tick"] == 5
            await seen.until(lambda: seen.seqs and seen.seqs[-1] == state["head"])
            assert not seen.gaps
    finally:
        await asyncio.to_thread(server.stop)


def test_threads_are_two_and_named() -> None:
    before = {thread.name for thread in threading.enumerate()}
    with start_local_server():
        new = {thread.name for thread in threading.enumerate()} - before
        assert new == {"degentcivil-probe", "degentcivil-town"}


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port_is_refused(port: int, nothing_leaks: Callable[[], None]) -> None:
    with pytest.raises(ValueError, match=f"a port must be a number .* not {port}"):
        start_local_server(port)
    nothing_leaks()
