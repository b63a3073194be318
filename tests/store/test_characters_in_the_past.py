"""`characters(at=…)`, `(row=…)` and `(tick=…)` show the town as it was."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store import checkpoints
from degentcivil_nb.store.event_store import EventStore
from tests.store.test_model import STEPS, batches_of, plain
from tests.support.sizes import examples
from tests.support.store_model import Model


@pytest.fixture(autouse=True)
def copies_every_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_ROWS", 4)
    monkeypatch.setattr(checkpoints, "ROWS_A_CHARACTER", 0)


def message(type: str, data: Any, seq: int, tick: int | None = None) -> RawMessage:
    return RawMessage(type, Raw(encode(data)), 1_000.0 + seq, seq, tick)


def change(name: str, state: str, seq: int, tick: int | None = None) -> RawMessage:
    return message("state_change", {"character_id": name, "new_state": state}, seq, tick)


@settings(max_examples=examples(40), deadline=None)
@given(steps=STEPS, part=st.floats(0, 1))
def test_after_any_row_it_is_what_the_model_was_then(steps: list[Any], part: float) -> None:
    steps = [step for step in steps if step[0] != "snapshot"]
    store, model = EventStore(), Model(10_000)
    batches = batches_of(steps)
    row = int(part * sum(message.seq is not None for batch in batches for message in batch)) - 1
    for batch in batches:
        store.append(batch, 5_000.0, "e")
        for message in batch:
            if model.next_row <= row:
                model.take(message)
    if row < 0:
        return
    frame = store.characters(row=row)
    assert set(frame.index) == set(model.present)
    for name, known in model.present.items():
        found = {str(key): plain(value) for key, value in frame.loc[name].to_dict().items()}
        for key in ("state", "location", "since", "last_seen"):
            assert found[key] == known[key], (name, key)
        assert {key: found[key] for key in known["attributes"]} == known["attributes"]
    pd.testing.assert_frame_equal(store.characters(row=store.next_row - 1), store.characters())


def test_the_three_ways_to_ask() -> None:
    store = EventStore()
    store.append([change("a", f"S{i}", i, i // 2) for i in range(1, 21)], 1.0, "e")
    assert store.characters(row=4).loc["a", "state"] == "S5"
    assert store.characters(1_007.5).loc["a", "state"] == "S7"
    assert store.characters("1970-01-01 00:16:50").loc["a", "state"] == "S10"
    assert store.characters(tick=3).loc["a", "state"] == "S7"
    assert store.characters(at=5).empty and store.characters(tick=10**30).loc["a", "state"] == "S20"
    with pytest.raises(ValueError):
        store.characters(row=1, tick=1)
    with pytest.raises(ValueError):
        store.characters(row=-1_000)


def test_what_was_asked_of_the_past_never_changes_the_present_or_the_copies() -> None:
    store = EventStore()
    for i in range(1, 30):
        store.append([message("character_update", {"character_id": "a", "n": i}, i)], 1.0, "e")
    assert [int(store.characters(row=row)["n"].iloc[0]) for row in range(29)] == list(range(1, 30))
    assert [int(store.characters(row=row)["n"].iloc[0]) for row in range(29)] == list(range(1, 30))
    assert store.characters().loc["a", "n"] == 29


def test_history_behind_a_snapshot_shows_what_it_was_then() -> None:
    store = EventStore()
    snapshot = {"seq": 3, "characters": [{"character_id": "a", "state": "S3"}, {"character_id": "b", "state": "T"}]}
    store.append([RawMessage("snapshot", Raw(encode(snapshot)))], 1.0, "e")
    store.append([change("a", f"S{i}", i) for i in range(1, 6)], 1.0, "e")
    assert store.characters(row=0)["state"].to_dict() == {"a": "S1"}
    assert store.characters(row=3)["state"].to_dict() == {"a": "S4", "b": "T"}


def test_what_has_left_is_refused_and_the_rest_answered() -> None:
    store = EventStore(max_rows=20)
    for i in range(1, 101):
        store.append([change("a", f"S{i}", i)], 1.0, "e")
    with pytest.raises(ValueError, match="no longer held"):
        store.characters(row=10)
    assert store.characters(row=95).loc["a", "state"] == "S96"


@pytest.mark.parametrize("size", [1, 2, 8])
def test_who_left_and_came_back_has_nothing_of_before_wherever_batches_are_cut(size: int) -> None:
    told = [
        message("all_characters", [{"character_id": "a", "state": "IDLE", "money": 3}], 1),
        change("a", "MOVE", 2),
        message("character_update", {"character_id": "a", "mood": "calm"}, 3),
        message("character_left", {"character_id": "a"}, 4),
        message("character_left", {"character_id": "b"}, 5),
        message("character_update", {"character_id": "a", "mood": "new"}, 6),
        change("b", "WORK", 7),
    ]
    store = EventStore()
    for start in range(0, len(told), size):
        store.append(told[start : start + size], 1.0, "e")
    for town in (store.characters(), store.characters(row=6)):
        assert town.loc["a"].dropna().drop("last_seen").to_dict() == {"mood": "new"}
        assert town.loc["b", "state"] == "WORK"
    assert store.characters(row=3).index.tolist() == []
