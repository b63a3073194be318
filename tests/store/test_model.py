"""The store answers every question as a naive model does, whatever comes, in whatever batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store import writer
from degentcivil_nb.store.event_store import EventStore
from tests.support.sizes import examples
from tests.support.store_model import Model

NAMES = st.sampled_from(["emma", "bob", "zoe"])
STATES = st.sampled_from(["IDLE", "MOVE", "WORK"])
PLACES = st.none() | st.sampled_from(["Park", "Mill"])
ATTRIBUTES = st.dictionaries(st.sampled_from(["money", "mood", "x"]), st.integers(0, 9) | st.text(max_size=3))
STATE_CHANGE = st.fixed_dictionaries(
    {"character_id": NAMES, "new_state": STATES, "location": PLACES}, optional={"previous_state": STATES}
)
UPDATE = st.builds(
    lambda name, attributes, also: {"character_id": name, **attributes, **also},
    NAMES,
    ATTRIBUTES,
    st.fixed_dictionaries({}, optional={"state": STATES, "location": st.sampled_from(["Park", "Mill"])}),
)
LISTED = st.lists(
    st.builds(
        lambda name, age, state: {"name": name, "age": age} | ({"state": state} if state else {}),
        NAMES,
        st.integers(0, 99),
        st.none() | STATES,
    ),
    max_size=3,
)
EVENTS = st.one_of(
    st.tuples(st.just("state_change"), STATE_CHANGE),
    st.tuples(st.just("state_change"), STATE_CHANGE),
    st.tuples(st.just("character_update"), UPDATE),
    st.tuples(st.just("all_characters"), LISTED),
    st.tuples(
        st.just("event_notification"),
        st.fixed_dictionaries({"event_type": st.sampled_from(["trade", "chat"]), "data": st.integers(0, 3)})
        | st.fixed_dictionaries({"event_type": st.just("gift"), "character_id": NAMES}),
    ),
    st.tuples(st.just("error"), st.fixed_dictionaries({"code": st.sampled_from([7, 1004]), "message": st.text()})),
    st.tuples(st.just("llm_call"), st.fixed_dictionaries({"character_id": NAMES, "prompt": st.text()})),
)
SNAPSHOT_CHARACTERS = st.lists(
    st.fixed_dictionaries(
        {"character_id": NAMES, "state": st.none() | STATES, "location": PLACES, "attributes": ATTRIBUTES},
        optional={"since": st.integers(900, 1000)},
    ),
    max_size=3,
    unique_by=lambda character: str(character["character_id"]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), EVENTS, st.integers(1_000, 1_006), st.none() | st.integers(0, 5)),
        st.tuples(st.just("event"), EVENTS, st.integers(1_000, 1_006), st.none() | st.integers(0, 5)),
        st.tuples(st.just("event"), EVENTS, st.integers(1_000, 1_006), st.none() | st.integers(0, 5)),
        st.tuples(st.just("gap"), st.integers(1, 4)),
        st.tuples(st.just("snapshot"), SNAPSHOT_CHARACTERS, st.integers(0, 3)),
        st.tuples(st.just("cut")),
    ),
    max_size=40,
)


def batches_of(steps: list[Any]) -> list[list[RawMessage]]:
    """Give the steps their positions, as a server would, and cut them into batches."""
    seq = 0
    batches: list[list[RawMessage]] = [[]]
    for kind, *rest in steps:
        if kind == "cut":
            batches.append([])
        elif kind == "gap":
            gap = {"epoch": "e", "from": seq + 1, "to": seq + rest[0], "reason": "slow"}
            batches[-1].append(RawMessage("gap", Raw(encode(gap)), 1_003.0))
            seq += rest[0]
        elif kind == "snapshot":
            snapshot = {"seq": seq + rest[1], "characters": rest[0]}
            batches[-1].append(RawMessage("snapshot", Raw(encode(snapshot))))
        else:
            (type, data), time, tick = rest
            seq += 1
            batches[-1].append(RawMessage(type, Raw(encode(data)), float(time), seq, tick))
    return batches


def plain(value: Any) -> Any:
    """Make missing values None and times seconds."""
    if isinstance(value, pd.Timestamp):
        return value.timestamp()
    if isinstance(value, dict | list):
        return value
    return None if pd.isna(value) else value


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): plain(value) for key, value in row.items()} for row in frame.reset_index().to_dict("records")]


@settings(max_examples=examples(40), deadline=None)
@given(steps=STEPS, max_rows=st.sampled_from([5, 1_000]))
def test_every_question_is_answered_as_by_the_model(steps: list[Any], max_rows: int) -> None:
    store, model = EventStore(max_rows=max_rows), Model(max_rows)
    for batch in batches_of(steps):
        store.append(batch, 5_000.0, "e")
        for message in batch:
            model.take(message)

    expected = records(model.events())
    found = records(store.events(payload=True).drop(columns=["epoch", "time_source", "received"]))
    assert found == expected
    assert len(store) == len(expected)

    filters: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
        ({"type": "state_change"}, lambda e: e["type"] == "state_change"),
        ({"character_id": ["emma", "zoe"]}, lambda e: e["character_id"] in ("emma", "zoe")),
        (
            {"event_type": "trade", "since": 1_001, "until": 1_004},
            lambda e: e["event_type"] == "trade" and 1_001 <= e["time"] < 1_004,
        ),
        (
            {"where": "code >= 1000 or payload['new_state'] == 'MOVE'"},
            lambda e: (e["code"] or 0) >= 1000 or (e["type"] == "state_change" and e["state"] == "MOVE"),
        ),
    ]
    for words, keep in filters:
        wanted = [event["row"] for event in expected if keep(event)]
        assert store.events(**words).index.tolist() == wanted
        assert store.events(**words, last=2).index.tolist() == wanted[-2:]

    characters = store.characters()
    assert set(characters.index) == set(model.present)
    for name, known in model.present.items():
        row = {key: plain(value) for key, value in characters.loc[name].to_dict().items()}
        for key in ("state", "location", "since", "last_seen"):
            assert row[key] == known[key], (name, key)
        for key, value in known["attributes"].items():
            assert row[key] == value

    stays = [
        (row["character_id"], row["state"], row["location"], row["start"], row["end"])
        for row in records(store.timeline())
    ]
    assert sorted(stays, key=repr) == model.timeline()
    assert len(store.timeline("emma")) == len(model.timeline("emma"))

    moved = store.transitions()
    assert {(a, b): n for a in moved.index for b in moved.columns if (n := moved.loc[a, b])} == dict(model.moved)

    for by in ("type", "code", "character_id", "state"):
        for every in (1, 2):
            rates = store.rates(f"{every}s", by)
            cells = {
                (int(time.timestamp()), str(name)): int(rates.loc[time, name])
                for time in rates.index
                for name in rates.columns
                if rates.loc[time, name]
            }
            assert cells == model.rates(every, by)

    held = model.held()
    assert store.errors().index.tolist() == [event["row"] for event in held if event["type"] == "error"]
    calls = store.llm_calls()
    assert calls["prompt"].tolist() == [event["payload"]["prompt"] for event in held if event["type"] == "llm_call"]
    gaps = store.gaps()
    assert list(zip(gaps["from_seq"], gaps["to_seq"], strict=True)) == [(g["from"], g["to"]) for _, g in model.gaps]
    assert store.has_accounted("e", model.accounted) and not store.has_accounted("e", model.accounted + 1)


@settings(max_examples=examples(30), deadline=None)
@given(steps=STEPS, max_rows=st.sampled_from([5, 1_000]), waiting=st.sampled_from([1, 7]))
def test_whoever_asks_in_between_changes_no_answer(steps: list[Any], max_rows: int, waiting: int) -> None:
    asked, silent = EventStore(max_rows=max_rows), EventStore(max_rows=max_rows)
    for batch in batches_of(steps):
        with mock.patch.object(writer, "WAITING_ROWS", waiting):
            asked.append(batch, 5_000.0, "e")
        silent.append(batch, 5_000.0, "e")
        for question in (asked.characters, asked.transitions, asked.rates, asked.timeline):
            question()
    pd.testing.assert_frame_equal(asked.characters(), silent.characters())
    pd.testing.assert_frame_equal(asked.transitions(), silent.transitions())
    # a word that is only ever said to have been the state before is numbered when somebody asks
    pd.testing.assert_frame_equal(asked.timeline(), silent.timeline(), check_categorical=False)
    for by in ("type", "code", "character_id", "state"):
        pd.testing.assert_frame_equal(asked.rates(by=by), silent.rates(by=by), check_like=True)
