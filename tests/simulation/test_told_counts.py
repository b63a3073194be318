"""The counts of breakpoints as clients are told them: before a stop, and not at each tick of a run that goes on."""

from __future__ import annotations

import threading
from typing import Any, cast

from degentcivil_nb.protocol.breakpoints import BreakpointSpec
from degentcivil_nb.server.stream.receipts import Publish
from degentcivil_nb.simulation.breakpoints import Breakpoints
from degentcivil_nb.simulation.control import Control


def points_of(forward: Any, later: Any = lambda *_: None, goes_on: Any = lambda: False) -> Breakpoints:
    """Make the breakpoints of a run that publishes nothing by itself."""
    return Breakpoints(
        Control(lambda *_: None, later=lambda *_: lambda: None),
        forward=lambda: cast(Publish, forward),
        stop=lambda hit: None,
        totals=lambda: (0.0, 0),
        characters=list,
        present=set,
        later=later,
        changed=lambda: None,
        goes_on=goes_on,
    )


def test_the_counts_of_a_run_that_goes_on_are_not_told_at_each_of_its_ticks() -> None:
    told: list[Any] = []
    waiting: list[Any] = []
    on = [True]

    def forward(type: str, data: Any, *_: Any, **__: Any) -> None:
        told.extend([data] if type == "breakpoints" else [])

    points = points_of(forward, lambda _, function: waiting.append(function), lambda: on[0])
    tells, long = BreakpointSpec("tells", "money > 0", log="x"), BreakpointSpec("long", "total_calls >= 0", log="x")
    points.set_breakpoints([tells, long])
    publish = points.publishing()
    for tick in range(100):
        publish("character_update", {"character_id": "emma", "money": 1}, tick)
        points.checkpoint(tick)
    assert len(told) == 1
    waiting[-1]()
    assert [row.count for row in told[-1].breakpoints] == [100, 1]
    publish("character_update", {"character_id": "emma", "money": 1}, 100)
    on[0] = False  # the next checkpoint may stop the run
    points.checkpoint(100)
    assert [row.count for row in told[-1].breakpoints] == [101, 1]
    assert len(told) == 3


def test_an_older_list_is_never_sent_after_a_newer_one() -> None:
    told: list[list[str]] = []
    sets: list[threading.Thread] = []

    def forward(type: str, data: Any, *_: Any, **__: Any) -> None:
        if not sets:  # while the first list is on its way, another thread declares the next
            sets.append(threading.Thread(target=points.set_breakpoints, args=([BreakpointSpec("new", "tick > 1")],)))
            sets[0].start()
            sets[0].join(0.2)
        told.append([row.name for row in data.breakpoints])

    points = points_of(forward)
    points.tell()
    sets[0].join()
    assert told == [[], ["new"]]
