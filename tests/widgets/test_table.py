"""Tables: the page shows what the store holds, in few bytes, as harmless text."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import pytest

from degentcivil_nb.figures.colours import STATE_COLOURS, state_colour
from degentcivil_nb.widgets.cells import CAP, cell_text, column_of, detail_text
from degentcivil_nb.widgets.characters import MAX_ATTRIBUTES, CharactersPanel
from degentcivil_nb.widgets.errors_table import ErrorsTable
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.growing_table import BURST, KEPT
from degentcivil_nb.widgets.packing import ColumnPacker, pack_values
from degentcivil_nb.widgets.panel import ENVELOPE
from tests.support.page import Page, Prompt
from tests.support.panel_run import Run

HOSTILE = "<img src=x onerror=window.pwned=1>"


@pytest.fixture
def run() -> Run:
    return Run()


def shown(run: Run) -> Page:
    page = Page(CharactersPanel(run, Prompt()))
    page.show()
    return page


def test_after_any_changes_the_page_shows_the_town(run: Run) -> None:
    dice = random.Random(3)
    page = shown(run)
    for step in range(200):
        for _ in range(dice.randrange(6)):
            more: dict[str, Any] = {
                name: dice.choice([1, 2.5, None, "text", True, [1]]) for name in dice.sample("abc", dice.randrange(3))
            }
            run.put(f"c{dice.randrange(40)}", dice.choice(["IDLE", "MOVE", None]), dice.choice(["Park", None]), more)
        if step % 50 == 25:
            run.town.pop(next(iter(run.town)), None)
            run.replace()
        page.panel.refresh(float(step))
        if run.town:
            assert page.keys == list(run.town)
        for key, row in page.rows().items():
            held = run.town[key]
            assert (row["state"], row["location"]) == (held["state"], held["location"])
            assert row["last_seen"] == pytest.approx(held["last_seen"] / 1e9, abs=0.001)
            for name, value in held["attributes"].items():
                want = value if isinstance(row[name], float) else cell_text(value)
                assert row[name] == want, name


def test_only_cells_that_changed_are_sent(run: Run) -> None:
    for i in range(5000):
        run.put(f"c{i}", "IDLE", "Park", money=i)
    page = shown(run)
    run.put("c7", "MOVE", "Park", money=7)
    page.panel.refresh(1.0)
    body = page.bodies[-1]
    assert set(body) == {"set"}
    assert set(body["set"]) == {"state", "last_seen"}
    assert not page.messages[-1]["full"]


def test_five_hundred_changes_of_five_thousand_take_a_tenth_of_the_budget(run: Run) -> None:
    for i in range(5000):
        run.put(f"c{i}", "IDLE", f"Home {i % 100}", money=i, mood="calm")
    panel = shown(run).panel
    for i in range(0, 5000, 10):
        run.put(f"c{i}", "MOVE", "Park", money=i + 1)
    assert panel.refresh(1.0) <= 20_000


def test_a_change_of_the_whole_town_takes_seven_bytes_a_character(run: Run) -> None:
    names = [f"c{i}" for i in range(5000)]
    for i, name in enumerate(names):
        run.put(name, "IDLE", f"Home {i % 100}")
    page = shown(run)
    random.Random(1).shuffle(names)
    for i, name in enumerate(names[:-1]):
        run.put(name, "MOVE", f"Home {i % 90}")
    assert page.panel.refresh(1.0) <= ENVELOPE + 7 * 5000 + 2_000
    rows = page.rows()
    assert [rows[name]["location"] for name in names[:-1]] == [f"Home {i % 90}" for i in range(4999)]
    assert rows[names[-1]]["state"] == "IDLE"


def test_a_new_attribute_or_one_of_another_kind_makes_a_whole_table(run: Run) -> None:
    run.put("emma", money=3)
    page = shown(run)
    run.put("emma", mood="calm")
    page.panel.refresh(1.0)
    assert "columns" in page.bodies[-1]
    run.put("emma", money="none left")
    page.panel.refresh(2.0)
    assert page.rows()["emma"]["money"] == "none left"
    assert [column["kind"] for column in page.columns if column["name"] == "money"] == ["text"]


def test_attributes_beyond_the_cap_are_counted_and_cost_no_new_table(run: Run) -> None:
    run.put("emma", attributes={f"a{i}": i for i in range(MAX_ATTRIBUTES + 5)})
    page = shown(run)
    assert len(page.columns) == MAX_ATTRIBUTES + 5
    assert "5 more attributes" in page.bodies[-1]["note"]
    run.put("emma", attributes={f"b{i}": i for i in range(5)})
    page.panel.refresh(1.0)
    assert "columns" not in page.bodies[-1]


def test_an_attribute_with_the_name_of_a_column_stands_beside_it(run: Run) -> None:
    run.put("emma", "MOVE")
    run.town["emma"]["attributes"]["state"] = "of mind"
    row = shown(run).rows()["emma"]
    assert (row["state"], row["state_"]) == ("MOVE", "of mind")


def test_texts_go_out_as_they_are_but_capped_and_the_whole_is_one_question_away(run: Run) -> None:
    family = "\U0001f468‍\U0001f469‍\U0001f467" * 300
    run.put(HOSTILE, "<script>", "a\u202eb", bio=family)
    page = shown(run)
    row = page.rows()[HOSTILE]
    assert row["state"] == "<script>"
    assert len(row["bio"]) == CAP + 1
    page.do({"detail": HOSTILE})
    detail = page.bodies[-1]["detail"]
    assert detail["key"] == HOSTILE
    assert family in detail["text"]
    page.do({"detail": "nobody"})
    assert "no longer held" in page.bodies[-1]["detail"]["text"]


def test_text_that_is_no_unicode_is_shown_as_escapes(run: Run) -> None:
    run.put("emma", "\ud800", "Park")
    assert shown(run).rows()["emma"]["state"] == "\\ud800"


def test_an_empty_table_says_what_would_fill_it(run: Run) -> None:
    assert "state_change" in shown(run).bodies[-1]["empty"]


def test_numbers_are_halved_only_where_that_loses_nothing() -> None:
    for values, size in (([1.0, 2.5, np.nan], "f4"), ([0.1], "f8"), ([16_777_217.0], "f8")):
        assert pack_values("number", np.array(values), ColumnPacker())["n"][0] == size


BIG = 9_007_199_254_740_993


def test_whole_numbers_that_no_float_holds_are_shown_exactly_and_told_from_their_neighbours(run: Run) -> None:
    run.put("emma", money=1)
    run.put("noah", money=2.5)
    page = shown(run)
    for money in (BIG, BIG + 1, -BIG, 2**64 + 1, 3, BIG):
        run.put("emma", money=money)
        page.panel.refresh(1.0)
        assert page.rows()["emma"]["money"] == money
        assert page.rows()["noah"]["money"] == 2.5
    assert [column["kind"] for column in page.columns if column["name"] == "money"] == ["number"]
    run.put("mia", money=BIG + 2)
    page.panel.refresh(2.0)
    assert page.rows()["mia"]["money"] == BIG + 2


def test_large_whole_numbers_of_a_frame_are_exact() -> None:
    kind, values = column_of(pd.Series([BIG, None, 7], dtype="Int64"))
    assert kind == "number"
    packed = pack_values(kind, values, ColumnPacker())
    assert packed["exact"] == [(0, str(BIG))]
    assert column_of(pd.Series([1, 2**53 - 1]))[1].dtype == np.float64


@pytest.mark.parametrize(
    ("values", "dtype", "exact"),
    [
        ([2**53, -(2**53)], "int64", [2**53, -(2**53)]),  # beyond JavaScript's safe integers already
        ([-(2**63), 1], "int64", [-(2**63)]),  # which has no positive counterpart
        ([2**64 - 1, 1], "uint64", [2**64 - 1]),
        ([1, 2], "uint64", []),
        ([None, None], "Int64", []),
        ([None, BIG], "Int64", [BIG]),
    ],
)
def test_whole_numbers_of_every_type_are_exact(values: list[Any], dtype: str, exact: list[int]) -> None:
    _, column = column_of(pd.Series(values, dtype=dtype))
    packed = pack_values("number", column, ColumnPacker())
    assert [digits for _, digits in packed.get("exact", [])] == [str(value) for value in exact]


def test_times_far_apart_are_sent_as_they_are() -> None:
    packed = pack_values("time", np.array([0.0, 1e30, np.nan]), ColumnPacker())
    assert packed["n"][0] == "f8"


def test_a_state_keeps_its_colour_and_a_new_one_gets_one_of_its_own() -> None:
    assert state_colour("move") == STATE_COLOURS["MOVE"] == state_colour("MOVE")
    assert state_colour("DANCING") == state_colour("DANCING") != state_colour("SINGING")
    assert len(set(STATE_COLOURS.values())) == len(STATE_COLOURS)
    assert state_colour("\ud800").startswith("#")


def test_the_log_follows_keeps_a_thousand_and_counts_what_came_too_fast(run: Run) -> None:
    for _ in range(3):
        run.happen("state_change", state="MOVE")
    page = Page(EventsPanel(run, Prompt()))
    page.show()
    assert page.keys == ["0", "1", "2"]
    for _ in range(BURST + 50):
        run.happen()
    page.panel.refresh(1.0)
    assert page.keys[3] == "left out 1"
    assert page.rows()["left out 1"]["message"].startswith("50 rows")
    for step in range(10):
        for _ in range(BURST):
            run.happen()
        page.panel.refresh(2.0 + step)
    assert len(page.keys) == KEPT
    assert page.keys[-1] == str(len(run.log) - 1)


def test_a_gap_is_a_row_of_the_log_beside_the_event_that_it_stands_before(run: Run) -> None:
    run.happen("gap", message="10 to 20: window")
    page = Page(EventsPanel(run, Prompt()))
    page.show()
    assert page.keys == ["gap before 0"]
    page.do({"detail": "gap before 0"})
    assert "session.gaps()" in page.bodies[-1]["detail"]["text"]


def test_the_errors_name_their_codes_and_show_their_payloads(run: Run) -> None:
    run.happen("state_change")
    run.happen("error", {"code": 1004, "traceback": "Traceback …"}, code=1004, message="planner failed")
    page = Page(ErrorsTable(run, Prompt()))
    page.show()
    row = page.rows()["1"]
    assert (row["code"], row["name"], row["message"]) == ("1004", "SERVER_ERROR", "planner failed")
    page.do({"detail": "1"})
    assert "Traceback" in page.bodies[-1]["detail"]["text"]


def test_a_payload_of_megabytes_is_cut_with_a_count() -> None:
    text = detail_text("x" * 1_000_000)
    assert len(text) < 210_000
    assert "800,000 more characters" in text


def test_an_error_has_the_name_that_the_simulation_gives_its_code_or_that_of_the_wire(run: Run) -> None:
    run.happen("error", {"code": 2003, "code_name": "NO_MONEY", "message": "m"}, code=2003, message="m")
    run.happen("error", {"code": 1001, "message": "m"}, code=1001, message="m")
    run.happen("error", {"code": 4711, "code_name": ["no text"], "message": "m"}, code=4711, message="m")
    page = Page(ErrorsTable(run, Prompt()))
    page.show()
    assert [row["name"] for row in page.rows().values()] == ["NO_MONEY", "INVALID_MESSAGE", None]
