"""The probe: what it publishes, that it never disturbs the simulation, and its life."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

from degentcivil_nb.protocol.errors import CommandError, ConnectFailed
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.simulation import SimulationProbe
from tests.support.client_helpers import following
from tests.support.waiting import eventually


@pytest.fixture
async def probe() -> AsyncIterator[SimulationProbe]:
    probe = SimulationProbe(port=0)
    yield probe
    await asyncio.to_thread(probe.close)


def payloads(messages: list[RawMessage]) -> list[Any]:
    return [message.payload() for message in messages if message.seq is not None]


async def test_what_a_simulation_tells_arrives_as_the_protocol_has_it(probe: SimulationProbe) -> None:
    probe.state_change("emma", "MOVE", location="Park")
    probe.state_change("emma", "IDLE")
    probe.character_update("emma", money=12, mood="calm")
    probe.event("trade", {"price": 3}, character_id="emma", id="t1", cause="l1")
    try:
        raise ZeroDivisionError("plan")
    except ZeroDivisionError as error:
        probe.error(1004, "planner failed", character_id="emma", exception=error)
    probe.llm_call("emma", prompt_type="PLAN", prompt="?", response={"go": "Park"}, model="m", latency_s=0.5, id="l1")
    probe.publish("weather_map", [[1, 2], [3, 4]])
    async with following(probe.url) as (_, seen):
        await seen.until(lambda: seen.of("weather_map"))
        moved, idled, updated, traded, failed, called, other = payloads(seen.messages)
    assert moved == {
        "character_id": "emma",
        "new_state": "MOVE",
        "location": "Park",
        "timestamp": moved["timestamp"],
    }
    assert (idled["previous_state"], idled["location"]) == ("MOVE", None)
    assert updated == {"character_id": "emma", "money": 12, "mood": "calm"}
    assert traded["event_type"] == "trade" and traded["data"] == {"price": 3}
    assert (traded["id"], traded["cause"], traded["character_id"]) == ("t1", "l1", "emma")
    assert (failed["code"], failed["message"]) == (1004, "planner failed")
    assert "ZeroDivisionError: plan" in failed["traceback"]
    assert called == {
        "character_id": "emma",
        "prompt_type": "PLAN",
        "prompt": "?",
        "response": {"go": "Park"},
        "model": "m",
        "latency_s": 0.5,
        "id": "l1",
    }
    assert other == [[1, 2], [3, 4]]


async def test_messages_carry_the_tick_that_their_checkpoint_closes(probe: SimulationProbe) -> None:
    for tick in range(3):
        probe.event("step")
        await probe.acheckpoint(tick)
    probe.event("step")
    async with following(probe.url) as (_, seen):
        await seen.until(lambda: len(seen.of("event_notification")) == 4)
        assert [message.tick for message in seen.of("event_notification")] == [0, 1, 2, 3]


async def test_a_payload_is_what_it_was_when_told(probe: SimulationProbe) -> None:
    basket = ["bread"]
    probe.event("basket", basket)
    basket.append("honey")
    async with following(probe.url) as (_, seen):
        await seen.until(lambda: seen.seqs)
        assert payloads(seen.messages)[0]["data"] == ["bread"]


class Hostile:
    """Raise whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


async def test_nothing_is_raised_into_the_simulation(probe: SimulationProbe, caplog: pytest.LogCaptureFixture) -> None:
    loop: list[Any] = []
    loop.append(loop)
    bad: Any = Hostile()
    with caplog.at_level(logging.CRITICAL):
        probe.event("bad", bad)
        probe.event("endless", loop)
        probe.state_change(bad, bad, bad)
        probe.character_update(bad, money=bad)
        probe.character_update("emma", money=float("nan"))
        probe.error(1004, "x", exception=HostileError())
        probe.llm_call(bad, prompt=bad)
        probe.publish("hello", {"epoch": "mine"})
        probe.event("huge", "x" * (3 << 20))
        await probe.acheckpoint(bad)
        probe.event("good")
    async with following(probe.url) as (_, seen):
        await seen.until(lambda: any(p.get("event_type") == "good" for p in payloads(seen.messages)))
        assert not seen.of("hello")


