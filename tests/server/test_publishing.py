"""Publishing: from any thread, never raising, never waiting, and nothing lost without a gap."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from degentcivil_nb.monitoring.connection_monitor import ConnectionMonitor
from degentcivil_nb.monitoring.interfaces import NullMonitor
from degentcivil_nb.protocol.control_payloads import RunState
from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.protocol.messages import CONTROL, MessageTypes, WebSocketMessage
from degentcivil_nb.server.stream.history import History
from degentcivil_nb.server.stream.publishing import StreamPublisher
from degentcivil_nb.server.stream.snapshot import SnapshotBuilder


def publisher(history: History, **options: Any) -> StreamPublisher:
    return StreamPublisher(
        history, SnapshotBuilder(), epoch="e", monitor=options.pop("monitor", NullMonitor()), **options
    )


def held(history: History) -> list[dict[str, Any]]:
    return [json.loads(entry.frame) for entry in history.entries(history.start, 1_000_000)]


def test_a_message_is_encoded_at_once_and_positioned_when_drained() -> None:
    history = History()
    stream = publisher(history, clock=lambda: 5.0)
    payload = {"character_id": "emma", "new_state": "MOVE"}
    stream.publish("state_change", payload, 3)
    payload["new_state"] = "changed right after"
    assert (stream.depth, history.head) == (1, 0)
    assert stream.drain() == 1
    assert held(history) == [
        {
            "type": "state_change",
            "data": {"character_id": "emma", "new_state": "MOVE"},
            "timestamp": 5.0,
            "tick": 3,
            "seq": 1,
        }
    ]


def test_a_flood_is_drained_in_turns() -> None:
    history = History()
    stream = publisher(history)
    for number in range(10):
        stream.publish("n", number)
    assert [stream.drain(4), stream.drain(4), stream.drain(4)] == [4, 4, 2]
    assert [message["data"] for message in held(history)] == list(range(10))


class Hostile:
    @property
    def tolist(self) -> Any:
        raise RuntimeError("no")


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "payload",
    [object(), Hostile(), CIRCLE, DEEP, {1: {object()}}, {(1, 2): 3}, {"x": lambda: 1}, "\ud800", 1 << 99_999],
    ids=["object", "hostile", "circle", "deep", "set", "tuple key", "function", "surrogate", "digits"],
)
def test_a_value_that_json_does_not_have_arrives_converted(payload: Any) -> None:
    history = History()
    stream = publisher(history)
    stream.publish("note", payload)
    stream.drain()
    stream.enter(WebSocketMessage("note", payload))
    stream.publish("note", "good")
    stream.drain()
    assert [message["type"] for message in held(history)] == ["note"] * 3
    assert held(history)[2]["data"] == "good"
    assert stream.unencodable == 0
    assert stream.published == 3


@pytest.mark.parametrize(
    "type",
    [*sorted(CONTROL - {MessageTypes.RUN_STATE}), None, 7, ["list"], "x" * 2_000_000],
    ids=lambda type: str(type)[:20],
)
def test_what_is_no_type_is_an_error_in_its_place(type: Any, caplog: pytest.LogCaptureFixture) -> None:
    history, monitor = History(), ConnectionMonitor()
    stream = publisher(history, monitor=monitor)
    with caplog.at_level(logging.WARNING):
        stream.publish("note", 1)
        for _ in range(50):
            stream.publish(type, {"character_id": 5})
        stream.publish("note", 2)
    stream.drain()
    messages = held(history)
    assert [message["type"] for message in messages] == ["note", *["error"] * 50, "note"]
    assert [message["seq"] for message in messages] == list(range(1, 53))
    assert messages[1]["data"]["code"] == 1005
    assert messages[1]["data"]["character_id"] == "5"
    assert messages[1]["data"]["type"] == str(type)[:200]
    assert stream.unencodable == 50
    assert len(caplog.records) == 1, "a kind is logged once"
    assert monitor.metrics["errors"] == 1
    if isinstance(type, str):
        with pytest.raises(WebSocketError):
            stream.enter(WebSocketMessage(type))


def test_a_run_state_that_is_none_is_an_error_in_its_place() -> None:
    history = History()
    stream = publisher(history)
    stream.publish("run_state", {"no": "state"})
    stream.publish("run_state", 5)
    stream.publish("note", 1)
    stream.drain()
    assert [message["type"] for message in held(history)] == ["error", "error", "note"]
    assert stream.unencodable == 2


def test_a_long_value_is_shortened_and_its_message_stays() -> None:
    history = History()
    stream = publisher(history, max_message_bytes=2_000)
    stream.publish("state_change", {"character_id": "emma", "new_state": "MOVE", "notes": "é" * 5_000})
    stream.drain()
    (message,) = held(history)
    assert (message["type"], message["data"]["character_id"], message["data"]["new_state"]) == (
        "state_change",
        "emma",
        "MOVE",
    )
    assert message["data"]["notes"].endswith("… (5,000 characters in all)")
    assert len(history.entries(0, 1)[0].frame) < 2_000


def test_a_payload_above_the_limit_says_so_with_its_beginning() -> None:
    history = History()
    stream = publisher(history, max_message_bytes=2_000)
    stream.publish("note", "é" * 5_000)
    sent = stream.enter(WebSocketMessage("note", "y" * 5_000))
    large, other = held(history)
    assert large["data"]["truncated"] is True
    assert large["data"]["bytes"] == 10_002
    assert large["data"]["head"].startswith('"ééé')
    assert other["seq"] == sent == 2
    assert all(len(entry.frame) < 2_000 for entry in history.entries(0, 10))


def test_an_overflow_is_one_gap_in_its_place_with_positions_of_its_own() -> None:
    history, monitor = History(), ConnectionMonitor()
    stream = publisher(history, max_queued=3, monitor=monitor)
    for number in range(1, 9):
        stream.publish("n", number)
    stream.drain()
    stream.publish("n", 9)
    stream.drain()
    messages = held(history)
    assert [message.get("seq") for message in messages] == [1, 2, 3, None, 9]
    assert messages[3]["data"] == {"epoch": "e", "from": 4, "to": 8, "reason": "overflow"}
    assert messages[4]["data"] == 9, "the position says which publication it was"
    assert stream.overflowed == monitor.metrics["overflowed"] == 5


def test_an_overflow_by_bytes_is_a_gap_too() -> None:
    history = History()
    stream = publisher(history, max_queued_bytes=10_000)
    for _ in range(30):
        stream.publish("n", "x" * 1_000)
    stream.drain()
    assert history.head == 30
    assert 0 < stream.overflowed < 30
    stream.publish("n", 1)
    stream.drain()
    assert held(history)[-1]["seq"] == 31, "the queue is empty again"


def test_a_run_state_is_never_lost_to_an_overflow() -> None:
    history = History()
    stream = publisher(history, max_queued=1)
    for number in range(3):
        stream.publish("n", number)
    stream.publish("run_state", RunState("paused"))
    stream.drain()
    messages = held(history)
    assert [message["type"] for message in messages] == ["n", "gap", "run_state"]
    assert messages[2]["data"]["head"] == 3, "everything before it has been accounted for"


@given(st.lists(st.integers(0, 8), max_size=30), st.integers(1, 5))
def test_however_turns_fall_each_publication_has_its_own_position(bursts: list[int], room: int) -> None:
    history = History()
    stream = publisher(history, max_queued=room)
    published = 0
    for burst in bursts:
        for _ in range(burst):
            published += 1
            stream.publish("n", published)
        stream.drain()
    accounted: list[int] = []
    for message in held(history):
        if message["type"] == "gap":
            accounted += range(message["data"]["from"], message["data"]["to"] + 1)
        else:
            assert message["seq"] == message["data"]
            accounted.append(message["seq"])
    assert accounted == list(range(1, published + 1))


def test_threads_publish_side_by_side() -> None:
    history = History()
    stream = publisher(history, max_queued=500)
    done = threading.Event()

    def simulate(name: int) -> None:
        for number in range(2_000):
            stream.publish("n", [name, number])

    threads = [threading.Thread(target=simulate, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()

    def drain() -> None:
        while not done.is_set():
            stream.drain()

    drainer = threading.Thread(target=drain)
    drainer.start()
    for thread in threads:
        thread.join()
    done.set()
    drainer.join()
    stream.drain()
    assert history.head == 8_000, "published or declared lost: every call has a position"
    messages = [message for message in held(history) if message["type"] == "n"]
    assert len(messages) + stream.overflowed == 8_000
    for name in range(4):
        numbers = [message["data"][1] for message in messages if message["data"][0] == name]
        assert numbers == sorted(numbers), "the order of each thread is kept"
