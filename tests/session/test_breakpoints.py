"""Breakpoints: kept in the simulation, met in the very tick, seen by every notebook; a real run and real clients."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.protocol.breakpoints import BreakpointSpec
from degentcivil_nb.protocol.errors import CommandError, OutcomeUnknown
from degentcivil_nb.session.session import Session
from degentcivil_nb.session.stop import Stop
from tests.support.stepped_town import SteppedTown
from tests.support.waiting import until

PATIENCE_S = 20.0


@pytest.fixture
def town() -> Iterator[SteppedTown]:
    with SteppedTown() as town:
        yield town


@pytest.fixture
def session(town: SteppedTown) -> Iterator[Session]:
    with dc.connect(town.probe.url, name="first") as session:
        yield session


def stop_of(session: Session) -> Stop:
    stop = session.stopped()
    assert stop is not None
    return stop


def sees(session: Session, count: int) -> bool:
    return len(session._store.breakpoints) == count


def wait_stopped(session: Session) -> Any:
    assert session._store.wait(lambda: session._store.run_state == "paused", PATIENCE_S)
    return session.stopped()


@pytest.mark.parametrize(
    ("condition", "tick"),
    [
        ("money >= 7", 7),
        ("entered('BARGAIN')", 2),
        ("left('BARGAIN')", 3),
        ("character_id == 1 and data['price'] == 9", 9),
        ("type == 'llm_call' and money > 6", 10),
        ("changed(mood) and mood == 'cross'", 10),
        ("became(money >= 7)", 7),
        ("became(mood == 'cross' and money > 10)", 20),
        ("location == 'p1' and state == 'SLEEPING' and tick > 4", 7),
    ],
)
def test_a_run_stops_in_the_very_tick_that_met_the_condition(session: Session, condition: str, tick: int) -> None:
    point = session.break_when(condition)
    assert (point.verified, point.problem, point.hits) == (True, None, 0)
    session.resume()
    stop = wait_stopped(session)
    assert (stop.reason, stop.tick, stop.breakpoint) == ("breakpoint", tick, "b1")
    assert session.events().loc[stop.matched, "tick"] == tick
    assert session.events()["tick"].max() == tick
    assert point.hits >= 1
    assert "b1" in str(stop)
    assert session.stops()["stopped"].tolist() == [tick]
    assert session.breakpoints()["last_row"].tolist() == [stop.matched]


@pytest.mark.parametrize(
    ("condition", "tick"),
    [("total_calls >= 3", 15), ("total_cost > 0.9", 10), ("loops(2, character_id='emma')", 8), ("stuck(3)", 4)],
)
def test_what_takes_time_is_judged_at_checkpoints_and_stops_once(session: Session, condition: str, tick: int) -> None:
    session.break_when(condition)
    session.resume()
    stop = wait_stopped(session)
    assert (stop.tick, stop.matched) == (tick, None)
    if "character_id" in condition or "total" in condition:
        assert session.step(3) == "paused"  # it holds still, and that is no news
        assert stop_of(session).reason == "step"


def test_hits_once_enabled_and_remove(session: Session) -> None:
    third = session.break_when("entered('MOVE')", hits=3, once=True, name="third")
    session.resume()
    assert wait_stopped(session).tick == 9
    assert (third.hits, third.enabled) == (3, False)
    third.enabled = True
    session.resume()
    assert wait_stopped(session).tick == 13
    third.remove()
    third.remove()
    assert session.breakpoints().empty
    assert session.step(8) == "paused"


def test_a_step_that_a_breakpoint_cuts_short_says_so(session: Session) -> None:
    session.break_when("money == 4")
    state = session.step(10)
    assert state == "paused"
    assert repr(state) == "'paused' (at a breakpoint after 4 of 10 ticks)"
    assert stop_of(session).tick == 4


def test_a_name_that_no_message_has_had_is_said_until_one_has_it(town: SteppedTown, session: Session) -> None:
    early = session.break_when("wealth > 100 and contains(motto, 'x')", name="early")
    assert early.problem is None  # nothing was published, so nothing is known
    session.step(1)
    until(lambda: early.problem == "no message has had 'motto' or 'wealth' since it was set")
    late = session.break_when("wealth < 0", name="late")
    assert repr(late) == "<Breakpoint 'late': wealth < 0 (0 hits; no message has had 'wealth' since it was set)>"
    assert session.breakpoints().set_index("name").loc["late", "problem"] == late.problem
    assert late.verified
    town.probe.character_update("noah", wealth=1)
    until(lambda: late.problem is None)
    assert repr(late) == "<Breakpoint 'late': wealth < 0 (0 hits)>"
    until(lambda: early.problem == "no message has had 'motto' since it was set")
    town.probe.event("speech", {"to": "all"}, motto="x")
    until(lambda: early.problem is None)


def test_a_breakpoint_that_was_just_switched_says_so(session: Session) -> None:
    point = session.break_when("money > 1_000_000", name="rich")
    for on in (False, True) * 5:
        point.enabled = on
        assert point.enabled is on
        assert session.breakpoints()["enabled"].tolist() == [on]


def test_run_until_a_condition_and_until_a_tick(session: Session) -> None:
    assert session.run_until("money == 6").tick == 6
    assert session.run_until(tick=20).tick == 20
    assert session.breakpoints().empty
    with pytest.raises(TimeoutError, match="not met within"):
        session.run_until("money < 0", timeout=0.2)
    with pytest.raises(ValueError, match="either a condition or a tick"):
        session.run_until()


@pytest.mark.parametrize("told", [False, True])
def test_run_until_what_is_met_at_once_stops_a_run_that_goes_on(told: bool) -> None:
    """The breakpoint may have stopped the run before the notebook asks it to go on; that stop is what was asked for."""
    with dc.start_local_server(seed=1, tick_s=0.001) as town, dc.connect(town) as session:
        if told:  # a new session knows the run's state from the greeting only
            session.pause()
            session.resume()
        for _ in range(5):
            assert session.run_until("type == 'state_change'", timeout=PATIENCE_S).breakpoint == "run_until"
            session.resume()


def test_a_log_point_tells_and_does_not_stop(session: Session) -> None:
    session.break_when("entered('MOVE')", log="{character_id} has {money} in {{{location}}}", name="log")
    session.run_until(tick=10)
    logs = session.events("log", payload=True)
    assert [payload["text"] for payload in logs["payload"]] == [
        "emma has 1 in {p1}",
        "emma has 5 in {p1}",
        "emma has 9 in {p1}",
    ]
    assert logs["tick"].tolist() == [1, 5, 9]
    assert session.breakpoints().set_index("name").loc["log", "hits"] == 3


@pytest.mark.parametrize(("condition", "points_at"), [("stuck('x')", 6), ("nothing.at.all", 0), ("seq == 3", 0)])
def test_a_mistake_points_at_the_character(session: Session, condition: str, points_at: int) -> None:
    if "seq" in condition:  # only the simulation knows that it cannot
        point = session.break_when(condition)
        assert not point.verified
        assert "known only when" in str(point.problem)
        return
    with pytest.raises(ValueError, match="\\^") as caught:
        session.break_when(condition)
    assert str(caught.value).splitlines()[-1].index("^") == points_at + 2
    assert session.breakpoints().empty


def test_two_notebooks_see_one_set_and_each_declares_its_own(town: SteppedTown, session: Session) -> None:
    session.break_when("money == 3", name="mine")
    with dc.connect(town.probe.url, name="second") as other:
        other.break_when("money == 5", name="theirs")
        for notebook in (session, other):
            assert notebook._store.wait(partial(sees, notebook, 2), PATIENCE_S)
            assert notebook.breakpoints().set_index("name")["owner"].to_dict() == {"mine": "first", "theirs": "second"}
        session.resume()
        until(lambda: getattr(other.stopped(), "breakpoint", None) == "mine")
        other.resume()
        assert session._store.wait(
            lambda: session._store.run_state == "paused" and session._store.tick == 5, PATIENCE_S
        )
        assert stop_of(session).breakpoint == "theirs"


def test_whoever_comes_during_a_stop_learns_why(town: SteppedTown, session: Session) -> None:
    session.break_when("money == 3", name="mine")
    session.resume()
    wait_stopped(session)
    with dc.connect(town.probe.url, history=0) as late:
        assert late._store.wait(lambda: late.stopped() is not None, PATIENCE_S)
        assert (stop_of(late).breakpoint, stop_of(late).tick) == ("mine", 3)
        assert late.breakpoints()["name"].tolist() == ["mine"]


def test_breakpoints_are_declared_again_after_a_restart_of_the_server(town: SteppedTown, session: Session) -> None:
    session.break_when("money == 5", name="five")
    town.probe.restart_server()
    session.reconnect()
    assert session._store.wait(lambda: len(session._store.breakpoints) == 1, PATIENCE_S)
    session.resume()
    assert wait_stopped(session).tick == 5


def test_a_stop_is_recorded_and_found_by_matches(town: SteppedTown, session: Session, tmp_path: Path) -> None:
    session.record(tmp_path / "run")
    session.break_when("entered('BARGAIN') and money > 3", name="deal")
    session.resume()
    stop = wait_stopped(session)
    found = session.matches("entered('BARGAIN') and money > 3")
    assert found.index.tolist() == [stop.matched]
    session.stop_recording()
    recording = dc.open_recording(tmp_path / "run")
    assert recording.matches("entered('BARGAIN') and money > 3")["tick"].tolist() == [6]
    assert recording.stops()[["stopped", "name", "character_id"]].values.tolist() == [[6, "deal", "emma"]]
    assert recording.breakpoints()["name"].tolist() == ["deal"]
    assert session.matches("stuck(4, character_id='0')").empty is False


def test_a_column_of_another_type_is_no_key_of_a_payload_in_matches_as_in_events(
    town: SteppedTown, session: Session
) -> None:
    own = {"code": 5, "event_type": "storm", "message": "m", "data": "d", "location": "here", "new_state": "S"}
    town.probe.publish("weather", {**own, "price": 3})
    assert session._store.wait(lambda: "weather" in session._store.words["type"], PATIENCE_S)
    asked = {f"{name} == {value!r}": 0 for name, value in own.items()}
    asked |= {f"payload[{name!r}] == {value!r}": 1 for name, value in own.items()} | {"price == 3": 1}
    for condition, count in asked.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # no state, event or place of these names was seen
            found, matched = session.events(type="weather", where=condition), session.matches(condition)
        assert len(found) == count, condition
        assert found.index.tolist() == matched.index[matched["type"] == "weather"].tolist()


def test_counts_of_the_last_moments_are_told_before_a_probe_is_closed() -> None:
    with dc.SimulationProbe(port=0) as town, dc.connect(town) as session:
        point = session.break_when("state == 'B'", log="x")
        for tick in range(100):
            town.state_change("emma", "AB"[tick % 2])
            town.checkpoint(tick)
        town.close()
        until(lambda: point.hits == 50)


def test_what_a_command_does_meets_no_breakpoint(session: Session) -> None:
    session.break_when("event_type == 'strange'", name="strange")
    session.inject_event("strange")
    assert session.step(1) == "paused"
    assert stop_of(session).reason == "step"


def test_more_breakpoints_than_there_may_be_are_refused(session: Session) -> None:
    with pytest.raises(CommandError, match="at most 200"):
        for one in range(3):
            with dc.connect(session.url) as other:
                other._breakpoints._specs = {}
                other._commands.call(
                    "set_breakpoints",
                    {"breakpoints": [{"name": f"{one}-{n}", "condition": "money > 3"} for n in range(90)]},
                )
    assert stop_of(session).tick == 0


def test_a_name_that_is_nearly_a_known_one_is_warned_of_and_a_new_one_is_not(session: Session) -> None:
    session.run_until(tick=3)
    with pytest.warns(UserWarning, match="'mony' was seen so far; did you mean 'money'"):
        point = session.break_when("mony > 3")
    assert point.verified
    with pytest.warns(UserWarning, match="did you mean 'money'"):
        session.matches("mony > 3")
    session.break_when("karma > 3 or total_cost > 5 or stuck(100)")


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        ("character_id == 'ema'", "emma"),
        ("money > 3 and character_id == 'ema'", "emma"),
        ("stuck(3, character_id='ema')", "emma"),
        ("entered('BARGIAN')", "BARGAIN"),
        ("left('BARGIAN')", "BARGAIN"),
        ("type == 'state_chnage'", "state_change"),
    ],
)
def test_a_value_that_is_nearly_a_known_one_is_warned_of(session: Session, condition: str, meant: str) -> None:
    """Other characters of this run have whole numbers as ids."""
    session.run_until(tick=5)
    with pytest.warns(UserWarning, match=f"was seen so far; did you mean '{meant}'"):
        assert session.break_when(condition).verified


@pytest.mark.parametrize("condition", ["character_id == emma and money > 3", "state == BARGAIN", "entered(BARGAIN)"])
def test_a_text_without_quotes_is_warned_of(session: Session, condition: str) -> None:
    session.run_until(tick=5)
    with pytest.warns(UserWarning, match="is looked for as the name of an attribute here; a text stands in quotes: '"):
        session.break_when(condition)


def test_a_name_that_is_taken_and_a_log_text_that_is_wrong_are_said(session: Session) -> None:
    session.break_when("money > 3", name="rich")
    session.break_when("money > 3", name="rich")  # a cell that is run again
    with pytest.warns(UserWarning, match="'rich' was there already: money > 3 is replaced by money > 5"):
        session.break_when("money > 5", name="rich")
    assert session.breakpoints()["condition"].tolist() == ["money > 5"]
    with pytest.raises(ValueError, match="'run_until' is the name that run_until"):
        session.break_when("money > 3", name="run_until")
    for log in ("{money", "{money >}", "{nothing.at.all}"):
        with pytest.raises(ValueError, match=r"brace|\^"):
            session.break_when("money > 3", log=log)
    assert len(session.breakpoints()) == 1


def test_a_tick_that_is_past_is_refused(session: Session) -> None:
    session.run_until(tick=3)
    with pytest.raises(ValueError, match="at tick 3 already"):
        session.run_until(tick=3)


def test_the_run_stops_at_an_error_an_exception_and_a_malformed_answer(town: SteppedTown, session: Session) -> None:
    def boom() -> None:
        raise RuntimeError("no path")

    guarded = town.probe.guard(boom)
    point = {name: session.break_when(name, name=name) for name in ("type == 'error'", "exception", "malformed")}
    for answer in ('{"a": 1}', '{"a": 2}', "[]"):
        town.probe.llm_call("emma", prompt_type="ACT", prompt="?", response=answer)
    assert not any(one.hits for one in point.values())
    town.probe.error(2001, "a door is locked")
    town.probe.llm_call("emma", prompt_type="CHAT", prompt="?", response="good morning")
    town.probe.llm_call("emma", prompt_type="ACT", prompt="?", response="I cannot say")
    with pytest.raises(RuntimeError):
        guarded()
    session.resume()
    stop = wait_stopped(session)
    assert {stop.breakpoint, *(hit["name"] for hit in stop.also)} == set(point)
    assert {name: one.hits for name, one in point.items()} == {"type == 'error'": 2, "exception": 1, "malformed": 1}
    assert session.matches("malformed")["type"].tolist() == ["llm_call"]
    assert len(session.matches("exception")) == 1


def test_who_connects_during_a_stop_knows_of_it_at_once_and_lists_it_once(session: Session, town: SteppedTown) -> None:
    session.break_when("money >= 7", name="rich")
    session.resume()
    first = wait_stopped(session)
    for history in (0, 1_000, 0, 1_000):
        with dc.connect(town.probe.url, name="second", history=history) as other:
            stop = stop_of(other)
            assert (stop.breakpoint, stop.tick, stop.seq) == ("rich", 7, first.seq)
            assert (stop.matched is None) == (history == 0)
            assert ("not held in memory" in str(stop)) == (history == 0)
            until(partial(lambda other: other.stops().time.to_list() == session.stops().time.to_list(), other))


def test_run_until_waits_for_an_answer_no_longer_than_for_the_run_and_says_what_came_of_it(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a simulation that was killed, `timeout=2` took 30 seconds to set the breakpoint, and 30 to take it back."""
    call, asked = session._commands.call, list[Any]()

    def lost(answers: int, name: str, arguments: dict[str, Any], *, timeout: Any = None) -> Any:
        asked.append(timeout)
        if name == "set_breakpoints" and len(asked) > answers:
            raise CommandError(CommandError.TIMEOUT, "there is no connection")
        return call(name, arguments, timeout=timeout)

    monkeypatch.setattr(session._commands, "call", partial(lost, 0))
    with pytest.raises(CommandError, match="no connection"):
        session.run_until("money > 3", timeout=0.5)
    monkeypatch.setattr(session._commands, "call", partial(lost, 2))
    with pytest.raises(TimeoutError, match="money < -1 was not met within"):
        session.run_until("money < -1", timeout=0.5)
    assert asked == [2.0, 2.0, 0.5, 2.0], "set, and once more, resumed, and taken back"


