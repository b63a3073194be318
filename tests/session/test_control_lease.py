"""Two notebooks do not fight over a run: control taken, asked for, given, lost; a real run and real clients."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import degentcivil_nb as dc
from degentcivil_nb.protocol.errors import CommandError
from degentcivil_nb.session.lease import ControlState
from degentcivil_nb.session.session import Session
from tests.support.stepped_town import SteppedTown
from tests.support.waiting import until

PATIENCE_S = 20.0


@pytest.fixture
def town() -> Iterator[SteppedTown]:
    with SteppedTown() as town:
        yield town


@pytest.fixture
def first(town: SteppedTown) -> Iterator[Session]:
    with dc.connect(town.probe, name="first") as session:
        yield session


@pytest.fixture
def second(town: SteppedTown) -> Iterator[Session]:
    with dc.connect(town.probe, name="second") as session:
        yield session


def heard(session: Session, **expected: object) -> None:
    def so() -> bool:
        state = session._lease.state
        return all(getattr(state, name) == value for name, value in expected.items())

    assert session._store.wait(so, PATIENCE_S), session._lease.state


def asking(session: Session) -> tuple[threading.Thread, list[ControlState | CommandError]]:
    answers: list[ControlState | CommandError] = []

    def ask() -> None:
        try:
            answers.append(session.take_control(timeout=PATIENCE_S))
        except CommandError as error:
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


def test_who_has_control_alone_changes_the_run_and_all_see_it(first: Session, second: Session) -> None:
    assert repr(first.take_control()) == "<Control: you have control>"
    heard(second, holder="first")
    for forbidden in (second.resume, second.step, lambda: second.inject_event("rain"), lambda: second.set_speed(2)):
        with pytest.raises(CommandError, match="'first' has control") as caught:
            forbidden()
        assert (caught.value.code, caught.value.name) == (1107, "NOT_IN_CONTROL")
    assert first.step(1) == "paused"
    assert second.break_when("money == 3").verified  # each its own
    assert "first has control" in repr(second)
    stop = second.stopped()
    assert stop is not None and stop.may_resume == "first" and "first may resume it" in str(stop)
    assert repr(first.release_control()) == "<Control: everybody may change the run>"
    assert second.step(1) == "paused"
    stop = second.stopped()
    assert stop is not None and stop.may_resume == "everybody"


def test_a_request_is_seen_by_the_holder_and_granted(
    first: Session, second: Session, caplog: pytest.LogCaptureFixture
) -> None:
    first.take_control()
    with caplog.at_level(logging.WARNING, "degentcivil_nb.session"):
        thread, answers = asking(second)
        heard(first, asker="second")
        assert "you have control; second asks for it" in repr(first)
        until(lambda: "second asks for control of the run: session.release_control() gives it" in caplog.text)
    assert str(first.release_control()) == "second has control"
    thread.join(PATIENCE_S)
    assert answers == [ControlState("second", None, True)]
    assert second.step(1) == "paused"
    with pytest.raises(CommandError, match="'second' has control"):
        first.resume()


def test_a_request_is_refused_by_who_keeps_control(first: Session, second: Session) -> None:
    first.take_control()
    thread, answers = asking(second)
    heard(first, asker="second")
    first.take_control()
    thread.join(PATIENCE_S)
    (answer,) = answers
    assert isinstance(answer, CommandError) and answer.code == 1107 and "'first' keeps control" in str(answer)


def test_a_session_that_closes_gives_control_back(town: SteppedTown, second: Session) -> None:
    with dc.connect(town.probe, name="third") as third:
        third.take_control()
        heard(second, holder="third")
    heard(second, holder=None)
    assert second.step(1) == "paused"


def test_control_outlives_a_restart_of_the_server_and_a_newcomer_learns_of_it(
    town: SteppedTown, first: Session
) -> None:
    first.take_control()
    town.probe.restart_server()
    first.reconnect()
    with dc.connect(town.probe, name="late") as late:
        heard(late, holder="first")
        with pytest.raises(CommandError, match="'first' has control"):
            late.resume()
    assert first.step(1) == "paused"


def test_the_control_of_a_replay_is_one_notebooks_too(first: Session, tmp_path: Path) -> None:
    first.step(3)
    first.save(tmp_path / "run")
    with (
        dc.start_replay(tmp_path / "run", paused=True) as replay,
        dc.connect(replay, name="one") as one,
        dc.connect(replay, name="two") as two,
    ):
        one.take_control()
        with pytest.raises(CommandError, match="'one' has control"):
            two.command("seek", tick=1)
        assert one.step(1) == "paused"
        one.release_control()
        assert two.step(1) == "paused"
