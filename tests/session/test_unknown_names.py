"""Unknown names are warned of at the user's line, with a similar known name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb.analysis import unknown_names
from tests.support.stepped_town import SteppedTown
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
    with pytest.raises(ValueError, match=f"^factor must be a number above 0, not {factor}"):
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


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("type == 'state_chnage'", "no event of type 'state_chnage' was seen so far; did you mean 'state_change'?"),
        ("money > 1 and 'state_chnage' != type", "no event of type 'state_chnage' was seen so far"),
        ("new_state in ['MOVE', 'MOEV']", "no state 'MOEV' was seen so far; did you mean 'MOVE'?"),
        ("character_id == 'emam'", "no character 'emam' was seen so far; did you mean 'emma'?"),
        ("event_type == 'trad' and data['price'] == 3", "no event_type 'trad' was seen so far; did you mean 'trade'?"),
        ("state == 5", "state is a text, so it is never 5; write it in quotes"),
        ("money == null", "a comparison with null is never true: `not money` finds what is missing"),
        ("state in ['MOVE', null]", "a comparison with null is never true: `not state` finds what is missing"),
    ],
)
def test_a_condition_about_a_value_that_never_was_is_said(session: dc.Session, where: str, says: str) -> None:
    asks: list[Callable[[], Any]] = [lambda: session.events(where=where), lambda: session.matches(where)]
    for ask in asks:
        with pytest.warns(UserWarning) as told:
            ask()
        assert says in [str(one.message)[: len(says)] for one in told]
        assert {one.filename for one in told} == {__file__}


@pytest.mark.parametrize("name", ["malformed", "exception", "total_calls", "total_cost"])
def test_a_name_of_breakpoints_in_another_condition_is_said(session: dc.Session, name: str) -> None:
    with pytest.warns(UserWarning, match=f"{name} is known to breakpoints and matches.. only") as told:
        assert not len(session.events(where=f"{name} == 1"))
    assert [one.filename for one in told] == [__file__]
    session.matches(f"{name} == 1")  # a warning would be an error


def test_such_a_name_that_payloads_have_is_one_of_theirs() -> None:
    with dc.SimulationProbe(port=0) as probe:
        probe.event("storm", malformed=1)
        probe.flush()
        with dc.connect(probe) as session:
            assert len(session.events(where="data['malformed'] == 1 or malformed == 1")) == 1


def test_a_condition_about_what_may_come_warns_of_a_likely_typo_only(session: dc.Session) -> None:
    with pytest.raises(TimeoutError):
        session.wait_for(where="new_state == 'BARGAIN' and type != 'weather'", timeout=0.01)  # a warning is an error
    with pytest.warns(UserWarning, match="did you mean 'state_change'"), pytest.raises(TimeoutError):
        session.wait_for(where="type == 'state_chnage'", timeout=0.01)


def test_columns_of_numbers_are_not_compared_with_texts(session: dc.Session) -> None:
    for where in ("tick == '1'", "seq == '1'", "row in ['0']", "'x' < received"):
        with pytest.raises(ValueError, match="so it cannot be compared with a text; leave the quotes out"):
            session.events(where=where)
    assert len(session.events(where="time >= '2020-01-01' and time < '2262-01-01 00:00+09:00'")) == len(session)


def test_a_name_that_only_earlier_events_may_have_is_not_called_unseen(
    session: dc.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_names, "SCANNED", 1)
    asks: list[Callable[[str], Any]] = [lambda where: session.events(where=where), session.matches]
    for ask in asks:
        with pytest.warns(UserWarning, match="no column or key of a payload 'monney' was seen in the newest 1 event"):
            ask("monney > 3")


def test_a_mistyped_column_in_matches_is_said(session: dc.Session) -> None:
    with pytest.warns(
        UserWarning, match="no column or key of a payload 'monney' was seen so far; did you mean 'money'"
    ):
        session.matches("monney > 3")


def test_a_character_that_is_not_in_the_town_is_said_by_the_one_who_asks_for_it(town: dc.SimulationProbe) -> None:
    with pytest.warns(UserWarning, match="no character 'emam' was seen so far") as told:
        dc.connect(town, characters=["emma", "emam"]).close()
    assert [one.filename for one in told] == [__file__]
    dc.connect(town, characters="emma").close()


def test_a_mistyped_table_in_sql_names_ours(session: dc.Session) -> None:
    with pytest.raises(
        ValueError, match=r"^there is no table 'evnts'; did you mean 'events'\? the tables are events, "
    ):
        session.sql("select * from evnts")
    with pytest.raises(ValueError, match=r"^there is no table 'weather'; the tables are events, characters"):
        session.sql("select * from weather")


@pytest.mark.parametrize("ask", ["break_when", "matches"])
@pytest.mark.parametrize("condition", ["entered('Cafe')", "state == 'Cafe'"])
def test_a_place_that_is_taken_for_a_state_is_said(ask: str, condition: str) -> None:
    with dc.SimulationProbe(port=0) as probe, dc.connect(probe) as session:
        probe.state_change("emma", "MOVE", location="Cafe")
        until(lambda: len(session) > 0)
        said = "no state 'Cafe' was seen so far, it is a location: location == 'Cafe'"
        with pytest.warns(UserWarning, match=said):
            getattr(session, ask)(condition)


def test_run_until_says_in_the_end_why_it_may_never_be_met() -> None:
    with SteppedTown(tick_s=0.01) as town, dc.connect(town.probe) as session:
        why = "wealth < 0 was not met within 1 s: no message has had 'wealth' since it was set; the run goes on"
        with pytest.raises(TimeoutError, match=why):
            session.run_until("wealth < 0", timeout=1)


def test_an_attribute_that_is_set_under_a_name_like_another_is_said() -> None:
    with SteppedTown() as town, dc.connect(town.probe) as session:
        town.probe.attributes(lambda character_id, name, value: None)  # it takes any name
        session.step(2)
        with pytest.warns(UserWarning, match="no attribute 'monye' was seen before; did you mean 'money'?") as told:
            session.set_attribute("emma", "monye", 3)
        assert [one.filename for one in told] == [__file__]
        session.set_attribute("emma", "monye", 4)  # it is known now
        session.set_attribute("emma", "height", 4)
