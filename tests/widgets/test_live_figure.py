"""Live figures: what is sent turns the page's figure into the new one, is little, and comes at most twice a second."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from degentcivil_nb.figures import over_time as figure_specs
from degentcivil_nb.widgets.figure_panels import ErrorsPanel, LlmPanel, RatesPanel
from degentcivil_nb.widgets.live_figure import LiveFigure, Shape, difference, plotly_script, whole
from degentcivil_nb.widgets.panel import Update
from degentcivil_nb.widgets.refresh import Refresher

START = pd.Timestamp("2026-01-01 12:00", tz="UTC")


class Page:
    """Do with updates what `figure.js` does."""

    def __init__(self) -> None:
        self.traces: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {}

    def receive(self, update: Update) -> None:
        body = json.loads(msgspec.json.encode(update.body))
        if "figure" in body:
            self.layout = body["figure"]["layout"]
            self.traces = [
                {**trace, **{key: self.numbers(value, update) for key, value in arrays.items()}}
                for trace, arrays in zip(body["figure"]["traces"], body["arrays"], strict=True)
            ]
            return
        self.layout = body.get("layout", self.layout)
        for change in body["changes"]:
            trace = self.traces[change["trace"]]
            for key, reference in change["tails"].items():
                kept = trace[key][change["drop"] :][: change["keep"]]
                trace[key] = kept + self.numbers(reference, update)

    @staticmethod
    def numbers(reference: Any, update: Update) -> list[Any]:
        if isinstance(reference, list):
            return reference
        values = np.frombuffer(update.buffers[reference["buffer"]])
        return [None if np.isnan(value) else value for value in values.tolist()]


def figure(*traces: tuple[int, list[float]], **layout: Any) -> dict[str, Any]:
    return {
        "data": [
            {"x": np.arange(start, start + len(y), dtype=np.float64), "y": np.array(y), "text": [f"{v}" for v in y]}
            for start, y in traces
        ],
        "layout": layout,
    }


VALUES = {"0": 0.0, "1": 1.0, "n": np.nan}
TRACES = st.lists(st.tuples(st.integers(0, 5), st.text("01n", max_size=6)), max_size=3)
"""Where each trace begins, and its values in letters: one draw for all of them, so that examples are made quickly."""


@given(st.lists(st.tuples(TRACES, st.integers(0, 2)), min_size=1, max_size=5))
def test_differences_lead_to_the_same_figure(figures: list[tuple[list[tuple[int, str]], int]]) -> None:
    page, old = Page(), None
    for traces, title in figures:
        new = Shape.of(figure(*((start, [VALUES[letter] for letter in y]) for start, y in traces), title=title))
        update = whole(new) if old is None else difference(old, new)
        if update is not None:
            page.receive(update)
        expected = Page()
        expected.receive(whole(new))
        assert (page.traces, page.layout) == (expected.traces, expected.layout)
        old = new


def test_only_the_new_bucket_and_the_corrected_last_one_are_sent() -> None:
    index = pd.date_range(START, periods=600, freq="1s")
    table = pd.DataFrame(
        np.random.default_rng(0).integers(1, 2_000, (600, 6)), index=index, columns=pd.Index(list("abcdef"))
    )
    before = table.iloc[:598].copy()
    before.iloc[-1] -= 1
    old, new = Shape.of(figure_specs.rates(before)), Shape.of(figure_specs.rates(table.iloc[1:]))
    update = difference(old, new)
    assert update is not None
    assert {(change["drop"], change["keep"]) for change in update.body["changes"]} == {(1, 596)}
    assert (
        sum(len(buffer) for buffer in update.buffers) == 7 * 4 * 8
    )  # x once, a y a line; one corrected, two buckets, their edge
    assert len(msgspec.json.encode(update.body)) < 1_000
    assert difference(new, Shape.of(figure_specs.rates(table.iloc[1:]))) is None


class Sent(LiveFigure):
    """Keep what would go to the page."""

    def __init__(self, *args: Any) -> None:
        self.sent: list[tuple[Any, Any]] = []
        super().__init__(*args)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append((content, buffers))


def test_a_figure_is_drawn_twice_a_second_and_the_library_is_sent_when_asked_for() -> None:
    refresher = Refresher()
    state = {"n": 1}
    live = Sent(lambda: figure((0, [1.0] * state["n"])), lambda: state["n"], refresher)
    try:
        live.flow.show("page")
        assert live.refresh(0.0) > 0
        state["n"] = 2
        assert live.refresh(0.4) == 0
        assert live.refresh(0.5) > 0
        assert live.refresh(1.5) == 0, "nothing new"
        body = json.loads(live.sent[-1][1][0])
        assert body["changes"][0]["keep"] == 1 and not live.sent[-1][0]["full"]

        live.received({"want": "script"})
        assert live.refresh(1.6) > 1_000_000
        content, buffers = live.sent[-1]
        body = json.loads(buffers[0])
        assert content["full"] and gzip.decompress(buffers[1 + body["script"]]).decode().startswith("/**\n* plotly.js")
        assert len(plotly_script()) < 2_000_000
        live.flow.show("other page")
        assert live.refresh(1.7) < 10_000, "sent once to whoever asks"
        assert [len(trace.x) for trace in live.figure.data] == [2]
    finally:
        live.close()
        refresher.close()


class Run:
    """Be a reader of rows that a test writes."""

    version = first_row = next_row = 0

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def say(self, seconds: float, character: str | None, state: str | None, type: str = "state_change") -> None:
        time = START + pd.Timedelta(seconds=seconds)
        self.rows.append({"time": time, "type": type, "character_id": character, "state": state, "location": "Park"})

    def rows_since(self, row: int, limit: int) -> pd.DataFrame:
        first = max(row, len(self.rows) - limit)
        columns = ["time", "type", "character_id", "state", "location"]
        frame = pd.DataFrame(self.rows[first:], columns=columns, index=range(first, len(self.rows)))
        return frame.astype({"time": "datetime64[ns, UTC]", "character_id": "category", "state": "category"})

    def gaps(self) -> pd.DataFrame:
        times = [row["time"] for row in self.rows if row["type"] == "gap"]
        return pd.DataFrame({"time": pd.DatetimeIndex(times, tz="UTC")})

    def rates(self, every: str = "1s", by: str = "type", window: str | None = None) -> pd.DataFrame:
        return pd.DataFrame()

    def llm_calls(self, *, last: int | None = None) -> pd.DataFrame:
        return pd.DataFrame()


@pytest.mark.parametrize("panel", [RatesPanel, ErrorsPanel, LlmPanel])
def test_a_panel_of_an_empty_run_says_what_would_fill_it(panel: type[RatesPanel]) -> None:
    refresher = Refresher()
    live = panel(Run(), refresher)  # type: ignore[arg-type]
    try:
        body = json.loads(msgspec.json.encode(live.snapshot().body))
        assert body["figure"]["layout"]["annotations"]
    finally:
        live.close()
        refresher.close()
