"""Batches by number and by time: in order, without loss."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from degentcivil_nb.protocol.batching import BatchTiming, MessageBatcher
from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.protocol.messages import WebSocketMessage
from tests.support.clock import Clock


def message(number: int) -> WebSocketMessage:
    return WebSocketMessage("event_notification", number)


def now(coroutine: Coroutine[Any, Any, WebSocketMessage | None]) -> WebSocketMessage | None:
    """Run what never really waits."""
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return cast(WebSocketMessage | None, done.value.value)


def numbers(batch: WebSocketMessage | None) -> list[int]:
    return [] if batch is None else [item.data for item in batch.data]


async def test_the_guide_s_own_use_without_its_loss() -> None:
    batcher = MessageBatcher(max_size=3, clock=Clock())
    assert await batcher.flush() is None
    assert await batcher.add_message(message(1)) is None
    assert await batcher.add_message(message(2)) is None
    full = await batcher.add_message(message(3))  # the guide flushed here, and dropped what it flushed
    assert full is not None
    assert full.type == "batch"
    assert numbers(full) == [1, 2, 3]
    await batcher.add_message(message(4))
    assert numbers(await batcher.flush()) == [4]
    assert batcher.batch == []


async def test_it_does_not_wait_longer_than_it_may() -> None:
    clock = Clock()
    batcher = MessageBatcher(max_wait=1.0, clock=clock)
    batcher.add(message(1))
    assert batcher.deadline == 1.0
    clock.now = 0.6
    batcher.add(message(2))
    assert batcher.deadline == 1.0  # the first one's
    clock.now = 0.99
    assert batcher.poll() is None
    clock.now = 1.0
    assert batcher.due()
    assert numbers(batcher.poll()) == [1, 2]
    assert not batcher.due(1e9)
    clock.now = 5.0
    batcher.add(message(3))
    clock.now = 6.5
    assert numbers(await batcher.add_message(message(4))) == [3, 4]  # late, but with nobody who polls


def test_low_traffic_is_not_delayed_and_a_flood_is_batched() -> None:
    clock = Clock()
    batcher = MessageBatcher(max_wait=0.02, clock=clock, adaptive=True)
    clock.now = 10.0
    assert numbers(batcher.add(message(1))) == [1]  # the first after a silence
    clock.now = 10.001
    assert batcher.add(message(2)) is None
    clock.now = 10.0199
    assert batcher.poll() is None
    clock.now = 10.0201
    assert numbers(batcher.poll()) == [2]  # counted from the last that went
    clock.now = 10.1
    assert numbers(batcher.add(message(3))) == [3]


async def test_a_sink_takes_every_batch_and_one_that_fails_has_taken_nothing() -> None:
    taken: list[int] = []
    failing = True

    def sink(batch: WebSocketMessage) -> None:
        if failing:
            raise OSError("the disk is full")
        taken.extend(numbers(batch))

    batcher = MessageBatcher(max_size=2, clock=Clock(), sink=sink)
    await batcher.add_message(message(1))
    with pytest.raises(OSError, match="full"):
        await batcher.add_message(message(2))
    with pytest.raises(OSError, match="full"):
        batcher.close()
    failing = False
    assert numbers(batcher.close()) == [1, 2]
    assert taken == [1, 2]


def test_what_a_sink_adds_is_kept_for_the_next_batch() -> None:
    went: list[list[int]] = []

    def sink(batch: WebSocketMessage) -> None:
        went.append(numbers(batch))
        if len(went) == 1:
            batcher.add(message(9))

    batcher = MessageBatcher(max_size=5, clock=Clock(), sink=sink)
    batcher.add(message(1))
    batcher.poll(float("inf"))
    assert (went, [item.data for item in batcher.batch]) == ([[1]], [9])
    assert batcher.deadline is not None


def test_a_closed_batcher_gives_what_it_has_and_takes_no_more() -> None:
    batcher = MessageBatcher(clock=Clock())
    batcher.add(message(1))
    assert numbers(batcher.close()) == [1]
    assert batcher.close() is None
    with pytest.raises(WebSocketError) as caught:
        batcher.add(message(2))
    assert caught.value.code == 1004


@given(
    st.lists(st.tuples(st.sampled_from(["add", "poll", "flush"]), st.floats(0, 2)), max_size=40),
    st.integers(1, 5),
    st.floats(0, 3),
    st.booleans(),
)
def test_nothing_is_lost_doubled_or_reordered(
    steps: list[tuple[str, float]], max_size: int, max_wait: float, adaptive: bool
) -> None:
    clock = Clock()
    batcher = MessageBatcher(max_size, max_wait, clock=clock, adaptive=adaptive)
    added, gone = 0, list[int]()
    for step, pause in steps:
        clock.now += pause
        if step == "add":
            added += 1
            found = batcher.add(message(added))
        else:
            found = batcher.poll() if step == "poll" else now(batcher.flush())
        assert len(numbers(found)) <= max_size
        gone += numbers(found)
        assert len(batcher.batch) < max_size
        assert (batcher.deadline is None) is (not batcher.batch)
        if batcher.deadline is not None:
            assert batcher.deadline <= clock.now + max_wait
    assert gone + numbers(batcher.close()) == list(range(1, added + 1))


def test_its_settings_are_checked() -> None:
    for wrong in ({"max_size": 0, "max_wait": 1.0}, {"max_size": 1, "max_wait": -1.0}):
        with pytest.raises(ValueError, match="number of"):
            MessageBatcher(**wrong)  # type: ignore[arg-type]


def test_the_timing_alone_serves_whoever_keeps_the_messages_elsewhere() -> None:
    timing = BatchTiming(100, 0.02, adaptive=True)
    assert not timing.due(0, 5.0)
    timing.waits(5.0)
    assert timing.due(1, 5.0)
    timing.sent(5.0)
    timing.waits(5.01)
    assert not timing.due(1, 5.0199)
    assert timing.due(100, 5.0199)
    assert timing.due(1, 5.0201)
    timing.max_wait = 0.06  # where there are many peers
    assert not timing.due(1, 5.0201)


def test_after_news_nobody_need_look_again_before_more_of_them_may_go() -> None:
    timing = BatchTiming(100, 0.02, adaptive=True)
    assert timing.earliest < 0.0, "nothing has gone yet: the first does not wait"
    timing.waits(10.0)
    timing.sent(10.0)
    assert timing.earliest == pytest.approx(10.02)
    timing.waits(10.001)
    assert not timing.due(1, 10.019)
    assert timing.due(1, timing.earliest)
    assert BatchTiming(100, 0.02).earliest == float("-inf"), "without adaptation each waits by its own time"
