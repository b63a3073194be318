"""Two notebooks, one set of breakpoints and watches: whose is which, and no name for two things; a real run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import degentcivil_nb as dc
from degentcivil_nb.notebook.desk import Desk
from degentcivil_nb.protocol.errors import CommandError
from degentcivil_nb.session.session import Session
from degentcivil_nb.session.stop import Stop
from tests.support.stepped_town import PATIENCE_S, SteppedTown
from tests.support.waiting import until


@pytest.fixture
def town() -> Iterator[SteppedTown]:
    with SteppedTown(tick_s=0.01) as town:

        @town.probe.command(role="debugger")
        def give(amount: int) -> None:
            town.probe.character_update("emma", money=amount)

        yield town


@pytest.fixture
def ada(town: SteppedTown) -> Iterator[Session]:
    with dc.connect(town.probe, name="ada") as session:
        yield session


@pytest.fixture
def noah(town: SteppedTown) -> Iterator[Session]:
    with dc.connect(town.probe, name="noah") as session:
        yield session


def names(session: Session) -> list[str]:
    return sorted(session.breakpoints()["name"])


def lone(town: SteppedTown) -> None:
    until(lambda: len(town.probe.server.client_ids()) == 1)


def test_a_name_that_another_notebook_has_is_refused_with_whose_it_is(ada: Session, noah: Session) -> None:
    first = ada.break_when("money > 3", name="rich")
    other = noah.break_when("money > 5", name="richer")
    with pytest.raises(ValueError, match="ada has a breakpoint 'rich' already: money > 3; give yours another name"):
        noah.break_when("money > 3", name="rich")
    until(lambda: names(noah) == ["rich", "richer"])
    assert first.verified
    assert other.verified
    first.remove()
    until(lambda: names(noah) == ["richer"])
    assert noah.break_when("money > 4", name="rich").verified


def test_what_run_until_meets_is_told_also_if_another_notebook_resumes_the_run_at_once(
    ada: Session, noah: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed, store_wait = threading.Event(), ada._store.wait

    def wait(predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        if timeout == PATIENCE_S:  # of run_until: it sees nothing before the other one has resumed the run
            assert resumed.wait(PATIENCE_S)
        return store_wait(predicate, timeout)

    monkeypatch.setattr(ada._store, "wait", wait)
    stops: list[Stop] = []
    waits = threading.Thread(target=lambda: stops.append(ada.run_until("money >= 3", timeout=PATIENCE_S)))
    waits.start()
    until(lambda: getattr(noah.stopped(), "breakpoint", None) == "run_until")
    noah.resume()
    tick = noah._store.tick or 0
    until(lambda: ada._store.run_state == "running" and (ada._store.tick or 0) > tick)
    resumed.set()
    waits.join(PATIENCE_S)
    (stop,) = stops
    assert (stop.breakpoint, stop.tick, stop.mine) == ("run_until", 3, True)


def test_a_session_that_is_closed_takes_its_breakpoints_and_watches_along(
    ada: Session, noah: Session, tmp_path: Path
) -> None:
    theirs = noah.break_when("money > 1_000")
    mine, watch = ada.break_when("money > 3"), ada.watch("tick", "clock")
    until(lambda: len(names(noah)) == 2 and len(noah._store.watches) == 1)
    ada.record(tmp_path / "run")
    ada.step(1)
    ada.close()
    until(lambda: names(noah) == [theirs.name] and not noah._store.watches)
    assert "removed" in repr(mine)
    assert "removed" in repr(watch)
    assert mine.name in names(ada)  # what was seen is kept
    with dc.open_recording(tmp_path / "run") as recording:
        assert mine.name in set(recording.breakpoints()["name"])
    assert noah.run_until(tick=8).breakpoint == "run_until"


def test_breakpoints_without_a_name_get_one_that_nobody_has(ada: Session, noah: Session) -> None:
    given = [session.break_when("money > 100").name for session in (ada, noah, ada, noah)]
    assert sorted(given) == ["b1", "b2", "b3", "b4"]
    until(lambda: names(ada) == sorted(given))


def test_both_may_run_until_at_once_and_each_is_told_whose_stop_it_is(ada: Session, noah: Session) -> None:
    stops: list[object] = []
    waits = threading.Thread(target=lambda: stops.append(ada.run_until("money < 0")))  # which never is
    waits.start()
    until(lambda: noah.stopped() is None)
    mine = noah.run_until("money >= 3")
    waits.join(PATIENCE_S)
    assert (mine.owner, mine.mine) == ("noah", True)
    assert "by 'run_until' (money >= 3)" in str(mine)
    theirs = ada.stopped()
    assert theirs is not None
    assert (theirs.owner, theirs.mine) == ("noah", False)
    assert "by 'run_until' of noah (money >= 3)" in str(theirs)
    assert stops == [theirs]


def test_the_names_of_a_notebook_that_is_gone_are_free(
    town: SteppedTown, ada: Session, caplog: pytest.LogCaptureFixture
) -> None:
    with dc.connect(town.probe, name="old kernel") as old:
        old.break_when("money > 3", name="rich")
        old.break_when("money > 5", name="richer")
        old.watch("tick", "clock")
        old._portal.call(old._client.close, timeout=PATIENCE_S)  # as a kernel that is killed, which takes nothing back
    lone(town)
    assert ada.break_when("money > 4", name="rich").verified
    assert ada.watch("tick * 2", "clock").problem is None
    until(lambda: names(ada) == ["rich", "richer"])
    with caplog.at_level(logging.WARNING), dc.connect(town.probe, name="old kernel") as back:
        back._breakpoints._specs = old._breakpoints._specs
        back._breakpoints.declare_again()
        until(lambda: "the breakpoint 'rich' does not work any more: ada has a breakpoint 'rich'" in caplog.text)


def test_a_breakpoint_of_another_notebook_is_removed_there(ada: Session, noah: Session) -> None:
    desk = Desk({"session": noah})
    ada.break_when("money > 3", name="rich")
    ada.watch("tick", "clock")
    until(lambda: len(noah._store.watches) == 1 and names(noah) == ["rich"])
    for name in ("rich", "clock"):
        with pytest.raises(ValueError, match=f"'{name}' is of ada and can be removed only in that notebook"):
            desk.run(f"clear {name}")
    with pytest.raises(ValueError, match="this session has no breakpoint or watch 'poor'"):
        desk.run("clear poor")
    assert names(ada) == ["rich"]


def test_what_one_changes_at_a_stop_the_watch_of_the_other_shows_at_once(ada: Session, noah: Session) -> None:
    ada.step(2)
    until(lambda: noah.metrics()["tick"] == 2)
    money = noah.watch("money", "wealth", character_id="emma")
    clock = noah.watch("tick", "clock")
    ada.command("give", amount=50)
    until(lambda: money.value == 50)
    ada.command("give", amount=50)
    ada.step(1)
    until(lambda: clock.value == 3)
    assert noah.watches("wealth")[["tick", "value"]].values.tolist() == [[2, 2], [2, 50], [3, 3]]
    assert noah.watches("clock")["value"].to_list() == [2, 3]


def test_a_step_during_the_step_of_another_says_whose_it_is(ada: Session, noah: Session) -> None:
    done: list[str] = []
    waits = threading.Thread(target=lambda: done.append(ada.step(1_000_000_000, timeout=PATIENCE_S)))
    waits.start()
    until(lambda: noah.metrics()["tick"] > 0)
    with pytest.raises(CommandError, match="ada's step is under way"):
        noah.step(1)
    noah.break_when("tick > 0", name="now", once=True)
    waits.join(PATIENCE_S)
    assert done == ["paused"]


def test_a_stop_reads_as_a_sentence() -> None:
    at_event = Stop("breakpoint", 3, "poor", "money < 0", "emma", 7, [{}, {}], seq=8, owner="noah", mine=False)
    assert str(at_event) == "stopped at tick 3 by 'poor' of noah (money < 0), met by row 7 of emma; 2 more met"
    at_checkpoint = Stop("breakpoint", 3, "still", "stuck(12)", "emma", owner="ada", at_checkpoint=True)
    assert str(at_checkpoint) == "stopped at tick 3 by 'still' (stuck(12)), met at the checkpoint by emma"
    let_go = Stop("breakpoint", 3, "poor", "money < 0", "emma", seq=8)
    assert str(let_go) == "stopped at tick 3 by 'poor' (money < 0), met by an event of emma that is not held in memory"
    waits = Stop("breakpoint", 3, "poor", "money < 0")  # its event waits for the server, which gives it its position
    assert str(waits) == "stopped at tick 3 by 'poor' (money < 0), met by an event whose row is not known yet"