async def test_commands_are_declared_checked_and_run_where_the_model_is(probe: SimulationProbe) -> None:
    purse = {"emma": 1}

    async with following(probe.url) as (client, _):

        @probe.command(role="debugger")
        def give_money(character_id: str, amount: int) -> dict[str, int]:
            """Give a character money."""
            purse[character_id] += amount
            return dict(purse)

        @probe.command
        def ping() -> str:
            return "pong"

        await eventually(lambda: {"give_money", "ping"} <= {spec.name for spec in client.specs})
        spec = next(spec for spec in client.specs if spec.name == "give_money")
        assert (spec.doc, spec.role) == ("Give a character money.", "debugger")
        assert spec.arguments["required"] == ["character_id", "amount"]
        asking = asyncio.create_task(client.request("give_money", {"character_id": "emma", "amount": 3}))
        while not asking.done():
            await probe.acheckpoint()
        assert (await asking).result == {"emma": 4}
        with pytest.raises(CommandError, match="amount") as caught:
            await client.request("give_money", {"character_id": "emma", "amount": "3"})
        assert caught.value.code == 1102
    with pytest.raises(ValueError, match="probe itself"):
        probe.command(name="pause")(ping)
    with pytest.raises(ValueError, match="probe itself"):
        probe.command(name="inspect")(ping)


async def test_inspecting_and_changing_go_through_what_the_simulation_registers(probe: SimulationProbe) -> None:
    model = {"emma": {"money": 3}}

    async def ask(command: str, **arguments: Any) -> Any:
        asking = asyncio.create_task(client.request(command, arguments))
        while not asking.done():
            await probe.acheckpoint()
        return (await asking).result

    @probe.inspector
    def look(character_id: str) -> dict[str, int]:
        return model[character_id]

    @probe.attributes
    def change(character_id: str, name: str, value: Any) -> None:
        if name != "money":
            raise AttributeError(f"no {name}")
        model[character_id][name] = value + 0

    async with following(probe.url) as (client, seen):
        assert await ask("inspect", character_id="emma") == {"money": 3}
        state = await ask("set_attribute", character_id="emma", name="money", value=5)
        assert model["emma"]["money"] == 5
        await seen.until(lambda: seen.of("character_update"))
        assert payloads(seen.of("character_update")) == [{"character_id": "emma", "money": 5}]
        assert state["head"] == seen.seqs[-1]
        for arguments, field in (
            ({"character_id": "zoe", "name": "money", "value": 1}, "character_id"),
            ({"character_id": "emma", "name": "wings", "value": 1}, "name"),
            ({"character_id": "emma", "name": "money", "value": "x"}, "value"),
            ({"character_id": "emma", "name": "character_id", "value": "x"}, "name"),
        ):
            with pytest.raises(CommandError) as caught:
                await ask("set_attribute", **arguments)
            assert (caught.value.code, caught.value.details["field"]) == (1102, field)
        with pytest.raises(CommandError, match="zoe"):
            await ask("inspect", character_id="zoe")


async def test_injected_commands_are_events_of_the_stream(probe: SimulationProbe) -> None:
    asked = (
        ("inject_event", {"event_type": "storm", "data": {"wind": 9}}, "event_notification"),
        ("inject_state_change", {"character_id": "emma", "new_state": "DRAW", "location": "Park"}, "state_change"),
        ("inject_character_update", {"character_id": "emma", "attributes": {"self": 1}}, "character_update"),
        ("inject_error", {"code": 7, "message": "on purpose"}, "error"),
    )
    async with following(probe.url) as (client, seen):
        for name, arguments, type in asked:
            asking = asyncio.create_task(client.request(name, arguments))
            while not asking.done():
                await probe.acheckpoint()
            result = (await asking).result
            await seen.until(partial(seen.of, type))
            assert seen.of(type)[-1].seq == result["head"]


async def test_a_pause_names_the_last_event_before_it(probe: SimulationProbe) -> None:
    async with following(probe.url) as (client, seen):
        asking = asyncio.create_task(client.request("pause", {}))
        told = 0
        simulation = asyncio.create_task(_tell_for_ever(probe))
        state = (await asking).result
        told = state["head"]
        await seen.until(lambda: seen.seqs and seen.seqs[-1] >= told)
        await asyncio.sleep(0.05)  # a simulation that tells for ever would tell a lot
        assert seen.seqs[-1] == told, "nothing happens while it is paused"
        stopped = [message.payload() for message in seen.of("run_state")]
        assert [(one["state"], one["head"]) for one in stopped][-1] == ("paused", told)
        simulation.cancel()


