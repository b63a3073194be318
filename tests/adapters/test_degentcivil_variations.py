"""The adapter on towns that differ from the one that it was written after: it shows what is there and says the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from tests.support.stand_in import HOME, environment, shown, varied
from tests.support.waiting import until

PEOPLE = {"Ann Lee", "Bo Sand", "Cy Moor", "Di Hall", "Ed Park"}
STATE = "app/models/character_state/base_state.py"
CHARACTER = "app/models/character.py"
TOWN = "app/service/simulation.py"

OTHER_NAMES = {
    "*": [
        ("change_char_building", "find_place"),
        ("total_update_count", "updates_so_far"),
        (".money", ".coins"),
        ("character_list", "population"),
        ("check_balance_and_trade", "pay_from_to"),
        ("LLM_msg_queue", "to_game"),
        ("server_msg_queue", "from_game_queue"),
    ]
}
OTHER_KINDS = {
    TOWN: [
        (
            '[Character(**values) for values in self.configs["characters"][:5]]',
            '{values["name"]: Character(**values) for values in self.configs["characters"][:5]}',
        ),
        (
            "for character in self.character_list.characters\n",
            "for character in self.character_list.characters.values()\n",
        ),
    ],
    "main.py": [("simulation.character_list.characters:", "simulation.character_list.characters.values():")],
    "app/models/character_state/states.py": [
        ("self.character_list.characters if", "self.character_list.characters.values() if")
    ],
    "app/models/emotion.py": [
        ("dict.fromkeys(NAMES, 1.0)", "[[name, 1.0] for name in NAMES]"),
        ("max(self.emotion, key=self.emotion.__getitem__)", "max(self.emotion, key=lambda pair: pair[1])[0]"),
        (
            "self.emotion[name] = min(10.0, max(0.0, self.emotion[name] + by))",
            "self.emotion[NAMES.index(name)][1] += by",
        ),
        (
            "for name, value in self.emotion.items():\n            self.emotion[name] = round(value * 0.99, 4)",
            "for pair in self.emotion:\n            pair[1] = round(pair[1] * 0.99, 4)",
        ),
    ],
    "app/models/location.py": [
        (
            '{f"{name}.{equipment}": InBuildingEquip(equipment, "use it") for equipment in equipments}',
            '[InBuildingEquip(equipment, "use it") for equipment in equipments]',
        )
    ],
}
FAILING = {
    CHARACTER: [
        (
            "    @property\n    def Gold(self):",
            "    @property\n    def health(self):\n        raise ZeroDivisionError('no health')\n\n"
            "    @health.setter\n    def health(self, value):\n        pass\n\n"
            "    @property\n    def mbti(self):\n        raise SystemError(self)\n\n"
            "    @mbti.setter\n    def mbti(self, value):\n        pass\n\n"
            "    def __repr__(self):\n        raise RuntimeError('no repr')\n\n"
            "    @property\n    def Gold(self):",
        )
    ],
    "app/models/memory.py": [
        ("        self.people = {}", "        self.people = property(lambda self: 1 / 0)"),
        (
            "    def set(self, summary",
            "    @property\n    def broken(self):\n        raise KeyError\n\n    def set(self, summary",
        ),
    ],
    STATE: [
        (
            "        self.character.state_name = self.state_name\n",
            "        self.character.state_name = repr(self.state_name)\n",
        )
    ],
    "main.py": [("character.state_name.name", "character.state_name")],
}
AS_COROUTINES = {
    "main.py": [("simulation.update_state()", "await simulation.update_state()")],
    TOWN: [("    def update_state(self):", "    async def update_state(self):")],
    STATE: [
        ("    def execute_post_llm_chain(self", "    async def execute_post_llm_chain(self"),
        (
            "lambda task: self.execute_post_llm_chain(task.result(), self.prompt_type)",
            "lambda task: asyncio.ensure_future(self.execute_post_llm_chain(task.result(), self.prompt_type))",
        ),
    ],
    "autogen/__init__.py": [
        (
            "    async def a_generate_oai_reply(self, messages=None, sender=None, config=None):\n",
            "    def a_generate_oai_reply(self, messages=None, sender=None, config=None):\n",
        ),
        (
            "        return await loop.run_in_executor(None, request)",
            "        return loop.run_in_executor(None, request)",
        ),
    ],
}
WITHOUT = {
    "*": [
        ("create_character_state_managers", "make_managers"),
        ("update_state(msg=", "turn(msg="),
        (
            "    def update_state(self, msg, date):\n        self.current",
            "    def turn(self, msg, date):\n        self.current",
        ),
        ("change_building(", "enter_building("),
        ("change_pos(", "go_to("),
        ("a_process_then_reply", "a_reply"),
        ("response_vanity_check", "check_answer"),
    ]
}


def run(session: dc.Session, updates: int) -> dict[str, Any]:
    """Let the town do some updates, and give what the adapter says that it missed."""
    session.step(updates)
    missing: dict[str, Any] = session.command("adapter")["missing"]
    told = session.events("error", payload=True)["payload"]
    # a monologue that is checked against the next prompt is the town's own fault
    others = [error for error in told if "InnerMonologue" not in error["message"]]
    assert not [error for error in others if error.get("code_name") in ("UNCAUGHT", "SWALLOWED")], others
    return missing


def test_names_that_differ_are_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    main = varied(tmp_path, OTHER_NAMES)
    with shown("--paused", program=(main,), home=main.parent) as session:
        missing = run(session, 20)
        assert {
            "BaseState.change_char_building",
            "Simulation.character_list",
            "Simulation.total_update_count",
            "check_balance_and_trade",
            "LLM_msg_queue, server_msg_queue",
        } <= missing.keys()
        people = session.characters()
        assert set(people.index) == PEOPLE
        assert people["state"].notna().all()
        assert "money" not in people
        assert set(session.llm_calls()["character_id"]) == PEOPLE
        assert session.metrics()["tick"] >= 20
        assert session.inspect("Ann Lee")["working_memory"]


def test_a_dict_for_a_list_and_a_list_for_a_dict_are_read(tmp_path: Path) -> None:
    main = varied(tmp_path, OTHER_KINDS)
    with shown("--paused", program=(main,), home=main.parent) as session:
        assert run(session, 20) == {}
        people = session.characters()
        assert set(people.index) == PEOPLE
        assert people["joy"].notna().all()
        assert session.places()["name"].to_list() == ["Cafe", "Park"]
        assert session.inspect("Bo Sand")["emotion"]["emotion"][0][0] == "joy"


def test_getters_and_reprs_that_fail_are_said_and_cost_only_themselves(tmp_path: Path) -> None:
    main = varied(tmp_path, FAILING)
    with shown("--paused", program=(main,), home=main.parent) as session:
        missing = run(session, 12)
        assert missing["Character.health"] == "it cannot be read: ZeroDivisionError: no health"
        assert "SystemError" in missing["Character.mbti"]
        people = session.characters()
        assert set(people.index) == PEOPLE
        assert {"money", "satiety"} <= set(people.columns)
        assert "health" not in people
        told = session.events("error", payload=True)["payload"]
        assert {error["code_name"] for error in told} >= {"UNREADABLE"}
        known = session.inspect("Cy Moor")
        assert known["state"] in session.timeline("Cy Moor")["state"].to_list()


def test_async_def_where_def_was_and_the_other_way_round(tmp_path: Path) -> None:
    main = varied(tmp_path, AS_COROUTINES)
    with shown("--paused", program=(main,), home=main.parent, latency_s="2", update_s="0.01") as session:
        session.step(2)
        until(lambda: len(session.llm_calls()) == 5)  # all have been answered by now
        assert all(session.inspect(name)["working_memory"] == {} for name in PEOPLE)  # and are held
        run(session, 20)
        assert all(session.inspect(name)["working_memory"] for name in PEOPLE)
        assert session.metrics()["tick"] >= 10


def test_methods_that_are_not_there_are_said_and_their_callers_go_on(tmp_path: Path) -> None:
    main = varied(tmp_path, WITHOUT)
    with shown("--paused", program=(main,), home=main.parent) as session:
        missing = run(session, 20)
        assert missing["Simulation.create_character_state_managers"] == "places and characters"
        assert {"Character.change_pos", "Character.a_process_then_reply", "StateManager.update_state"} <= missing.keys()
        assert set(session.characters().index) == PEOPLE
        calls = session.llm_calls()
        assert set(calls["character_id"]) == PEOPLE
        assert calls["cost_usd"].notna().all()


DETACHED = """
import asyncio, bdb, pdb, sys, traceback
before = (asyncio.sleep, bdb.set_trace, pdb.set_trace, sys.breakpointhook, list(sys.meta_path))
from degentcivil_nb.adapters.degentcivil import attach
from degentcivil_nb.simulation import SimulationProbe
from app import settings
settings.UPDATES = 30
with SimulationProbe(port=0) as probe:
    adapter = attach(probe)
    import main as program
    import app.models.character as character
    from app.models.character_state.states import BaseState, MoveState
    from app.utils.gameserver_utils import LLM_msg_queue, server_msg_queue
    wrapped = [BaseState.enter_state, MoveState.enter_state, character.Character.a_process_then_reply]
    asyncio.run(program.main())
    adapter.detach()
    adapter.detach()
    told = probe.stats()["published"]  # after it: the game's server goes on telling of new days
    assert before == (asyncio.sleep, bdb.set_trace, pdb.set_trace, sys.breakpointhook, list(sys.meta_path))
    now = [BaseState.enter_state, MoveState.enter_state, character.Character.a_process_then_reply]
    assert all(new is old.__wrapped__ for new, old in zip(now, wrapped))
    assert "put" not in vars(LLM_msg_queue) and "put" not in vars(server_msg_queue)
    assert sys.modules["app.utils.function_chain"].traceback is traceback
    assert "_process_received_message" not in vars(sys.modules["app.models.base_agent"].SimsAgent)
    asyncio.run(program.main())
    assert probe.stats()["published"] == told > 50, (told, probe.stats())
    again = attach(probe)
    assert again is not adapter
    asyncio.run(program.main())
    assert probe.stats()["published"] > told
