"""The counts of breakpoints as clients are told them: before a stop, and not at each tick of a run that goes on."""

from __future__ import annotations

from typing import Any, cast

from degentcivil_nb.protocol.breakpoints import BreakpointSpec
from degentcivil_nb.simulation.breakpoints import Breakpoints
from degentcivil_nb.simulation.control import Control
from degentcivil_nb.simulation.methods.publishing import Publish


def test_the_counts_of_a_run_that_goes_on_are_not_told_at_each_of_its_ticks() -> None:
    told: list[Any] = []
    waiting: list[Any] = []
    on = [True]

    def forward(type: str, data: Any, *_: Any, **__: Any) -> None:
        told.extend([data] if type == "breakpoints" else [])

    points = Breakpoints(
        Control(lambda *_: None, later=lambda *_: lambda: None),
        forward=lambda: cast(Publish, forward),
        stop=lambda hit: None,
        totals=lambda: (0.0, 0),
        characters=list,
        present=set,
        later=lambda _, function: waiting.append(function),
        changed=lambda: None,
        goes_on=lambda: on[0],
    )
    tells, long = BreakpointSpec("tells", "money > 0", log="x"), BreakpointSpec("long", "total_calls >= 0", log="x")
    points.set_breakpoints([tells, long])
    for tick in range(100):
        points.publish("character_update", {"character_id": "emma", "money": 1}, tick)
        points.checkpoint(tick)
    assert len(told) == 1
    waiting[-1]()
    assert [row.count for row in told[-1].breakpoints] == [100, 1]
    points.publish("character_update", {"character_id": "emma", "money": 1}, 100)
    on[0] = False  # the next checkpoint may stop the run
    points.checkpoint(100)
    assert [row.count for row in told[-1].breakpoints] == [101, 1]
    assert len(told) == 3
