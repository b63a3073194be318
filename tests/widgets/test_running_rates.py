"""The end of a live line of rates: a whole second until now, whatever the phase of the ticks and the clocks are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

from degentcivil_nb.figures import over_time
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.widgets.charts_panel import ChartsPanel
from degentcivil_nb.widgets.figure_panels import RatesPanel
from degentcivil_nb.widgets.refresh import Refresher
from degentcivil_nb.widgets.running_rates import counts_now

START = 1_767_268_800.0
STAY = Raw(b'{"character_id": "emma", "new_state": "WORK"}')
Drawn = list[tuple[float, int | None]]
"""When it was drawn, in seconds from the start, and the last row; `None` for a run that rests."""


class Run:
    """A run whose events arrive at once, by clocks that may differ; `draw` looks at it as a panel does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ahead_s: float = 0.0) -> None:
        self.store = EventStore()
        self.clock = START
        self.ahead_s = ahead_s
        self._sent = 0
        monkeypatch.setattr(time, "time_ns", lambda: round(self.clock * 1e9))

    def happen(self, seconds: float, type: str = "state_change") -> None:
        self.clock, self._sent = START + seconds, self._sent + 1
        at = self.clock + self.ahead_s
        self.store.append([RawMessage(type, STAY, at, self._sent)], self.clock, "e")

    def draw(self, seconds: float, every_s: int = 1) -> tuple[pd.DataFrame, pd.Timestamp | None]:
        self.clock = START + seconds
        return counts_now(self.store, every_s)

    def drawn(self, events: Iterable[float], until: float, every_s: int = 1, period_s: float = 0.07) -> Drawn:
        """Draw again and again while the events happen."""
        waiting = sorted(events)
        found: Drawn = []
        for now in np.arange(period_s, until, period_s).tolist():
            while waiting and waiting[0] <= now:
                self.happen(waiting.pop(0))
            if self._sent:
                counts, end = self.draw(now, every_s)
                found.append((now, None if end is None else int(counts.iloc[-1].sum()) if len(counts) else 0))
                if end is not None:
                    self._is_whole(counts)
        return found

    def _is_whole(self, counts: pd.DataFrame) -> None:
        """Check that all rows but the last are buckets that are over: as many events as there will ever be."""
        self.whole = {**getattr(self, "whole", {}), **counts.iloc[:-1].sum(axis=1).to_dict()}


def bursts(period_s: float, phase_s: float, until: float, size: int = 7, spread_s: float = 0.0) -> list[float]:
    starts = np.arange(phase_s, until, period_s)
    return [start + spread_s * place / size for start in starts.tolist() for place in range(size)]


@pytest.mark.parametrize("ahead_s", [0.0, 3_600.25, -3_599.6])
@pytest.mark.parametrize("phase_s", [0.0, 0.01, 0.33, 0.5, 0.73, 0.999])
@pytest.mark.parametrize("spread_s", [0.0, 0.4])
def test_a_burst_once_a_second_is_counted_once(
    monkeypatch: pytest.MonkeyPatch, ahead_s: float, phase_s: float, spread_s: float
) -> None:
    run = Run(monkeypatch, ahead_s)
    drawn = run.drawn(bursts(1.0, phase_s, 5, spread_s=spread_s), 5)
    assert {count for at, count in drawn if at > phase_s + 1.7} == {7}
    final = run.store.rates("1s").sum(axis=1)
    assert run.whole == final.reindex(list(run.whole), fill_value=0).to_dict()


@pytest.mark.parametrize("pace", [0.6, 2.0])
def test_the_line_of_a_replay_at_another_pace_does_not_run_ahead_of_its_events(
    monkeypatch: pytest.MonkeyPatch, pace: float
) -> None:
    run = Run(monkeypatch)
    ends: list[float] = []
    for burst in range(12):  # once a recorded second
        run.clock = START + burst / pace
        for _ in range(7):
            run._sent += 1
            run.store.append([RawMessage("state_change", STAY, START + burst + 0.01, run._sent)], run.clock, "e")
        for later in np.arange(0.02, 0.98 / pace, 0.1).tolist():
            counts, end = run.draw(burst / pace + later)
            if burst > 2:
                assert end is not None and end.timestamp() == START + burst
                assert counts.to_numpy()[-1].sum() == 7
                ends.append(end.timestamp())
    assert ends == sorted(ends)


def test_the_clock_that_is_ahead_says_where_a_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    run, ends = Run(monkeypatch), []
    for step in range(800):  # two senders, in turns
        run.ahead_s = -30.0 if step % 2 else 0.0
        run.happen(step * 0.05)
        if step > 700:
            ends.append(run.draw(step * 0.05)[1])
    assert ends == sorted(ends) and ends[0].timestamp() > START + 34  # type: ignore[type-var, union-attr]  # it goes on


@pytest.mark.parametrize("period_s", [0.7, 0.95, 1.07, 1.6])
def test_ticks_at_another_pace_are_neither_doubled_nor_halved_on_the_whole(
    monkeypatch: pytest.MonkeyPatch, period_s: float
) -> None:
    drawn = Run(monkeypatch).drawn(bursts(period_s, 0.21, 20), 20, period_s=0.083)
    counts = [count for at, count in drawn if at > 3 and count is not None]
    assert set(counts) <= {0, 7, 14}
    assert np.mean(counts) == pytest.approx(7 / period_s, rel=0.1)