print("whole")
"""


def test_a_detached_town_is_as_it_was_and_can_be_attached_to_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DETACHED], cwd=HOME, env=environment({}), capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1:] == ["whole"], done.stderr[-3_000:]


@pytest.mark.parametrize("trouble", ["poison", "malformed"])
def test_what_goes_wrong_is_seen_in_the_notebook_within_a_tick(trouble: str) -> None:
    with shown("--paused", poison="1") if trouble == "poison" else shown("--paused", malformed="3") as session:
        sign = {"poison": "SWALLOWED", "malformed": "DEBUGGER_TRAP"}[trouble]
        for _ in range(20):
            session.step(1)
            told = session.events("error", payload=True)
            found = told[[payload["code_name"] == sign for payload in told["payload"]]]
            if len(found):
                break
        payloads = session.events("error", payload=True)["payload"]
        codes = {payload["code_name"] for payload in payloads}
        assert codes >= {"poison": {"SWALLOWED"}, "malformed": {"DEBUGGER_TRAP", "ANSWER_REJECTED"}}[trouble]
        assert set(found["character_id"]) <= PEOPLE
        assert found["tick"].iloc[0] >= session.metrics()["tick"] - 1


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import app.models.building", "app.models is missing in this checkout"),
        ("import autogen_that_nobody_has", "pip install autogen_that_nobody_has"),
        ("from app import EQUIPSPLITER", "does not define it"),
        ("open('config/city_status.json')", "config/city_status.json is missing"),
        ("def start_service(msg): pass\nstart_service()", "pass it a message, or start main.py"),
    ],
)
def test_a_tree_that_does_not_start_says_what_to_do(tmp_path: Path, program: str, says: str) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").touch()
    (tmp_path / "main.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "degentcivil_nb.adapters.degentcivil", "--port", "0", "main.py"],
        cwd=tmp_path,
        env=environment({}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert says in done.stderr
    assert done.stderr.splitlines()[-1].startswith("no town was seen")
