"""The filter of a table with more rows than its page: over all of them, as the page judges those that it has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from degentcivil_nb.pages.parts import Table
from degentcivil_nb.widgets.chat_table import ChatTable
from degentcivil_nb.widgets.cursor import Cursor
from degentcivil_nb.widgets.dashboard import Dashboard
from degentcivil_nb.widgets.errors_table import ErrorsTable
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.growing_table import AROUND, BURST, KEPT, LogPanel
from degentcivil_nb.widgets.llm_table import LlmTable
from degentcivil_nb.widgets.search import MANY, Search
from tests.support.page import Page, Prompt
from tests.support.panel_run import Run
from tests.support.planted_runs import PlantedTown
from tests.support.waiting import until

ZONE = "Asia/Tokyo"


@pytest.fixture(scope="module")
def store() -> Any:
    town = PlantedTown(7, ticks=300)
    town.malformed, town.error_rate = 0.1, 0.05
    return town.run()._store


class Alone(Prompt):
    """Leave what a search posts undone: the test alone draws, as the refresher's thread does."""

    def post(self, work: Callable[[], None]) -> None:
        if threading.current_thread() is threading.main_thread():
            super().post(work)


def said(kind: str, value: Any) -> list[str]:
    """Give a cell as a page writes it, in small letters."""
    if value is None or value != value:
        return []
    if kind == "number":
        return [str(int(value)), f"{int(value):,}"] if value == int(value) else [str(value)]
    if kind == "time":
        moment = pd.Timestamp(round(value * 1_000), unit="ms", tz="UTC").tz_convert(ZONE)
        return [moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1_000:03}"]
    return [value.lower()]


def searched() -> bool:
    """Say whether no search goes on any more."""
    return all(thread.name != "degentcivil-search" for thread in threading.enumerate())


def has(panel: LogPanel, row: dict[str, list[str]], words: str) -> bool:
    """Say whether a row has all words, each in any column, or in the one that it names."""
    named = {panel.labels.get(column, column): column for column in panel.columns}
    for word in words.split():
        name, colon, rest = word.partition(":")
        where, sought = ([named[name]], rest) if colon and name in named else (list(panel.columns), word)
        if not any(sought in text for column in where for text in row[column]):
            return False
    return True


@pytest.mark.parametrize("kind", [EventsPanel, ErrorsTable, LlmTable, ChatTable])
def test_the_filter_looks_at_all_rows_held(store: Any, kind: type[LogPanel]) -> None:
    """Issue 16: it looked at the thousand rows of the page."""
    panel = kind(store, Alone())
    page = Page(panel)
    page.show()
    numbers = panel.own()
    cells = panel.cells(numbers)
    rows = [{name: said(of, cells[name][place]) for name, of in panel.columns.items()} for place in range(len(numbers))]
    found = 0
    for words in ("p1", "cafe p1", "type:state", "tick:12", "code:20 p", "21:0", "nobody-has-this"):
        page.do({"words": f"  {words.upper()} ", "zone": ZONE})
        until(searched)
        panel.refresh(1.0)
        wanted = [str(row) for row, told in zip(numbers, rows, strict=True) if has(panel, told, words)]
        window = page.bodies[-1]["window"]
        assert page.keys == wanted[-KEPT:], words
        assert (window["all"], window["words"]["text"]) == (len(wanted), words)
        found += 0 < len(wanted) < len(rows)
    assert found
    page.do({"words": "", "zone": ZONE})
    panel.refresh(2.0)
    assert page.bodies[-1]["window"]["all"] == len(rows)


