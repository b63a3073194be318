"""Causes and effects: declared ids, derived links, and what is unknown, live and recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.analysis.causes import DEPTH, MOST, effects, why
from degentcivil_nb.analysis.chain import Chain, ChainLink
from degentcivil_nb.analysis.links import FAN
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.simulation import SimulationProbe
from degentcivil_nb.store.event_store import EventStore


def steps(chain: Any) -> list[list[Any]]:
    table = chain.table()
    return [
        [depth, *(None if pd.isna(value) else value for value in (row, kind, grade))]
        for depth, row, kind, grade in table[["depth", "row", "type", "grade"]].astype("object").values.tolist()
    ]


def tell(probe: SimulationProbe) -> None:
    """Nothing is declared in rows 0 to 3; rows 4 to 9 are."""
    probe.said("noah", ["emma"], "The bakery closes tomorrow", id="chat")  # 0
    probe.llm_call(
        "emma",
        prompt_type="PLAN",
        prompt=[{"role": "user", "content": "Heard: The bakery closes tomorrow"}],
        response="go",
    )  # 1
    probe.state_change("emma", "MOVE", location="Bakery")  # 2
    probe.llm_call("emma", prompt_type="PLAN", prompt="?", error="timeout", id="failed")  # 3
    probe.thought("mia", "memory", "closed", evidence=["chat"], id="memory")  # 4
    probe.tool_call("mia", "look", None, "shut", cause="memory", id="tool")  # 5
    probe.state_change("mia", "WAIT", cause=["tool", "memory"], id="wait")  # 6
    probe.event("end", cause="wait", character_id="mia")  # 7
    probe.error(1004, "lost", cause="nobody")  # 8


@pytest.fixture(scope="module", params=["live", "recorded", "longer than memory"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with SimulationProbe(port=0) as probe, dc.connect(probe) as session:
        tell(probe)
        session.wait_for("error", after=-1)
        folder: Path = session.save(tmp_path_factory.mktemp("runs") / "run")
        if request.param == "live":
            yield session
            return
    with dc.open_recording(folder, memory_rows=1 if "memory" in request.param else 1_000) as recording:
        yield recording


def test_declared_causes_are_followed_across_kinds_each_event_once(run: Any) -> None:
    assert steps(run.why(7)) == [
        [0, 7, "event_notification", None],
        [1, 6, "state_change", "declared"],
        [2, 5, "tool_call", "declared"],
        [2, 4, "thought", "declared"],
        [3, 0, "chat_message", "declared"],
    ]


def test_where_nothing_is_declared_call_and_prompt_are_derived(run: Any) -> None:
    chain = run.why(2)
    assert steps(chain) == [
        [0, 2, "state_change", None],
        [1, 1, "llm_call", "derived"],
        [2, 0, "chat_message", "derived"],
    ]
    texts = chain.table()["text"].to_list()
    assert "last answered call of emma" in texts[1] and "is in the prompt" in texts[2]
    assert "Only an experiment tests a cause" in repr(chain) and "Only an experiment" in chain._repr_html_()
    assert chain._repr_html_().startswith("<div><b>What led to it</b>")
    assert run.effects(0)._repr_html_().startswith("<div><b>What it led to</b>")
    assert len(chain.figure().data) == 2


def test_effects_are_the_same_links_backwards(run: Any) -> None:
    found = steps(run.effects(0))
    assert found[:3] == [[0, 0, "chat_message", None], [1, 4, "thought", "declared"], [1, 1, "llm_call", "derived"]]
    assert [1 + 1, 2, "state_change", "derived"] in found and [2, 5, "tool_call", "declared"] in found
    assert {row for _, row, _, _ in found} == {0, 1, 2, 4, 5, 6, 7}


def test_an_id_that_no_event_has_is_said(run: Any) -> None:
    chain = run.why(8)
    assert steps(chain)[1] == [1, None, None, "unknown"] and "'nobody'" in chain.notes[0]
    with pytest.raises(KeyError):
        run.why(10_000)
    with pytest.raises(ValueError):
        run.why("7th")


def test_a_command_is_the_cause_of_what_it_changed(tmp_path: Path) -> None:
    with dc.start_local_server(characters=2, paused=True) as server, dc.connect(server, name="Ada") as session:
        row: Any = session.set_attribute("emma", "mood", "calm")
        chain = session.why(row)
        assert steps(chain)[1] == [1, None, "command", "declared"]
        assert "a command of Ada" in chain.table()["text"].iloc[1]
        told = session.events().loc[row, "intervention"]
        assert told["client"]["name"] == "Ada" and told["command_id"]


# --- hostile and huge ----------------------------------------------------------------------------------------------


def event(seq: int, **links: Any) -> RawMessage:
    data = {"event_type": "x", "data": "<script>alert(1)</script>"}
    return RawMessage("event_notification", Raw(encode(data)), 1_000.0 + seq, seq, seq, **links)


def store_of(*messages: RawMessage, **options: Any) -> EventStore:
    store = EventStore(**options)
    store.append(list(messages), 2_000.0, "e")
    return store


def test_cycles_end_and_are_said() -> None:
    store = store_of(event(1, event_id="a", cause="b"), event(2, event_id="b", cause=["a", "b"]))
    for chain in (why(store, 0), effects(store, 0)):
        assert [row for _, row, _, _ in steps(chain)] == [0, 1]
        assert any("a cycle" in note for note in chain.notes)


def test_of_several_events_with_one_id_the_last_one_before_is_taken() -> None:
    store = store_of(*(event(seq, event_id="a") for seq in (1, 2)), event(3, cause="a"), event(4, event_id="a"))
    chain = why(store, 2)
    assert [row for _, row, _, _ in steps(chain)] == [2, 1] and "3 events have the id 'a'" in chain.notes[0]


def test_huge_fans_and_long_chains_are_bounded_and_said() -> None:
    fan = store_of(event(1, event_id="a"), *(event(seq, cause="a") for seq in range(2, 1_002)))
    chain = effects(fan, 0)
    assert len(chain) == FAN + 1 and f"the first {FAN} are followed" in chain.notes[0]
    line = store_of(*(event(seq, event_id=f"i{seq}", cause=f"i{seq - 1}") for seq in range(1, 1_001)))
    chain = why(line, 999)
    assert len(chain) == DEPTH + 1 and any("goes on" in note for note in chain.notes)
    tree = [event(1, event_id="1")]
    tree += [event(seq, event_id=str(seq), cause=str((seq + 18) // 20)) for seq in range(2, 2_000)]
    chain = effects(store_of(*tree), 0)
    assert len(chain) == MOST and any("cut" in note for note in chain.notes)


def test_gaps_and_evicted_events_are_said() -> None:
    gap = RawMessage("gap", Raw(encode({"epoch": "e", "from": 2, "to": 4, "reason": "slow"})))
    chain = why(store_of(event(1, event_id="a"), gap, event(5, cause="a")), 1)
    assert any(note.startswith("1 gap lies between") for note in chain.notes)
    store = EventStore(max_rows=2)
    for seq in range(1, 5):
        store.append([event(seq, event_id=f"i{seq}", cause=f"i{seq - 1}")], 2_000.0, "e")
    assert any("no longer held" in note for note in why(store, 3).notes)


def test_of_very_many_causes_the_first_are_followed_and_only_those_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"i{number}" for number in range(1, 61)]
    told = [event(number, event_id=name) for number, name in enumerate(names, 1)]
    store = store_of(*told, event(61, cause=names))
    looked: list[str] = []
    find = store.rows_named

    def look(ids: list[str]) -> dict[str, list[int]]:
        looked.extend(ids)
        return find(ids)

    monkeypatch.setattr(store, "rows_named", look)
    chain = why(store, 60)
    assert chain.table()["row"].to_list() == [60, *range(25)]
    assert chain.notes == ["row 60 names 60 causes: the first 25 are followed"]
    assert len(looked) == 25


def test_the_table_of_links_has_what_why_says_of_each_event(run: Any) -> None:
    links = run.sql("select * from links")
    assert [*links.columns] == ["row", "cause_row", "cause_id", "grade", "reason"] and len(links) >= 4
    said = []
    for row in range(len(run)):
        table = run.why(row).table()
        first = table[(table["depth"] == 1) & (table["grade"] != "derived")].fillna({"row": -1})
        said += [(row, link["row"], link["grade"], link["text"].split(" — ")[-1]) for link in first.to_dict("records")]
    told = links.fillna({"cause_row": -1})[["row", "cause_row", "grade", "reason"]].itertuples(index=False)
    assert sorted(said) == sorted(map(tuple, told))


def test_what_is_shown_is_text() -> None:
    chain = why(store_of(event(1, event_id="<b>\x1b[31m", cause="<i>")), 0)
    assert "<script>" not in chain._repr_html_() and "<i>" not in chain._repr_html_()
    assert "\x1b" not in repr(chain)


def test_a_chain_is_shown_as_a_tree_and_listed_by_distance() -> None:
    def link(depth: int, row: int, parent: int | None) -> ChainLink:
        return ChainLink(depth, row, parent, None, "thought", "emma", row, None, "declared", f"event {row}")

    links = [link(0, 9, None), link(1, 8, 0), link(1, 7, 0), link(2, 6, 2), link(2, 5, 1), link(3, 4, 4)]
    chain = Chain("causes", links)
    assert [links[place].row for place in chain.in_tree_order()] == [9, 8, 5, 4, 7, 6]
    assert [line.split("event ")[1] for line in repr(chain).splitlines() if "event " in line] == [*"985476"]
    assert chain.table()["row"].tolist() == [9, 8, 7, 6, 5, 4]