def test_run_until_gives_the_simulation_time_to_answer_however_short_its_own_is(session: Session) -> None:
    session.resume()
    for timeout in (0, 0.0005):
        with pytest.raises(TimeoutError, match=r"money < -1 was not met within"):
            session.run_until("money < -1", timeout=timeout)
    assert session.stopped() is None and session.breakpoints().empty


@pytest.mark.parametrize("lost", [OutcomeUnknown("set_breakpoints", "", "no answer came"), KeyboardInterrupt()])
def test_a_breakpoint_whose_answer_was_lost_does_not_stay_behind(
    town: SteppedTown, session: Session, monkeypatch: pytest.MonkeyPatch, lost: BaseException
) -> None:
    """It stopped the run later, although the call had failed and the notebook knew of no such breakpoint."""
    session.break_when("money < -5", name="kept")
    call = session._commands.call

    def unanswered(name: str, arguments: dict[str, Any], *, timeout: Any = None) -> Any:
        call(name, arguments, timeout=timeout)
        raise lost

    monkeypatch.setattr(session._commands, "call", unanswered)
    for ask in (session.break_when, session.run_until):
        with pytest.raises(type(lost)):
            ask("money > 20")
    until(lambda: [row.name for row in town.probe.breakpoints.rows()] == ["kept"])
    assert session._breakpoints.names() == ["kept"]


