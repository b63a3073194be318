"""Chat, tools, thoughts, figures, attributes and departures: what a store makes of them, and the tables of each."""

from __future__ import annotations

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


def tell(probe: SimulationProbe) -> dict[str, str | None]:
    probe.state_change("emma", "MOVE", location="Park")
    probe.state_change("noah", "IDLE", location="Cafe")
    call = probe.llm_call("emma", prompt_type="PLAN", prompt="?", response="greet")
    said = probe.said("emma", ["noah", "mia"], "Good morning!", channel="street", cause=call)
    tool = probe.tool_call("noah", "search", {"q": "tea"}, ["Cafe"], latency_s=0.25, cause=[said, call])
    mused = probe.thought("noah", "reflection", "emma is kind", evidence=[said])
    for tick, money in enumerate((3, 5)):
        probe.measure("gini", 0.25 * (tick + 1))
        probe.character_update("emma", money=money)
    probe.measure("people", 2)
    probe.error(1004, "no plan", character_id="emma")
    probe.state_change("emma", "ACT", location=None)
    probe.left("noah")
    return {"call": call, "said": said, "tool": tool, "mused": mused, "last": probe.event("end", id="end")}


def check(run: Any, ids: dict[str, str | None], *, live: bool) -> None:
    chat = run.chat()
    assert chat["content"].to_list() == ["Good morning!"]
    assert (chat["character_id"].to_list(), chat["receivers"].to_list()) == (["emma"], [["noah", "mia"]])
    assert chat["channel"].to_list() == ["street"]
    tools = run.tool_calls(character_id="noah")
    assert tools[["name", "latency_s"]].values.tolist() == [["search", 0.25]]
    assert tools["arguments"].to_list() == [{"q": "tea"}] and tools["error"].isna().all()
    thoughts = run.thoughts()
    assert (thoughts["kind"].to_list(), thoughts["evidence"].to_list()) == (["reflection"], [[ids["said"]]])
    if live:
        assert chat["event_id"].to_list() == [ids["said"]] and chat["cause"].to_list() == [ids["call"]]
        assert tools["cause"].to_list() == [[ids["said"], ids["call"]]]
    assert run.measures("gini")["value"].to_list() == [0.25, 0.5]
    assert set(run.measures()["name"]) == {"gini", "people"}
    money = run.attribute("money", "emma")
    assert (money["value"].to_list(), set(money["character_id"])) == ([3, 5], {"emma"})
    with pytest.warns(UserWarning, match="no attribute"):
        assert not len(run.attribute("nothing"))
    assert len(run.errors(character_id="emma")) == 1 and not len(run.errors(character_id="noah"))
    assert len(run.llm_calls(character_id="emma", last=5)) == 1
    town = run.characters()
    assert list(town.index) == ["emma"], "who left is no longer listed"
    assert pd.isna(town.loc["emma", "location"]), "a place that was left is no place"
    stays = run.timeline("emma")
    assert stays["location"].isna().to_list() == [False, True]
    before = run.characters(row=int(run.events("character_left").index[0]) - 1)
    assert set(before.index) == {"emma", "noah"}


def test_a_session_and_its_recording_answer_alike(tmp_path: Path) -> None:
    with SimulationProbe(port=0) as probe, dc.connect(probe.url, record=tmp_path / "run") as session:
        ids = tell(probe)
        session.wait_for("event_notification", after=-1)
        check(session, ids, live=True)
    check(dc.open_recording(tmp_path / "run"), ids, live=False)


def test_errors_that_were_not_there_before() -> None:
    store = EventStore(clock=lambda: 100.0)
    rows = [(10.0, 1, "a"), (11.0, 2, "b"), (20.0, 1, "a"), (21.0, 1, "c"), (22.0, 3, "b")]
    rows += [(12.0, 4, "row 5 of 'x' failed"), (23.0, 4, "row 17 of 'y' failed")]  # the same, of another row
    rows.sort()
    store.append(
        [RawMessage("error", Raw(encode({"code": code, "message": text})), at) for at, code, text in rows], 100.0, "e"
    )

    class Run(dc.Session):
        def __init__(self) -> None:
            self._store = store

    found = Run().errors(new_since=15)
    assert list(zip(found["code"], found["message"], strict=True)) == [(1, "c"), (3, "b")]


@pytest.mark.parametrize("kind", ["chat_message", "tool_call", "thought", "measure", "character_left"])
@pytest.mark.parametrize("payload", [b"5", b"[1]", b'{"character_id":{"x":1}}', b"null", b'{"value":[]}'])
def test_a_type_of_another_shape_is_a_custom_event(kind: str, payload: bytes) -> None:
    store = EventStore()
    store.append([RawMessage(kind, Raw(payload), 5.0, cause={"odd": 1}, event_id=[])], 5.0, "e")
    assert store.events()["type"].to_list() == [kind]
    assert not len(store.errors())


def test_who_left_and_came_back_is_there() -> None:
    store = EventStore()
    told = [
        ("state_change", {"character_id": "emma", "new_state": "IDLE"}),
        ("character_left", {"character_id": "emma"}),
    ]
    messages = [RawMessage(kind, Raw(encode(payload)), 5.0) for kind, payload in told]
    store.append(messages, 5.0, "e")
    assert not len(store.characters())
    store.append([*messages, messages[0]], 6.0, "e")
    assert list(store.characters().index) == ["emma"]
