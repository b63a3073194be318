"""Linked panels: what each shows is what the store says, live, at the cursor, under a search, in a recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.figures.colours import state_colour
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.session.recording import open_recording
from degentcivil_nb.widgets.character_page import CharacterPage
from degentcivil_nb.widgets.characters import CharactersPanel
from degentcivil_nb.widgets.chat_table import TURNS, ChatTable
from degentcivil_nb.widgets.cursor import Cursor
from degentcivil_nb.widgets.debug_panel import DebugPanel
from degentcivil_nb.widgets.errors_table import ErrorsTable
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.findings_panel import FindingsNow, FindingsPanel
from degentcivil_nb.widgets.growing_table import KEPT
from degentcivil_nb.widgets.llm_table import LlmTable
from degentcivil_nb.widgets.map_panel import MapPanel
from degentcivil_nb.widgets.search import Search
from degentcivil_nb.widgets.time_bar import TimeBar
from degentcivil_nb.widgets.timeline import TimelinePanel, stays_of
from tests.support.page import Page, Prompt
from tests.support.panel_run import Run
from tests.support.waiting import until
from tests.widgets.test_cursor import store_of

RUNS = ("session", "recording", "long")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Give one run three ways: live, recorded and read into memory, recorded and read from disk."""
    path = tmp_path_factory.mktemp("runs") / "saved"
    with (
        dc.start_local_server(seed=1, tick_s=0.01, paused=True, characters=40) as server,
        dc.connect(server, history=100_000) as session,
    ):
        session.step(60)
        session.save(path)
        with open_recording(path) as recording, open_recording(path, memory_rows=1) as long:
            yield {"session": session, "recording": recording, "long": long}


def opened(panel: Any) -> Page:
    page = Page(panel)
    page.show()
    return page


