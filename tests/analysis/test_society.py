"""Costs, meetings, rumours, malformed answers, stays in ticks, and the same in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.simulation import SimulationProbe
from degentcivil_nb.store.event_store import EventStore
from tests.support.planted_runs import Held

MINUTE = 60.0


class Town:
    """A day of three characters, told with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.probe = SimulationProbe(port=0, clock=lambda: self.now)

    def tick(self, number: int) -> None:
        self.probe.checkpoint(number)
        self.now += MINUTE

    def live(self) -> None:
        tell = self.probe
        for who, place in (("emma", "Park"), ("noah", "Cafe"), ("mia", "Cafe")):
            tell.state_change(who, "IDLE", location=place)
        self.tick(0)
        tell.state_change("emma", "MOVE", location="Cafe")
        said = tell.said("noah", ["emma", "mia"], "The bakery CLOSES tomorrow")
        self.tick(1)
        for number in range(6):
            good = '{"act": "go"}' if number % 3 else "I am not sure."
            tokens: dict[str, Any] = {"prompt_tokens": 100, "cost_usd": 0.5} if number < 3 else {}
            tell.llm_call("emma", prompt_type="PLAN", prompt="?", response=good, model=f"m{number % 2}", **tokens)
        tell.llm_call("noah", prompt_type="CHAT", prompt="?", response="Hello", retries=2, provider="local")
        tell.llm_call("noah", prompt_type="CHAT", prompt="?", response=None, error="timeout", rejected="too long")
        tell.thought("mia", "memory", "the bakery closes", evidence=[said], cause=said)
        tell.left("noah")
        self.tick(2)
        tell.character_update("emma", money=3, Money=4)
        tell.character_update("emma", money="much")
        tell.measure("gini", 0.5)
        tell.state_change("noah", "IDLE", location="Park")
        tell.event("end")
        self.tick(3)