def test_jitter_of_the_ticks_counts_what_really_fell_into_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(0)
    starts = np.arange(0.5, 40, 1.0) + chance.uniform(-0.05, 0.05, 40)
    drawn = Run(monkeypatch).drawn(np.repeat(starts, 7).tolist(), 40, period_s=0.19)
    counts = [count for at, count in drawn if at > 3]
    assert counts.count(7) > 0.85 * len(counts)


@pytest.mark.parametrize("frame_s", [0.001, 0.05, 0.09])
def test_a_steady_flood_is_a_steady_line_up_to_its_end(monkeypatch: pytest.MonkeyPatch, frame_s: float) -> None:
    monkeypatch.setattr("degentcivil_nb.widgets.running_rates.FIRST_ROWS", 64)  # so that it is read in several steps
    run = Run(monkeypatch)
    frames = np.arange(0, 5, frame_s)
    size = 6
    drawn = run.drawn(np.repeat(frames, size).tolist(), 5)
    counts = [count for at, count in drawn if at > 1.2 and count is not None]
    assert all(abs(count - size / frame_s) <= size for count in counts), counts


@pytest.mark.parametrize("ahead_s", [0.0, 900.0, -900.0])
def test_a_run_that_rests_has_its_buckets_whole_and_its_line_stays(
    monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    run = Run(monkeypatch, ahead_s)
    for at in (0.2, 0.9, 1.1, 2.3):
        run.happen(at)
    ends = [run.draw(2.3 + wait)[1] for wait in (0, 0.05, 0.5, 1.2, 1.9, 2.1, 60)]
    assert [end is None for end in ends] == [False] * 5 + [True] * 2
    assert ends[0] == ends[1] and ends[1] < ends[2] < ends[3]  # type: ignore[operator]  # those are known
    assert run.draw(4.2)[0].iloc[-1].sum() == 0, "nothing came in the last second"
    pd.testing.assert_frame_equal(run.draw(60)[0], run.store.rates("1s"))
    run.happen(70)
    assert run.draw(70.1)[1] is not None, "it goes on"


def test_a_type_that_is_new_and_the_first_second_of_a_run_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    empty, end = run.draw(0)
    assert not len(empty) and end is None
    run.happen(0.1)
    first, end = run.draw(0.5)
    assert first.to_numpy().tolist() == [[1]] and end == pd.Timestamp(round(1e3 * START + 400), unit="ms", tz="UTC")
    run.happen(1.2, "error")
    counts, _ = run.draw(1.5)
    assert counts.to_dict("list") == {"state_change": [1, 0], "error": [0, 1]}
    figure = over_time.rates(counts, every=1, until=START + 1.4)
    assert [trace["name"] for trace in figure["data"]] == ["state_change", "error"]


def test_wider_buckets_end_with_as_wide_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Run(monkeypatch).drawn(bursts(5.0, 2.2, 22), 22, every_s=5, period_s=0.19)
    assert {count for at, count in drawn if at > 8} == {7}


def test_a_line_ends_with_a_whole_second_and_its_tooltip_says_so() -> None:
    index = pd.date_range("2026-01-01 12:00", periods=3, freq="1s", tz="UTC")
    table = pd.DataFrame({"a": [10, 12, 11]}, index=index)
    figure = over_time.rates(table, every="1s", until=index[-1] + pd.Timedelta("0.35s"))
    (line,) = figure["data"]
    stamps = [str(stamp)[17:] for stamp in line["x"]]
    assert stamps == ["00.000", "01.000", "02.000", "02.350"]
    assert line["y"].tolist() == [10, 12, 11, 11]
    assert line["customdata"] == ["", "", *["<br>in the last second until now"] * 2]
    assert "%{customdata}" in line["hovertemplate"]
    assert figure["layout"]["annotations"][0]["text"] == "the end of each line counts the last second until now"
    wide = over_time.rates(table, every="5s", until=index[-1] + pd.Timedelta("2s"))
    assert wide["data"][0]["customdata"][-1] == "<br>in the last 5 s until now"
    assert wide["data"][0]["y"][-1] == pytest.approx(11 / 5)


@pytest.mark.parametrize("make", [RatesPanel, ChartsPanel])
def test_panels_draw_the_end_again_while_no_event_comes_and_stop_once_the_run_rests(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., RatesPanel | ChartsPanel]
) -> None:
    run = Run(monkeypatch)
    for at in (0.2, 1.2, 2.2):
        run.happen(at)
    refresher = Refresher()
    panel = make(run.store, refresher)
    try:
        versions, lines = [], []
        for at in (2.3, 2.31, 2.9, 10, 20):
            run.clock = START + at
            versions.append(panel.version())
            lines.append(panel.spec()["data"][0]["y"].tolist())
    finally:
        panel.close()
        refresher.close()
    assert versions[0] == versions[1] != versions[2] != versions[3] == versions[4]
    assert lines[0] == lines[2] == lines[4] == [1, 1, 1, 1]
