"""No silent cap: what shows fewer than there are says both numbers, and what nobody told is unknown and not zero."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

from degentcivil_nb.analysis import unknown_names
from degentcivil_nb.figures import comparisons, over_time
from degentcivil_nb.figures.parts import MAX_GAPS, gap_shapes, layout
from degentcivil_nb.figures.stack import stacked
from degentcivil_nb.pages.chart import chart
from degentcivil_nb.pages.lanes import GAPS, lanes
from degentcivil_nb.pages.sections import ERRORS, findings_of, timeline_around
from degentcivil_nb.pages.strip import strip
from degentcivil_nb.pages.town_map import MOST, town_map
from degentcivil_nb.protocol.errors import CommandError
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.session.status import JOURNAL_LINES, Journal
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.store.llm import LlmTotals, ModelTotals, totals_table
from degentcivil_nb.widgets import debug_panel, figure_panels, running_rates
from degentcivil_nb.widgets.command_log import describe_error
from degentcivil_nb.widgets.connection_panel import JOURNAL, LISTED, ConnectionPanel
from degentcivil_nb.widgets.cursor import Cursor
from degentcivil_nb.widgets.debug_panel import DebugPanel
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.llm_table import LlmTable
from degentcivil_nb.widgets.search import Search
from degentcivil_nb.widgets.time_bar import HINTED_S, TimeBar
from degentcivil_nb.widgets.timeline import MARKED, TimelinePanel
from tests.support.page import Page, Prompt
from tests.support.panel_run import Run
from tests.support.waiting import until

START = pd.Timestamp("2026-01-31 12:00", tz="UTC")


def store_of(*events: tuple[str, Any, float]) -> EventStore:
    store = EventStore(max_rows=10_000)
    for seq, (type, data, time) in enumerate(events, start=1):
        store.append([RawMessage(type, Raw(encode(data)), time, seq, 1)], time, "e")
    return store


class Gappy:
    """Be a store with many gaps, one a second."""

    def __init__(self, store: Any, count: int) -> None:
        self._store = store
        times = START + pd.to_timedelta(np.arange(count), unit="s")
        self._gaps = pd.DataFrame({"row": 1, "time": times, "reason": "lost"})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def gaps(self) -> pd.DataFrame:
        return self._gaps


def gaps_of(count: int, step_s: int = 1) -> pd.DataFrame:
    return pd.DataFrame({"time": START + pd.to_timedelta(np.arange(count) * step_s, unit="s"), "reason": "lost"})


def shown(panel: Any) -> Any:
    page = Page(panel)
    page.show()
    return page.bodies[-1]


def test_the_timeline_says_how_many_gaps_and_errors_it_does_not_mark() -> None:
    at = START.timestamp()
    many = MARKED + 7
    events: list[tuple[str, Any, float]] = [("state_change", {"character_id": "emma", "new_state": "MOVE"}, at)]
    events += [("error", {"character_id": "emma", "code": 1, "message": "no"}, at + n) for n in range(many)]
    body = shown(TimelinePanel(Gappy(store_of(*events), many), Prompt()))
    assert (len(body["gaps"]), body["all_gaps"]) == (MARKED, many)
    assert (len(body["errors"]), body["all_errors"]) == (MARKED, many)


def test_lanes_are_in_the_order_of_the_table_of_characters() -> None:
    """Those who were published last may be heard of first: a stream that is joined begins in the middle."""
    at = START.timestamp()
    store = store_of(
        ("state_change", {"character_id": "zoe", "new_state": "MOVE"}, at),
        ("all_characters", [{"name": "adam", "state": "ACT"}, {"name": "zoe", "state": "MOVE"}], at + 1),
    )
    assert store.timeline()["character_id"].tolist() == ["zoe", "adam"]
    assert shown(TimelinePanel(store, Prompt()))["lanes"] == store.characters().index.tolist()


def test_the_drawings_of_a_case_file_say_what_they_leave_out() -> None:
    stays = pd.DataFrame({"character_id": ["emma"], "state": ["MOVE"], "location": [None], "start": [START]})
    stays["end"] = pd.Series([pd.NaT], dtype="datetime64[ns, UTC]")
    errors = pd.DataFrame({"character_id": ["emma"], "time": [START], "message": ["no"]})
    gaps, start = gaps_of(GAPS + 5), START.value
    picture = lanes(stays, start, start + 10**12, None, gaps=gaps, errors=errors, all_errors=2)
    assert picture is not None
    assert f"the newest {GAPS} of {GAPS + 5} gaps" in picture.alt and "the newest 1 of 2 errors" in picture.alt
    counts = pd.DataFrame({"move": [1, 1]}, index=[START, START + pd.Timedelta(1, "s")])
    drawn = strip(counts, 1, gaps, None)
    assert drawn is not None and f"the newest {GAPS} of {GAPS + 5} gaps" in drawn.alt
    assert strip(counts, 1, gaps_of(GAPS), None).alt.count("gap") == 0  # type: ignore[union-attr]  # counts are there
    names = [f"c{n}" for n in range(MOST + 3)]
    town = pd.DataFrame({"state": "MOVE", "location": "Park", "x": 1.0, "y": range(MOST + 3)}, index=names)
    town.iloc[0, 2] = np.nan
    known = town_map(town, pd.DataFrame())
    assert known is not None and "3 more characters not drawn, since there are too many" in known.alt
    found = pd.DataFrame({"severity": ["error"], "kind": ["stuck"], "text": ["x"], "rows": [list(range(9))]})
    table: Any = findings_of(found).parts[0]
    assert table.rows[0][list(table.columns).index("rows")] == "0, 1, 2, 3, 4 and 4 more"


def test_a_timeline_of_a_case_file_counts_the_errors_in_its_time() -> None:
    at = START.timestamp()
    events: list[tuple[str, Any, float]] = [("state_change", {"character_id": "emma", "new_state": "MOVE"}, at)]
    events += [("error", {"character_id": "emma", "message": "no"}, at + n / 100) for n in range(ERRORS + 4)]
    store = store_of(*events)
    section = timeline_around(store, lambda start, end: store.timeline(), None, (), store.gaps(), 60)
    assert f"the newest {ERRORS} of {ERRORS + 4} errors" in section.parts[0].alt  # type: ignore[union-attr]  # a picture


def test_figures_say_how_many_gaps_and_interventions_they_mark() -> None:
    gaps = gaps_of(MAX_GAPS + 12, 10)
    few = f"the newest {MAX_GAPS} of {MAX_GAPS + 12} gaps are shaded"
    known = pd.DatetimeIndex([at + pd.Timedelta(s, "s") for at in gaps["time"] for s in (3, 6)])  # else they were one
    shapes = gap_shapes(gaps, known.tz_localize(None), np.timedelta64(1, "s"))
    assert len(shapes) == MAX_GAPS
    assert [note["text"] for note in layout(shapes=shapes)["annotations"]] == [few]
    assert [note["text"] for note in layout(shapes=shapes, annotations=[{"text": "a"}])["annotations"]] == [f"a; {few}"]
    wide = pd.DataFrame({"move": 1}, index=known)
    wide.columns.name = "type"
    spec = over_time.rates(wide, gaps, every="1s")
    assert [note["text"] for note in spec["layout"]["annotations"]] == [few]
    assert [note["text"] for note in stacked([spec])["layout"]["annotations"]] == [few], "said once"
    assert over_time.rates(wide, gaps[:3], every="1s")["layout"]["annotations"] == []
    ticks = pd.DataFrame({"a": [1, 1], "b": [1, 2]}, index=[0, 1])
    nobody = pd.DataFrame({"character_id": [], "tick": []})
    compared = comparisons.comparison(ticks, nobody, None, list(range(60)), ("x", "y"))
    assert "the first 50 of 60 ticks with interventions are marked" in compared["layout"]["annotations"][0]["text"]


def test_a_drawn_legend_counts_the_names_for_which_it_has_no_room() -> None:
    names = [f"a name of a trace that is long {n}" for n in range(9)]
    spec = {"data": [{"type": "scatter", "name": name, "x": [1, 2], "y": [1, 2]} for name in names], "layout": {}}
    picture = chart(spec)
    assert picture is not None
    drawn = picture.svg.count(">a name of a trace")
    assert 0 < drawn < 9 and f"the legend has no room for {9 - drawn} more names" in picture.svg


def test_a_figure_of_errors_does_not_deny_those_at_the_moment_shown() -> None:
    store = store_of(("error", {"message": "no", "code": 7}, START.timestamp()))
    panel = figure_panels.ErrorsPanel(store, Prompt(), cursor=Cursor(store))
    panel.cursor.at(row=0)  # type: ignore[union-attr]  # it has one
    shown(panel)
    assert [sum(trace["y"]) for trace in panel.spec()["data"]] == [1]


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("nocolumn > 3", "no column or key of a payload 'nocolumn' was seen so far"),
        ("type == 'eror'", "no event of type 'eror' was seen so far; did you mean 'error'?"),
        ("emma", "no column or key of a payload 'emma' was seen so far, it is a character: character_id == 'emma'"),
        ("type == 'error'", ""),
        ("tick > 5", ""),
    ],
)
def test_a_search_without_hits_says_which_names_never_occurred(condition: str, hint: str) -> None:
    store = store_of(("state_change", {"character_id": "emma", "new_state": "MOVE"}, START.timestamp()))
    search = Search(store)
    page = Page(TimeBar(store, Prompt(), search=search))
    page.show()
    page.do({"search": condition})
    until(lambda: not search.busy)
    page.show()  # drawn again
    assert page.bodies[-1]["hint"] == hint


def test_a_search_without_hits_no_longer_says_so_once_its_name_has_come() -> None:
    at = START.timestamp()
    store = store_of(("state_change", {"character_id": "emma", "new_state": "MOVE"}, at))
    search = Search(store)
    bar = TimeBar(store, Prompt(clock=lambda: 99.0), search=search)
    page = Page(bar)
    page.show()
    search.ask("weight > 100 and character_id == 'zoe'", lambda: None)
    until(lambda: not search.busy)
    bar.refresh(100.0)
    unseen = "no column or key of a payload 'weight' was seen so far"
    assert page.bodies[-1]["hint"] == f"no character 'zoe' was seen so far; {unseen}"
    event = RawMessage(
        "state_change", Raw(encode({"character_id": "zoe", "weight": 9, "new_state": "MOVE"})), at + 1, 2, 1
    )
    store.append([event], at + 1, "e")
    bar.refresh(100.0 + HINTED_S / 2)
    assert unseen in page.bodies[-1]["hint"], "it is not looked for too often"
    bar.refresh(100.0 + HINTED_S)  # nothing has come since
    assert page.bodies[-1]["hint"] == ""


def test_a_name_that_was_looked_for_in_the_newest_events_only_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(*[("note", {"weight": 3} if n < 4 else {}, START.timestamp() + n) for n in range(9)])
    search = Search(store)
    page = Page(TimeBar(store, Prompt(), search=search))
    page.show()
    for scanned, hint in ((5, "no column or key of a payload 'weight' was seen in the newest 5 events"), (6, "")):
        monkeypatch.setattr(unknown_names, "SCANNED", scanned)
        page.do({"search": "weight > 1000"})
        until(lambda: not search.busy)
        page.show()
        assert page.bodies[-1]["hint"] == hint


def test_a_table_says_that_the_search_above_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(*[("note", {"weight": n}, START.timestamp() + n) for n in range(9)])
    search = Search(store)
    judge, opened = search.judge, threading.Event()

    def waiting(text: str, start: int, stop: int) -> Any:
        assert opened.wait(30)
        return judge(text, start, stop)

    monkeypatch.setattr(search, "judge", waiting)
    panel = EventsPanel(store, Prompt(), search=search)
    page = Page(panel)
    page.show()
    assert page.bodies[-1]["window"]["searched"] is None
    search.ask("weight > 1000", lambda: None)
    panel.refresh(1.0)
    window = page.bodies[-1]["window"]
    assert (window["all"], window["searched"]["busy"]) == (0, True)
    opened.set()
    until(lambda: not search.busy)
    panel.refresh(2.0)
    window = page.bodies[-1]["window"]
    assert (window["all"], window["searched"]["busy"]) == (0, False)


def test_a_failed_command_says_its_reason_once() -> None:
    error = CommandError(CommandError.INVALID_ARGUMENTS, "too small", details={"command": "step", "field": "ticks"})
    assert describe_error(error) == "INVALID_ARGUMENTS (1102): too small"
    error = CommandError(CommandError.INVALID_ARGUMENTS, "no", details={"command": "step", "limit": 3})
    assert '"limit": 3' in describe_error(error)


@pytest.mark.parametrize("long", [False, True])
def test_figures_of_the_last_minutes_say_so_where_the_run_is_longer(long: bool) -> None:
    at, minutes = START.timestamp(), (running_rates.WINDOW_S // 60 + 2 if long else 2)
    store = store_of(*[("error", {"message": "no", "code": 7}, at + 60 * n) for n in range(minutes + 1)])
    panel = figure_panels.ErrorsPanel(store, Prompt())
    said = [note["text"] for note in panel.spec()["layout"].get("annotations", ())]
    assert said == (["only the last 10 minutes are drawn"] if long else [])


def test_an_axis_of_a_few_errors_has_whole_numbers() -> None:
    index = pd.DatetimeIndex([START, START + pd.Timedelta(5, "s")])
    assert over_time.error_counts(pd.DataFrame({7: [1, 0]}, index=index))["layout"]["yaxis"]["dtick"] == 1
    assert "dtick" not in over_time.error_counts(pd.DataFrame({7: [100, 0]}, index=index))["layout"]["yaxis"]


def test_watches_and_the_journal_say_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watching(Run):
        def breakpoints(self) -> pd.DataFrame:
            return pd.DataFrame()

        def stops(self) -> pd.DataFrame:
            return pd.DataFrame()

        def watches(self) -> pd.DataFrame:
            who = [f"c{n}" for n in range(debug_panel.STOPS + 5)]
            return pd.DataFrame({"name": "money", "character_id": who, "value": 1, "tick": 2})

    monkeypatch.setattr(debug_panel, "LOOKED_BACK", debug_panel.STOPS + 1)
    run = Watching()
    body = shown(DebugPanel(run, lambda: 1, Prompt()))
    counts = [len(body["watches"]), body["all_watches"], body["searched"], body["values"]]
    most = debug_panel.STOPS
    assert counts == [most, most + 1, most + 1, most + 5]
    run.lines = [(float(n), f"line {n}") for n in range(JOURNAL + 3)]
    panel = ConnectionPanel(run, Prompt())
    told = shown(panel)
    assert (len(told["journal"]), told["lines"]) == (JOURNAL, JOURNAL + 3)
    remarks = [part.text for part in panel.still()[0].parts if hasattr(part, "text")]
    assert f"the last {LISTED} of {JOURNAL + 3} lines of what happened:" in remarks


def test_a_full_journal_still_says_how_many_lines_there_were() -> None:
    journal = Journal()
    for n in range(JOURNAL_LINES + 50):
        journal.note(f"line {n}")
        journal.note(f"line {n}")  # a repetition is no line

    class Kept(Run):
        def journal(self) -> Sequence[tuple[float, str]]:
            return journal.lines()

        def journal_lines(self) -> int:
            return journal.written

    panel = ConnectionPanel(Kept(), Prompt())
    told = shown(panel)
    assert (len(told["journal"]), told["lines"]) == (JOURNAL, JOURNAL_LINES + 50)
    remarks = [part.text for part in panel.still()[0].parts if hasattr(part, "text")]
    assert f"the last {LISTED} of {JOURNAL_LINES + 50} lines of what happened:" in remarks


def test_what_calls_did_not_tell_is_unknown_and_not_zero() -> None:
    at = START.timestamp()
    store = store_of(
        ("llm_call", {"character_id": "emma", "model": "free", "prompt": "?", "latency_s": 2.0}, at),
        ("llm_call", {"character_id": "emma", "model": "free", "prompt": "?"}, at),
        ("llm_call", {"character_id": "emma", "model": "free", "prompt": "?", "cost_usd": 0.0}, at),
    )
    totals = store.llm_totals().loc["free"].to_dict()
    assert [totals[name] for name in ("calls", "counted", "timed", "priced")] == [3, 0, 1, 1]
    assert totals["latency_s"] / totals["timed"] == 2.0
    table = LlmTable(store, Prompt())
    page = Page(table)
    page.show()
    told = {name: [not pd.isna(value) for value in page.cells[name]] for name in ("prompt_tokens", "cost_usd")}
    assert told == {"prompt_tokens": [False] * 3, "cost_usd": [False, False, True]}, "the other cells are empty"
    page.do({"detail": "1"})
    table.refresh(5.0)
    call = page.bodies[-1]["detail"]["call"]
    unknown = ("prompt_tokens", "completion_tokens", "cost_usd", "latency_s")
    assert [call[name] for name in unknown] == [None] * 4


def test_totals_of_an_older_index_do_not_claim_to_know_who_told_what() -> None:
    totals = LlmTotals()
    totals.restore([("old", ModelTotals.of((2, 0, 10, 5, 3.0, 0.5)))])
    row = totals_table(totals.copy()).loc["old"]
    assert row["calls"] == 2 and row[["counted", "timed", "priced"]].isna().all()
