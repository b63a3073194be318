"""What a session's questions give: columns, filters, and frames that are the caller's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

from degentcivil_nb.core.event_columns import EVENT_COLUMNS
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore


def message(type: str, data: Any, seq: int | None = None, time: float | None = 1_000.0, tick: int | None = None) -> Any:
    return RawMessage(type, Raw(encode(data)), time, seq, tick)


def change(name: str, state: str, seq: int | None = None, time: float = 1_000.0, **more: Any) -> Any:
    return message("state_change", {"character_id": name, "new_state": state, **more}, seq, time)


def filled(count: int = 100) -> EventStore:
    store = EventStore()
    store.append(
        [change(f"c{i % 7}", ("IDLE", "MOVE", "WORK")[i % 3], i + 1, 1_000.0 + i) for i in range(count)], 9_000.0, "e"
    )
    return store


def test_events_have_the_columns_and_types_of_the_api() -> None:
    frame = filled().events()
    assert tuple(frame.columns) == EVENT_COLUMNS
    assert frame.index.name == "row"
    assert str(frame["time"].dtype) == str(frame["received"].dtype) == "datetime64[ns, UTC]"
    for name in ("epoch", "time_source", "type", "character_id", "state", "location", "event_type", "message"):
        assert isinstance(frame[name].dtype, pd.CategoricalDtype), name
    assert frame["seq"].dtype == frame["tick"].dtype == "Int64"
    assert tuple(EventStore().events().columns) == EVENT_COLUMNS


def test_a_tick_without_seq_or_the_other_way_round_is_missing_by_itself() -> None:
    store = EventStore()
    store.append([message("a", 1, 1, 5.0), RawMessage("a", Raw(b"1"), 5.0)], 9.0, "e")
    before = store.events()
    store.append([RawMessage("a", Raw(b"1"), 5.0, 3, None), RawMessage("a", Raw(b"1"), 5.0, None, 4)], 9.0, "e")
    store.append([RawMessage("a", Raw(b"1"), 5.0, seq, 5) for seq in range(4, 9_000)], 9.0, "e")
    assert before["seq"].isna().tolist() == [False, True]
    frame = store.events()
    assert frame["seq"].isna().tolist()[:5] == [False, True, False, True, False]
    assert frame["tick"].isna().tolist()[1:5] == [True, True, False, False]
    assert frame["seq"].isna().sum() == 2


def test_without_seq_and_timestamp_receipt_stands_in() -> None:
    store = EventStore()
    store.append([message("anything", 1, None, None), message("anything", 2, None, 5.0)], 1_700_000_000.25)
    frame = store.events()
    assert frame["seq"].isna().all() and frame["epoch"].isna().all()
    assert frame["time_source"].tolist() == ["received", "sent"]
    assert frame["time"][0] == frame["received"][0] == pd.Timestamp("2023-11-14 22:13:20.25", tz="UTC")


@pytest.mark.parametrize("filtered", [False, True])
def test_writing_into_a_frame_never_changes_the_store_nor_the_other_way_round(filtered: bool) -> None:
    store = filled()
    before = store.events()
    frame = store.events("state_change" if filtered else None)
    kept = frame.copy(deep=True)
    store.append([change("new one", "NEW STATE", 101)], 1.0, "e")  # words grow: the held frame is made anew
    store.events()
    frame.loc[3, "seq"] = 77
    frame.loc[4, "state"] = "MOVE"
    frame.loc[5, "time"] = pd.Timestamp(0, tz="UTC")
    frame.loc[6:9, "tick"] = 5
    frame["location"] = "nowhere"
    assert frame.loc[3, "seq"] == 77 and frame.loc[4, "state"] == "MOVE"
    pd.testing.assert_frame_equal(store.events()[:100].astype(str), kept.astype(str))
    pd.testing.assert_frame_equal(before.astype(str), kept.astype(str))


def test_a_frame_stays_protected_when_it_is_the_last_one_of_its_buffers() -> None:
    store = EventStore()
    store.append([change("a", "S", 1), change("a", "T", 2)], 1.0, "e")
    frame = store.events()
    store.append([change("b", "U", 3)], 1.0, "e")
    store.events()  # the frame held before is dropped now
    frame.loc[0, "seq"] = 99
    frame.loc[0, "state"] = "T"
    assert store.events()["seq"].tolist() == [1, 2, 3]
    assert store.events()["state"].tolist() == ["S", "T", "U"]


def test_arrays_taken_out_of_a_frame_cannot_be_written_into_the_store() -> None:
    store = filled()
    for column in ("seq", "time", "state"):
        array = store.events()[column].to_numpy()
        try:
            array[0] = array[1]
        except ValueError:
            continue  # read-only: just as well
        assert store.events()[column].iloc[0] == filled().events()[column].iloc[0]


def test_filters_combine() -> None:
    store = filled()
    frame = store.events("state_change", character_id="c3", since=1_010, until="1970-01-01 00:17:20")
    assert frame["character_id"].unique().tolist() == ["c3"]
    seconds = frame["time"].astype("int64") // 10**9
    assert seconds.min() >= 1_010 and seconds.max() < 1_040
    assert len(store.events(["state_change", "nothing"])) == 100
    assert len(store.events("nothing")) == 0 == len(store.events(character_id=[]))
    assert store.events(last=3).index.tolist() == [97, 98, 99]
    assert store.events(last=0).empty and len(store.events(last=1_000)) == 100
    assert store.events(where="new_state == 'MOVE' and seq > 90", last=1)["seq"].tolist() == [98]
    assert store.events(where="payload['new_state'] == 'WORK'", last=1)["seq"].tolist() == [99]


def test_what_cannot_be_understood_is_a_value_error() -> None:
    store = filled()
    for wrong in ({"where": "1 +"}, {"since": "yesterdayish"}, {"until": 1e30}, {"last": -1}):
        with pytest.raises(ValueError):
            store.events(**wrong)
    refused: list[dict[str, Any]] = [
        {"every": "10ms"}, {"every": "1.5s"}, {"every": "soon"}, {"by": "colour"}, {"window": "0s"},
    ]  # fmt: skip
    for rates in refused:
        with pytest.raises(ValueError):
            store.rates(**rates)
    with pytest.raises(KeyError):
        store.payload(100)
    with pytest.raises(KeyError):
        store.payload(-1)


def test_where_finds_the_attributes_that_updates_carry_and_refuses_those_that_only_the_present_knows() -> None:
    store = filled()
    town = {"seq": 100, "characters": [{"character_id": "c1", "attributes": {"mood": "calm", "wealth": 1}}]}
    store.append([message("snapshot", town)], 1.0, "e")
    with pytest.raises(ValueError, match="mood"):
        store.events(where="mood == 'calm'")
    with pytest.raises(ValueError, match="wealth"):
        store.events(where="wealth > 2")
    update = {"character_id": "c1", "wealth": 3}
    store.append([message("character_update", update, 101), message("all_characters", [{"name": "x", "age": 3}])], 1.0)
    assert store.events(where="wealth > 2").index.tolist() == [100]
    with pytest.raises(ValueError, match="age"):
        store.events(where="age > 2")


def test_payloads_come_back_as_sent() -> None:
    store = EventStore()
    payloads: list[Any] = [None, True, 0, "ü", [1, {"a": []}], {"z": 1.5}, "x" * 70_000, {"deep": [[[]]]}]
    store.append([message("t", payload) for payload in payloads], 1.0)
    assert [store.payload(row) for row in range(len(payloads))] == payloads
    assert store.events(payload=True)["payload"].tolist() == payloads
    assert store.events(payload=True, last=2)["payload"].tolist() == payloads[-2:]


def test_event_dicts_are_plain() -> None:
    store = filled(5)
    first = store.event_dicts(0, 1)[0]
    assert first["row"] == 0 and first["seq"] == 1 and first["tick"] is None and first["location"] is None
    assert first["payload"] == {"character_id": "c0", "new_state": "IDLE"} and first["data"] is None
    assert [event["row"] for event in store.event_dicts(-5, 100)] == [0, 1, 2, 3, 4]
    assert store.event_dicts(5, 9) == []


def test_a_stay_ends_at_the_next_and_at_a_gap_nobody_knows_when() -> None:
    store = EventStore()
    store.append(
        [
            change("emma", "IDLE", 1, 1_000.0, location="Home"),
            change("emma", "MOVE", 2, 1_004.0),
            change("emma", "MOVE", 3, 1_005.0, location="Home"),
            message("gap", {"epoch": "e", "from": 4, "to": 5, "reason": "slow"}),
            change("emma", "MOVE", 6, 1_010.0),
        ],
        1.0,
        "e",
    )
    stays = store.timeline()
    assert stays["state"].tolist() == ["IDLE", "MOVE", "MOVE"]
    assert stays["location"].tolist()[:2] == ["Home", "Home"] and pd.isna(stays["location"].iloc[2])
    assert stays["duration"].iloc[0] == pd.Timedelta("4s")
    assert stays["end"].isna().tolist() == [False, True, True]
    assert store.transitions().to_dict() == {"IDLE": {"IDLE": 0, "MOVE": 0}, "MOVE": {"IDLE": 1, "MOVE": 0}}
    assert EventStore().timeline().columns.tolist() == stays.columns.tolist()
    assert EventStore().timeline("emma").empty


def test_rates_fill_empty_buckets_and_look_back_from_the_newest_event() -> None:
    store = EventStore()
    store.append([change("a", "S", 1, 1_000.5), change("a", "T", 2, 1_003.0), change("b", "S", 3, 1_003.9)], 1.0, "e")
    rates = store.rates()
    assert rates["state_change"].tolist() == [1, 0, 0, 2]
    assert str(rates.index.dtype) == "datetime64[ns, UTC]"
    assert store.rates("1min", "character_id").to_numpy().tolist() == [[2, 1]]
    assert store.rates(window="2s")["state_change"].tolist() == [2]
    assert EventStore().rates().empty


def test_the_game_dialect_fills_characters_places_and_calls() -> None:
    store = EventStore()
    store.append(
        [
            message("all_buildings", [{"id": 1, "name": "Mill", "description": "d", "instruction": "i"}], None, None),
            message("all_characters", [{"name": "Emma", "age": 30, "money": 1.5, "x": 1, "y": 2}], None, None),
            message("all_characters", [{"name": "Emma", "age": 31, "state": "WORK"}], None, None),
            message("character_update_llm", {"latest_prompt_type": "PLAN", "latest_response": {"a": 1}}, None, None),
            message("all_buildings", [{"id": 1, "name": "Old Mill", "jobs": ["miller"]}], None, None),
        ],
        1_700_000_000.0,
    )
    emma = store.characters().loc["Emma"]
    assert (emma["age"], emma["money"], emma["state"]) == (31, 1.5, "WORK")
    assert store.places()["name"].tolist() == ["Old Mill"]
    calls = store.llm_calls()
    assert calls["prompt_type"].tolist() == ["PLAN"] and calls["response"].tolist() == [{"a": 1}]
    assert calls["character_id"].isna().all()
    assert store.timeline()["state"].tolist() == ["WORK"]
    assert len(store) == 5


def test_present_columns_give_only_what_changed_since() -> None:
    store = EventStore()
    store.append([change("a", "S", 1), change("b", "S", 2)], 1.0, "e")
    whole = store.present_columns()
    assert whole.replaced and whole.character_id == ["a", "b"]
    store.append([message("character_update", {"character_id": "b", "money": 3}, 3)], 1.0, "e")
    delta = store.present_columns(whole.version)
    assert not delta.replaced and delta.character_id == ["b"] and delta.attributes == [{"money": 3}]
    assert store.present_columns(delta.version).character_id == []
    store.append([message("snapshot", {"seq": 3, "characters": [{"character_id": "z"}]})], 1.0, "e")
    again = store.present_columns(delta.version)
    assert again.replaced and again.character_id == ["z"]


def test_rows_since_shows_gaps_where_they_are() -> None:
    store = filled(3)
    store.append([message("gap", {"epoch": "e", "from": 4, "to": 9, "reason": "slow"})], 1.0, "e")
    assert store.rows_since(0, 10)["type"].tolist() == ["state_change"] * 3
    store.append([change("c1", "IDLE", 10)], 1.0, "e")
    log = store.rows_since(2, 10)
    assert log["type"].tolist() == ["state_change", "gap", "state_change"]
    assert log.index.tolist() == [2, 3, 3]
    assert log["message"].iloc[1] == "slow: 4 to 9"
    numbers = ["seq", "tick", "code", "time", "received"]
    assert log.dtypes[numbers].equals(store.events().dtypes[numbers]), "a gap among the rows makes no number an object"
    assert store.rows_since(0, 2).index.tolist()[-1] == 3
    assert store.rows_since(4, 10).empty


def test_times_may_repeat_and_go_backwards() -> None:
    store = EventStore()
    times = [1_000.0, 1_002.0, 1_001.0, 1_001.0, 999.0]
    store.append([change("a", f"S{i}", i + 1, time) for i, time in enumerate(times)], 1.0, "e")
    assert store.events()["time"].astype("int64").tolist() == [int(time) * 10**9 for time in times]
    assert len(store.events(since=1_001)) == 3
    assert store.rates()["state_change"].tolist() == [1, 1, 2, 1]
    assert np.isclose(store.timeline()["duration"].dt.total_seconds().min(), -2)


def test_only_the_last_calls_of_language_models_are_read_when_asked() -> None:
    store = EventStore()
    calls = [message("llm_call", {"prompt_type": "PLAN", "prompt": f"p{n}", "response": "r"}, n) for n in range(1, 8)]
    store.append([*calls, change("a", "S", 8)], 1.0, "e")
    taken: list[int] = []
    take = store.take_payloads
    store.questions.take_payloads = lambda rows: taken.extend(rows) or take(rows)  # type: ignore[method-assign,func-returns-value]
    assert store.llm_calls(last=2)["prompt"].tolist() == ["p6", "p7"]
    assert taken == [5, 6]
    assert len(store.llm_calls(last=0)) == 0
    assert len(store.llm_calls(last=100)) == len(store.llm_calls()) == 7
    with pytest.raises(ValueError, match="zero or more"):
        store.llm_calls(last=-1)
