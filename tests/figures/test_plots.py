"""`session.plot`: every figure draws the answer of its question, live or as of now, of a session and of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb.figures import llm_calls, over_time, series
from degentcivil_nb.figures.parts import times_of
from degentcivil_nb.widgets.live_figure import LiveFigure

NAMES: dict[str, tuple[str, ...]] = {
    "rates": (), "errors": (), "timeline": (), "transitions": (), "latency": (), "map": (), "llm": (),
    "attribute": ("money",), "measures": (), "watch": ("calls",),
}  # fmt: skip
START = pd.Timestamp("2026-01-01 12:00", tz="UTC")


@pytest.fixture(scope="module")
def session() -> Iterator[dc.Session]:
    with (
        dc.start_local_server(characters=5, seed=1, tick_s=0.01, paused=True) as server,
        dc.connect(server) as session,
    ):
        session.watch("total_calls", "calls")
        session.step(60)
        yield session


@pytest.fixture(scope="module")
def recording(session: dc.Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dc.Recording]:
    path = tmp_path_factory.mktemp("runs") / "run"
    session.save(path)
    with dc.open_recording(path) as recording:
        yield recording


@pytest.fixture(params=["session", "recording"])
def run(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def as_json(figure: Any) -> Any:
    return figure.to_json()


@pytest.mark.parametrize("name", NAMES)
def test_a_live_figure_is_the_same_figure(run: Any, name: str) -> None:
    drawn = getattr(run.plot, name)(*NAMES[name])
    live = getattr(run.plot, name)(*NAMES[name], live=True)
    assert isinstance(live, LiveFigure)
    if name != "rates":  # of which the live one leaves the unfinished bucket out
        assert as_json(live.figure) == as_json(drawn)
    assert drawn.data
    live.close()


def test_rates_are_the_answer_and_a_live_figure_leaves_out_the_bucket_that_is_not_over(run: Any) -> None:
    table = run.rates("1s")
    assert sum(trace.y[:-1].sum() for trace in run.plot.rates("1s").data) == table.to_numpy().sum()
    live = over_time.rates_over(table, None, "1s", run.events(last=1)["time"].iloc[0])
    over = table.iloc[: max(1, len(table) - 1)]  # a fast machine runs the town within one second
    assert sum(trace["y"][:-1].sum() for trace in live["data"]) == over.to_numpy().sum()
    notes = live["layout"]["annotations"]
    assert len(over) == len(table) or f"not drawn: {table.iloc[-1].sum():,} events of the last 1 s" in notes[0]["text"]


def test_an_attribute_is_the_answer(run: Any) -> None:
    table = run.attribute("money")
    drawn = {trace.name: trace.y.tolist() for trace in run.plot.attribute("money").data}
    assert drawn == {str(who): told["value"].tolist() for who, told in table.groupby("character_id", observed=True)}


def test_measures_are_the_answer_each_with_an_axis_of_its_own(run: Any) -> None:
    figure, table = run.plot.measures(), run.measures()
    assert {trace.name: trace.y.tolist() for trace in figure.data} == {
        name: told["value"].tolist() for name, told in table.groupby("name")
    }
    assert len({trace.yaxis for trace in figure.data}) == table["name"].nunique()


def test_latencies_are_those_of_the_events(run: Any) -> None:
    events = run.events()
    took = (times_of(events["received"]) - times_of(events["time"])) / np.timedelta64(1, "ms")
    (median, high) = run.plot.latency().data
    assert took.min() <= min(median.y) and max(high.y) <= took.max()
    assert all(median.y <= high.y)


def test_calls_are_the_answer(run: Any) -> None:
    calls = run.llm_calls()
    figure = run.plot.llm()
    dots = [trace for trace in figure.data if trace.type == "scatter"]
    assert sorted(y for trace in dots for y in trace.y) == sorted(calls["latency_s"].dropna().tolist())
    bars = {trace.name: dict(zip(trace.x, trace.y, strict=True)) for trace in figure.data if trace.type == "bar"}
    for kind, mine in calls.groupby("prompt_type"):
        assert bars["prompt tokens"][kind] == mine["prompt_tokens"].sum()
        failed = (mine["error"].notna() | mine["malformed"].eq(True).fillna(False)).mean()
        assert bars["failed"][kind] == pytest.approx(100 * failed)


def test_a_map_shows_the_town_as_it_was(run: Any) -> None:
    then = run.characters(tick=10)
    figure = run.plot.map(tick=10)
    drawn = {trace.name: len(trace.x) for trace in figure.data if trace.name != "places"}
    assert drawn == then["state"].astype(str).value_counts().to_dict()


def test_a_live_figure_follows(session: dc.Session) -> None:
    live = session.plot.errors(live=True)
    before = sum(sum(trace.y) for trace in live.figure.data)
    session.step(60)
    assert sum(sum(trace.y) for trace in live.figure.data) == len(session.errors()) >= before
    live.close()


# --- looks: no axis of years or of nothing --------------------------------------------------------------------------


def span_s(figure: Any, axis: str = "xaxis") -> float:
    low, high = (pd.Timestamp(end) for end in figure["layout"][axis]["range"])
    return (high - low).total_seconds()


def test_a_single_moment_has_an_axis_of_a_minute() -> None:
    told = pd.DataFrame({"time": [START], "tick": [1], "character_id": ["emma"], "value": [1.0], "name": ["gini"]})
    events = pd.DataFrame({"time": [START], "received": [START], "time_source": ["sent"]})
    calls = pd.DataFrame({"time": [START], "prompt_type": ["PLAN"], "latency_s": [1.0]})
    for figure in (
        series.values(told, "money"),
        series.measures(told),
        over_time.latency(events),
        llm_calls.llm(calls),
    ):
        assert span_s(figure) == 60


def test_a_watch_is_drawn_over_ticks_however_long_the_run_stood_between_them() -> None:
    told = pd.DataFrame(
        {
            "time": [START, *(START + pd.Timedelta(hours=hours) for hours in (1, 9, 9.001))],
            "tick": pd.array([4, 5, 6, 6], dtype="Int64"),
            "character_id": None,
            "value": [1.0, 2.0, 2.0, 50.0],
        }
    )
    gaps = pd.DataFrame({"time": [START + pd.Timedelta(hours=2)]})
    figure = series.values(told, "money", gaps, by_tick=True)
    assert figure["data"][0]["x"].tolist() == [4, 5, 6, 6]
    axis, (gap,) = figure["layout"]["xaxis"], figure["layout"]["shapes"]
    assert (axis["title"]["text"], axis["dtick"]) == ("tick", 1)
    assert (gap["x0"], gap["x1"]) == (5, 6)
    for ticks in ([4, 5, 0, 1], [4, 5, None, 6]):  # a run that began again, and values before its first tick
        again = series.values(told.assign(tick=pd.array(ticks, dtype="Int64")), "money", gaps, by_tick=True)
        assert again["layout"]["xaxis"]["type"] == "date"


@pytest.mark.parametrize("kind", [float, str])
def test_the_line_of_a_present_character_goes_on_to_the_last_tick_that_is_drawn(kind: type) -> None:
    told = pd.DataFrame(
        {
            "time": [START] * 4,
            "tick": pd.array([1, 1, 1, 6], dtype="Int64"),
            "character_id": ["emma", "noah", "gone", "noah"],
            "value": [kind(value) for value in (1.0, 2.0, 3.0, 4.0)],
        }
    )
    figure = series.values(told, "money", by_tick=True, present=lambda: ["emma", "noah"])
    assert [list(line["x"]) for line in figure["data"]] == [[1, 6], [1, 6], [1]]
    assert [list(line["y"]) for line in figure["data"]] == [[kind(1.0)] * 2, [kind(2.0), kind(4.0)], [kind(3.0)]]
    assert figure["data"][0]["customdata"] == ["1", "6"]


def test_calls_that_tell_no_figures_have_axes_that_say_so() -> None:
    calls = pd.DataFrame({"time": pd.date_range(START, periods=3, freq="10s"), "prompt_type": ["PLAN"] * 3})
    figure = llm_calls.llm(calls)
    assert span_s(figure) == 20
    for name in ("yaxis", "yaxis2", "yaxis3"):
        assert figure["layout"][name]["title"]["text"].endswith("not published")
    assert "tokens unknown" in figure["layout"]["annotations"][0]["text"]


def test_of_many_calls_it_is_said_how_many_are_dots() -> None:
    calls = pd.DataFrame({"time": pd.date_range(START, periods=3_000, freq="1s"), "latency_s": 1.0})
    text = llm_calls.llm(calls)["layout"]["annotations"][0]["text"]
    assert "the newest 2,000 of 3,000 calls are dots" in text


def test_a_rate_does_not_fall_because_its_bucket_is_not_over() -> None:
    table = pd.DataFrame({"a": [10, 10, 10, 2]}, index=pd.date_range(START, periods=4, freq="1s"))
    under_way = over_time.rates_over(table, None, 1, START + pd.Timedelta("3.1s"))
    assert under_way["data"][0]["y"].tolist() == [10] * 4
    over = over_time.rates_over(table, None, 1, START + pd.Timedelta("4.1s"))
    assert over["data"][0]["y"].tolist() == [10, 10, 10, 2, 2]
    (alone,) = over_time.rates_over(table.iloc[:1], None, 1, START)["data"]
    assert alone["y"].tolist() == [10, 10]


def test_a_saved_notebook_shows_figures_as_pictures_and_static_views_without_a_kernel(
    session: dc.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    import plotly.io as pio  # type: ignore[import-untyped]  # ships no types
    from nbconvert import HTMLExporter
    from nbformat import v4

    monkeypatch.setattr(pio.renderers, "default", "plotly_mimetype")
    outputs = []
    for name in NAMES:
        bundle = getattr(session.plot, name)(*NAMES[name])._repr_mimebundle_()
        assert set(bundle) == {"application/vnd.plotly.v1+json", "image/svg+xml"}
        outputs.append(v4.new_output("display_data", data=bundle))
    board = session.dashboard()
    outputs.append(v4.new_output("display_data", data={"text/html": board._repr_mimebundle_()[0]["text/html"]}))
    board.close()
    book = v4.new_notebook(cells=[v4.new_code_cell("run", outputs=outputs)])
    page, _ = HTMLExporter().from_notebook_node(book)  # type: ignore[no-untyped-call]
    assert page.count('data-mime-type="image/svg+xml"') == len(NAMES), "each figure is a picture"
    assert "Static view: the dashboard" in page
