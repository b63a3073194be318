"""The same run gives the same answers: under any hash seed, time zone and cut into batches, and under `python -O`."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb
from degentcivil_nb.analysis.reader import Reader
from degentcivil_nb.figures import build
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore

BIG = 9_007_199_254_740_993  # 2^53 + 1, which no double is
START = 1_769_860_800  # 2026-01-31 12:00:00 UTC


class Held(Reader):
    def __init__(self, store: EventStore) -> None:
        self._store = store


def message(type: str, data: Any, number: int, second: float = 0) -> RawMessage:
    return RawMessage(type, Raw(encode(data)), START + second, number, number)


def odd_run() -> list[RawMessage]:
    """Give a run in which each kind of message brings new words."""
    told: list[tuple[str, Any]] = [
        ("event_notification", {"event_type": "trade", "character_id": "zoe", "data": {"price": 3}}),
        ("state_change", {"character_id": "adam", "new_state": "WORK", "previous_state": "REST", "location": "Shop"}),
        ("character_update", {"character_id": "mia", "state": "MOVE", "location": "Park", "money": 3}),
        ("error", {"code": 1004, "message": "late", "character_id": "ben"}),
        ("state_change", {"new_state": 5}),
        ("all_characters", [{"name": "lea", "state": "ART"}, {"name": "adam", "state": "BUY"}]),
        ("llm_call", {"character_id": "tom", "model": "small"}),
        ("character_update_llm", {"latestPromptType": "PLAN"}),
        ("state_change", {"character_id": "eva", "new_state": "ACT"}),
        ("error", {"code": 7, "message": "early"}),
        ("character_update", {"character_id": "kai", "state": "SIT"}),
    ]
    return [message(type, data, number + 1, number) for number, (type, data) in enumerate(told)]


def answers(batch: int) -> dict[str, list[Any]]:
    """Give all that has an order."""
    messages, store = odd_run(), EventStore()
    for start in range(0, len(messages), batch):
        store.append(messages[start : start + batch], START, "e")
        if batch % 2:
            store.transitions()  # a question in between changes nothing
    events = store.events()
    return {
        **{name: events[name].cat.categories.tolist() for name in events.select_dtypes("category").columns},
        "characters": store.characters().index.tolist(),
        "states": store.characters()["state"].cat.categories.tolist(),
        "attributes": store.characters().columns.tolist(),
        "timeline": store.timeline()["character_id"].tolist(),
        "transitions": store.transitions().columns.tolist(),
        "models": store.llm_totals().index.tolist(),
        **{f"rates by {by}": store.rates(by=by).columns.tolist() for by in ("type", "code", "character_id", "state")},
    }


def test_the_order_is_that_of_first_appearance_wherever_batches_are_cut() -> None:
    expected = answers(1)
    assert expected["character_id"] == ["zoe", "adam", "mia", "ben", "lea", "tom", "eva", "kai"]
    assert expected["state"] == ["REST", "WORK", "MOVE", "ART", "BUY", "ACT", "SIT"]
    assert expected["type"][:5] == ["event_notification", "state_change", "character_update", "error", "all_characters"]
    assert expected["characters"] == ["adam", "mia", "lea", "eva", "kai"]
    assert expected["rates by code"] == [1004, 1001, 7]
    for batch in (2, 3, 4, 5, 11):
        assert answers(batch) == expected


PROGRAM = (
    "import sys, json; sys.path.insert(0, sys.argv[1]); import test_same_answers as t; print(json.dumps(t.answers(11)))"
)


@pytest.mark.parametrize("options", [["-O"], []])
@pytest.mark.parametrize("seed", ["1", "2"])
def test_neither_the_hash_seed_nor_missing_asserts_change_an_answer(seed: str, options: list[str]) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo"}
    command = [sys.executable, *options, "-c", PROGRAM, str(Path(__file__).parent)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=100)
    assert json.loads(said.stdout) == answers(1)


def test_no_assert_has_an_effect() -> None:
    found = []
    for path in Path(degentcivil_nb.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assert):
                inside = list(ast.walk(node.test))
                calls = [
                    call for call in inside if isinstance(call, ast.Call) and ast.unparse(call.func) != "isinstance"
                ]
                effects = [part for part in inside if isinstance(part, ast.NamedExpr | ast.Subscript)]
                found += [f"{path}:{node.lineno}"] * bool(calls or effects)
    assert found == [], "under python -O they are not executed"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_sql_takes_and_gives_utc_whatever_the_machine_says(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    store = EventStore()
    store.append([message("t", 1, number + 1, number) for number in range(10)], START, "e")
    run = Held(store)
    found = run.sql("select time from events where time >= '2026-01-31 12:00:05' order by time")
    assert found["time"].tolist() == run.events(since="2026-01-31 12:00:05")["time"].tolist()
    assert str(found["time"].dt.tz) == "UTC"
    with pytest.raises(ValueError, match="one SELECT"):
        run.sql("set TimeZone = 'Asia/Tokyo'")


def test_data_is_the_inner_value_everywhere_and_payload_the_outer_one() -> None:
    store = EventStore()
    outer = {"event_type": "trade", "data": {"price": 3}}
    odd = {"character_id": "a", "data": 7, "price": 3}
    store.append([message("event_notification", outer, 1), message("character_update", odd, 2)], START, "e")
    run = Held(store)
    frame = run.events(payload=True)
    assert frame["payload"].tolist() == [outer, odd] and frame["data"].tolist() == [{"price": 3}, None]
    assert [event["data"] for event in store.event_dicts(0, 2)] == [{"price": 3}, None]
    assert [event["payload"] for event in store.event_dicts(0, 2)] == [outer, odd]
    assert run.events(where='data["price"] == 3').index.tolist() == [0]
    assert run.events(where="data == 7").index.tolist() == []  # of no event, whose payload only has such a key
    assert run.events(where='payload["price"] == 3 or price == 3').index.tolist() == [1]
    found = run.sql("select json_extract(data, '$.price') as inside, json_extract(payload, '$.data') as d from events")
    assert found["inside"].tolist()[0] == "3" and pd.isna(found["inside"][1])
    assert found["d"].tolist()[1] == "7"


# --- whole numbers --------------------------------------------------------------------------------------------------


def test_whole_numbers_beyond_doubles_are_exact_in_tables_conditions_and_sql() -> None:
    store = EventStore()
    numbers = [BIG - 1, BIG, BIG + 1]
    store.append(
        [message("character_update", {"character_id": str(n), "money": n, "mixed": n}, n - BIG + 2) for n in numbers]
        + [message("character_update", {"character_id": "poor"}, 4), message("error", {"code": BIG, "message": "x"}, 5)]
        + [message("character_update", {"character_id": "half", "mixed": 0.5}, 6)],
        START,
        "e",
    )
    store.append([message("all_buildings", [{"id": "a", "worth": BIG}, {"id": "b"}], 7)], START, "e")
    run = Held(store)
    assert run.characters()["money"].dropna().tolist() == numbers
    assert run.characters()["mixed"].dropna().tolist() == [*numbers, 0.5]
    assert run.places()["worth"].tolist()[0] == BIG
    for number in numbers:
        row = number - BIG + 1
        assert run.events(where=f"money == {number}").index.tolist() == [row]
        assert run.events(where=f"money > {number}").index.tolist() == list(range(row + 1, 3))
        assert run.events(where=f"money + 1 == {number + 1}").index.tolist() == [row]
    assert run.events(where=f"code == {BIG}").index.tolist() == [4]
    assert len(run.events(where=f"code == {BIG - 1} or code > {BIG} or code < {BIG}")) == 0
    assert [int(code) for code in run.rates(by="code").columns] == [BIG]
    assert run.sql("select sum(code) as total, max(money) as most from events, characters")["total"][0] == 5 * BIG
    assert [trace.name for trace in run.plot.errors().data] == [str(BIG)]


# --- the width of buckets -------------------------------------------------------------------------------------------


def counted(*seconds: int, each: int = 30) -> Held:
    store = EventStore()
    store.append([message("t", 1, 1, second) for second in seconds for _ in range(each)], START, "e")
    return Held(store)


def test_a_run_within_one_bucket_is_as_fast_as_it_was() -> None:
    run = counted(*range(60), each=1)
    assert list(run.plot.rates("1min").data[0].y) == [1.0, 1.0]
    assert list(build.rates(run.rates("1min")).data[0].y) == [1.0, 1.0], "the table says its width"
    assert list(build.rates(run.rates("1s").resample("1min").sum()).data[0].y) == [1.0, 1.0]


def test_events_far_apart_keep_their_rate_and_nothing_is_drawn_between() -> None:
    line = counted(0, 200_000).plot.rates().data[0]
    assert list(line.y) == [30.0, 0.0, 30.0, 30.0]
    assert (np.diff(line.x) / np.timedelta64(1, "s")).tolist() == [1.0, 199_999.0, 1.0]
