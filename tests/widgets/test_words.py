"""The filter of a table with more rows than its page: over all of them, as the page judges those that it has."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest

from degentcivil_nb.widgets.chat_table import ChatTable
from degentcivil_nb.widgets.errors_table import ErrorsTable
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.growing_table import KEPT, LogPanel
from degentcivil_nb.widgets.llm_table import LlmTable
from tests.support.page import Page, Prompt
from tests.support.planted_runs import PlantedTown
from tests.support.waiting import until

ZONE = "Asia/Tokyo"


@pytest.fixture(scope="module")
def store() -> Any:
    town = PlantedTown(7, ticks=300)
    town.malformed, town.error_rate = 0.1, 0.05
    return town.run()._store


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
    """Say whether no search goes on any more; here its thread draws the panel too."""
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
    panel = kind(store, Prompt())
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
    panel = EventsPanel(store, Prompt())
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
