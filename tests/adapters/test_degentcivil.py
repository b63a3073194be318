"""What the adapter shows of DegentCivil, tried on the stand-in, of which no file is changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from tests.support.stand_in import HOME, environment, free_port, shown
from tests.support.waiting import until

PEOPLE = {"Ann Lee", "Bo Sand", "Cy Moor", "Di Hall", "Ed Park"}
ADAPTER = "degentcivil_nb.adapters.degentcivil"


@pytest.fixture(scope="module")
def town() -> Iterator[dc.Session]:
    """A town of which 120 updates have passed, and that stands."""
    with shown("--paused") as session:
        session.step(120)
        yield session


def payloads(session: dc.Session, type: str) -> list[dict[str, Any]]:
    return list(session.events(type, payload=True)["payload"])


def errors(session: dc.Session, code_name: str) -> list[dict[str, Any]]:
    return [payload for payload in payloads(session, "error") if payload.get("code_name") == code_name]


def test_nothing_of_it_is_missed(town: dc.Session) -> None:
    assert town.command("adapter")["missing"] == {}


def test_characters_stand_with_their_states_places_and_attributes(town: dc.Session) -> None:
    people = town.characters()
    assert set(people.index) == PEOPLE
    assert people["state"].notna().all()
    assert people["location"].notna().all()
    for name in ("money", "health", "satiety", "x", "y", "mbti", "joy", "emotion", "plan", "step"):
        assert people[name].notna().any(), name
    assert list(town.places()["name"]) == ["Cafe", "Park"]


def test_states_follow_one_another_as_the_town_enters_them(town: dc.Session) -> None:
    for name in PEOPLE:
        stays = town.timeline(name)
        assert stays["state"].iloc[0] == "PERSP"
        ways = set(zip(stays["state"], stays["state"][1:], strict=False))
        ways = {(old, new) for old, new in ways if old != new}  # the same state, elsewhere
        usual = {("PERSP", "PLAN"), ("PERSP", "ACT"), ("PLAN", "ACT"), ("MOVE", "PERSP"), ("ACTREFLECTION", "PERSP")}
        usual |= {("ACT", next_) for next_ in ("MOVE", "USE", "CHATINIT")} | {("CHATINIT", "PERSP")}
        usual |= {("USE", "SUM"), ("SUM", "EMOTION"), ("EMOTION", "ACTREFLECTION")}
        assert ways <= usual


def test_calls_of_models_have_an_owner_a_kind_a_model_tokens_and_a_price(town: dc.Session) -> None:
    calls = town.llm_calls()
    assert set(calls["character_id"]) == PEOPLE
    for name in ("prompt_type", "prompt", "response", "model", "prompt_tokens", "completion_tokens", "cost_usd"):
        assert calls[name].notna().all(), name
    assert {"PERSPECT", "PLAN", "ACT", "USE", "SUM", "EMOTION", "INNER_MONOLOGUE"} <= set(calls["prompt_type"])
    assert (calls["latency_s"] >= 0.01).all()
    asked = [payload for payload in payloads(town, "llm_call") if payload["prompt"].startswith("# ")]
    for payload in asked:  # the prompts say themselves whose they are, and of which kind
        kind, _, name = payload["prompt"].splitlines()[0].removeprefix("# ").partition(" of ")
        assert (payload["prompt_type"], payload["character_id"]) == (kind, name)
    assert len(asked) > 30


def test_dialogues_plans_monologues_trades_and_messages_of_the_game_are_told(town: dc.Session) -> None:
    talks = [(talk["character_id"], talk["receivers"]) for talk in payloads(town, "chat_message")]
    assert ("Cafe", ["Cy Moor"]) in talks
    assert ("Cy Moor", ["Cafe"]) in talks
    thoughts = payloads(town, "thought")
    assert {"plan", "monologue", "summary", "reflection"} <= {thought["kind"] for thought in thoughts}
    assert {thought["character_id"] for thought in thoughts} <= PEOPLE
    events = payloads(town, "event_notification")
    trades = [event for event in events if event["event_type"] == "trade"]
    assert trades[0]["data"]["amount"] == 3
    assert trades[0]["data"]["success"] == 1
    assert trades[0]["character_id"] in PEOPLE
    messages = [event for event in events if event["event_type"] == "game_message"]
    assert {1002, 1007, 2000, 2001} <= {message["data"]["id"] for message in messages}
    assert all("terrain_data" not in json.dumps(message) for message in messages)
    arrivals = [message for message in messages if message["data"]["id"] == 2001]
    assert {message["character_id"] for message in arrivals} <= PEOPLE


def test_a_character_whose_arrival_was_dropped_is_named_within_a_tick(town: dc.Session) -> None:
    told = town.events(["error", "event_notification"], payload=True)
    dropped = told[[payload.get("code_name") == "ARRIVAL_DROPPED" for payload in told["payload"]]]
    assert len(dropped)
    arrivals = told[[isinstance(data, dict) and data.get("id") == 2001 for data in told["data"]]]
    for row, error in dropped.iterrows():
        name = error["character_id"]
        assert town.characters().loc[name, "state"] == "MOVE"
        before = arrivals[(arrivals["character_id"] == name) & (arrivals.index < row)]
        assert error["tick"] - before["tick"].iloc[-1] <= 1


def test_a_character_is_inspected_with_memory_plan_emotion_and_dialogue(town: dc.Session) -> None:
    known = town.inspect("Cy Moor")
    assert known["plan"]["summary"] == "rest in the Cafe"
    assert set(known["emotion"]["emotion"]) >= {"joy", "anger"}
    assert known["working_memory"]["Goal"] == "a quiet day"
    assert known["longterm_memory"]["building"]["Cafe"]
    assert known["dialogue"]["Cafe"][0]["content"] == "Welcome, what would you like?"
    with pytest.raises(dc.CommandError, match="no character"):
        town.inspect("Fay Nye")


def test_attributes_and_feelings_are_set_and_what_does_not_fit_is_refused(town: dc.Session) -> None:
    town.set_attribute("Bo Sand", "money", 55)
    town.set_attribute("Bo Sand", "anger", 7)
    town.set_attribute("Bo Sand", "working_memory.Goal", "revenge")
    known = town.inspect("Bo Sand")
    assert known["attributes"]["money"] == 55
    assert known["emotion"]["emotion"]["anger"] == 7
    assert known["working_memory"]["Goal"] == "revenge"
    assert town.characters().loc["Bo Sand", "money"] == 55
    for name, value in (("money", "much"), ("state", "USE"), ("Gold", 3), ("nonsense", 1), ("name", "Bob")):
        with pytest.raises(dc.CommandError):
            town.set_attribute("Bo Sand", name, value)


def test_whoever_never_arrives_is_found_stuck_in_move_without_tuning(town: dc.Session) -> None:
    now = town.metrics()["tick"]
    stays = town.timeline().groupby("character_id", observed=True).last()
    moving = stays[(stays["state"] == "MOVE").to_numpy(bool)]
    long_ago = set(moving.index[(moving["start_tick"] < now - 75).to_numpy(bool)])
    assert len(long_ago) >= 2, "the stand-in drops arrivals"
    found = set(town.findings("stuck")["character_id"])
    assert long_ago <= found <= set(moving.index)


def test_a_malformed_answer_is_told_as_a_trap_and_as_rejected_and_the_town_goes_on() -> None:
    with shown("--paused", malformed="3") as session:
        session.step(6)
        trap = errors(session, "DEBUGGER_TRAP")
        # monologues are rejected too, where the next prompt came first: the town's own fault, and no matter here
        calls = [call for call in payloads(session, "llm_call") if call["prompt_type"] == "PERSPECT"]
        rejected = [call for call in calls if "rejected" in call]
        again = [call for call in calls if call.get("retries") == 1]
        assert len(trap) == len(rejected) == len(again) == 1
        assert "response_json_check" in trap[0]["message"]
        assert "a_process_then_reply" in trap[0]["traceback"]
        assert trap[0]["character_id"] == rejected[0]["character_id"] == again[0]["character_id"]
        assert rejected[0]["rejected"] == "The answer must be a JSON object."
        assert errors(session, "ANSWER_REJECTED")[0]["character_id"] == rejected[0]["character_id"]


def test_an_exception_that_a_chain_swallows_is_told_with_its_owner_and_its_traceback() -> None:
    with shown("--paused", poison="1") as session:
        session.step(12)
        told = errors(session, "SWALLOWED")
        assert len(told) == 1
        assert told[0]["character_id"] in PEOPLE
        assert "state_router" in told[0]["traceback"]


def test_a_model_that_fails_is_a_call_with_an_error_and_an_uncaught_exception_of_its_owner() -> None:
    with shown("--paused", failing="2") as session:
        session.step(4)
        failed = [call for call in payloads(session, "llm_call") if "error" in call]
        told = [error for error in errors(session, "UNCAUGHT") if "BaseState" in error["message"]]
        assert len(failed) == len(told) == 1
        assert failed[0]["character_id"] == told[0]["character_id"]
        assert "429" in told[0]["message"]


def test_answers_that_come_in_a_pause_are_told_and_held_until_it_ends() -> None:
    with shown("--paused", latency_s="0.3", update_s="0.01") as session:
        session.step(2)
        session.wait_for("llm_call", after=0)
        until(lambda: len(session.llm_calls()) == 5)  # all have been answered by now
        before = len(session.events(["state_change", "thought"]))
        assert all(session.inspect(name)["working_memory"] == {} for name in PEOPLE)
        session.step(2)
        assert all("AnalyseExternalObservations" in session.inspect(name)["working_memory"] for name in PEOPLE)
        assert len(session.events(["state_change", "thought"])) > before


def test_the_town_stands_while_it_is_paused_and_goes_on_afterwards() -> None:
    with shown() as session:
        assert session.pause() == "paused"
        before = session.metrics()
        assert session.step(3) == "paused"
        assert session.metrics()["tick"] == before["tick"] + 3
        assert session.metrics()["head"] > before["head"]
        session.resume()
        session.wait_for("state_change")


def test_a_town_that_is_told_of_no_new_day_says_that_it_stands() -> None:
    with shown(new_days="0") as session:
        until(lambda: errors(session, "TOWN_STANDS"))


def test_the_websockets_entry_point_says_why_nothing_starts_as_published() -> None:
    port = free_port()
    with shown("-m", "app.websocket_run", program=(), port=str(port)) as session:
        _start(port)
        until(lambda: errors(session, "UNCAUGHT"))
        assert (
            "start_service() missing 1 required positional argument: 'msg'" in errors(session, "UNCAUGHT")[0]["message"]
        )


def test_the_websockets_entry_point_is_shown_once_it_is_mended() -> None:
    port = free_port()
    with shown("-m", "app.websocket_run", program=(), port=str(port), mended_start="1") as session:
        _start(port)
        until(lambda: set(session.characters().index) == PEOPLE)
        assert session.pause() == "paused"


def _start(port: int) -> None:
    def listens() -> dc.Session | None:
        try:
            return dc.connect(f"ws://127.0.0.1:{port}/ws")
        except ConnectionError:
            return None

    until(listens)
    with dc.connect(f"ws://127.0.0.1:{port}/ws") as game:
        game.send("start")
        until(lambda: game.metrics()["messages_sent"] > 0)


LOOK = """
import sys, os
import beside
if __name__ == "__main__":
    print(sys.argv, __name__, __file__, os.path.samefile(sys.path[0], os.path.dirname(os.path.abspath(__file__))))
    print(sys.modules["__main__"].beside is beside, __package__, __spec__, __doc__)
    sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("code", ["0", "3"])
