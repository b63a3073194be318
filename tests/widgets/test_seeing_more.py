"""Charts, conversations, malformed answers, a character's page: what is shown is what the run says, at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.session.recording import open_recording
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.widgets import malformed
from degentcivil_nb.widgets.character_page import CharacterPage
from degentcivil_nb.widgets.characters import CharactersPanel
from degentcivil_nb.widgets.charts_panel import ChartsPanel
from degentcivil_nb.widgets.chat_table import ChatTable
from degentcivil_nb.widgets.conversations import LONG
from degentcivil_nb.widgets.cursor import Cursor
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.figure_panels import ErrorsPanel, LlmPanel, RatesPanel
from degentcivil_nb.widgets.findings_panel import FindingsNow, FindingsPanel
from degentcivil_nb.widgets.headline import Headline
from degentcivil_nb.widgets.llm_table import LlmTable
from degentcivil_nb.widgets.row_actions import RowActions
from degentcivil_nb.widgets.running_rates import counts_of
from degentcivil_nb.widgets.timeline import TimelinePanel
from tests.support.page import Page, Prompt
from tests.support.panel_run import Run
from tests.support.planted_runs import PlantedTown
from tests.support.recording_helpers import message_at, written
from tests.support.waiting import until


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give a recording in which one character is stuck, some answers are malformed and errors come."""
    town = PlantedTown(5, fault="stuck", ticks=400)
    town.malformed, town.error_rate = 0.12, 0.03
    entries = [RecordedMessage(part, town.now, "e") for part in town.parts()]
    with open_recording(written(tmp_path_factory.mktemp("runs") / "planted", entries, close=True)) as run:
        yield run


def opened(panel: Any) -> Page:
    page = Page(panel)
    page.show()
    return page


def test_calls_with_an_empty_model_are_shown_beside_calls_without_one() -> None:
    with dc.SimulationProbe(port=0) as town, dc.connect(town) as session:
        town.llm_call("emma", prompt="x", response="y", model="")
        town.llm_call("emma", prompt="x", response="y")
        until(lambda: len(session) == 2)
        page = opened(LlmTable(session._store, Prompt()))
        assert sum(row[1] for row in page.bodies[-1]["totals"]) == 2