@pytest.fixture(scope="module", params=["live", "recorded", "longer than memory"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    town = Town()
    with town.probe as probe, dc.connect(probe) as session:
        town.live()
        session.wait_for("event_notification", after=-1)
        folder: Path = session.save(tmp_path_factory.mktemp("runs") / "run")
        if request.param == "live":
            yield session
            return
    with dc.open_recording(folder, memory_rows=1 if "memory" in request.param else 1_000) as recording:
        yield recording


def test_a_stay_ends_when_its_character_leaves_and_is_told_in_ticks(run: Any) -> None:
    stays = run.timeline("noah")
    assert stays["location"].to_list() == ["Cafe", "Park"]
    assert stays["duration"].iloc[0] == pd.Timedelta(minutes=2) and pd.isna(stays["end"].iloc[1])
    assert stays[["start_tick", "end_tick", "ticks"]].iloc[0].to_list() == [0, 2, 2]
    assert stays["start_tick"].iloc[1] == 3 and stays["ticks"].isna().iloc[1]
    late = run.timeline(since=stays["end"].iloc[0], until=stays["start"].iloc[1])
    assert "noah" not in set(late["character_id"])


def test_malformed_answers_are_those_that_are_no_json_where_json_is_usual(run: Any) -> None:
    calls = run.llm_calls()
    assert calls["malformed"].to_list()[:7] == [True, False, False, True, False, False, False]
    assert pd.isna(calls["malformed"].iloc[7]), "there is no answer"
    assert run.llm_calls(last=3)["malformed"].to_list()[:2] == [False, False]
    assert calls["provider"].to_list()[6] == "local" and calls["retries"].to_list()[6] == 2
    assert calls["rejected"].to_list()[7] == "too long"
    assert calls["prompt_tokens"].isna().sum() == 5, "what is not told is unknown"


def test_costs_are_added_up_and_unknown_ones_stay_unknown(run: Any) -> None:
    costs = run.costs()
    assert costs.loc["emma", ["calls", "malformed", "errors"]].to_list() == [6, 2, 0]
    assert costs.loc["emma", "prompt_tokens"] == 300 and costs.loc["emma", "cost_usd"] == 1.5
    assert costs.loc["noah", "errors"] == 1 and pd.isna(costs.loc["noah", "prompt_tokens"])
    assert run.costs("model").loc["m0", "calls"] == 3
    assert run.costs("prompt_type").loc["CHAT", "calls"] == 2
    assert run.costs("day")["calls"].to_list() == [8]
    with pytest.raises(ValueError, match="one of character_id, model"):
        run.costs("moon")


def test_meetings_are_stays_in_one_place_and_chat(run: Any) -> None:
    met = run.meetings()
    together = met[met["how"] == "place"]
    assert {frozenset(pair) for pair in together[["character_id", "other"]].values.tolist()} == {
        frozenset(("noah", "mia")),
        frozenset(("noah", "emma")),
        frozenset(("mia", "emma")),
    }
    mine = run.meetings("mia", "noah")
    assert set(mine["character_id"]) == {"mia"} and set(mine["other"]) == {"noah"}
    stay = mine[mine["how"] == "place"].iloc[0]
    assert stay["location"] == "Cafe" and stay["end"] - stay["start"] == pd.Timedelta(minutes=2)
    spoke = mine[mine["how"] == "chat"].iloc[0]
    assert spoke["location"] == "Cafe" and spoke["start"] == spoke["end"]
    assert not len(run.meetings("mia", until=met["start"].min()))


def test_a_rumour_is_followed_through_the_town(run: Any) -> None:
    found = run.spread("bakery closes")
    assert found[["character_id", "how"]].values.tolist() == [["noah", "said"], ["emma", "heard"], ["mia", "heard"]]
    assert found["from"].to_list() == [[], ["noah"], ["noah"]]
    said = run.chat()["event_id"].iloc[0]
    assert run.spread(said)["character_id"].iloc[0] == "noah"
    with pytest.raises(ValueError, match="needs a text"):
        run.spread(" ")


TABLES = ["chat", "tool_calls", "thoughts", "measures", "timeline", "llm_calls", "errors", "gaps", "places", "meetings"]


@pytest.mark.parametrize("table", TABLES)
def test_sql_has_the_rows_and_columns_of_each_question(run: Any, table: str) -> None:
    expected = getattr(run, table)()
    found = run.sql(f"select * from {table}")
    names = [*([expected.index.name] if expected.index.name else []), *expected.columns]
    assert list(found.columns) == names and len(found) == len(expected)


def test_sql_has_the_history_of_all_attributes(run: Any) -> None:
    found = run.sql("select name, value, number from attributes where character_id = 'emma' order by row, name")
    assert found["name"].to_list() == ["Money", "money", "money"]
    assert found["value"].to_list() == ["4", "3", "much"] and found["number"].to_list()[:2] == [4.0, 3.0]


def test_sql_adds_up_durations_and_lists_its_tables(run: Any) -> None:
    total = run.sql("select sum(duration) as d, sum(ticks) as t, count(*) as n from timeline")
    assert total["d"][0] == run.timeline()["duration"].sum()
    assert {"events", "chat", "attributes", "meetings", "findings"} <= set(run.sql("show tables")["name"])


def test_sql_says_which_column_is_which_where_only_case_differs(run: Any) -> None:
    with pytest.warns(UserWarning, match="differs only in case: use 'Money_2' here|use 'money_2' here"):
        run.sql('select "Money" from characters')


def test_what_else_an_answer_may_be(run: Any) -> None:
    from degentcivil_nb.core.json_answers import is_json

    assert is_json('```json\n{"a": 1}\n```') and is_json([1]) and is_json(" [1] ")
    assert not is_json("12") and not is_json('{"a": ') and not is_json(None) and not is_json("[" * 100_000)


def test_changes_of_state_are_counted_of_characters_and_times(run: Any) -> None:
    everything = run.transitions()
    assert everything.loc["IDLE", "MOVE"] == 1 and everything.to_numpy().sum() == 1
    pd.testing.assert_frame_equal(run.transitions(since=0), everything, check_dtype=False)
    assert run.transitions("emma").loc["IDLE", "MOVE"] == 1
    assert run.transitions(["noah", "mia"]).empty, "who left comes back without a state before"
    moved = run.timeline("emma")["start"].iloc[1]
    assert run.transitions(until=moved).empty and run.transitions(since=moved).loc["IDLE", "MOVE"] == 1
    with pytest.warns(UserWarning, match="did you mean 'emma'"):
        assert run.transitions("ema").empty


def test_rates_are_told_by_what_events_and_calls_name(run: Any) -> None:
    assert run.rates("1h", by="location").sum().to_dict() == {"Park": 2, "Cafe": 3}
    assert run.rates("1h", by="event_type").sum().to_dict() == {"end": 1}
    assert run.rates("1h", by="model").sum().to_dict() == {"m0": 3, "m1": 3}
    assert run.rates("1min", by="prompt_type").to_numpy().tolist() == [[6, 2]]
    with pytest.raises(ValueError, match=r"rates by 'moon'.*prompt_type"):
        run.rates(by="moon")


def test_figures_and_histories_have_the_filters_of_all_tables(run: Any) -> None:
    told = run.attribute("money", "emma")
    assert told["value"].to_list() == [3, "much"]
    assert run.attribute("money", last=1)["value"].to_list() == ["much"]
    assert not len(run.attribute("money", until=told["time"].iloc[0]))
    measured = run.measures()["time"].iloc[0]
    assert len(run.measures(since=measured)) == len(run.measures(last=1)) == 1
    assert not len(run.measures(until=measured)) and not len(run.watches(since=measured, last=3))


def test_a_gap_ends_a_long_presence_where_it_was_last_known() -> None:
    """One who stays in a place through many states was there until the last of them that is known."""
    store = EventStore()

    def tell(seq: int, who: str, state: str) -> None:
        data = Raw(encode({"character_id": who, "new_state": state, "location": "Cafe"}))
        store.append([RawMessage("state_change", data, 100.0 + seq, seq, seq)], 100.0 + seq, "e")

    for seq, (who, state) in enumerate([("emma", "A"), ("noah", "A"), ("emma", "B"), ("emma", "C")], 1):
        tell(seq, who, state)
    store.append([RawMessage("gap", Raw(b'{"epoch": "e", "from": 5, "to": 9, "reason": "slow"}'))], 110.0, "e")
    tell(10, "emma", "D")
    (first, *_) = Held(store).meetings("noah").to_dict("records")
    assert (first["other"], first["location"], first["start"].timestamp()) == ("emma", "Cafe", 102.0)


def test_what_is_escaped_or_beyond_ascii_is_found_like_plain_text() -> None:
    store = EventStore()
    said = [
        rb'{"character_id":"a","receivers":["b\u0062"],"content":"The \u0062akery closes"}',
        '{"character_id":"c","receivers":[7],"content":"the ba\u212aery CLOSES"}'.encode(),
        b'{"character_id":"d","receivers":["e"],"content":"nothing"}',
    ]
    told = [RawMessage("chat_message", Raw(text), 1_000.0 + at, at + 1, at) for at, text in enumerate(said)]
    seen = [Raw(encode({"character_id": who, "new_state": "IDLE"})) for who in ("bb", "7", "e")]
    told += [RawMessage("state_change", text, 1_004.0, at, at) for at, text in enumerate(seen, 4)]
    store.append(told, 1_010.0, "e")
    run = Held(store)
    assert run.spread("Bakery closes")["character_id"].to_list() == ["a", "bb", "c", "7"]
    assert run.meetings("bb")["other"].to_list() == ["a"]
    assert run.meetings(7)["other"].to_list() == ["c"]
    assert run.meetings(other="e")["character_id"].to_list() == ["d"]