def test_a_program_is_run_as_python_runs_it(tmp_path: Path, code: str) -> None:
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "own.py").write_text(LOOK)
    runs = [
        subprocess.run(
            [sys.executable, *words, "own.py", code, "--port", "x"],
            cwd=tmp_path,
            env=environment({}),
            capture_output=True,
            text=True,
        )
        for words in ([], ["-m", ADAPTER, "--port", "0"])
    ]
    assert runs[0].stdout == runs[1].stdout != ""
    assert runs[0].returncode == runs[1].returncode == int(code)
    assert "no town was seen" in runs[1].stderr


SMALL = """
import asyncio

class Person:
    def __init__(self, name): self.name = name

class State:
    state_name = "IDLE"

class BaseState:
    def __init__(self, character): self.character = character; self.state_name = "WALK"
    def enter_state(self): self.character.state = self

class Simulation:
    total_update_count = 0
    def __init__(self):
        self.character_list = type("List", (), {"characters": [Person("Ann")]})()
    def update_state(self):
        BaseState(self.character_list.characters[0]).enter_state()
        self.total_update_count += 1
"""


def test_a_town_that_lacks_most_of_it_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(SMALL)
    main = tmp_path / "main.py"
    main.write_text(
        "import asyncio, small\n"
        "async def main():\n"
        "    town = small.Simulation()\n"
        "    while True:\n"
        "        town.update_state()\n"
        "        await asyncio.sleep(0.01)\n"  # the pace of the simulation
        "asyncio.run(main())\n"
    )
    with shown("--paused", program=(main,)) as session:
        session.step(3)
        assert session.characters().loc["Ann", "state"] == "WALK"
        assert session.characters().loc["Ann", "location"] == "outdoor"
        missing = session.command("adapter")["missing"]
        assert missing["OpenAIWrapper.create"] == "calls of models"
        assert "BaseState.enter_state" not in missing


def test_no_file_of_the_town_is_changed() -> None:
    assert not [path for path in HOME.rglob("*.py") if "degentcivil_nb" in path.read_text(encoding="utf-8")]
