"""A condition means the same to a breakpoint, to `matches` and to `events(where=…)`, in memory and in a recording."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.analysis.stops import matching_rows
from degentcivil_nb.protocol.breakpoints import BreakpointSpec
from degentcivil_nb.store.event_store import EventStore
from tests.support.run_helpers import told
from tests.support.waiting import until

CONDITIONS = (
    *("event_id == 'a'", "event_id == '7'", "cause == 'a'", "'a' in cause", "contains(cause, 'b')", "not event_id"),
    *("len(cause) == 2", "cause == ['a', 'b']", "event_id in ['a', 'later'] and type == 'thought'"),
    *("sim_time == 2.5", "sim_time > 2", "not sim_time", "sim_time < 3 and character_id == 'emma'"),
    *("location == ''", "location != ''", "not location", "location == 'Cafe'", "contains(location, '')"),
    *("state == ''", "state != ''", "not state", "state == 'MOVE'", "state == '' or location == ''"),
    *("event_type == ''", "event_type != 'x'", "message == ''", "character_id == ''", "not character_id"),
    *("previous_state == 'IDLE'", "previous_state != 'IDLE'", "not previous_state", "payload['previous_state'] == 'X'"),
    *("character_id == 'emma'", "character_id == 5", "character_id == '5'", "character_id == 'True'"),
    *("type == 'weather' and character_id == 'emma'", "data == ''", "data['a'] == ''", "code == 0", "not code"),
    *("not payload['data']", "type == 'weather' and payload == ''", "len(payload) > 0", "not (location == '')"),
    *(
        "data['price'] > 5",
        "not (data['price'] > 5)",
        "data['price'] != 5",
        "data['price'] in [1, 5]",
        "max(data['all']) > 5",
    ),
    *("character_id in ['emma', '']", "startswith(location, '')", "state in ['', 'MOVE']", "event_id != cause"),
)
"""About the envelope's links, about values that are empty, missing, or of messages that do not have them."""


def publish(town: dc.SimulationProbe, number: int) -> bool:
    """Publish the next odd message; `False` after the last one."""
    calls: list[Any] = [
        lambda: town.state_change("emma", "IDLE", location="Cafe", id="a"),
        lambda: town.state_change("emma", "MOVE", location=None, cause="a"),
        lambda: town.state_change("emma", "", location="Cafe", cause=["a", "b"], id=7),
        lambda: town.state_change("noah", "IDLE", location=""),
        lambda: town.update("emma", {"location": None, "state": "", "previous_state": "IDLE"}),
        lambda: town.character_update("emma", mood="calm"),
        lambda: town.event("", "", character_id=""),
        lambda: town.event("x", {"a": ""}, character_id="emma", id="later", cause="a"),
        lambda: town.publish("event_notification", {"event_type": "x", "previous_state": "X"}),
        lambda: town.error(0, ""),
        lambda: town.thought("emma", "plan", "go", cause="later"),
        lambda: town.thought("emma", "plan", "go", id="a"),
        lambda: town.publish("weather", {"character_id": "emma", "location": "", "state": "", "event_type": ""}),
        lambda: town.publish("weather", {"character_id": 5, "cause": "a", "id": "a", "event_id": "a", "sim_time": 3}),
        lambda: town.publish("weather", {"character_id": True, "previous_state": "IDLE"}),
        lambda: town.publish("weather", {"character_id": 1.5}),
        lambda: town.publish("weather", ""),
        lambda: town.publish("weather", None),
        lambda: town.publish("event_notification", {"event_type": "old", "data": None, "id": "a", "cause": ["a", "b"]}),
        lambda: town.publish("chat_message", {"character_id": "emma", "receivers": [], "content": "", "id": 7}),
        lambda: town.publish("character_update", {"character_id": "emma", "previous_state": "IDLE"}),
        lambda: town.event("sold", {"price": float("inf"), "all": [float("inf"), 7]}),
        lambda: town.event("sold", {"price": float("nan"), "all": [-float("inf"), 7]}),
        lambda: town.event("sold", {"price": 7, "all": [6, 7]}),
        lambda: town.measure("", 0),
        lambda: town.left("emma"),
    ]
    if number == 2 * len(calls):
        return False
    if number == len(calls):
        town.checkpoint(2.5)  # the model's own clock, from here on
    calls[number % len(calls)]()
    return True


def complained(town: dc.SimulationProbe, record: Path) -> dc.Session:
    """Connect after the town has complained of what is empty, which it does once, by errors that are events too."""
    town.state_change("earlier", "")
    town.left("earlier")
    town.event("", "", character_id="")
    town.measure("", 0)
    town.flush()
    return dc.connect(town, history=0, record=record)


