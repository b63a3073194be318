"""Unknown names are warned of at the user's line, with a similar known name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

import degentcivil_nb as dc
from tests.support.waiting import until


@pytest.fixture(scope="module")
def town() -> Iterator[dc.SimulationProbe]:
    with dc.SimulationProbe(port=0) as probe:
        probe.state_change("emma", "MOVE")
        probe.character_update("emma", money=3)
        probe.measure("gini", 0.5)
        probe.event("trade", {"price": 3})
        yield probe


@pytest.fixture(scope="module")
def session(town: dc.SimulationProbe) -> Iterator[dc.Session]:
    with dc.connect(town) as session:
        yield session


@pytest.mark.parametrize("types", ["state_chnage", ["error", "state_chnage"], pd.Index(["state_chnage"])])
def test_a_mistyped_type_to_receive_is_said(town: dc.SimulationProbe, types: Any) -> None:
    with pytest.warns(UserWarning, match="no type 'state_chnage'; did you mean 'state_change'?") as told:
        dc.connect(town, types=types).close()
    assert [one.filename for one in told] == [__file__]


@pytest.mark.parametrize("types", ["state_change", ["error", "thought"], "weather", ["trade"]])
def test_types_of_the_protocol_or_of_the_simulation_are_no_mistake(town: dc.SimulationProbe, types: Any) -> None:
    dc.connect(town, types=types).close()  # a warning would be an error


@pytest.mark.parametrize(
    "ask",
    [
        lambda session: session.errors(character_id="emam"),
        lambda session: session.errors(character_id=["emma", "emam"], last=3),
        lambda session: session.llm_calls(character_id="emam"),
        lambda session: session.chat(character_id="emam"),
        lambda session: session.tool_calls(character_id="emam"),
        lambda session: session.thoughts(character_id="emam"),
        lambda session: session.attribute("money", "emam"),
        lambda session: session.timeline("emam"),
    ],
)
def test_a_mistyped_character_is_said(session: dc.Session, ask: Callable[[dc.Session], Any]) -> None:
    with pytest.warns(UserWarning, match="no character 'emam' was seen so far; did you mean 'emma'?"):
        ask(session)


def test_a_mistyped_attribute_or_measure_is_said(session: dc.Session) -> None:
    with pytest.warns(UserWarning, match="no attribute 'mony' was seen so far; did you mean 'money'?"):
        session.attribute("mony")
    with pytest.warns(UserWarning, match="no measure 'gin' was seen so far; did you mean 'gini'?"):
        session.measures("gin")


def test_names_that_are_there_are_not_warned_of(session: dc.Session) -> None:
    assert len(session.attribute("money", "emma")) == 1
    assert len(session.measures(["gini"])) == 1
    assert not len(session.errors(character_id=(name for name in ["emma"])))


@pytest.mark.parametrize("query", [3, None, ["select 1"]])
def test_a_query_that_is_no_text_is_refused(session: dc.Session, query: Any) -> None:
    with pytest.raises(ValueError, match="a query is the text of one SELECT"):
        session.sql(query)


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -float("inf")])
def test_a_speed_that_is_not_finite_is_named(session: dc.Session, factor: float) -> None:
    with pytest.raises(dc.CommandError, match=f"the factor must be finite, not {factor}"):
        session.set_speed(factor)


@pytest.mark.parametrize("factor", [1e-300, 5e-324])
def test_a_run_at_almost_no_speed_stands_still_and_can_be_set_going(
    factor: float, caplog: pytest.LogCaptureFixture
) -> None:
    with dc.start_local_server(characters=2, tick_s=0.01) as town, dc.connect(town) as session:
        assert session.set_speed(factor, timeout=10) == "running"
        session.set_speed(1, timeout="10s")
        before = session.metrics()["tick"]
        until(lambda: session.metrics()["tick"] >= before + 3)
    assert "the probe failed" not in caplog.text
