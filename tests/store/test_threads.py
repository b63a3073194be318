"""One thread writes while others ask and wait; returned frames are the caller's own."""

from __future__ import annotations

import threading

from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore

TOTAL = 30_000


def event(i: int) -> RawMessage:
    data = {"character_id": f"c{i % 50}", "new_state": f"S{i % 7}", "location": f"L{i // 500}"}
    return RawMessage("state_change", Raw(encode(data)), 1_000.0 + i / 100, i + 1)


def test_readers_always_see_a_whole_prefix_while_the_writer_goes_on() -> None:
    store = EventStore(max_rows=20_000)
    messages = [event(i) for i in range(TOTAL)]
    done = threading.Event()
    problems: list[str] = []

    def read() -> None:
        while not done.is_set():
            frame = store.events()
            if len(frame):
                first = int(frame.index[0])
                if frame["seq"].tolist() != list(range(first + 1, first + len(frame) + 1)):
                    problems.append("rows are not in order")
                if frame["state"].iloc[-1] != f"S{int(frame.index[-1]) % 7}":
                    problems.append("a row does not hold what was sent")
                frame["seq"] = 0
                frame.loc[frame.index[0], "state"] = frame["state"].iloc[-1]
            rates = store.rates()
            if len(rates) and int(rates.to_numpy().sum()) > 20_000:
                problems.append("more counted than held")
            store.characters()
            store.timeline("c3")
            store.transitions()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for start in range(0, TOTAL, 300):
        store.append(messages[start : start + 300], 5_000.0, "e")
    done.set()
    for reader in readers:
        reader.join(30)
        assert not reader.is_alive()
    assert problems == []
    assert store.events()["seq"].tolist() == list(range(TOTAL - 20_000 + 1, TOTAL + 1))


def test_waiting_ends_with_the_change_that_was_waited_for() -> None:
    store = EventStore()
    reached: list[bool] = []
    waiter = threading.Thread(target=lambda: reached.append(store.wait(lambda: store.has_accounted("e", 3), 20)))
    waiter.start()
    for i in range(3):
        store.append([event(i)], 1.0, "e")
    waiter.join(20)
    assert reached == [True]
    assert store.wait(lambda: False, 0.01) is False
    version = store.version
    assert store.wait_version(version - 1, 0.0) and not store.wait_version(version, 0.0)