def test_a_breakpoint_that_may_not_have_been_taken_back_is_taken_back_later(
    town: SteppedTown, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, asked = session._commands.call, list[str]()

    def withdrawn(name: str, arguments: dict[str, Any], *, timeout: Any = None) -> Any:
        asked.append(name)
        if asked.count("set_breakpoints") > 1:
            raise OutcomeUnknown(name, "", "no answer came")
        return call(name, arguments, timeout=timeout)

    monkeypatch.setattr(session._commands, "call", withdrawn)
    with pytest.raises(TimeoutError, match="not met within"):
        session.run_until("money < -1", timeout=0.5)
    until(lambda: not town.probe.breakpoints.rows())


@pytest.mark.parametrize("how", ["switched off", "taken back"])
def test_a_breakpoint_that_is_on_again_takes_nothing_for_present_that_it_knew_before(how: str) -> None:
    """A character that had left meanwhile was stuck, and one that had moved was stuck since it was last seen."""
    with dc.SimulationProbe(port=0) as town:

        def declare(on: bool) -> None:
            conditions = ("stuck(3)", "became(money < 0)", "changed(mood)")
            specs = [BreakpointSpec(text, text, hits=10**6, enabled=on) for text in conditions]
            town.breakpoints.set_breakpoints(specs if on or how == "switched off" else [])

        def counts() -> list[int]:
            return [row.count for row in town.breakpoints.rows()]

        declare(True)
        for whose in ("emma", "zoe"):
            town.state_change(whose, "IDLE")
            town.character_update(whose, money=3, mood="calm")
        town.checkpoint(0)
        declare(False)
        for tick in range(1, 10):
            town.state_change("emma", ("IDLE", "MOVE")[tick % 2])
            town.checkpoint(tick)
        town.left("zoe")
        town.character_update("emma", money=-1, mood="sad")
        town.checkpoint(10)
        declare(True)
        for tick in (11, 12, 13):
            town.event("noon", {}, character_id="emma")
            town.checkpoint(tick)
            assert counts() == [0, 0, 0], tick
        town.checkpoint(14)
        assert counts() == [1, 0, 0], "emma has been where she is since the breakpoint is on again"
