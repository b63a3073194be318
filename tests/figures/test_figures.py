"""Figures: pandas in, plotly out; gaps shaded, units written, categories capped, names drawn as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types
import pytest

from degentcivil_nb.figures import build as figures
from degentcivil_nb.figures import series
from degentcivil_nb.figures.colours import STATE_COLOURS, ink_on, state_colour

START = pd.Timestamp("2026-01-01 12:00", tz="UTC")
BAD = "<img src=x onerror=alert(1)> $x$ %{y}"


def at(seconds: float) -> pd.Timestamp:
    return START + pd.Timedelta(seconds=seconds)


def gaps(*seconds: float) -> pd.DataFrame:
    return pd.DataFrame({"time": pd.DatetimeIndex([at(second) for second in seconds]), "reason": "window"})


def counts(rows: int = 10, columns: int = 3, every: str = "1s") -> pd.DataFrame:
    index = pd.date_range(START, periods=rows, freq=every)
    names = pd.Index([f"type_{n}" for n in range(columns)], name="type")
    return pd.DataFrame(np.arange(rows * columns).reshape(rows, columns) + 1, index=index, columns=names)


def stays(*rows: tuple[str, str, str | None, float, float | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["character_id", "state", "location", "start", "end"])
    for name in ("start", "end"):
        frame[name] = pd.DatetimeIndex([pd.NaT if pd.isna(value) else at(value) for value in frame[name]]).as_unit("ns")
    return frame


def calls(types: int = 2, rows: int = 40) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": pd.date_range(START, periods=rows, freq="1s"),
            "prompt_type": [f"P{n % types}" for n in range(rows)],
            "latency_s": pd.array([None, *np.linspace(0.1, 2, rows - 1)], dtype="Float64"),
            "prompt_tokens": pd.array([10] * rows, dtype="Int64"),
            "completion_tokens": pd.array([None] + [5] * (rows - 1), dtype="Int64"),
            "cost_usd": 0.01,
            "error": [None, "malformed"] * (rows // 2),
        }
    )


EMPTY: dict[str, Callable[[], go.Figure]] = {
    "rates": lambda: figures.rates(pd.DataFrame()),
    "errors": lambda: figures.errors(pd.DataFrame()),
    "timeline": lambda: figures.timeline(pd.DataFrame()),
    "transitions": lambda: figures.transitions(pd.DataFrame()),
    "latency": lambda: figures.latency(pd.DataFrame()),
    "map": lambda: figures.map(pd.DataFrame()),
    "llm": lambda: figures.llm(pd.DataFrame()),
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_figure_says_what_would_fill_it(name: str) -> None:
    figure = EMPTY[name]()
    assert not figure.data
    assert len(figure.layout.annotations[0].text) > 30


def texts_of(figure: go.Figure) -> list[str]:
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, str):
            found.append(value)

    walk(json.loads(figure.to_json()))
    return found


HOSTILE: dict[str, Callable[[], go.Figure]] = {
    "rates": lambda: figures.rates(counts(columns=12).rename(columns=lambda name: f"{BAD}{name}")),
    "timeline": lambda: figures.timeline(stays((BAD, BAD, BAD, 0, 3), (BAD + "2", BAD, BAD, 1, None)), gaps=gaps(2)),
    "transitions": lambda: figures.transitions(pd.DataFrame([[1, 2], [3, 4]], index=[BAD, "b"], columns=[BAD, "b"])),
    "map": lambda: figures.map(
        pd.DataFrame({"state": [BAD], "location": [BAD], "x": [BAD]}, index=[BAD]), pd.DataFrame({"name": [BAD]})
    ),
    "llm": lambda: figures.llm(calls(12).assign(prompt_type=[f"{BAD}{n % 12}" for n in range(40)])),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(name: str) -> None:
    found = texts_of(HOSTILE[name]())
    assert any("&lt;img" in text for text in found)
    assert not any("<img" in text or "$x$" in text or text.endswith("%{y}") for text in found)


def test_rates_are_events_a_second_whatever_the_bucket() -> None:
    figure = figures.rates(counts(every="5s"))
    assert [trace.name for trace in figure.data] == ["type_0", "type_1", "type_2"]
    assert list(figure.data[0].y[:2]) == [1 / 5, 4 / 5]
    assert "per second" in figure.layout.yaxis.title.text
    assert "UTC" in figure.layout.xaxis.title.text


def test_many_types_become_a_few_and_a_named_rest() -> None:
    table = counts(columns=30)
    figure = figures.rates(table)
    assert len(figure.data) == 8
    assert figure.data[-1].name == "other (23)"
    assert "type_22" in figure.data[-1].hovertemplate and "17 more" in figure.data[-1].hovertemplate
    assert sum(trace.y[:-1].sum() for trace in figure.data) == table.to_numpy().sum()


def test_states_keep_their_colours() -> None:
    table = counts(columns=1).rename(columns={"type_0": "MOVE"}).rename_axis(columns="state")
    assert figures.rates(table).data[0].line.color == state_colour("MOVE")
    assert figures.timeline(stays(("emma", "MOVE", None, 0, 1))).data[0].marker.color == state_colour("MOVE")


def test_a_gap_is_shaded_from_the_last_to_the_next_thing_known() -> None:
    table = counts(rows=60)
    table.iloc[20:30] = 0
    figure = figures.rates(table, gaps=gaps(25, 25.5, 50))
    bands = [(pd.Timestamp(shape.x0, tz="UTC"), pd.Timestamp(shape.x1, tz="UTC")) for shape in figure.layout.shapes]
    assert bands == [(at(19), at(30)), (at(50), at(51))]
    assert all(shape.label.text == "gap" for shape in figure.layout.shapes)


def test_errors_are_counted_by_code_and_named() -> None:
    frame = pd.DataFrame(
        {
            "time": [at(0), at(1), at(400), pd.NaT],
            "code": pd.array([1001, 4711, None, 1001], dtype="Int64"),
            "message": "m",
        }
    )
    figure = figures.errors(frame, gaps=gaps(200))
    assert {trace.name for trace in figure.data} == {"1001 INVALID_MESSAGE", "4711", "no code"}
    assert sum(trace.y.sum() for trace in figure.data) == 3
    assert figure.layout.yaxis.title.text == "errors per 5 s"
    assert len(figure.layout.shapes) == 1


def test_a_code_of_errors_is_called_what_the_simulation_calls_it() -> None:
    frame = pd.DataFrame({"time": [at(0), at(1), at(2)], "code": pd.array([2003, 1004, 1001], dtype="Int64")})
    names = {2003: ["NO_MONEY"], 1004: ["AGENT_FAILED", "TOOL_FAILED", "<b>LATE</b>"]}
    figure = figures.errors(frame, names=names)
    assert {trace.name for trace in figure.data} == {
        "2003 NO_MONEY", "1004 AGENT_FAILED, TOOL_FAILED and 1 more", "1001 INVALID_MESSAGE",
    }  # fmt: skip


def test_a_value_holds_until_the_newest_event_unless_its_character_has_left() -> None:
    table = pd.DataFrame(
        {
            "time": [at(0), at(1), at(5)],
            "tick": pd.array([1, 2, 6], dtype="Int64"),
            "character_id": ["emma", "noah", "emma"],
            "value": [1.0, 2.0, 3.0],
        }
    )
    drawn = {
        present: {
            trace["name"]: (trace["x"].astype("datetime64[s]").astype(int) - START.timestamp(), list(trace["y"]))
            for trace in series.values(table, "money", present=lambda: present, until=at(9))["data"]  # noqa: B023 — called at once
        }
        for present in (("emma", "noah"), ("emma",))
    }
    ends = {who: {name: x.tolist() for name, (x, _) in lines.items()} for who, lines in drawn.items()}
    assert ends == {("emma", "noah"): {"emma": [0, 5, 9], "noah": [1, 9]}, ("emma",): {"emma": [0, 5, 9], "noah": [1]}}
    assert drawn["emma", "noah"]["emma"][1] == [1.0, 3.0, 3.0]


def test_a_stay_cut_off_by_a_gap_ends_there_and_an_open_one_goes_on() -> None:
    frame = stays(("emma", "MOVE", "Park", 0, None), ("emma", "MOVE", "Park", 20, None), ("ann", "ACT", None, 1, 4))
    figure = figures.timeline(frame, gaps=gaps(10), now=at(30))
    move = next(trace for trace in figure.data if trace.name == "MOVE")
    assert list(move.x) == [10_000.0, 10_000.0]
    assert list(move.customdata) == ["Park", "Park"]
    assert len(figure.layout.shapes) == 1


def test_a_timeline_says_what_it_leaves_out() -> None:
    many = stays(*[(f"c{n}", f"S{n % 40}", "Park", n, n + 1) for n in range(100)])
    figure = figures.timeline(many)
    assert "60 more characters not shown" in figure.layout.annotations[0].text
    assert figure.data[-1].name.startswith("other (")
    assert len(figure.layout.yaxis.categoryarray) == 40


def test_transitions_leave_zero_empty_and_count_the_rest() -> None:
    table = pd.DataFrame(np.eye(60), index=[f"s{n}" for n in range(60)], columns=[f"s{n}" for n in range(60)])
    figure = figures.transitions(table)
    assert np.asarray(figure.data[0].z).shape == (40, 40)
    assert figure.layout.annotations[0].text == "40 rarer states not shown"


def test_latency_is_of_those_that_say_when_they_were_sent() -> None:
    frame = pd.DataFrame({"time": [at(0), at(0.5), at(0.6)], "received": [at(0.010), at(0.530), at(99)]})
    frame["time_source"] = ["sent", "sent", "received"]
    figure = figures.latency(frame, gaps=gaps(0.2))
    assert figure.data[0].y[0] == pytest.approx(20)
    assert "(ms)" in figure.layout.yaxis.title.text


def test_the_map_puts_people_at_their_coordinates_or_around_their_place() -> None:
    people = pd.DataFrame(
        {"state": ["MOVE"] * 4, "location": ["Park", "Park", "Cafe", "Nowhere"], "x": [1.0, None, None, None]},
        index=pd.Index(["a", "b", "c", "d"]),
    )
    people["y"] = [2.0, None, None, None]
    figure = figures.map(people, pd.DataFrame({"name": ["Park", "Cafe"], "x": [0.0, 50.0], "y": [0.0, 50.0]}))
    dots = figure.data[1]
    assert (dots.x[0], dots.y[0]) == (1.0, 2.0)
    assert np.hypot(dots.x[1], dots.y[1]) < 5
    assert "without a known place: 1" in figure.layout.annotations[0].text


def test_calls_are_told_by_type_of_prompt() -> None:
    figure = figures.llm(calls(), gaps=gaps(10))
    bars = {trace.name: list(trace.y) for trace in figure.data if trace.type == "bar"}
    assert bars["failed"] == [0.0, 100.0]
    assert bars["completion tokens"] == [95.0, 100.0]
    assert "0.4000 US$" in figure.layout.annotations[0].text
    assert len(figure.layout.shapes) == 1
    assert [trace.name for trace in figures.llm(calls(20)).data[:8]][-1] == "other (13)"


def test_totals_of_tokens_are_exact_beyond_what_a_float_holds() -> None:
    tokens = [2**53 - 1] * 3 + [0]
    figure = figures.llm(calls(1, 4).assign(prompt_tokens=pd.array(tokens, dtype="Int64"), completion_tokens=0))
    assert f"{3 * (2**53 - 1):,} tokens" in figure.layout.annotations[0].text
    bars = next(trace for trace in figure.data if trace.name == "prompt tokens")
    assert list(bars.customdata) == [f"{3 * (2**53 - 1):,}"]


def test_a_figure_follows_the_theme() -> None:
    figure = figures.rates(counts())
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_the_last_bucket_of_a_rate_is_as_wide_as_the_others() -> None:
    table = counts(columns=1)
    line = figures.rates(table).data[0]
    assert len(line.x) == len(table) + 1
    assert line.x[-1] - line.x[-2] == line.x[1] - line.x[0]
    assert line.y[-1] == line.y[-2]


@pytest.mark.parametrize("state", [*STATE_COLOURS, "SOMETHING ELSE", "x", "", None])
def test_the_name_of_a_state_is_readable_on_its_colour(state: str | None) -> None:
    colour = state_colour(state)
    one, other = sorted(map(lightness, (colour, ink_on(colour))))
    assert (other + 0.05) / (one + 0.05) >= 4.5


def lightness(colour: str) -> float:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
