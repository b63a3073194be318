"""What a batch holds beside its columns, which a recorder keeps while it waits for the disk."""

from __future__ import annotations

import gc

from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.store.ingested import Updates


def test_the_garbage_collector_has_nothing_to_go_through_for_each_update_of_a_batch_that_is_kept() -> None:
    payloads = [{"character_id": f"c{number % 9}", "money": number, "mood": "calm"} for number in range(2_000)]
    messages = [
        RawMessage("character_update", Raw(encode(payload)), 1.0, seq) for seq, payload in enumerate(payloads, 1)
    ]
    store = EventStore()
    store.take(messages[:1], 1.0, "e")
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        taken = store.take(messages, 1.0, "e")
        after = len(gc.get_objects())
    finally:
        gc.enable()
    assert len(taken[0].updates) == len(messages)
    assert after - before < len(messages) / 4


def test_updates_are_in_the_order_of_their_rows_whatever_type_they_came_with() -> None:
    updates = Updates()
    updates.add([1, 4], [10, 40], [{"x": 1}, {"x": 4}])
    updates.add([], [], [])
    updates.add([2, 2, 5], [20, 21, 50], [{"x": 2}, {"x": 3}, {"x": 5}])
    assert updates.rows == [1, 2, 2, 4, 5]
    assert updates.characters == [10, 20, 21, 40, 50]
    assert updates.attributes == [{"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, {"x": 5}]
    updates.add([6], [60], [{"x": 6}])
    assert updates.rows[-1] == 6 and len(updates) == 6
