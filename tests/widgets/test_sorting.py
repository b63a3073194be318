"""A table is sorted over all of its rows, of which a page has a thousand: the rows that come first are shown."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest
from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.widgets.chat_table import ChatTable
from degentcivil_nb.widgets.chosen_rows import ChosenRows
from degentcivil_nb.widgets.cursor import Cursor
from degentcivil_nb.widgets.errors_table import ErrorsTable
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.growing_table import KEPT, ORDERED_BYTES_PER_S
from degentcivil_nb.widgets.llm_table import LlmTable
from degentcivil_nb.widgets.malformed import MalformedCalls
from degentcivil_nb.widgets.search import Search
from degentcivil_nb.widgets.sorting import Sorting, first_places, spoken
from tests.support.page import Page, Prompt
from tests.support.panel_run import Run
from tests.support.waiting import until

HELD = 3 * KEPT
later = count(1e9, 10.0).__next__
"""A clock by which each drawing is long after the last one."""


@pytest.fixture
def run() -> Run:
    run, chance = Run(), random.Random(1)
    for n in range(HELD):
        run.figures["tick"] = chance.randrange(100_000)
        run.happen("error", code=n % 7, message=f"error {n}", character_id=f"c{chance.randrange(5_000)}")
    return run


def sorted_by(page: Page, name: str, direction: int) -> None:
    page.do({"sort": {"name": name, "direction": direction}})
    settled(page)


def settled(page: Page) -> None:
    """Draw until all rows were looked at."""

    def done() -> bool:
        page.panel.refresh(later())
        told = page.bodies[-1]["window"]["sorted"]
        return told is None or not told["busy"]

    until(done)
    page.panel.refresh(later())  # the last rows may have been found between the table and what is told beside it


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("name", ["tick", "character_id"])
def test_the_rows_that_come_first_of_all_are_shown(run: Run, name: str, direction: int) -> None:
    page = Page(EventsPanel(run, Prompt()))
    page.show()
    sorted_by(page, name, direction)
    key: Any = (lambda row: run.log[row][name]) if name == "tick" else (lambda row: spoken(run.log[row][name]))
    wanted = sorted(range(HELD), key=key, reverse=direction < 0)[:KEPT]
    assert page.keys == [str(row) for row in sorted(wanted)]
    told = page.bodies[-1]["window"]
    assert (told["sorted"]["name"], told["sorted"]["direction"], told["all"]) == (name, direction, HELD)
    assert told["earlier"] == told["later"] == 0


def test_a_new_row_that_comes_first_is_shown_and_the_order_can_be_ended(run: Run) -> None:
    page = Page(ErrorsTable(run, Prompt()))
    page.show()
    sorted_by(page, "tick", -1)
    run.figures["tick"] = 1_000_000
    run.happen("error", code=1, message="the newest", character_id="c1")
    page.panel.refresh(later())
    assert page.keys[-1] == str(HELD) and len(page.keys) == KEPT
    page.do({"sort": None})
    page.panel.refresh(later())
    assert page.keys == [str(row) for row in range(HELD + 1 - KEPT, HELD + 1)]
    assert page.bodies[-1]["window"]["sorted"] is None


def test_a_filter_narrows_the_rows_that_are_sorted(run: Run) -> None:
    page = Page(ErrorsTable(run, Prompt()))
    page.show()
    page.do({"words": "code:3", "zone": "UTC"})
    settled(page)
    until(lambda: page.panel.refresh(later()) >= 0 and not page.bodies[-1]["window"]["words"]["busy"])
    sorted_by(page, "tick", 1)
    settled(page)
    mine = sorted((row for row in range(HELD) if row % 7 == 3), key=lambda row: run.log[row]["tick"])[:KEPT]
    assert page.keys == [str(row) for row in sorted(mine)]


def test_the_order_holds_at_an_earlier_moment(run: Run) -> None:
    cursor = Cursor(run)
    page = Page(ErrorsTable(run, Prompt(), cursor=cursor))
    page.show()
    cursor.at(row=10)
    sorted_by(page, "tick", -1)
    wanted = sorted(range(HELD), key=lambda row: -run.log[row]["tick"])[:KEPT]
    assert page.keys == [str(row) for row in sorted(wanted)]


def test_unknown_columns_and_directions_end_the_order(run: Run) -> None:
    page = Page(ErrorsTable(run, Prompt()))
    page.show()
    for asked in (
        {"name": "nothing", "direction": 1},
        {"name": "tick", "direction": 2},
        7,
        {"name": [], "direction": 1},
    ):
        page.do({"sort": asked})
        page.panel.refresh(later())
        assert page.bodies[-1]["window"]["sorted"] is None


@pytest.mark.parametrize("direction", [1, -1])
def test_missing_values_come_last_and_equal_ones_stay_in_their_order(direction: int) -> None:
    numbers = np.array([2.0, None, 1.0, 2.0, float("nan")], dtype=object)
    assert (
        first_places(numbers, "number", direction, 5).tolist() == {1: [2, 0, 3, 1, 4], -1: [0, 3, 2, 1, 4]}[direction]
    )
    texts = np.array(["c10", None, "c9", "C10", "c9"], dtype=object)
    order = {1: [2, 4, 0, 3, 1], -1: [0, 3, 2, 4, 1]}[direction]
    assert first_places(texts, "text", direction, 5).tolist() == order


def test_the_table_is_not_empty_while_the_first_rows_are_looked_at(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sorting, "_begin", lambda _: None)  # the thread that looks has not come to it
    page = Page(EventsPanel(run, Prompt()))
    page.show()
    page.do({"sort": {"name": "tick", "direction": 1}})
    page.panel.refresh(later())
    assert len(page.keys) == KEPT and page.bodies[-1]["window"]["sorted"]["busy"]


@pytest.mark.parametrize(
    "asked", [{"sort": {"name": "tick", "direction": 1}}, {"words": "c1", "zone": "UTC"}], ids=["sort", "filter"]
)
def test_a_table_that_no_page_shows_looks_at_no_rows_until_it_is_shown_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, asked: Any
) -> None:
    begun: list[Search] = []
    monkeypatch.setattr(Search, "_begin", lambda search: begun.append(search))
    page = Page(EventsPanel(run, Prompt()))
    page.show()
    page.do(asked)
    page.say("hide")
    (search,) = begun
    search._run(search.asks)
    assert not search.status()["busy"] and search.status()["judged"] == 0
    page.show()
    assert begun == [search] * 2 and search.status()["busy"]
    search._run(search.asks)
    assert search.status()["judged"] == HELD and not search.status()["busy"]
    page.panel.refresh(later())
    assert begun == [search] * 2


class Held:
    """A run that keeps its newest rows only, sorted by a column of one value a row."""

    def __init__(self, most: int, values: Callable[[], int]) -> None:
        self.store, self._values, self.ticks = EventStore(max_rows=most), values, dict[int, int]()
        self.page = Page(EventsPanel(self.store, Prompt()))
        self.happen(most)
        self.page.show()

    def happen(self, count: int) -> None:
        for begin in range(0, count, 100):
            batch = []
            for _ in range(min(100, count - begin)):
                row = len(self.ticks)
                self.ticks[row] = self._values()
                batch.append(RawMessage("event_notification", Raw(b"{}"), 1000.0 + row, row + 1, self.ticks[row]))
            self.store.append(batch, 2000.0, "e")

    def first(self, direction: int) -> list[str]:
        """Return the keys of the rows that come first, in the order of the run."""
        held = range(self.store.first_row, self.store.next_row)
        return [str(row) for row in sorted(sorted(held, key=lambda row: direction * self.ticks[row])[:KEPT])]


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("values", [lambda: count().__next__, lambda: partial(random.Random(1).randrange, 10**6)])
def test_the_first_rows_are_right_when_the_oldest_ones_were_dropped(values: Any, direction: int) -> None:
    held = Held(5 * KEPT, values())
    sorted_by(held.page, "tick", direction)
    for _ in range(12):
        held.happen(KEPT // 2)
        held.page.panel.refresh(later())
    settled(held.page)
    assert held.page.keys == held.first(direction)


def test_a_sort_keeps_the_values_of_the_rows_that_come_first_only(run: Run) -> None:
    panel = ErrorsTable(run, Prompt())
    page = Page(panel)
    page.show()
    sorted_by(page, "message", 1)
    for n in range(10):
        run.happen("error", code=1, message=f"z {n}", character_id="c1")
        panel.refresh(later())
    assert len(panel._order._values) == len(panel._order.rows) == 2 * KEPT


def said(n: int) -> tuple[str, Any]:
    return "chat_message", {"character_id": "a", "receivers": ["b"], "content": f"m{n}"}


def answered(n: int) -> tuple[str, Any]:
    return "llm_call", {
        "character_id": "a",
        "prompt_type": "PLAN",
        "prompt": "x",
        "response": "no" if n % 4 == 3 else "{}",
    }


@pytest.mark.parametrize("held", [300, 100_000])
@pytest.mark.parametrize(
    ("table", "happens", "choice", "every"),
    [(ChatTable, said, {"talk": "a · b"}, 1), (LlmTable, answered, {"malformed": ""}, 4)],
)
def test_chosen_rows_that_come_while_the_table_is_drawn_are_sorted_too(
    table: type[ChosenRows], happens: Any, choice: dict[str, str], every: int, held: int
) -> None:
    store, rows = EventStore(max_rows=held), count()

    def happen() -> None:
        row = next(rows)
        kind, payload = happens(row)
        store.append([RawMessage(kind, Raw(encode(payload)), 1000.0 + row, row + 1, row)], 2000.0, "e")

    panel = table(store, Prompt())
    page = Page(panel)
    for _ in range(200):
        happen()
    page.show()
    page.do(choice)
    sorted_by(page, "tick", -1)
    catch_up, arrivals = panel._order.catch_up, iter(range(100))

    def late() -> None:
        if next(arrivals, None) is not None:
            happen()
        catch_up()

    panel._order.catch_up = late  # type: ignore[method-assign]
    for _ in range(120):
        panel.refresh(later())
        happen()
    settled(page)
    wanted = range(store.first_row + (every - 1 - store.first_row) % every, store.next_row, every)
    assert page.keys == [str(row) for row in wanted]


def test_malformed_answers_are_listed_under_the_lock_of_the_thread_that_finds_them(run: Run) -> None:
    class Watched(dict[str, list[int]]):
        def values(self) -> Any:
            asked.append(bad._lock._is_owned())  # type: ignore[attr-defined]
            return super().values()

    asked: list[bool] = []
    bad = MalformedCalls(run)
    bad._rows = Watched(a=[1], b=[2])
    assert (bad.rows(""), bad.told()["calls"]) == ([1, 2], 2)
    assert asked == [True, True]


AS_A_PAGE = [
    "", "\tq", "_x", "-x", "–y", "…end", "“a”", '"q"', "(a)", "[1]", '{"a": 9}', '{"a": 10}', "{b", "#1", "~",
    "😀", "$5", "€3", "٣", "4", "007", "7a", "8", "9", "10", "ä", "a b", "a_b", "a-b", "a.b", "ab", "a\u0301bb", "abc",
    "ae", "æz", "anna", "é2", "Émile", "it’s", "Lada", "łuk", "øre", "ort", "Plan 1", "plan 2", "plan 10", "q", "x",
    "z", "Zoe", "αβ", "иван", "йод", "яблоко", "あ", "你好",
]  # fmt: skip
"""As JavaScript sorts them with `Intl.Collator("en", {numeric: true, sensitivity: "base"})`."""


def test_texts_come_in_the_order_in_which_a_page_sorts_them() -> None:
    texts = random.Random(3).sample(AS_A_PAGE, len(AS_A_PAGE))
    assert sorted(texts, key=spoken) == AS_A_PAGE
    assert spoken("Plan 07") == spoken("plán 7")


def test_a_sign_of_any_kind_has_a_place() -> None:
    signs = [chr(code) for code in range(0x11000) if not 0xD800 <= code < 0xE000]
    assert len(sorted(signs, key=spoken)) == len(signs)
    assert spoken("7" * 5_000) > spoken("8")


def test_a_live_table_in_an_order_sends_no_more_than_its_share_of_bytes(run: Run) -> None:
    page = Page(ErrorsTable(run, Prompt()))
    page.show()
    sorted_by(page, "tick", -1)
    begin, sent = later(), 0
    for n in range(50):  # five times a second
        run.figures["tick"] = 1_000_000 + n
        run.happen("error", code=1, message="an error", character_id="c1")
        sent += page.panel.refresh(begin + n / 5)
    assert 0 < sent < 1.1 * 10 * ORDERED_BYTES_PER_S
    page.panel.refresh(begin + 20)
    assert page.keys[-1] == str(HELD + 49), "what was not sent at once is sent later"


def test_what_a_page_asks_of_a_table_in_an_order_is_answered_at_once(run: Run) -> None:
    page = Page(ErrorsTable(run, Prompt()))
    page.show()
    sorted_by(page, "tick", -1)
    now = later()
    page.do({"sort": {"name": "tick", "direction": 1}})
    page.panel.refresh(now)
    before = len(page.bodies)
    page.do({"detail": "5"})
    page.panel.refresh(now)
    told = [body["detail"]["key"] for body in page.bodies[before:] if "detail" in body]
    assert told == ["5"], "also if the sort went on meanwhile"