@pytest.mark.parametrize("name", RUNS)
def test_the_town_is_shown_as_it_was_at_the_cursor_and_as_it_is_after_that(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    cursor = Cursor(run._store)
    page = opened(CharactersPanel(run._store, Prompt(), cursor=cursor))
    town = opened(MapPanel(run._store, Prompt(), cursor=cursor))
    for tick in (12, 40, None):
        if tick is None:
            cursor.back_to_live()
        else:
            cursor.at(tick=tick)
        for each in (page, town):
            each.panel.refresh(1.0)
        then = run.characters() if tick is None else run.characters(tick=tick)
        assert (page.messages[-1]["moment"] or {}).get("tick") == tick
        for shown in (page, town):
            assert {key: (row["state"], row["location"]) for key, row in shown.rows().items()} == {
                who: (row["state"], row["location"]) for who, row in then.iterrows()
            }


@pytest.mark.parametrize("name", RUNS)
def test_tables_reach_every_row_and_say_how_many_there_are(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    store, cursor = run._store, Cursor(run._store)
    events = run.events()
    for kind, wanted in (
        (EventsPanel, events.index),
        (ErrorsTable, events.index[events["type"] == "error"]),
        (LlmTable, run.llm_calls().index),
    ):
        page = opened(kind(store, Prompt(), cursor=cursor))
        window = page.bodies[-1]["window"]
        assert window["all"] == len(wanted)
        assert page.keys == [str(row) for row in wanted[-KEPT:]]
        seen = set(page.keys)
        while page.bodies[-1]["window"]["earlier"]:
            page.do({"page": "earlier"})
            page.panel.refresh(1.0)
            seen |= set(page.keys)
        assert seen == {str(row) for row in wanted}, "every row can be gone to"
        cursor.at(row=int(wanted[len(wanted) // 2]))
        page.do({"page": "newest"})
        page.panel.refresh(2.0)
        assert str(wanted[len(wanted) // 2]) in page.keys
        cursor.back_to_live()
        page.panel.refresh(3.0)
        assert page.keys == [str(row) for row in wanted[-KEPT:]]


@pytest.mark.parametrize("name", RUNS)
def test_a_search_goes_over_everything_held(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    search = Search(run._store)
    for text in ("type == 'error'", "new_state == 'MOVE' and tick <= 20", "prompt_type == 'PLAN'"):
        search.ask(text, lambda: None)
        until(lambda: not search.busy)
        wanted = run.events(where=text).index.tolist()
        assert search.rows.tolist() == wanted
        assert search.status()["hits"] == len(wanted)
        page = opened(EventsPanel(run._store, Prompt(), cursor=Cursor(run._store), search=search))
        assert page.keys == [str(row) for row in wanted[-KEPT:]]
        assert page.bodies[-1]["window"]["all"] == len(wanted)
    search.ask("tick >", lambda: None)
    assert search.problem
    assert not search.active
    search.ask("", lambda: None)
    assert not search.active


def test_a_search_finds_what_comes_later_too() -> None:
    store = store_of((1, 1000.0), (2, 1001.0))
    search = Search(store)
    page = opened(EventsPanel(store, Prompt(), search=search))
    search.ask("tick >= 2", lambda: None)
    until(lambda: not search.busy)
    page.panel.refresh(1.0)
    assert page.keys == ["1"]
    data = Raw(encode({"character_id": "emma", "new_state": "MOVE"}))
    store.append([RawMessage("state_change", data, 1002.0, 3, 3)], 1002.0, "e")
    page.panel.refresh(2.0)
    assert page.keys == ["1", "2"]
    search.ask("", lambda: None)
    page.panel.refresh(3.0)
    assert page.keys == ["0", "1", "2"]


@pytest.mark.parametrize("name", RUNS)
def test_the_timeline_shows_what_timeline_says(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    frame = run.timeline()
    page = opened(TimelinePanel(run._store, Prompt(), cursor=Cursor(run._store)))
    page.do({"sight": {"first": 0, "count": 80, "pixels": 4000}})
    page.panel.refresh(5.0)
    body = page.bodies[-1]
    assert set(body["lanes"]) == set(frame["character_id"])
    assert body["all"] == body["total"] == frame["character_id"].nunique()
    stays = stays_of(run._store)
    assert len(stays.who) == len(frame)
    known = frame["end"].notna().to_numpy()
    assert (stays.end[known] == frame["end"][known].to_numpy("M8[ns]").astype("int64")).all()
    assert body["colours"] == [state_colour(state) for state in body["states"]]
    page.do({"sight": {"first": 0, "count": 80, "pixels": 4000, "words": "EMMA", "order": "stuck longest"}})
    page.panel.refresh(6.0)
    assert page.bodies[-1]["lanes"] == ["emma"]
    assert page.bodies[-1]["all"] == body["all"], "what is filtered is said"


@pytest.mark.parametrize("name", RUNS)
def test_the_page_of_a_character_is_about_the_moment_shown(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    cursor = Cursor(run._store)
    page = opened(CharacterPage(run._store, Run(), Run(), Prompt(), cursor=cursor))
    assert page.bodies[-1]["character"] is None
    cursor.select("emma")
    for tick in (None, 30):
        if tick is not None:
            cursor.at(tick=tick)
        page.panel.refresh(1.0)
        body = page.bodies[-1]
        then = run.characters().loc["emma"] if tick is None else run.characters(tick=tick).loc["emma"]
        assert (body["state"], body["location"]) == (then["state"], then["location"])
        assert body["since"] == pytest.approx(then["since"].timestamp(), abs=0.001)
        events = run.events(character_id="emma")
        stop = events.index[-1] if tick is None else run._store.row_at(tick=tick)
        assert [row for row, *_ in body["events"]] == events.index[events.index <= stop][::-1][:12].tolist()
        calls = run.llm_calls(character_id="emma")
        assert [row for row, *_ in body["calls"]] == calls.index[calls.index <= stop][::-1][:6].tolist()
    cursor.select("nobody of that name")
    page.panel.refresh(2.0)
    assert page.bodies[-1]["known"] is False


@pytest.mark.parametrize("name", RUNS)
def test_the_time_bar_spans_the_run_and_jumps_from_mark_to_mark(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    cursor = Cursor(run._store)
    page = opened(TimeBar(run._store, Prompt(), cursor=cursor, run=run))
    body, events = page.bodies[-1], run.events()
    assert sum(body["counts"]) == len(events) == body["held"]
    assert sum(body["errors"]) == len(run.errors())
    assert body["first"] <= events["time"].min().timestamp() < body["last"]
    errors = run.errors().index.tolist()
    for row in reversed(errors):
        page.do({"jump": -1, "to": "error"})
        moment = cursor.at()
        assert moment is not None
        assert moment["row"] == row
    page.do({"jump": -1, "to": "error"})
    page.panel.refresh(9.0)
    assert page.bodies[-1]["said"] == "no earlier error"
    cursor.at(tick=30)
    page.do({"step": 1})
    page.do({"step": 1})
    page.do({"step": -1})
    moment = cursor.at()
    assert moment is not None
    assert moment["tick"] == 31
    cursor.at(tick=60)
    page.do({"step": 1})
    assert cursor.at() is None, "after the last tick comes the present"


def test_pages_move_the_cursor_and_select_and_bad_moves_are_said() -> None:
    run = Run()
    run.put("emma")
    for _ in range(5):
        run.happen(character_id="emma")
    cursor = Cursor(run)
    page = opened(EventsPanel(run, Prompt(), cursor=cursor))
    page.say("point", content={"row": 2, "select": {"character": "emma", "row": 2}})
    assert (cursor.selected["character_id"], cursor.selected["row"]) == ("emma", 2)
    moment = cursor.at()
    assert moment is not None
    assert moment["row"] == 2
    page.panel.refresh(1.0)
    assert page.messages[-1]["moment"]["row"] == 2
    assert page.messages[-1]["cursor"]["character"] == "emma"
    page.say("point", content={"row": 99})
    assert page.messages[-1]["kind"] == "failure"
    assert "row 99 is not held" in page.bodies[-1]["text"]
    for content in (None, 7, {"row": "x"}, {"select": 3}, {"time": float("nan")}, {"tick": True}):
        page.say("point", content=content)
    page.say("point", content={"live": True})
    assert cursor.at() is None


@pytest.mark.parametrize("name", RUNS)
def test_findings_chat_and_breakpoints_show_what_the_run_says(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    said = run.chat()
    page = opened(ChatTable(run._store, Prompt(), cursor=Cursor(run._store)))
    assert page.keys == [str(row) for row in said.index[-KEPT:]]
    assert [row["content"] for row in page.rows().values()] == [str(text) for text in said["content"][-KEPT:]]
    page.do({"chain": page.keys[-1], "to": "talk"})
    until(lambda: "chain" in page.bodies[-1])
    shown, last = page.bodies[-1]["chain"], page.rows()[page.keys[-1]]
    theirs = [int(key) for key, row in page.rows().items() if row["between"] == last["between"]]
    assert last["between"] in shown["title"]
    assert [link[1] for link in shown["links"]] == theirs[-TURNS - 1 :], "what was said by turns"
    rows = page.rows()
    assert all(link[5] == rows[str(link[1])]["character_id"] for link in shown["links"])
    findings = FindingsNow(run)
    page = opened(FindingsPanel(findings, lambda: run._store.version, Prompt()))
    until(lambda: findings.table is not None)
    page.panel.refresh(1.0)
    found = run.findings()
    assert [(row["kind"], row["text"]) for row in page.rows().values()] == list(
        found[["kind", "text"]].itertuples(index=False, name=None)
    )
    page = opened(DebugPanel(run, lambda: run._store.version, Prompt()))
    assert page.bodies[-1]["can"] is (name == "session")
    if name == "session":
        page.do({"break": "tick >="})
        until(lambda: page.bodies[-1]["said"]["failed"])
        assert page.bodies[-1]["said"]["about"] == "break"
        page.do({"watch": "nonsense("})
        until(lambda: page.bodies[-1]["said"]["about"] == "watch")
        assert "was never closed" in page.bodies[-1]["said"]["text"]
        assert "\n" not in page.bodies[-1]["said"]["text"], "without the condition, which stands in its field"
        page.do({"break": "character_id == 'emma' and new_state == 'MOVE'", "hits": 2})
        until(lambda: len(run.breakpoints()) == 1 and len(page.bodies[-1]["breakpoints"]) == 1)
        made = page.bodies[-1]["breakpoints"][0]
        assert (made["condition"], made["stops_at"]) == ("character_id == 'emma' and new_state == 'MOVE'", 2)
        assert (made["verified"], made["mine"]) == (True, True)
        page.do({"break": "new_state == 'MOVE'", "hits": 1, "once": True, "name": made["name"]})  # in place
        until(lambda: page.bodies[-1]["breakpoints"][0]["condition"] == "new_state == 'MOVE'")
        assert run.breakpoints()[["name", "once"]].to_numpy().tolist() == [[made["name"], True]]
        page.do({"name": made["name"], "remove": True})
        until(lambda: len(run.breakpoints()) == 0 and not page.bodies[-1]["busy"])
        page.do({"watch": "tick"})
        until(lambda: page.bodies[-1]["watches"] and not page.bodies[-1]["busy"])
        assert page.bodies[-1]["watches"][-1]["mine"] is True
        page.do({"unwatch": "tick"})
        until(lambda: not run._watches.names() and not page.bodies[-1]["busy"])
        for word, mine in (("take", True), ("give", False)):
            page.do({"control": word})

            def told(mine: bool = mine) -> bool:
                page.panel.refresh(1.0)  # who has control may be told after the answer
                body = page.bodies[-1]
                return body["control"]["mine"] is mine and not body["busy"]

            until(told)
    else:
        assert page.bodies[-1]["control"] is None


def test_each_request_of_the_debug_panel_is_answered_by_its_name_and_beside_its_field() -> None:
    with dc.start_local_server(seed=2, paused=True) as town, dc.connect(town) as run:
        panel = DebugPanel(run, lambda: run._store.version, Prompt())
        page = opened(panel)
        page.do({"break": "tick >", "ask": "a"})
        page.do({"watch": "money +", "ask": "b"})
        page.do({"break": "tick >= 3", "hits": 1, "ask": "c"})
        until(lambda: len(page.bodies[-1]["answers"]) == 3)
        assert page.bodies[-1]["answers"] == [["a", True], ["b", True], ["c", False]]
        assert {*page.bodies[-1]["refused"]} == {"watch"}, "an accepted breakpoint leaves the refusal of a watch"
        page.do({"control": "nonsense", "ask": "d"})
        page.do({"unwatch": "never", "ask": ["no text"]})
        until(lambda: len(page.bodies[-1]["answers"]) == 4)
        assert [ask for ask, _ in page.bodies[-1]["answers"]] == ["a", "b", "c", ""], "no name that is no text"


def test_a_watch_that_has_values_is_not_said_to_wait_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("degentcivil_nb.widgets.debug_panel.STOPS", 5)
    with dc.start_local_server(characters=12, seed=2, paused=True) as town, dc.connect(town) as run:
        for name in ("money", "energy"):
            run.watch(name, name)
        run.step(2)
        panel = DebugPanel(run, lambda: run._store.version, Prompt())
        told = opened(panel).bodies[-1]
        assert all(row["value"] is not None for row in told["watches"]), told["watches"]
        assert told["all_watches"] == 24
