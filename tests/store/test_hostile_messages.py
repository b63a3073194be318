"""No message can stop the store; a bad one costs one row."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from msgspec import Raw

from degentcivil_nb.protocol.codec import decode_frames
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore

NOW = 1_700_000_000.0


def message(type: str, data: Any, seq: int | None = None, time: Any = NOW, tick: Any = None) -> RawMessage:
    return RawMessage(type, Raw(encode(data)), time, seq, tick)


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("state_change", None),
        ("state_change", {"character_id": "emma"}),
        ("state_change", {"character_id": 1.5, "new_state": "MOVE"}),
        ("state_change", {"character_id": "emma", "new_state": ["MOVE"]}),
        ("character_update", {"money": 3}),
        ("character_update", {"character_id": True}),
        ("character_update", ["emma"]),
        ("event_notification", {"event_type": 7}),
        ("error", {"code": "high", "message": "m"}),
        ("error", {"code": 10**30, "message": "m"}),
        ("error", "no"),
        ("llm_call", {"prompt_tokens": "many"}),
        ("all_characters", {"name": "emma"}),
        ("all_buildings", [1]),
        ("gap", {"from": "here"}),
        ("snapshot", []),
        ("run_state", {"state": 1}),
    ],
)
def test_a_malformed_payload_costs_one_row_and_nothing_else(type: str, data: Any) -> None:
    store = EventStore()
    good = message("state_change", {"character_id": "emma", "new_state": "MOVE"}, 1)
    after = message("state_change", {"character_id": "emma", "new_state": "WORK"}, 3)
    store.append([good, message(type, data, 2), after], NOW, "e")
    errors = store.errors()
    assert len(store) == 3 and errors.index.tolist() == [1]
    assert errors["code"].tolist() == [1001] and errors["excerpt"].notna().all()
    assert store.events("state_change")["state"].tolist() == ["MOVE", "WORK"]
    assert store.characters().index.tolist() == ["emma"]
    if type not in ("gap", "snapshot", "run_state"):
        assert store.payload(1) == data  # kept as it came
        assert store.events()["seq"].tolist() == [1, 2, 3]


def test_the_excerpt_has_the_first_500_bytes() -> None:
    store = EventStore()
    store.append([message("state_change", ["x" * 5_000])], NOW)
    assert store.errors()["excerpt"].iloc[0] == '["' + "x" * 498
    store.append(decode_frames([b"{" * 600]), NOW)
    assert store.errors()["excerpt"].iloc[1] == "{" * 500


@pytest.mark.parametrize("time", [1e30, -1, -1e300, float("nan"), float("inf"), 10**400, "soon", None])
def test_an_absurd_timestamp_is_replaced_by_receipt(time: Any) -> None:
    store = EventStore()
    store.append([message("a", 1, 1, time), message("a", 2, 2, NOW - 5)], NOW, "e")
    assert store.events()["time_source"].tolist() == ["received", "sent"]
    assert store.events()["time"].iloc[0] == pd.Timestamp(NOW, unit="s", tz="UTC")
    assert store.rates().to_numpy().sum() == 2


@pytest.mark.parametrize("number", [2**63, 10**40, 2**64 - 1])
def test_numbers_beyond_64_bits_are_missing_in_their_column(number: int) -> None:
    store = EventStore()
    store.append(
        [message("a", {"n": number}, number, NOW, number), message("error", {"code": 2**40, "message": ""}, 2)], NOW
    )
    frame = store.events()
    assert frame["seq"].isna().tolist() == [*frame["tick"].isna().tolist()[:1], False]
    assert frame["code"].tolist()[1] == 2**40
    assert store.events(where="code > 5").index.tolist() == [1]


def test_digits_without_end_and_broken_text_are_given_as_text() -> None:
    frames = [b'{"type":"a","data":' + b"9" * 100_000 + b"}", b'{"type":"a","data":"\\ud800"}']
    store = EventStore()
    store.append(decode_frames(frames), NOW)
    assert len(store) == 2
    store.events(payload=True)
    store.event_dicts(0, 2)


def test_a_far_time_makes_no_endless_table() -> None:
    store = EventStore()
    store.append([message("a", 1, 1, 5.0), message("a", 1, 2, 9e9), message("a", 1, 3, NOW)], NOW, "e")
    assert len(store.rates()) == 3
    assert len(store.rates(window="1min")) == 1
    assert len(store.timeline()) == 0


def test_a_hundred_thousand_characters() -> None:
    store = EventStore()
    for start in range(0, 100_000, 10_000):
        store.append(
            [
                message("state_change", {"character_id": i, "new_state": "MOVE", "location": "Park"}, i + 1)
                for i in range(start, start + 10_000)
            ],
            NOW,
            "e",
        )
    assert len(store.characters()) == 100_000 == store.events()["character_id"].nunique()
    assert store.events(character_id=99_999)["seq"].tolist() == [100_000]
    assert len(store.timeline("77")) == 1
    assert store.rates(by="character_id").shape == (1, 100_000)


def test_ten_thousand_attributes_that_change_their_type() -> None:
    store = EventStore()
    store.append(
        [
            message("character_update", {"character_id": "emma", **{f"a{i}": i for i in range(10_000)}}, 1),
            message("character_update", {"character_id": "emma", "a1": "one", "a2": None, "a3": [1], "a4": 10**30}, 2),
            message("character_update", {"character_id": "bob", "a5": True, "state": 5, "since": "ever"}, 3),
        ],
        NOW,
        "e",
    )
    frame = store.characters()
    assert frame.shape == (2, 10_000 + 6)
    assert frame.loc["emma", "a1"] == "one" and frame.loc["emma", "a3"] == [1] and frame.loc["emma", "a4"] == 10**30
    assert frame.loc["bob", "since_"] == "ever" and frame.loc["bob", "state_"] == 5


def test_payloads_of_a_megabyte() -> None:
    store = EventStore()
    store.append([message("a", "x" * (1 << 20), i + 1) for i in range(5)], NOW, "e")
    store.append([message("a", i, i + 6) for i in range(5)], NOW, "e")
    assert store.payload(4) == "x" * (1 << 20) and store.payload(9) == 4


@pytest.mark.parametrize("count", [126, 127, 128, 200, 33_000])
def test_words_outgrow_the_width_of_their_column(count: int) -> None:
    store = EventStore()
    first = None
    for start in range(0, count, 40):
        store.append([message(f"t{i}", i, i + 1) for i in range(start, min(start + 40, count))], NOW, "e")
        first = store.events() if first is None else first
    assert store.events()["type"].tolist() == [f"t{i}" for i in range(count)]
    assert first is not None and first["type"].tolist() == [f"t{i}" for i in range(40)]


def test_long_words_are_cut_in_their_column_only() -> None:
    store = EventStore()
    store.append([message("state_change", {"character_id": "e" * 100_000, "new_state": "s" * 10**6}, 1)], NOW, "e")
    assert len(store.events()["state"].iloc[0]) == 256
    assert len(store.payload(0)["new_state"]) == 10**6


def test_frames_survive_what_pandas_does_with_read_only_arrays() -> None:
    store = EventStore()
    store.append([message("error", {"code": i % 3, "message": "m"}, i + 1, NOW + i) for i in range(50)], NOW, "e")
    frame = store.events()
    frame.groupby("code")["seq"].agg(["sum", "mean", "max", "nunique"])
    frame.groupby(["type", "code"], observed=True).size()
    frame.sort_values(["code", "time"]).drop_duplicates("code")
    frame.set_index("time").resample("5s")["seq"].sum()
    frame.merge(frame, on="seq")
    frame.describe(include="all")
    frame["code"].value_counts(), frame["type"].value_counts(), frame["seq"].isin([3]), frame["seq"].fillna(0)
    (
        frame["time"].diff(),
        frame["time"].dt.tz_convert("Europe/Berlin"),
        frame["seq"].rank(),
        frame["seq"].copy().cumsum(),
    )
    frame.pivot_table(index="code", columns="type", values="seq", aggfunc="sum", observed=True)
    pd.concat([frame, frame]).reset_index().to_json(date_format="iso")
    json.dumps(frame["message"].tolist())
    frame.to_parquet("/dev/null")
    assert len(frame.query("code == 1")) == 17
