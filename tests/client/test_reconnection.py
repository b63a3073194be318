"""Reconnection after cuts, restarts and dead peers: every event once, or the reason why the client gives up."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from degentcivil_nb.client.circuit_breaker import Circuit, retry_delays
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.command_payloads import Command, CommandResult
from degentcivil_nb.protocol.control_payloads import Gap, Hello, Resume
from degentcivil_nb.protocol.errors import CommandError, ConnectFailed, OutcomeUnknown
from degentcivil_nb.protocol.json_text import decode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from degentcivil_nb.server.stream.history import History
from tests.support.client_helpers import Collector, following, frame, greet, scripted, stay
from tests.support.fault_proxy import FaultProxy
from tests.support.waiting import eventually


@contextlib.asynccontextmanager
async def served(**options: Any) -> AsyncIterator[SimulationWebSocket]:
    server = SimulationWebSocket(**{"port": 0, "heartbeat_s": 0.1, **options})
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def through_a_proxy(
    history: History | None = None, heartbeat_s: float = 0.1, **options: Any
) -> AsyncIterator[tuple[SimulationWebSocket, FaultProxy, SimulationClient, Collector]]:
    async with (
        served(history=history, heartbeat_s=heartbeat_s) as server,
        FaultProxy(server.port) as proxy,
        following(proxy.url, **options) as (client, sink),
    ):
        yield server, proxy, client, sink


def publish(server: SimulationWebSocket, number: int) -> None:
    for _ in range(number):
        server.publish("state_change", {"character_id": "emma", "new_state": "MOVE"})


def never() -> Iterator[float]:
    """Be a back-off that waits for a person."""
    return itertools.repeat(3600.0)


# --- nothing lost ----------------------------------------------------------------------------------------------------


async def test_after_a_cut_it_goes_on_where_it_was() -> None:
    async with through_a_proxy() as (server, proxy, client, sink):
        publish(server, 5)
        await sink.until(lambda: sink.seqs == [1, 2, 3, 4, 5])
        proxy.reset()
        publish(server, 5)
        await sink.until(lambda: sink.seqs == list(range(1, 11)))
        await eventually(lambda: client.state == "live")
        assert client.reconnects == 1 and sink.gaps == []
        assert len(sink.of("snapshot")) == 1


async def test_cuts_in_the_middle_of_frames_lose_nothing_and_double_nothing() -> None:
    async with through_a_proxy() as (server, proxy, client, sink):
        for cut in range(1, 21):
            proxy.down.cut_in_frame(1 + cut % 4)
            for _ in range(5):
                publish(server, 20)
                await asyncio.sleep(0.01)  # so that they go in several frames
            await eventually(lambda: client.state == "live")
        proxy.heal()
        await sink.until(lambda: sink.seqs and sink.seqs[-1] == 2000)
        assert sink.seqs == list(range(1, 2001)) and sink.gaps == []
        assert client.reconnects >= 10


async def test_what_left_the_history_meanwhile_is_one_gap_with_its_bounds() -> None:
    async with through_a_proxy(history=History(10)) as (server, proxy, _, sink):
        publish(server, 5)
        await sink.until(lambda: len(sink.seqs) == 5)
        await proxy.disable()
        proxy.reset()
        publish(server, 100)
        await eventually(lambda: server.history.head == 105)
        await proxy.enable()
        await sink.until(lambda: 105 in sink.seqs)
        assert sink.gaps == [Gap(server.epoch, 6, 95, "window")]
        assert sink.seqs == [1, 2, 3, 4, 5, *range(96, 106)]


async def test_a_restart_leaves_the_old_epoch_open_and_the_new_one_whole() -> None:
    async with served() as first:
        publish(first, 3)
        await eventually(lambda: first.history.head == 3)
        async with following(first.url) as (client, sink):
            await sink.until(lambda: len(sink.seqs) == 3)
            await first.close()
            async with served(port=first.port) as second:
                publish(second, 2)
                await eventually(lambda: client.epoch == second.epoch and client.state == "live")
                await sink.until(lambda: len(sink.seqs) == 5)
                assert sink.gaps == [Gap(first.epoch, 4, None, "restart")]
                assert sink.seqs == [1, 2, 3, 1, 2]
                assert set(sink.epochs[-2:]) == {second.epoch}


async def test_a_filtered_client_reconnects_without_false_gaps() -> None:
    async with through_a_proxy(types=["trade"]) as (server, proxy, client, sink):
        for _ in range(3):
            publish(server, 7)
            server.publish("trade", {"price": 3})
            await eventually(lambda: client.head == server.history.head)
            proxy.reset()
        await eventually(lambda: client.position == (server.epoch, 24) and client.state == "live")
        assert sink.seqs == [8, 16, 24] and sink.gaps == [] and client.filtered == 21


async def test_a_newcomer_cut_before_resumed_is_still_one() -> None:
    asked: list[Resume] = []

    async def cut(websocket: ServerConnection) -> None:
        await websocket.send(frame("hello", Hello("one", head=50)))
        asked.append(decode(Resume, decode(RawMessage, await websocket.recv()).data))
        await websocket.close(1011)

    async def read_until(websocket: ServerConnection) -> None:
        asked.append(await greet(websocket, head=50))
        await stay(websocket)

    async with scripted(cut, read_until) as url:
        client = SimulationClient(url, history=9)
        with pytest.raises(ConnectFailed, match="code 1011"):
            await client.open()
        await client.reconnect()
        assert client.position == ("one", 50)
        await client.close()
    assert [(one.epoch, one.seq, one.history) for one in asked] == [(None, None, 9), (None, None, 9)]
    assert len({one.client.id for one in asked if one.client is not None}) == 1


# --- noticing, retrying, giving up -----------------------------------------------------------------------------------


async def test_a_dead_peer_is_noticed_within_two_heartbeats() -> None:
    heartbeat_s = 0.3
    async with through_a_proxy(heartbeat_s=heartbeat_s, delays=never) as (_, proxy, client, _):
        loop = asyncio.get_running_loop()
        proxy.down.black_hole(True)
        started = loop.time()
        await eventually(lambda: client.state == "reconnecting")
        assert loop.time() - started < 2 * heartbeat_s + 0.2
        assert "was lost" in str(client.last_error)


@pytest.mark.parametrize(("code", "says"), [(1008, "refuses this client"), (1009, "too big")])
async def test_a_terminal_close_ends_it_with_advice(code: int, says: str) -> None:
    async def script(websocket: ServerConnection) -> None:
        await greet(websocket)
        await websocket.recv()
        await websocket.close(code, "because")

    async with scripted(script) as url, following(url) as (client, _):
        await client.send("go on")
        await asyncio.wait_for(client.run(), 5)
        assert client.state == "closed" and client.reconnects == 0
        assert says in str(client.last_error) and ": because. " in str(client.last_error)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4008])
async def test_a_passing_close_is_tried_again(code: int) -> None:
    async def script(websocket: ServerConnection) -> None:
        await greet(websocket)
        await websocket.recv()
        await websocket.close(code)

    async def read_until(websocket: ServerConnection) -> None:
        await greet(websocket)
        await stay(websocket)

    async with scripted(script, read_until) as url, following(url) as (client, _):
        await client.send("go on")
        await eventually(lambda: client.reconnects == 1)
        assert client.state == "live"


@pytest.mark.parametrize("status", [200, 401, 403, 404, 410, 429, 503, 505, 511])
async def test_whatever_answers_in_the_place_of_a_server_that_was_live_is_tried_again(status: int) -> None:
    busy = 0

    async def script(websocket: ServerConnection) -> None:
        await greet(websocket)
        await websocket.recv()
        await websocket.close(1012)

    def sometimes(peer: ServerConnection, _: Any) -> Any:
        nonlocal busy
        busy += 1
        return peer.respond(status, "busy") if busy in (2, 3) else None

    async with scripted(script, process_request=sometimes) as url, following(url) as (client, _):
        await client.send("go on")
        await eventually(lambda: client.reconnects == 1 or client.state == "closed")
        assert client.state == "live"
        assert busy == 4


def test_the_back_off_grows_is_jittered_and_capped() -> None:
    series = [list(itertools.islice(retry_delays(), 30)) for _ in range(50)]
    for delays in series:
        assert all(0 <= delay <= 30 for delay in delays)
        assert delays[-1] >= 10 and delays[1] <= 0.5
    assert len({delays[5] for delays in series}) > 40


async def test_the_circuit_opens_after_repeated_failures_and_a_person_closes_it() -> None:
    circuit = Circuit(failures=3, open_s=3600)
    async with through_a_proxy(circuit=circuit) as (_, proxy, client, _):
        await proxy.disable()
        proxy.reset()
        await eventually(lambda: client.circuit == "open")
        assert client.state == "reconnecting" and "refused" in str(client.last_error)
        with pytest.raises(ConnectFailed, match="refused"):
            await client.reconnect()
        await proxy.enable()
        await client.reconnect()
        assert (client.state, client.circuit) == ("live", "closed")


def test_a_circuit_is_open_for_its_time_after_each_failure_from_the_last_one_allowed_on() -> None:
    now = 100.0
    circuit = Circuit(failures=2, open_s=60.0, clock=lambda: now)
    circuit.failed()
    assert (circuit.state, circuit.remaining_s) == ("closed", 0.0)
    circuit.failed()
    assert (circuit.state, circuit.remaining_s) == ("open", 60.0)
    now = 160.0
    assert (circuit.state, circuit.remaining_s) == ("half-open", 0.0)
    circuit.failed()
    assert (circuit.state, circuit.remaining_s) == ("open", 60.0)
    circuit.close()
    assert (circuit.state, circuit.remaining_s) == ("closed", 0.0)
    circuit.failed()
    assert circuit.state == "closed", "the count begins anew"


async def test_an_open_circuit_lets_one_attempt_through_after_its_time() -> None:
    circuit = Circuit(failures=2, open_s=0.05)
    async with through_a_proxy(circuit=circuit) as (_, proxy, client, _):
        await proxy.disable()
        proxy.reset()
        await eventually(lambda: client.circuit == "open")
        await proxy.enable()
        await eventually(lambda: client.state == "live")
        assert client.circuit == "closed"


async def test_closing_while_it_waits_to_try_again_ends_at_once() -> None:
    async with through_a_proxy(delays=never) as (_, proxy, client, _):
        proxy.reset()
        await eventually(lambda: client.state == "reconnecting")
        await asyncio.wait_for(client.close(), 1)
        assert client.state == "closed"


async def close_one_that_never_answers(websocket: ServerConnection) -> None:
    await greet(websocket)
    websocket.transport.pause_reading()  # the closing handshake stays unanswered
    await stay(websocket)


async def test_a_close_that_is_cut_short_cuts_the_connection() -> None:
    async with scripted(close_one_that_never_answers) as url:
        client = SimulationClient(url, sink=Collector())
        await client.open()
        assert client.websocket is not None
        transport = client.websocket.transport
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)  # it has begun
        closing.cancel()
        await asyncio.wait((closing,))
        assert transport.is_closing()


async def test_a_client_whose_loop_ends_without_a_close_leaves_no_socket() -> None:
    async with served() as server:

        async def open_and_leave() -> Any:
            client = SimulationClient(f"ws://127.0.0.1:{server.port}", sink=Collector())
            await client.open()
            assert client.websocket is not None
            return client.websocket.transport

        transport = await asyncio.to_thread(asyncio.run, open_and_leave())
        assert transport.is_closing()


async def test_after_giving_up_a_person_can_start_it_again() -> None:
    async def refuse(websocket: ServerConnection) -> None:
        await greet(websocket)
        await websocket.recv()
        await websocket.close(1008, "enough")

    async def read_until(websocket: ServerConnection) -> None:
        await greet(websocket)
        await stay(websocket)

    async with scripted(refuse, read_until) as url, following(url) as (client, _):
        await client.send("go on")
        await eventually(lambda: client.state == "closed")
        await client.reconnect()
        assert client.state == "live"


# --- commands across connections -------------------------------------------------------------------------------------


async def test_a_command_is_sent_again_with_its_id_within_the_epoch() -> None:
    ids: list[str | None] = []

    async def cut(websocket: ServerConnection) -> None:
        await greet(websocket)
        ids.append(decode(RawMessage, await websocket.recv()).id)
        websocket.transport.abort()

    async def answer(websocket: ServerConnection) -> None:
        await greet(websocket)
        message = decode(RawMessage, await websocket.recv())
        ids.append(message.id)
        assert decode(Command, message.data).epoch == "one"
        await websocket.send(frame("command_result", CommandResult(True, "done"), id=message.id))
        await stay(websocket)

    async with scripted(cut, answer) as url, following(url) as (client, _):
        assert (await client.request("pause", {})).result == "done"
    assert ids[0] == ids[1] and len(ids) == 2


async def test_a_command_cut_off_by_a_restart_is_unknown_and_not_sent_again() -> None:
    again: list[str | bytes] = []

    async def cut(websocket: ServerConnection) -> None:
        await greet(websocket)
        await websocket.recv()
        websocket.transport.abort()

    async def restarted(websocket: ServerConnection) -> None:
        await greet(websocket, epoch="two")
        async for text in websocket:
            again.append(text)

    async with scripted(cut, restarted) as url, following(url) as (client, _):
        with pytest.raises(OutcomeUnknown, match="restarted before it answered"):
            await client.request("pause", {})
        assert client.epoch == "two"
    assert again == []


async def test_a_command_that_never_left_is_a_timeout_and_no_mystery() -> None:
    async with through_a_proxy(delays=never) as (_, proxy, client, _):
        proxy.reset()
        await eventually(lambda: client.state == "reconnecting")
        with pytest.raises(CommandError, match="was never sent") as failed:
            await client.request("pause", {}, deadline_s=0.1)
    assert failed.value.code == CommandError.TIMEOUT


async def test_a_command_given_while_reconnecting_is_sent_when_live() -> None:
    async def cut(websocket: ServerConnection) -> None:
        await greet(websocket)
        await websocket.recv()
        websocket.transport.abort()

    async def answer(websocket: ServerConnection) -> None:
        await greet(websocket, epoch="two")
        message = decode(RawMessage, await websocket.recv())
        await websocket.send(frame("command_result", CommandResult(True, "done"), id=message.id))
        await stay(websocket)

    async with scripted(cut, answer) as url, following(url, delays=never) as (client, _):
        await client.send("go on")
        await eventually(lambda: client.state == "reconnecting")
        waiting = asyncio.create_task(client.request("pause", {}))
        await client.reconnect()
        assert (await waiting).result == "done"


# --- silence ---------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def behind_silence(silence_s: float) -> AsyncIterator[tuple[FaultProxy, SimulationClient, Collector]]:
    async def guide(websocket: ServerConnection) -> None:
        await websocket.send('{"type":"x","timestamp":1}')
        await stay(websocket)

    async with (
        scripted(guide, v1=False) as url,
        FaultProxy(int(url.rpartition(":")[2])) as proxy,
        following(proxy.url, silence_s=silence_s) as (client, sink),
    ):
        await sink.until(lambda: sink.messages)
        client._connections._interval = lambda: 0.1  # type: ignore[method-assign]  # pings that come soon
        yield proxy, client, sink


async def test_a_server_without_positions_may_be_silent_and_it_is_said_for_how_long() -> None:
    async with behind_silence(300.0) as (proxy, client, sink):
        proxy.down.black_hole(True)
        await eventually(lambda: client.silent_s is not None and client.silent_s > 1.0)
        assert client.state == "live" and client.reconnects == 0
        proxy.heal()
        await eventually(lambda: client.silent_s is not None and client.silent_s < 0.5)
        assert client.reconnects == 0 and sink.gaps == []


async def test_silence_for_minutes_is_a_dead_peer_all_the_same() -> None:
    async with behind_silence(0.5) as (proxy, client, _):
        proxy.down.black_hole(True)
        await eventually(lambda: client.state != "live")
        assert "was lost" in str(client.last_error)


def test_the_silence_that_is_allowed_is_of_several_minutes() -> None:
    assert SimulationClient()._connections._patience() >= 180