@pytest.mark.filterwarnings("ignore::UserWarning")  # names that such a short run has none of
def test_a_condition_is_met_by_the_same_events_everywhere(tmp_path: Path) -> None:
    with dc.SimulationProbe(port=0) as town, complained(town, tmp_path / "run") as session:
        never = [BreakpointSpec(f"b{number}", text, hits=10**6) for number, text in enumerate(CONDITIONS)]
        assert [row for row in town.breakpoints.set_breakpoints(never) if row.get("problem")] == []
        counts, met = [0] * len(CONDITIONS), [list[int]() for _ in CONDITIONS]
        number = 0
        while publish(town, number):
            for place, row in enumerate(town.breakpoints.rows()):
                if row.count > counts[place]:
                    met[place].append(number)
                counts[place] = row.count
            number += 1
        until(lambda: len(session.events()) == number)
        live = dict(zip(CONDITIONS, met, strict=True))
        assert {text: session.matches(text).index.to_list() for text in CONDITIONS} == live
        assert {text: session.events(where=text).index.to_list() for text in CONDITIONS} == live
        assert (
            session.sql("select row from events where event_id = 'a' order by row")["row"].to_list()
            == live["event_id == 'a'"]
        )
    recording = dc.open_recording(tmp_path / "run")
    assert {text: recording.matches(text).index.to_list() for text in CONDITIONS} == live
    assert {text: recording.events(where=text).index.to_list() for text in CONDITIONS} == live
    assert sum(not rows for rows in met) < 4, "most of the conditions are met"


def test_who_connects_late_finds_what_was_known_at_each_event(tmp_path: Path) -> None:
    """The snapshot that comes before the past events says what came of them: no condition may know that early."""
    conditions = ("money > 5", "previous_state == 'MOVE'", "not mood and type == 'state_change'", "mood == 'calm'")
    with dc.SimulationProbe(port=0) as town, ExitStack() as open_ones:
        town.breakpoints.set_breakpoints([BreakpointSpec(text, text, hits=10**6) for text in conditions])
        for tick in range(4):
            town.state_change("emma", ("IDLE", "MOVE")[tick % 2])
            town.character_update("emma", money=3 * tick)
            if tick == 2:
                town.character_update("emma", mood="calm")
            town.checkpoint(tick)
        counts = {row.name: row.count for row in town.breakpoints.rows()}
        town.flush()
        session = open_ones.enter_context(dc.connect(town, record=tmp_path / "run"))
        until(lambda: len(session.events()) == 9)
        assert {text: len(session.matches(text)) for text in conditions} == counts
        session.close()
        recording = dc.open_recording(tmp_path / "run")
        assert {text: len(recording.matches(text)) for text in conditions} == counts
        replay = open_ones.enter_context(dc.start_replay(tmp_path / "run", speed=1e6, paused=True))
        again = open_ones.enter_context(dc.connect(replay))
        for text in conditions:
            again.break_when(text, name=text, hits=10**6)
        again.resume()
        until(lambda: len(again.events()) == 9)
        until(lambda: dict(again.breakpoints().set_index("name")["hits"]) == counts)
        replay = open_ones.enter_context(dc.start_replay(tmp_path / "run", speed=1e6, paused=True))
        again = open_ones.enter_context(dc.connect(replay))
        again.step(1)
        until(lambda: len(again.events()) == 2)  # among those that the snapshot includes
        again.break_when("mood == 'calm'", hits=10**6)
        again.resume()
        until(lambda: len(again.events()) == 9)
        until(lambda: again.breakpoints()["hits"].tolist() == [counts["mood == 'calm'"]], 5.0)


def test_what_lasts_until_the_end_is_found_although_nothing_happens_any_more() -> None:
    with dc.SimulationProbe(port=0) as town, dc.connect(town) as session:
        town.breakpoints.set_breakpoints([BreakpointSpec("still", "stuck(3)", hits=10**6)])
        town.state_change("emma", "IDLE")
        for tick in range(6):
            town.checkpoint(tick)
        town.finish()
        until(lambda: session.metrics()["run_state"] == "finished")
        assert [row.count for row in town.breakpoints.rows()] == [1]
        assert session.matches("stuck(3)")["type"].to_list() == ["state_change"]
        assert session.matches("stuck(6)").empty


@pytest.mark.parametrize(("epoch", "rows"), [("one", [2]), ("two", [])])
def test_the_ticks_of_another_run_are_no_silence_in_this_one(epoch: str, rows: list[int]) -> None:
    """A simulation that was started again, and has published nothing yet, says at which tick it is."""
    store = EventStore()
    run = [told("state_change", {"character_id": "a", "new_state": "X"}, tick=tick, seq=tick) for tick in range(3)]
    store.take(run, 2_000.0, "one")
    store.take([told("run_state", {"state": "running", "tick": 500})], 2_000.0, epoch)
    assert matching_rows(store, "silent(50)") == rows


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("row > 3", "known only when the event is sent"),
        ("not intervention", "do not look at what a command publishes"),
        ("stuck(5) and type == 'x'", "belongs to a single event"),
        ("total_cost > 1 and sim_time > 5", "belongs to a single event"),
        ("silent(5) and cause == 'a'", "belongs to a single event"),
    ],
)
def test_a_name_that_can_have_no_value_is_refused_with_the_reason(condition: str, reason: str) -> None:
    with dc.SimulationProbe(port=0) as town, dc.connect(town) as session:
        point = session.break_when(condition, name="p")
        assert not point.verified
        assert reason in str(point.problem)
        with pytest.raises(ValueError, match=reason):
            session.matches(condition)
        with pytest.raises(ValueError, match=reason):
            session.run_until(condition, timeout=5)  # and does not wait for what never comes
        named = condition.split(" and ")[-1].removeprefix("not ").split()[0]
        logged = session.break_when("stuck(5)" if "single" in reason else "true", log=f"{{{named}}}", name="l")
        assert not logged.verified
        assert reason in str(logged.problem)
        with pytest.raises(ValueError, match=f"{named} belongs to a single event"):
            session.watch(named)