async def _tell_for_ever(probe: SimulationProbe) -> None:
    tick = 0
    while True:
        tick += 1
        probe.event("step", tick)
        await probe.acheckpoint(tick)


async def test_without_checkpoints_it_streams_and_commands_say_why_not(probe: SimulationProbe) -> None:
    async with following(probe.url) as (client, seen):
        probe.event("alive")
        await seen.until(lambda: seen.seqs)
        with pytest.raises(CommandError, match=r"probe\.checkpoint") as caught:
            await client.request("pause", {}, deadline_s=1.0)
        assert caught.value.code == 1104


async def test_tokens_have_roles() -> None:
    with SimulationProbe(port=0, token="boss", tokens={"guest": "viewer"}) as probe:
        assert "boss" not in repr(probe)
        async with following(probe.url, token="guest") as (client, _):
            with pytest.raises(CommandError) as caught:
                await client.request("pause", {})
            assert caught.value.code == 1103
        async with following(probe.url, token="boss") as (client, _):
            asked = threading.Event()
            threading.Thread(target=_look_until, args=(probe, asked), daemon=True).start()
            assert (await client.request("pause", {})).result["state"] == "paused"
            asked.set()
        with pytest.raises(ConnectFailed):
            async with following(probe.url, token="thief"):
                pass


def _look_until(probe: SimulationProbe, asked: threading.Event) -> None:
    while not asked.is_set():
        probe.checkpoint()


# --- its life ----------------------------------------------------------------------------------------------------


def test_it_is_ready_when_constructed_and_gone_when_closed(nothing_leaks: Callable[[], None]) -> None:
    for _ in range(5):
        with SimulationProbe(port=0) as probe:
            assert probe.url.startswith("ws://127.0.0.1:")
            assert "running" in repr(probe)
        probe.close()
        probe.event("after the end")
        probe.checkpoint(3)
        assert probe.run_state == "finished"
    nothing_leaks()


def test_a_port_in_use_is_a_sentence_with_advice(nothing_leaks: Callable[[], None]) -> None:
    with SimulationProbe(port=0) as probe:
        port = int(probe.url.rpartition(":")[2])
        with pytest.raises(ConnectionError, match=r"in use.*port=0"):
            SimulationProbe(port=port)


def test_other_machines_need_a_token(nothing_leaks: Callable[[], None]) -> None:
    with pytest.raises(ValueError, match="token"):
        SimulationProbe(host="0.0.0.0", port=0)


@pytest.mark.parametrize(("error", "state"), [(None, "finished"), (ZeroDivisionError("model"), "dead")])
async def test_its_end_is_told_to_the_last_client(error: Exception | None, state: str) -> None:
    probe = SimulationProbe(port=0)
    async with following(probe.url) as (_, seen):

        def run() -> None:
            with probe:
                probe.event("last words")
                if error is not None:
                    raise error

        if error is None:
            await asyncio.to_thread(run)
        else:
            with pytest.raises(ZeroDivisionError):
                await asyncio.to_thread(run)
        await seen.until(lambda: seen.of("run_state"))
        assert seen.of("run_state")[-1].payload()["state"] == state
        assert len(seen.of("event_notification")) == 1


async def test_a_dead_server_thread_is_tolerated(caplog: pytest.LogCaptureFixture) -> None:
    probe = SimulationProbe(port=0)
    await asyncio.to_thread(probe.portal.call, probe.server.close)  # or its socket would be left to the collector
    await asyncio.to_thread(probe.portal.close)
    for tick in range(10):
        probe.event("nobody hears this")
        await probe.acheckpoint(tick)
    with caplog.at_level(logging.CRITICAL):
        await asyncio.to_thread(probe.close)
    assert probe.run_state == "finished"


def test_a_restarted_server_has_another_epoch_at_the_same_port(nothing_leaks: Callable[[], None]) -> None:
    with SimulationProbe(port=0) as probe:
        url, epoch = probe.url, probe.server.epoch
        probe.restart_server()
        assert probe.url == url
        assert probe.server.epoch != epoch


