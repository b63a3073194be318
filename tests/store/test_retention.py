"""Eviction of the oldest events, and the answers about those that remain."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore


def events(start: int, stop: int, text: str = "") -> list[RawMessage]:
    def one(i: int) -> RawMessage:
        data: dict[str, Any] = {"character_id": f"c{i % 5}", "new_state": f"S{i % 3}", "text": text}
        return RawMessage("state_change", Raw(encode(data)), 1_000.0 + i, i + 1)

    return [one(i) for i in range(start, stop)]


def test_rows_are_kept_up_to_the_limit_and_numbers_never_used_again() -> None:
    store = EventStore(max_rows=1_000)
    for start in range(0, 30_000, 700):
        store.append(events(start, min(start + 700, 30_000)), 1.0, "e")
        assert len(store) <= 1_000
    frame = store.events()
    assert frame.index.tolist() == list(range(29_000, 30_000))
    assert frame["seq"].tolist() == list(range(29_001, 30_001))
    assert store.payload(29_500)["new_state"] == f"S{29_500 % 3}"
    with pytest.raises(KeyError):
        store.payload(28_999)
    assert store.rates()["state_change"].sum() == 1_000 == store.rates("1min", "character_id").to_numpy().sum()
    assert store.stats().evicted == 29_000 == store.first_row


def test_a_batch_larger_than_the_store() -> None:
    store = EventStore(max_rows=10)
    store.append(events(0, 20_000), 1.0, "e")
    assert store.events()["seq"].tolist() == list(range(19_991, 20_001))
    assert store.rates()["state_change"].sum() == 10


def test_bytes_are_kept_below_the_limit() -> None:
    store = EventStore(max_bytes=1_000_000)
    store.append(events(0, 5_000, "x" * 1_000), 1.0, "e")
    assert 500 < len(store) < 1_000
    assert store.stats().payload_bytes < 1_000_000
    assert store.events(last=1)["seq"].tolist() == [5_000]


def test_age_is_counted_from_receipt() -> None:
    store = EventStore(max_age_s=60)
    for second in range(0, 200, 10):
        store.append(events(second, second + 10), 10_000.0 + second, "e")
    assert store.events()["received"].nunique() == 7


def test_forgetting_ends_at_the_first_event_that_is_not_before() -> None:
    store = EventStore()
    store.append(events(0, 100), 1.0, "e")
    assert store.forget(before=1_040) == 40
    assert store.events().index.tolist() == list(range(40, 100))
    assert store.forget(before=1_000) == 0
    assert store.forget(before="2030-01-01") == 60 and store.events().empty and len(store) == 0
    store.append(events(100, 101), 1.0, "e")
    assert store.events().index.tolist() == [100]


def test_frames_given_before_outlive_eviction_and_moving() -> None:
    store = EventStore(max_rows=2_000)
    store.append(events(0, 2_000), 1.0, "e")
    frame = store.events()
    for start in range(2_000, 60_000, 1_000):
        store.append(events(start, start + 1_000), 1.0, "e")
    assert frame["seq"].tolist() == list(range(1, 2_001))
    assert frame["state"].tolist() == [f"S{i % 3}" for i in range(2_000)]
    frame.loc[3, "state"] = "S1"  # its buffers are nobody else's by now, and still it can be written into
    frame.loc[4, "seq"] = 7
    frame.loc[5, "time"] = pd.Timestamp(0, tz="UTC")
    assert frame.loc[4, "seq"] == 7


def test_payload_memory_is_given_back() -> None:
    store = EventStore(max_rows=10_000)
    for start in range(0, 400_000, 4_000):
        store.append(events(start, start + 4_000, "x" * 50), 1.0, "e")
    stats = store.stats()
    assert stats.memory_bytes < 3 * 65_536 * 200
    assert stats.payload_bytes < 10_000 * 200