def test_a_filter_that_takes_long_shows_its_first_hits_and_ends_with_the_next_one(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = EventsPanel(store, Alone())
    page = Page(panel)
    page.show()
    words = panel._words
    monkeypatch.setattr(words, "chunk", 50)
    judge, wait, judged = words.judge, threading.Event(), threading.Semaphore(0)

    def slowly(text: str, start: int, stop: int) -> Any:
        judged.release()
        if stop < store.next_row:  # all but the first piece wait
            assert wait.wait(30)
        return judge(text, start, stop)

    monkeypatch.setattr(words, "judge", slowly)
    page.do({"words": "p1", "zone": "nowhere/such"})
    for _ in range(2):
        assert judged.acquire(timeout=30)
    panel.refresh(1.0)
    status = page.bodies[-1]["window"]["words"]
    assert status["busy"]
    assert 0 < status["hits"] == len(page.keys)
    assert status["judged"] == 50 < status["held"]
    page.do({"words": "p2", "zone": "UTC"})
    wait.set()
    until(searched)
    assert words.text == "p2"
    assert np.array_equal(words.rows, judge("p2", store.first_row, store.next_row))


class Dropping(Run):
    """Be a run whose oldest rows are no longer held."""

    dropped = 0

    @property
    def first_row(self) -> int:
        return self.dropped


class Gate:
    """Let the first piece of a search through, and the others when the gate is opened."""

    def __init__(self, search: Search, monkeypatch: pytest.MonkeyPatch, chunk: int, *, through: int = 1) -> None:
        self.judge, self.through = search.judge, through
        self.opened, self.waits = threading.Event(), threading.Event()
        monkeypatch.setattr(search, "chunk", chunk)
        monkeypatch.setattr(search, "judge", self._judge)

    def _judge(self, text: str, start: int, stop: int) -> Any:
        self.through -= 1
        if self.through < 0:
            self.waits.set()
            assert self.opened.wait(30)
        return self.judge(text, start, stop)


def happened(run: Run, count: int, type: str = "error") -> Run:
    for _ in range(count):
        run.happen(type, character_id="emma")
    return run


def test_the_search_of_a_dashboard_rests_while_no_page_shows_it(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = Run()
    dashboard = Dashboard(store, run, run, Alone())
    search, bar, events = dashboard.search, dashboard.panels["time bar"], dashboard.panels["events"]
    bar.flow.show("page")
    gate = Gate(search, monkeypatch, 200)
    bar.received({"search": "type == 'state_change'"})
    assert gate.waits.wait(30)
    bar.flow.hide("page")
    gate.opened.set()
    until(lambda: not search.busy)
    judged = search.status()["judged"]
    assert 0 < judged < len(store)

    events.flow.show("page")  # the bar is scrolled away
    events.refresh(1.0)
    until(lambda: not search.busy)
    assert search.status()["judged"] == len(store)

    events.flow.hide("page")
    bar.received({"search": "type == 'error'"})
    until(lambda: not search.busy)
    assert search.status()["judged"] < len(store)
    bar.flow.show("page")
    bar.refresh(2.0)
    until(lambda: not search.busy)
    assert search.status()["judged"] == len(store)
    dashboard.close()


def test_words_typed_and_typed_back_find_each_row_once(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = EventsPanel(store, Alone())
    panel.flow.show("page")
    words = panel._words
    gate = Gate(words, monkeypatch, 200, through=0)
    words.look_for("p1", ZONE, lambda: None)
    assert gate.waits.wait(30)
    for text in ("p12", "p1"):
        words.look_for(text, ZONE, lambda: None)
    gate.opened.set()
    until(searched)
    assert np.array_equal(words.rows, gate.judge("p1", store.first_row, store.next_row))
    assert len(words.rows)


def test_rows_that_came_while_nobody_looked_are_all_judged_and_only_those_count_that_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Dropping()
    happened(run, 3)
    search = Search(run)
    gate = Gate(search, monkeypatch, 2, through=2)
    search.ask("error", lambda: None)
    until(searched)
    happened(run, 2 * MANY * 2 + 1)
    search.catch_up()
    assert gate.waits.wait(30)
    status = search.status()
    assert (status["busy"], status["judged"]) == (True, 3)
    run.dropped = 2
    assert search.status()["judged"] == 1, "what is no longer held is not counted"
    gate.opened.set()
    until(searched)
    search.catch_up()
    status = search.status()
    assert not status["busy"]
    assert status["judged"] == status["held"] == status["hits"] == len(run) - 2
    assert search.rows.tolist() == list(range(2, len(run)))


def test_rows_dropped_while_they_are_judged_are_no_failure_and_a_failure_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = happened(Run(), 5)
    panel = EventsPanel(run, Alone())
    page = Page(panel)
    page.show()
    cells = panel.cells
    monkeypatch.setattr(panel, "cells", lambda rows: cells(rows[2:]))
    assert panel._words.judge("emma", 0, 5).tolist() == [2, 3, 4]

    def fails(rows: Any) -> Any:
        raise OSError("the disk\nis gone")

    monkeypatch.setattr(panel, "cells", fails)
    for _ in range(2):  # it may be asked again
        page.do({"words": "emma", "zone": ZONE})
        until(searched)
        panel.refresh(1.0)
        status = page.bodies[-1]["window"]["words"]
        assert (status["problem"], status["busy"], len(page.keys)) == ("the disk", False, 5)
    monkeypatch.setattr(panel, "cells", cells)
    page.do({"words": "emma", "zone": ZONE})
    until(searched)
    panel.refresh(2.0)
    status = page.bodies[-1]["window"]["words"]
    assert (status["problem"], status["hits"]) == ("", 5)


def test_a_live_table_with_a_filter_is_sent_differences() -> None:
    run = happened(Run(), 5)
    panel = EventsPanel(run, Alone())
    page = Page(panel)
    page.show()
    page.do({"words": "type:error", "zone": ZONE})
    until(searched)
    panel.refresh(1.0)
    for turn in range(2):
        happened(happened(run, 1, "usual"), 1)
        panel.refresh(2.0 + turn)
        assert "columns" not in page.bodies[-1]
    assert (page.keys, page.bodies[-1]["window"]["all"]) == ([*"0123468"], 7)
    page.do({"words": "type:rare", "zone": ZONE})
    until(searched)
    panel.refresh(4.0)
    assert page.keys == []
    happened(run, BURST + 1, "rare")
    panel.refresh(5.0)
    assert page.keys == [str(row) for row in range(9, 9 + BURST + 1)], "the first hits are no burst"


def test_a_table_in_the_past_shows_the_hits_that_are_found_later_too(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = Cursor(store)
    cursor.at(row=store.next_row - 20)
    panel = EventsPanel(store, Alone(), cursor=cursor)
    page = Page(panel)
    page.show()
    gate = Gate(panel._words, monkeypatch, 50)
    page.do({"words": "p1", "zone": ZONE})
    assert gate.waits.wait(30)
    until(lambda: panel._words.rows.size)
    panel.refresh(1.0)
    few = len(page.keys)
    gate.opened.set()
    until(searched)
    panel.refresh(2.0)
    wanted = panel._words.rows
    assert 0 < few < len(page.keys) == min(AROUND, len(wanted))
    assert page.keys[-1] == str(wanted[-1])


def test_a_saved_notebook_has_the_rows_whatever_the_page_looked_for() -> None:
    run = happened(Run(), 3)
    panel = EventsPanel(run, Alone())
    panel.received({"words": "zebra", "zone": ZONE})
    until(searched)
    (table,) = panel.still()[0].parts
    assert isinstance(table, Table)
    assert (table.total, len(table.rows)) == (3, 3)
