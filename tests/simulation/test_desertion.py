"""A paused run whose last debugger vanishes goes on by itself, and says so before and after."""

from __future__ import annotations

import logging

import pytest

import degentcivil_nb as dc
from degentcivil_nb.simulation.desertion import Desertion
from tests.support.clock import Clock
from tests.support.stepped_town import SteppedTown
from tests.support.waiting import until


class Left:
    def __init__(self, after_s: float | None = 60.0) -> None:
        self.clock = Clock()
        self.there = 0
        self.said: list[str] = []
        self.desertion = Desertion(
            debuggers=lambda: self.there,
            say=self.said.append,
            waits=lambda tick: self.said.append(f"waits at {tick}"),
            after_s=after_s,
            clock=self.clock,
        )

    def over(self, seconds: float = 0.0) -> bool:
        self.clock.now += seconds
        return self.desertion.is_over(7)


def test_a_run_that_was_never_debugged_waits_for_its_first_debugger() -> None:
    left = Left()
    assert not left.over() and not left.over(9.9)
    assert left.said == []
    assert not left.over(0.1) and not left.over(3_600)
    assert left.said == ["waits at 7"]


def test_a_program_that_starts_paused_says_what_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    with SteppedTown() as town, caplog.at_level(logging.WARNING, "degentcivil_nb.simulation"):
        town.probe._say_that_it_waits(0)
        assert caplog.messages == [
            f"the run is paused at tick 0 until a notebook resumes it: session = dc.connect({town.probe.url!r})"
        ]


def test_it_goes_on_a_minute_after_the_last_debugger_is_gone() -> None:
    left = Left()
    left.there = 1
    assert not left.over()
    left.there = 0
    assert not left.over(5)
    assert left.said == [
        "the last debugger is gone while the run is paused at tick 7: "
        "it goes on by itself in 60 s, unless one comes back"
    ]
    assert not left.over(59)
    assert left.over(1)
    assert left.said[1:] == ["no debugger came back in 60 s: the run goes on from tick 7"]


def test_the_time_begins_anew_when_one_comes_back() -> None:
    left = Left()
    left.there = 1
    left.over()
    left.there = 0
    assert not left.over() and not left.over(59)
    left.there = 1
    assert not left.over(1)
    left.there = 0
    assert not left.over(1) and not left.over(59)
    assert left.over(1)


def test_without_a_time_it_waits_for_ever() -> None:
    left = Left(None)
    left.there = 1
    left.over()
    left.there = 0
    assert not left.over(1e9)


def test_a_run_that_is_left_alone_goes_on_and_whoever_looks_on_is_told(caplog: pytest.LogCaptureFixture) -> None:
    tokens = {"d": "debugger", "v": "viewer"}
    with SteppedTown(tokens=tokens, abandoned_s=0.5) as town, dc.connect(town.probe.url, token="v") as viewer:
        with dc.connect(town.probe.url, token="d") as debugger:
            debugger.step(3)
            until(lambda: town.probe.server.debuggers() == 1)
        with caplog.at_level(logging.WARNING, "degentcivil_nb.simulation"):
            until(lambda: (viewer._store.tick or 0) > 3)
        texts = [payload["text"] for payload in viewer.events("log", payload=True)["payload"]]
        assert texts == [
            "the last debugger is gone while the run is paused at tick 3: "
            "it goes on by itself in 0.5 s, unless one comes back",
            "no debugger came back in 0.5 s: the run goes on from tick 3",
        ]
        assert [text in caplog.text for text in texts] == [True, True]
        state, _ = viewer._store.run_word
        assert state is not None and (state.state, state.reason) == ("running", "abandoned")
