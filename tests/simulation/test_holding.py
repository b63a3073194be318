"""What waits while a run is paused, and ticks of many coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from degentcivil_nb.simulation import SimulationProbe
from degentcivil_nb.simulation.barrier import Barrier
from tests.support.client_helpers import following


@pytest.fixture
async def probe() -> AsyncIterator[SimulationProbe]:
    probe = SimulationProbe(port=0)
    yield probe
    await asyncio.to_thread(probe.close)


async def test_a_step_is_one_tick_of_all_coroutines(probe: SimulationProbe) -> None:
    probe.barrier(200)
    ticks = [0] * 200

    async def live(number: int) -> None:
        while True:
            ticks[number] += 1
            await probe.acheckpoint()
            await asyncio.sleep(0.01)  # the client lives on this loop too

    tasks = [asyncio.create_task(live(number)) for number in range(200)]
    async with following(probe.url) as (client, _):
        await client.request("pause", {})
        before = list(ticks)
        assert len(set(before)) == 1, "all of them stand at the same tick"
        await client.request("step", {})
        assert ticks == [count + 1 for count in before]
        await client.request("step", {"ticks": 3})
        assert ticks == [count + 4 for count in before]
        await client.request("resume", {})
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_coroutine_that_ends_leaves_the_others_their_ticks() -> None:
    barrier = Barrier(3)
    done: list[int] = []

    async def checkpoint() -> None:
        done.append(len(done))

    async def live(rounds: int) -> None:
        for _ in range(rounds):
            await barrier.arrive(checkpoint)
        barrier.leave()

    async with asyncio.timeout(10):
        await asyncio.gather(live(1), live(2), live(5))
    assert len(done) == 5
    with pytest.raises(ValueError, match="at least 1"):
        Barrier(0)


async def test_who_is_cancelled_at_a_barrier_is_not_counted() -> None:
    barrier = Barrier(2)

    async def checkpoint() -> None:
        pass

    waiting = asyncio.create_task(barrier.arrive(checkpoint))
    await asyncio.sleep(0)  # it has come to the barrier
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    again = asyncio.create_task(barrier.arrive(checkpoint))
    await asyncio.sleep(0)  # it has come to the barrier
    assert not again.done()
    async with asyncio.timeout(10):
        await asyncio.gather(again, barrier.arrive(checkpoint))


async def test_a_continuation_waits_for_the_run_to_go_on(probe: SimulationProbe) -> None:
    order: list[str] = []

    @probe.when_running
    async def act() -> None:
        order.append("async")

    @probe.when_running
    def act_in_thread() -> None:
        order.append("thread")

    async def live() -> None:
        while True:
            await probe.acheckpoint()

    living = asyncio.create_task(live())
    async with following(probe.url) as (client, _):
        await client.request("pause", {})
        acting = [asyncio.create_task(act()), asyncio.create_task(asyncio.to_thread(act_in_thread))]
        await client.request("step", {})
        await client.request("pause", {})
        order.append("resumed")
        await client.request("resume", {})
        async with asyncio.timeout(10):
            await asyncio.gather(*acting)
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
    assert sorted(order) == ["async", "resumed", "thread"]
    await act()
    assert order[-1] == "async", "a run that goes on holds nothing"


async def test_a_checkpoint_on_a_loop_blocks_where_it_is_told_to(probe: SimulationProbe) -> None:
    held = threading.Event()

    async def simulation() -> None:
        for tick in range(3):
            probe.checkpoint(tick, blocking=True)
        held.set()

    probe.control.run_commands.pause()
    thread = threading.Thread(target=asyncio.run, args=(simulation(),))
    thread.start()
    async with following(probe.url) as (client, _):
        assert (await client.request("pause", {})).result["state"] == "paused"
        assert not held.is_set()
        await client.request("resume", {})
    await asyncio.to_thread(thread.join)
    assert held.is_set()


async def test_an_interview_says_whether_anything_changed(probe: SimulationProbe) -> None:
    people: dict[Any, dict[str, Any]] = {5: {"mood": "calm"}}

    @probe.inspector
    def inspect(character_id: Any) -> Any:
        return people[character_id]

    @probe.asker
    def ask(character_id: Any, question: str) -> str:
        if question == "angry?":
            people[character_id]["mood"] = "angry"
        return f"{character_id}: {question}"

    async def live() -> None:
        while True:
            await probe.acheckpoint()

    living = asyncio.create_task(live())
    async with following(probe.url) as (client, seen):
        calm = (await client.request("ask", {"character_id": "5", "question": "why?"})).result
        angry = (await client.request("ask", {"character_id": 5, "question": "angry?"})).result
        await seen.until(lambda: len(seen.of("event_notification")) == 2)
        told = [message.payload()["data"] for message in seen.of("event_notification")]
        assert all(message.links().intervention for message in seen.of("event_notification"))
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
    assert calm == {"answer": "5: why?", "unchanged": True}
    assert angry == {"answer": "5: angry?", "unchanged": False, "changed": {"mood": ["calm", "angry"]}}
    assert told == [{"question": "why?", **calm}, {"question": "angry?", **angry}]
