"""Gaps, snapshots and run states keep their order between the events, and are no events."""

from __future__ import annotations

from typing import Any

import pandas as pd
from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore


def message(type: str, data: Any, seq: int | None = None, time: float | None = 1_000.0) -> RawMessage:
    return RawMessage(type, Raw(encode(data)), time, seq)


def change(name: str, state: str, seq: int, time: float = 1_000.0) -> RawMessage:
    return message("state_change", {"character_id": name, "new_state": state}, seq, time)


def snapshot(seq: int, *characters: dict[str, Any], part: int = 0, last: bool = True) -> RawMessage:
    return message("snapshot", {"seq": seq, "part": part, "last": last, "characters": list(characters)}, None, None)


def test_control_rows_are_no_events_and_keep_their_place() -> None:
    store = EventStore()
    store.append(
        [
            change("a", "S", 1),
            message("gap", {"epoch": "e", "from": 2, "to": 4, "reason": "slow"}),
            message("run_state", {"state": "paused", "tick": 7, "head": 5}),
            change("a", "T", 5),
        ],
        2_000.0,
        "e",
    )
    assert len(store) == 2 == len(store.events()) and store.next_row == 2
    assert [(row.row, row.type) for row in store.control_rows(0, 10)] == [(1, "gap"), (1, "run_state")]
    assert (store.run_state, store.tick) == ("paused", 7)
    assert store.stats().missing == 3 and store.stats().gaps == 1


def test_a_snapshot_replaces_all_of_the_present_once_its_last_part_is_there() -> None:
    store = EventStore()
    store.append([change("old", "S", 1)], 1.0, "e")
    store.append([snapshot(9, {"character_id": "a", "state": "X"}, part=0, last=False)], 1.0, "e")
    assert store.characters().index.tolist() == ["old"]
    store.append([snapshot(9, {"character_id": 7, "attributes": {"money": 3}}, part=1)], 1.0, "e")
    assert store.characters().index.tolist() == ["a", "7"]
    assert store.characters().loc["7", "money"] == 3


def test_history_behind_a_snapshot_never_turns_the_present_back() -> None:
    store = EventStore()
    store.append([snapshot(3, {"character_id": "emma", "state": "WORK", "location": "Mill", "since": 900})], 1.0, "e")
    store.append([change("emma", "IDLE", 2), change("emma", "MOVE", 3)], 1.0, "e")
    assert store.characters().loc["emma", "state"] == "WORK"
    assert store.characters().loc["emma", "since"] == pd.Timestamp(900, unit="s", tz="UTC")
    store.append([change("emma", "PLAN", 4)], 1.0, "e")
    assert store.characters().loc["emma", "state"] == "PLAN"
    assert store.timeline()["state"].tolist() == ["IDLE", "MOVE", "PLAN"]
    # another epoch has its own positions
    store.append([change("emma", "SUM", 1)], 1.0, "f")
    assert store.characters().loc["emma", "state"] == "SUM"


def test_history_and_what_follows_it_may_come_in_one_batch() -> None:
    store = EventStore()
    present = snapshot(2, {"character_id": "a", "state": "X"}, {"character_id": "b", "state": "Y"})
    history = [change("a", "X0", 1), change("a", "X", 2)]
    store.append([present, *history, change("a", "X2", 3), change("b", "Y2", 4)], 1.0, "e")
    assert store.characters()["state"].tolist() == ["X2", "Y2"]
    moved = store.transitions()
    assert [int(moved.loc[was, now]) for was, now in (("X", "X2"), ("Y", "Y2"), ("X0", "X"))] == [1, 1, 1]  # type: ignore[arg-type]


def test_a_snapshot_without_history_shows_in_the_timeline_at_once() -> None:
    store = EventStore()
    store.append([snapshot(5, {"character_id": "a", "state": "X", "since": 900})], 1.0, "e")
    stays = store.timeline()
    assert stays["state"].tolist() == ["X"] and stays["start"].tolist() == [pd.Timestamp(900, unit="s", tz="UTC")]
    assert len(store.timeline("b")) == 0


def test_gaps_say_what_is_known() -> None:
    store = EventStore()
    store.append(
        [
            message("gap", {"epoch": "e", "from": 4, "reason": "restart", "at_least": 9}),
            message("gap", {"epoch": None}),
        ],
        2_000.0,
    )
    gaps = store.gaps()
    assert gaps.columns.tolist()[:5] == ["epoch", "from_seq", "to_seq", "reason", "time"]
    assert gaps["from_seq"].isna().tolist() == [False, True] and gaps["to_seq"].isna().all()
    assert gaps["reason"].tolist() == ["restart", "unknown"]
    assert store.stats().missing is None


def test_accounted_is_what_was_stored_declared_missing_or_passed_by_the_run() -> None:
    store = EventStore()
    store.append([change("a", "S", 3)], 1.0, "e")
    assert store.has_accounted("e", 3) and not store.has_accounted("e", 4) and not store.has_accounted("f", 1)
    store.append([message("gap", {"epoch": "e", "from": 4, "to": 6, "reason": "slow"})], 1.0, "e")
    assert store.has_accounted("e", 6)
    store.append([message("run_state", {"state": "paused", "head": 8})], 1.0, "e")  # 7 and 8 were filtered
    assert store.has_accounted("e", 8) and not store.has_accounted(None, 1)


def test_the_tick_of_a_run_that_was_restarted_is_not_the_new_one_s() -> None:
    store = EventStore()
    store.append([RawMessage("x", Raw(b"1"), 1_000.0, 1, 50)], 1_000.0, "one")
    store.append([message("gap", {"epoch": "one", "from": 2, "reason": "restart"})], 1_001.0, "two")
    assert store.tick is None
    store.append([RawMessage("x", Raw(b"1"), 1_002.0, 1, 3)], 1_002.0, "two")
    assert store.tick == 3
