"""Our own drawings of figures: they show what the figure shows, and say what they leave out."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import pytest

from degentcivil_nb.figures import chains, comparisons, llm_calls, over_time, series, stays
from degentcivil_nb.figures.parts import Spec
from degentcivil_nb.figures.stack import stacked
from degentcivil_nb.pages.chart import POINTS, chart

START = pd.Timestamp("2026-01-01 12:00", tz="UTC")
GAPS = pd.DataFrame({"time": [START + pd.Timedelta("4s")]})
HOSTILE = "<script>alert(1)</script>"


def drawn(spec: Spec) -> str:
    picture = chart(spec)
    assert picture is not None
    return picture.svg


def said(svg: str) -> list[str]:
    """Return the texts of a drawing."""
    return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def table_of_stays(count: int, who: str = "emma") -> pd.DataFrame:
    starts = [START + pd.Timedelta(seconds=second) for second in range(count)]
    names = [who if second % 2 else "noah" for second in range(count)]
    states = ["MOVE" if second % 3 else "PLAN" for second in range(count)]
    ends = [start + pd.Timedelta("1s") for start in starts]
    table = {"character_id": names, "state": states, "location": "park", "start": starts, "end": ends}
    return pd.DataFrame(table)


def test_a_timeline_has_a_bar_for_each_stay_a_line_for_each_character_and_its_gaps() -> None:
    svg = drawn(stays.timeline(table_of_stays(12), GAPS))
    assert len(re.findall(r"<rect[^>]*><title>(MOVE|PLAN)</title>", svg)) == 12
    assert svg.count("<title>gap</title>") == 1
    assert {"emma", "noah", "MOVE", "PLAN"} <= set(said(svg))


def test_a_table_of_transitions_has_each_count() -> None:
    counts = pd.DataFrame([[0, 3], [1_234, 0]], index=["PLAN", "MOVE"], columns=["PLAN", "MOVE"])
    svg = drawn(over_time.transitions(counts))
    assert {"3", "1,234"} <= set(said(svg))
    assert "MOVE, PLAN: 1,234" in svg


def test_a_map_keeps_distances_in_both_directions_alike() -> None:
    index = pd.Index(["a", "b", "c"], name="character_id")
    people = pd.DataFrame({"state": "REST", "location": None, "x": [0, 100, 0], "y": [0, 0, 100]}, index=index)
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"[^>]*><title>([abc]);', drawn(stays.town_map(people)))
    at = {who: (float(x), float(y)) for x, y, who in dots}
    assert at["b"][0] - at["a"][0] == pytest.approx(at["a"][1] - at["c"][1], abs=0.2)


def test_values_over_ticks_are_drawn_and_what_is_left_out_is_said() -> None:
    ticks = np.arange(POINTS + 5)
    table = pd.DataFrame({"time": [START + pd.Timedelta(seconds=int(t)) for t in ticks], "tick": ticks})
    table["character_id"], table["value"] = "emma", ticks * 2.0
    svg = drawn(series.values(table, "money", by_tick=True))
    assert svg.count("<circle") == POINTS
    assert "5 earlier points are not drawn" in " ".join(said(svg))
    assert "1,204" in said(svg)


def test_bars_of_one_moment_stand_on_each_other() -> None:
    times = [START + pd.Timedelta(seconds=10 * n) for n in (0, 0, 0, 1)]
    svg = drawn(over_time.errors(pd.DataFrame({"time": times, "code": [1, 1, 2, 2]})))
    bars = [(float(y), float(height)) for y, height in re.findall(r'y="([\d.]+)" width="4.0" height="([\d.]+)"', svg)]
    assert max(y + height for y, height in bars) == pytest.approx(226, abs=0.2)
    assert min(y for y, _ in bars) == pytest.approx(34, abs=0.2), "three errors are the whole height"
    assert "3" in said(svg)


def test_what_is_not_drawn_of_a_figure_of_several_charts_is_named() -> None:
    calls = pd.DataFrame({"time": [START], "prompt_type": ["PLAN"], "latency_s": [1.0], "cost_usd": [0.1]})
    calls = calls.assign(prompt_tokens=5, completion_tokens=5, error=None, malformed=False, model="m")
    assert "not drawn here" in " ".join(said(drawn(llm_calls.llm(calls))))


def test_stacked_charts_and_two_runs_are_drawn_below_each_other() -> None:
    errors = over_time.errors(pd.DataFrame({"time": [START], "code": [1]}))
    svg = drawn(stacked([errors, errors, errors], START))
    assert said(svg).count("1") >= 3
    per_tick = pd.DataFrame({"a": [1, 2, 3], "b": [1, 2, 4]}, index=[0, 1, 2])
    differing = pd.DataFrame({"tick": [2], "character_id": [HOSTILE]})
    svg = drawn(comparisons.comparison(per_tick, differing, 2, [1], ("one", "other")))
    assert "first difference" in " ".join(said(svg))
    assert HOSTILE not in svg
    assert any("<script>" in text for text in said(svg))


def test_a_figure_without_data_has_no_drawing() -> None:
    assert chart(stays.timeline(table_of_stays(0))) is None


def test_missing_values_break_a_line_and_one_moment_is_drawn() -> None:
    table = pd.DataFrame({"time": [START], "tick": [None], "character_id": ["emma"], "value": [float("nan")]})
    assert drawn(series.values(pd.concat([table, table.assign(value=2.0)]), "money")).count("<circle") == 1


@pytest.mark.parametrize("values", [[float("nan")], [None, None], [float("inf")], [1e308, -1e308], [10**400, 1]])
def test_values_that_cannot_be_drawn_break_no_figure(values: list[Any]) -> None:
    times = [START + pd.Timedelta(seconds=n) for n in range(len(values))]
    table = pd.DataFrame({"time": times, "tick": None, "character_id": "emma"})
    table["value"] = pd.Series(values, dtype=object)
    svg = drawn({**series.values(table.assign(value=0.0), "loss"), "data": [trace(times, values)]})
    assert "nan" not in svg


def trace(times: list[pd.Timestamp], values: list[Any]) -> Spec:
    return {"type": "scatter", "mode": "lines+markers", "name": "loss", "x": times, "y": values}


def test_charts_of_the_same_characters_are_stacked() -> None:
    """Traces were compared by value, whose arrays have no truth value."""
    index = [START, START + pd.Timedelta("1s")]
    table = pd.DataFrame({"time": index, "tick": [0, 1], "character_id": "emma", "value": [1.0, 2.0]})
    one, other = series.values(table, "money"), series.values(table.assign(value=[3.0, 4.0]), "mood")
    assert drawn(stacked([one, other])).count("<path") == 2


def test_a_table_of_counts_of_nothing_and_names_that_are_numbers_are_drawn() -> None:
    heat = {"type": "heatmap", "x": ["a", 2], "y": [1, "b"], "z": np.zeros((2, 2)), "colorscale": [[1, "#2f86d6"]]}
    assert {"a", "2", "1", "b"} <= set(said(drawn({"data": [heat], "layout": {}})))


def test_a_chain_has_its_events_and_tells_the_grades_of_its_links_apart() -> None:
    table = pd.DataFrame(
        {
            "depth": [0, 1, 2, 2],
            "character_id": ["emma", HOSTILE, "noah", None],
            "time": [START, START - pd.Timedelta("1s"), START - pd.Timedelta("3s"), pd.NaT],
            "grade": [None, "derived", "declared", "unknown"],
            "text": ["emma is in MOVE", f"asks {HOSTILE}", "noah says", "nobody"],
        }
    )
    svg = drawn(chains.chain(table, [None, 0, 1, 1], "causes"))
    assert HOSTILE not in svg and {"emma", "noah", "derived", "declared", "unknown", "What led to it"} <= set(said(svg))
    assert svg.count("<circle") == 4 and "<title>noah says</title>" in svg
    paths = re.findall(r"<path[^>]*>", svg)
    assert sum("stroke-dasharray" in path for path in paths) == 4, "two links, and both in the legend"
    assert len(paths) == 5