def test_a_port_of_the_metrics_in_use_leaves_no_server_behind(nothing_leaks: Callable[[], None]) -> None:
    with SimulationProbe(port=0, metrics_port=0) as probe:
        assert probe.metrics_url is not None
        taken = int(probe.metrics_url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(OSError):
            SimulationProbe(port=0, metrics_port=taken)


def test_a_probe_that_is_closed_during_a_restart_does_not_listen_again(nothing_leaks: Callable[[], None]) -> None:
    probe = SimulationProbe(port=0)
    closing, close, close_portal = threading.Event(), probe.server.close, probe.portal.close

    async def slowly() -> None:
        closing.set()
        await asyncio.sleep(0)  # so that the other close has its turn
        await close()

    probe.server.close = slowly  # type: ignore[method-assign]
    restarting = threading.Thread(target=probe.restart_server)
    restarting.start()
    closing.wait()

    def close_later(timeout: float = 5.0) -> None:
        restarting.join()
        close_portal(timeout)

    probe.portal.close = close_later  # type: ignore[method-assign]
    probe.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(probe.url.rpartition(":")[2])), timeout=5)


FORKED = """
import os, sys, threading
from degentcivil_nb.simulation import SimulationProbe
from degentcivil_nb.demo.local_server import start_local_server
server = start_local_server(tick_s=0.001)
probe = SimulationProbe(port=0)
probe.control.checkpoint(1)
child = os.fork()
if child == 0:
    probe.event("from the child")
    probe.checkpoint(2)
    probe.close()
    server.stop()
    sys.exit(7 if len(threading.enumerate()) == 1 else 8)
_, status = os.waitpid(child, 0)
probe.event("from the parent")
assert probe.server.publisher.depth or probe.server.history.head
assert os.waitstatus_to_exitcode(status) == 7, status
server.stop()
probe.close()
print("parent ended well")
"""

LEFT_OPEN = """
from degentcivil_nb.simulation import SimulationProbe
from degentcivil_nb.demo.local_server import start_local_server
server = start_local_server()
probe = SimulationProbe(port=0)
probe.event("x")
print("left open")
"""


def _python(program: str) -> subprocess.CompletedProcess[str]:
    # -W ignore: forking with threads is warned of from 3.12 on, and is what is tried here
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_the_childs_probe_is_inert() -> None:
    ended = _python(FORKED)
    assert (ended.returncode, ended.stdout.strip()) == (0, "parent ended well")
    (said,) = ended.stderr.splitlines()
    assert "this process was forked from that of the probe" in said


def test_an_interpreter_that_exits_with_everything_open_exits_cleanly() -> None:
    ended = _python(LEFT_OPEN)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "left open", "")


async def test_a_publish_costs_the_simulation_little(probe: SimulationProbe) -> None:
    # far above the 3 µs that are measured, so that it only catches a lock or a wait
    times = []
    for _ in range(2_000):
        started = time.perf_counter()
        probe.state_change("emma", "MOVE", "Park")
        times.append(time.perf_counter() - started)
    assert sorted(times)[1_000] < 100e-6


async def test_a_collector_sees_each_event_once(probe: SimulationProbe) -> None:
    async with following(probe.url) as (_, seen):
        await asyncio.to_thread(_burst, probe, 5_000)
        await seen.until(lambda: len(seen.seqs) == 5_000)
        assert seen.seqs == list(range(1, 5_001))
        assert not seen.gaps


def _burst(probe: SimulationProbe, count: int) -> None:
    for number in range(count):
        probe.event("burst", number)


async def test_its_server_counts_and_its_traffic_can_be_looked_at() -> None:
    with SimulationProbe(port=0, metrics_port=0) as probe:
        probe.traffic.enabled = True
        async with following(probe.url) as (_, seen):
            probe.event("trade", {"price": 3})
            await seen.until(lambda: seen.seqs == [1])
            figures = probe.monitor.get_metrics()
            assert (figures["total_connections"], figures["active_connections"]) == (1, 1)
            assert figures["messages_sent"] and figures["messages_received"]
            assert {"hello", "resume"} <= set(probe.traffic.frames()["type"])
            # noted after it was written, when the other side may have read it
            await eventually(lambda: {"event_notification", "batch"} & set(probe.traffic.frames()["type"]))
            assert probe.metrics_url is not None
            url = probe.metrics_url
            text = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
            assert "degentcivil_active_connections 1.0" in text
        await asyncio.to_thread(probe.restart_server)
        assert probe.monitor.metrics["active_connections"] == 0
    with pytest.raises(OSError):
        await asyncio.to_thread(urllib.request.urlopen, url)
