"""Wrong use is answered where it happens: by an exception where something is offered, otherwise by one warning and one
row in `errors()`; in the middle of a run nothing is raised.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import logging
import math
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb.core.logs import SAID_ONCE, install_filters
from degentcivil_nb.simulation import SimulationProbe

FILE = "test_wrong_use.py"


@pytest.fixture
def probe() -> Iterator[SimulationProbe]:
    with SimulationProbe(port=0) as probe:
        yield probe


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def never() -> None:
    """Stand for what is offered."""


def of_character(character_id: Any) -> Any:
    return character_id


def of_attribute(character_id: Any, name: str, value: Any) -> None:
    never()


def of_question(character_id: Any, question: str) -> str:
    return question


TELLING: dict[str, Callable[[SimulationProbe], Any]] = {
    "state_change": lambda probe: probe.state_change("emma", "MOVE"),
    "character_update": lambda probe: probe.character_update("emma", money=1),
    "update": lambda probe: probe.update("emma", {"money": 1}),
    "left": lambda probe: probe.left("emma"),
    "track": lambda probe: probe.track("emma", {"money": 1}, "money"),
    "event": lambda probe: probe.event("trade"),
    "error": lambda probe: probe.error(1004, "x"),
    "llm_call": lambda probe: probe.llm_call("emma"),
    "tool_call": lambda probe: probe.tool_call("emma", "search"),
    "said": lambda probe: probe.said("emma", ["noah"], "hello"),
    "thought": lambda probe: probe.thought("emma", "plan", "bread"),
    "measure": lambda probe: probe.measure("gini", 0.5),
    "publish": lambda probe: probe.publish("weather", {}),
    "checkpoint": lambda probe: probe.checkpoint(1),
    "acheckpoint": lambda probe: asyncio.run(probe.acheckpoint(1)),
}
OFFERING: dict[str, Callable[[SimulationProbe], Any]] = {
    "command": lambda probe: probe.command(never),
    "inspector": lambda probe: probe.inspector(of_character),
    "attributes": lambda probe: probe.attributes(of_attribute),
    "asker": lambda probe: probe.asker(of_question),
    "worker": lambda probe: probe.worker(),
    "flush": lambda probe: probe.flush(),
    "restart_server": lambda probe: probe.restart_server(),
}
HARMLESS = {
    *("url", "server", "portal", "run_state", "stats", "characters", "close", "finish", "barrier", "when_running"),
    *("acting", "carry", "llm", "llm_function", "guard", "log_handler", "loop_exceptions"),
}
"""What is of use without a server, or tells by one of the above."""


def test_each_public_method_has_its_answer_once_the_probe_is_closed() -> None:
    words = {name for name in dir(SimulationProbe) if not name.startswith("_")}
    assert words == {*TELLING, *OFFERING, *HARMLESS}


@pytest.mark.parametrize("word", TELLING)
def test_telling_a_closed_probe_is_said_once_and_counted(word: str, caplog: pytest.LogCaptureFixture) -> None:
    probe = SimulationProbe(port=0)
    probe.close()
    for _ in range(3):
        TELLING[word](probe)
    (said,) = warnings_of(caplog)
    assert "was closed. What is published from now on is lost" in said and FILE in said
    assert probe.stats()["discarded"] == (0 if "checkpoint" in word else 3)


@pytest.mark.parametrize("word", OFFERING)
def test_a_closed_probe_takes_no_offers(word: str) -> None:
    probe = SimulationProbe(port=0)
    probe.close()
    with pytest.raises(RuntimeError, match=r"the probe at ws://.* was closed; make another one"):
        OFFERING[word](probe)


def test_coroutines_at_a_barrier_go_on_when_the_run_is_over() -> None:
    async def run() -> None:
        probe = SimulationProbe(port=0)
        probe.barrier(3)
        waiting = [asyncio.create_task(probe.acheckpoint(0)) for _ in range(2)]
        await asyncio.sleep(0)  # both have come to the barrier
        await asyncio.to_thread(probe.close)
        await probe.acheckpoint(0)
        await asyncio.gather(*waiting)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("ticks", "reached", "times", "said"),
    [
        ((-1, 0, 1), 2, 1.0, "checkpoint() was given the tick -1, but ticks go from 0 to 2**53: from here on"),
        ((10**30, 1), 1, 1.0, "checkpoint() was given the tick 1" + "0" * 30 + ", but ticks"),
        (
            ("noon", "noon", 7),
            7,
            None,
            "the tick 'noon' of the type str, which is not a number: ticks are counted instead",
        ),
        ((True,), 0, None, "the tick 'True' of the type bool"),
        ((math.nan, 5), 5, None, "the tick 'nan' of the type float"),
        (([1],), 0, None, "of the type list"),
        ((10, 3, 4, 2), 2, None, "checkpoint(3) was called after checkpoint(10)"),
        ((np.int64(4), 4, 4.0), 4, None, None),
    ],
    ids=repr,
)
def test_a_tick_that_is_none_is_said_once_in_the_log_and_in_the_stream(
    probe: SimulationProbe,
    caplog: pytest.LogCaptureFixture,
    ticks: tuple[Any, ...],
    reached: int,
    times: float | None,
    said: str | None,
) -> None:
    for tick in ticks:
        probe.checkpoint(tick)
    probe.event("last")
    with dc.connect(probe) as session:
        errors, last = session.errors(), session.events("event_notification").iloc[-1]
    texts = [] if said is None else [said]
    for found in (warnings_of(caplog), errors["message"].to_list()):
        assert len(found) == len(texts)
        assert all(text in line and FILE in line for text, line in zip(texts, found, strict=True))
    assert set(errors["code"]) <= {1001}
    assert (probe.control.reached, last["tick"]) == (reached, reached + 1)
    assert (None if pd.isna(last["sim_time"]) else last["sim_time"]) == times


class Town:
    def rain(self, mm: int) -> int:
        return mm

    def __call__(self) -> None:
        never()


def counting() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda: None, "has no name that a notebook could type: give it one with name=…"),
        (functools.partial(of_character, 3), "has no name"),
        (Town(), "has no name"),
        (Town.rain, "takes self, which a notebook cannot pass: use the method of an object, as in probe.command"),
        (len, "passed by name"),
        (int, "has no signature that can be read"),
        (counting, "cannot be a generator function"),
        ("rain", "must be a function"),
    ],
    ids=["lambda", "partial", "object", "method of a class", "built-in", "class", "generator", "text"],
)
def test_what_cannot_be_a_command_is_refused_where_it_is_offered(
    probe: SimulationProbe, function: Any, sentence: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        probe.command(function)
    probe.command(Town().rain)
    probe.command(name="rainfall")(lambda: None)
    assert {"rain", "rainfall"} <= {spec.name for spec in probe.control.specs()}


@pytest.mark.parametrize(
    ("word", "function", "sentence"),
    [
        ("inspector", lambda: None, "an inspector is called with a character's id, but this one takes"),
        ("attributes", of_character, "is called with a character's id, a name and a value, but this one takes"),
        ("asker", of_character, "an asker is called with a character's id and a question, but"),
        ("inspector", lambda character_id: (yield), "cannot be a generator function"),
        ("asker", None, "must be a function"),
    ],
)
def test_what_cannot_answer_is_refused_where_it_is_offered(
    probe: SimulationProbe, word: str, function: Any, sentence: str
) -> None:
    with pytest.raises(TypeError, match=sentence):
        getattr(probe, word)(function)


def test_a_command_offered_twice_is_said(probe: SimulationProbe, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        probe.command(never)
    assert [
        "command 'never' was offered before: the new function replaces the old one" in t for t in warnings_of(caplog)
    ] == [True]


def test_each_kind_of_wrong_use_is_said_however_many_there_are(
    probe: SimulationProbe, caplog: pytest.LogCaptureFixture
) -> None:
    install_filters()
    for number in range(20):
        probe.event("trade", **{f"keyword_{number}": number})
    assert len(warnings_of(caplog)) == 20
    assert not any(set(SAID_ONCE) & set(json.loads(dc.core.logs.JsonLines().format(r))) for r in caplog.records)


def test_wrong_values_name_the_line_and_cost_one_row(probe: SimulationProbe, caplog: pytest.LogCaptureFixture) -> None:
    probe.state_change(None, "MOVE")
    probe.update("emma", [("money", 3)])  # type: ignore[arg-type]
    probe.track("emma", Town(), ["mony"])
    probe.said("emma", [None, "noah"], "hello")
    said = warnings_of(caplog)
    assert all(FILE in line for line in said) and len(said) == 4
    with dc.connect(probe) as session:
        assert session.errors()["code"].to_list() == [1005, 1005, 1001, 1001]
        assert list(session.chat()["receivers"].iloc[0]) == ["noah"]
    assert "a tests.simulation.test_wrong_use.Town has no 'mony' so far" in said[2]
    assert "said() was given '[None, 'noah']' as receivers" in said[3].replace('"', "'")


def test_the_probes_own_log_handler_is_no_wrong_use(probe: SimulationProbe, caplog: pytest.LogCaptureFixture) -> None:
    probe.log_handler().emit(logging.makeLogRecord({"name": "my_town", "levelname": "WARNING", "msg": "no bread"}))
    assert not warnings_of(caplog)
    assert probe.stats()["unknown_keywords"] == 0


def test_what_is_set_on_a_call_is_told_whatever_its_name(probe: SimulationProbe) -> None:
    with probe.llm("emma") as call:
        call.prompt_type = "PLAN"  # type: ignore[attr-defined]
        call.respnse = "sleep"  # type: ignore[attr-defined]
    with dc.connect(probe) as session:
        (told,) = session.llm_calls().index
        assert session.payload(told) | {"prompt_type": "PLAN", "respnse": "sleep"} == session.payload(told)


def test_a_probe_stays_in_its_process_and_goes_along_with_copies(probe: SimulationProbe) -> None:
    with pytest.raises(TypeError, match=r"give it a handle, probe\.worker\(\)"):
        pickle.dumps(probe)
    assert copy.deepcopy({"probe": probe})["probe"] is probe is copy.copy(probe)


def _in_a_forked_child(told: Any, results: Any) -> None:
    logging.getLogger("degentcivil_nb.simulation").addHandler(_Collected(results))
    told.measure("gini", 0.5)
    told.measure("gini", 0.6)
    os._exit(0)


class _Collected(logging.Handler):
    def __init__(self, results: Any) -> None:
        super().__init__()
        self._results = results

    def emit(self, record: logging.LogRecord) -> None:
        self._results.send(record.getMessage())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("kind", ["probe", "worker"])
def test_a_forked_child_says_that_it_tells_nobody(probe: SimulationProbe, kind: str) -> None:
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    worker = probe.worker().open()
    child = fork.Process(target=_in_a_forked_child, args=(probe if kind == "probe" else worker, theirs))
    child.start()
    child.join()
    theirs.close()
    assert "forked from" in ours.recv()
    with pytest.raises(EOFError):
        ours.recv()
    ours.close()
    worker.close()


def test_a_worker_says_what_it_cannot_tell(probe: SimulationProbe, caplog: pytest.LogCaptureFixture) -> None:
    with probe.worker().open() as worker:
        worker.set_tick(7)
        worker.set_tick("noon")  # type: ignore[arg-type]
        worker.measure("gini", 0.5)
    worker.measure("gini", 0.6)
    worker.measure("gini", 0.7)
    assert worker.lost == 2
    assert ["this worker is closed: what it publishes from now on is lost" in t for t in warnings_of(caplog)] == [
        False,
        True,
    ]
    with dc.connect(probe) as session:
        assert session.measures()["tick"].to_list() == [7]
        assert "set_tick(): tick must be a whole number" in session.errors()["message"].iloc[0]