def test_a_moved_cursor_does_not_wait_until_more_calls_are_judged(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(malformed, "TURN_S", 0.0)  # a turn judges nothing
    cursor = Cursor(planted._store)
    panel = LlmTable(planted._store, Prompt(), cursor=cursor)
    opened(panel)
    turns: list[int] = []

    def judge() -> int:
        turns.append(1)
        return panel._bad.judged

    monkeypatch.setattr(panel._bad, "catch_up", judge)
    cursor.at(tick=200)
    panel.refresh(1.0)
    assert turns == []
    panel.refresh(2.0)
    assert turns == [1]


def test_rows_of_a_kind_are_the_same_asked_once_or_again_whole_or_in_part(planted: Any) -> None:
    store, events = planted._store, planted.events()
    kinds = ("llm_call", "error")
    wanted = events.index[events["type"].isin(kinds)].to_numpy()
    middle = len(events) // 2
    for _ in range(2):  # the first time a part is read before all of it
        assert [*store.rows_of(kinds, middle)] == wanted[wanted >= middle].tolist()
        assert [*store.rows_of(kinds, 3, middle)] == wanted[(wanted >= 3) & (wanted < middle)].tolist()
        assert [*store.rows_of(kinds)] == wanted.tolist()
        assert [*store.rows_of(("never",))] == []


@pytest.mark.parametrize("kind", [ErrorsPanel, ChartsPanel])
def test_errors_up_to_a_moment_are_all_drawn_whichever_bucket_it_is_in(planted: Any, kind: Any) -> None:
    cursor = Cursor(planted._store)
    panel = kind(planted._store, Prompt(), cursor=cursor)
    if kind is ChartsPanel:
        panel.received({"charts": ["errors"]})
    opened(panel)
    errors = planted.errors()
    for place in range(0, len(errors), 3):
        moment = cursor.at(row=int(errors.index[place]))
        panel.refresh(1.0 + place)
        drawn = sum(int(sum(trace["y"])) for trace in panel.spec()["data"])
        since = moment["time"].floor("s") - pd.Timedelta(600, unit="s")  # type: ignore[index]  # it has moved
        assert drawn == ((errors["time"] <= moment["time"]) & (errors["time"] > since)).sum()  # type: ignore[index]


def test_the_figure_of_calls_counts_the_malformed_ones_live_and_at_a_moment(planted: Any) -> None:
    cursor = Cursor(planted._store)
    panel = LlmPanel(planted._store, Prompt(), cursor=cursor)
    opened(panel)
    for tick in (None, 300):
        if tick is not None:
            cursor.at(tick=tick)
            panel.refresh(9.0)
        calls = planted.llm_calls() if tick is None else planted.llm_calls()[planted.llm_calls()["tick"] <= tick]
        (failed,) = [trace for trace in panel.spec()["data"] if trace.get("name") == "failed"]
        bad = calls["malformed"].eq(True).fillna(False) | calls["error"].notna()
        assert sum(failed["y"]) == pytest.approx(100 * bad.groupby(calls["prompt_type"], observed=True).mean().sum())


def test_the_chosen_charts_are_drawn_below_each_other_up_to_the_cursor(planted: Any) -> None:
    cursor = Cursor(planted._store)
    panel = ChartsPanel(planted._store, Prompt(), run=planted, cursor=cursor)
    page = opened(panel)
    assert page.bodies[-1]["chosen"] == ["rates"]
    assert {"rates", "errors", "latency", "calls", "attribute: money"} <= set(page.bodies[-1]["offered"])
    page.do({"charts": ["rates", "errors", "calls", "attribute: money", "nonsense"]})
    assert page.bodies[-1]["chosen"] == ["rates", "errors", "calls", "attribute: money"]
    spec = panel.spec()
    layout = spec["layout"]
    domains = [layout[f"yaxis{number}"]["domain"] for number in ("", "2", "3", "4")]
    assert all(low > high for (low, _), (_, high) in pairwise(domains)), "none covers another"
    assert {trace["xaxis"] for trace in spec["data"]} == {"x"}
    drawn = sum(trace["y"][:-1].sum() * 5 for trace in spec["data"] if trace["yaxis"] == "y")
    newest = planted.events()["time"].iloc[-1]
    window = planted.rates("5s", window="600s")
    assert drawn == window.to_numpy().sum(), "a run that is over has no bucket that is not"

    at = cursor.at(tick=200)
    assert at is not None
    panel.refresh(1.0)
    spec = panel.spec()
    line = spec["layout"]["shapes"][-1]
    assert pd.Timestamp(line["x0"]) == at["time"].tz_localize(None).floor("ms")
    half = pd.Timedelta("2.5s")  # of the bar with the errors up to the moment
    ends = [
        pd.Timestamp(trace["x"][-1]) - half * int(trace["type"] == "bar") for trace in spec["data"] if len(trace["x"])
    ]
    last = max(ends)
    assert last <= at["time"].tz_localize(None) < newest.tz_localize(None)
    money = [trace for trace in spec["data"] if trace["yaxis"] == "y4"]
    told = planted.attribute("money", until=at["time"] + pd.Timedelta(1, unit="us"))
    names = [trace["name"] for trace in money]
    goes_on = sum(trace["y"][-1] == trace["y"][-2] for trace in money if len(trace["y"]) > 1)
    assert goes_on > 0, "a value holds until it changes"
    assert sum(len(trace["y"]) for trace in money) - goes_on == int(told["character_id"].isin(names).sum())


def test_no_chart_and_charts_without_data_say_what_would_fill_them() -> None:
    run = Run()
    panel = ChartsPanel(run, Prompt())
    page = opened(panel)
    for chosen in ([], ["rates", "errors", "latency", "calls"]):
        page.do({"charts": chosen})
        notes = [note["text"] for note in panel.spec()["layout"]["annotations"]]
        assert len(notes) == max(1, len(chosen)) and all(notes)


def test_malformed_answers_are_counted_over_the_whole_run_with_whose_they_are_and_their_cost(planted: Any) -> None:
    page = opened(LlmTable(planted._store, Prompt()))
    calls = planted.llm_calls()
    bad = calls[calls["malformed"].eq(True)]
    told = page.bodies[-1]["malformed"]
    assert told["judged"] == len(calls) and told["calls"] == len(bad) > 10
    assert told["cost"] == pytest.approx(bad["cost_usd"].sum())
    whose = bad["character_id"].astype(str).value_counts()
    page.do({"malformed": ""})
    page.panel.refresh(1.0)
    assert page.keys == [str(row) for row in bad.index]
    who = str(whose.index[0])
    page.do({"malformed": who})
    page.panel.refresh(2.0)
    assert page.keys == [str(row) for row in bad.index[bad["character_id"].eq(who)]]
    page.do({"malformed": None})
    page.panel.refresh(3.0)
    assert len(page.keys) == len(calls)
    assert {who: count for who, count, _ in told["most"]} == whose[[who for who, *_ in told["most"]]].to_dict()


def test_conversations_are_listed_by_who_talks_up_to_the_moment_and_one_can_be_shown_alone() -> None:
    run = Run()
    for turn in range(LONG + 1):
        run.figures["tick"] = turn
        run.happen("chat_message", {"receivers": ["noah"], "content": f"{turn}"}, character_id="emma")
        if turn < 3:
            run.happen("chat_message", {"receivers": ["ada"], "content": "hi"}, character_id="<b>zoe")
    cursor = Cursor(run)
    page = opened(ChatTable(run, Prompt(), cursor=cursor))
    talks = page.bodies[-1]["talks"]
    assert [(who, count, endless) for who, count, _, _, endless in talks["listed"]] == [
        ("emma · noah", LONG + 1, LONG + 1),
        ("<b>zoe · ada", 3, 0),
    ]
    page.do({"talk": "<b>zoe · ada"})
    assert [row["content"] for row in page.rows().values()] == ["hi"] * 3
    assert page.bodies[-1]["window"]["all"] == 3
    page.do({"talk": None})
    cursor.at(row=2)
    page.panel.refresh(1.0)
    counts = {who: count for who, count, *_ in page.bodies[-1]["talks"]["listed"]}
    assert counts == {"emma · noah": 2, "<b>zoe · ada": 1}


def test_each_row_of_the_events_says_in_words_what_happened(planted: Any) -> None:
    rows = opened(EventsPanel(planted._store, Prompt())).rows()
    said: dict[str, str] = {row["type"]: row["message"] for row in rows.values()}
    assert all(row["message"] for row in rows.values())
    assert said["state_change"].startswith("is in ") and said["error"].startswith("error 200")


def test_the_page_of_a_character_has_its_lane_its_findings_and_its_calls_to_be_read(planted: Any) -> None:
    findings = FindingsNow(planted)
    findings.look(1, lambda: None)
    until(lambda: findings.table is not None)
    stuck = planted.findings().query("kind == 'stuck'").iloc[0]
    who = stuck["character_id"]
    page = opened(CharacterPage(planted._store, Run(), Run(), Prompt(), character_id=who, findings=findings))
    body = page.bodies[-1]
    assert [text for _, text, _ in body["findings"]] == [stuck["text"]]
    stays = planted.timeline(who)
    assert body["lane"]["all"] == len(stays)
    assert [state for _, _, state, *_ in body["lane"]["stays"]] == stays["state"].astype(str).tolist()[-60:]
    call = planted.llm_calls().query("character_id == @who").iloc[-1]
    assert body["calls"][0][0] == call.name and body["read"] is None
    page.do({"call": int(call.name)})
    read = page.bodies[-1]["read"]
    assert (read["prompt"], read["response"]) == (call["prompt"], call["response"])


def test_an_attribute_an_event_and_a_breakpoint_are_made_from_the_page_of_a_character() -> None:
    with (
        dc.start_local_server(characters=3, seed=1, paused=True) as town,
        dc.connect(town) as session,
    ):
        session.step(2)
        who = session.characters().index[0]
        status, commands = session.panel._status, session.panel._commands
        actions = RowActions(session, session._store)
        panel = CharacterPage(session._store, status, commands, Prompt(), character_id=who, actions=actions)
        page = opened(panel)
        page.do({"set": ["money", "77"]})
        until(lambda: session.characters().at[who, "money"] == 77)
        page.do({"inject": ["visit", '{"from": "<b>"}']})
        until(lambda: "visit" in session.events("event_notification")["event_type"].tolist())
        condition = page.bodies[-1]["breaks"][0][1]
        page.do({"again": condition})
        until(lambda: condition in session.breakpoints()["condition"].tolist())


def test_findings_are_counted_in_the_head_line_and_new_until_they_were_looked_at(planted: Any) -> None:
    findings = FindingsNow(planted)
    line = Headline(planted.panel._status, Run(), Prompt(), findings=findings)
    page = opened(line)
    assert (page.bodies[-1]["findings"], page.bodies[-1]["errors"]) == (None, len(planted.errors()))
    findings.look(1, lambda: None)
    until(lambda: findings.table is not None)
    line.refresh(1.0)
    count = len(planted.findings())
    assert (page.bodies[-1]["findings"], page.bodies[-1]["fresh"]) == (count, count) and count
    opened(FindingsPanel(findings, lambda: 1, Prompt()))
    line.refresh(2.0)
    assert page.bodies[-1]["fresh"] == 0


def test_panels_show_what_a_growing_recording_has_after_it_was_read_again(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "grows", run_id="run", clock=lambda: 1_000.0)
    writer.write([RecordedMessage([message_at(seq) for seq in range(1, 4)], 2_000.0, "e")])
    writer.commit()
    with open_recording(tmp_path / "grows") as recording:
        reader = recording._current
        pages = [opened(panel(reader, Prompt())) for panel in (EventsPanel, CharactersPanel)]
        before = reader.version
        writer.write([RecordedMessage([message_at(seq) for seq in range(4, 9)], 2_000.0, "e")])
        writer.commit()
        assert recording.refresh() == 5
        assert reader.version > before
        for page in pages:
            page.panel.flow.wants_full = True  # as Refresher.redraw asks
            page.panel.refresh(5.0)
        assert len(pages[0].keys) == len(recording) == 8
        assert np.isin(recording.characters().index, pages[1].keys).all()
        assert recording.at(row=7) is not None
    writer.close()


def test_what_was_chosen_is_shown_whole_at_an_earlier_moment_too_as_more_answers_are_judged(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(malformed, "PIECE", 20)
    clock = count(0.0, 0.02)  # a turn is over after one piece
    monkeypatch.setattr("degentcivil_nb.widgets.malformed.time.perf_counter", lambda: next(clock))
    calls = planted.llm_calls()
    bad = calls[calls["malformed"].eq(True)]
    cursor = Cursor(planted._store)
    page = opened(LlmTable(planted._store, Prompt(), cursor=cursor))
    cursor.at(row=int(bad.index[0]))
    page.panel.refresh(1.0)
    page.do({"malformed": ""})
    while page.bodies[-1]["malformed"]["judged"] < len(calls):
        known = page.bodies[-1]["malformed"]["judged"]
        page.panel.refresh(2.0)
        assert page.bodies[-1]["malformed"]["judged"] > known
    assert page.keys == [str(row) for row in bad.index]


@pytest.mark.parametrize("make", [RatesPanel, ErrorsPanel, LlmPanel])
def test_a_figure_at_an_earlier_moment_draws_nothing_of_later(planted: Any, make: Any) -> None:
    cursor = Cursor(planted._store)
    panel = make(planted._store, Prompt(), cursor=cursor)
    page = opened(panel)
    moment = cursor.at(row=planted._store.next_row // 2)
    assert moment is not None
    panel.refresh(10.0)
    assert page.messages[-1]["moment"]["row"] == moment["row"]
    xs = [np.asarray(trace["x"]) for trace in panel.spec()["data"]]
    times = [time for x in xs if x.dtype.kind == "M" for time in x]
    assert times and max(times) <= moment["time"].to_datetime64()


@pytest.mark.parametrize("every, by", [(1, "type"), (5, "type"), (5, "code")])
def test_the_counts_before_a_moment_are_those_of_the_whole_run_that_are_over_by_then(
    planted: Any, every: int, by: str
) -> None:
    store = planted._store
    for row in (1, store.next_row // 3, store.next_row - 1):
        at = pd.Timestamp(store.moment_of(row).time, unit="ns", tz="UTC")
        whole = store.rates(f"{every}s", by)
        near = whole[(whole.index >= at - pd.Timedelta("10min")) & (whole.index <= at - pd.Timedelta(every, "s"))]
        near = near.loc[:, near.sum() > 0]
        counts = counts_of(store, every, by, at)
        assert counts.sum().to_dict() == near.sum().to_dict()
        assert not len(near.columns) or counts.index[-1] == at.floor(f"{every}s") - pd.Timedelta(every, "s")
        pd.testing.assert_frame_equal(counts.reindex(near.index), near, check_freq=False, check_names=False)


def test_the_figures_of_a_run_of_days_with_very_many_codes_of_errors_count_only_what_they_draw() -> None:
    store = EventStore()
    start = 1_769_860_800
    told = [
        RawMessage("error", Raw(encode({"code": code, "message": "odd"})), start + 50.0 * code, code, code)
        for code in range(1, 8_001)
    ]
    store.append(told, start, "e")
    with pytest.raises(ValueError, match="too many"):
        store.rates("5s", "code")
    cursor = Cursor(store)
    panel = ErrorsPanel(store, Prompt(), cursor=cursor)
    cursor.at(row=7_000)
    page = opened(panel)
    assert [trace["name"] for trace in panel.spec()["data"]]
    assert page.messages[-1]["kind"] == "update"


def test_a_move_of_the_cursor_sends_the_timeline_no_stays_again(planted: Any) -> None:
    cursor = Cursor(planted._store)
    panel = TimelinePanel(planted._store, Prompt(), cursor=cursor)
    page = opened(panel)
    cursor.at(row=5)
    panel.refresh(1.0)
    for row in (10, 400, 20):
        cursor.at(row=row)
        panel.refresh(1.0)
        assert page.bodies[-1] == {} and page.messages[-1]["moment"]["row"] == row
        assert page.messages[-1]["full"] is False
    page.do({"sight": {"order": "name"}})
    panel.refresh(1.0)
    assert page.bodies[-1]["lanes"]
