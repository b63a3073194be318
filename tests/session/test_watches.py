"""Watches: the value of an expression after each tick, as a series that is recorded; a real run and real clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb.protocol.debugging import WatchSpec
from degentcivil_nb.protocol.errors import CommandError
from degentcivil_nb.session.session import Session
from degentcivil_nb.simulation.watches import Watches
from tests.support.stepped_town import SteppedTown

PATIENCE_S = 20.0


@pytest.fixture
def town() -> Iterator[SteppedTown]:
    with SteppedTown() as town:
        yield town


@pytest.fixture
def session(town: SteppedTown) -> Iterator[Session]:
    with dc.connect(town.probe, name="first") as session:
        yield session


def values(session: Session, name: str) -> list[object]:
    return session.watches(name)["value"].to_list()


@pytest.mark.parametrize(
    ("expression", "character_id", "expected"),
    [
        ("tick * 2", None, [0, 2, 4, 6]),
        ("money", "emma", [None, 1, 2, 3]),
        ("money >= 2", "emma", [False, False, True, True]),
        ("state", "emma", [None, "MOVE", "BARGAIN", "SLEEPING"]),
        ("total_calls", None, [0, 0, 0, 0]),
        ("character_id == 'emma' and money > 1", None, [False, False, True, True]),
        ("stuck(2, character_id='0')", None, [False, False, False, True]),
    ],
)
@pytest.mark.filterwarnings("ignore:no attribute or measure")
def test_a_value_is_told_when_it_is_watched_and_after_each_tick(
    session: Session, expression: str, character_id: str | None, expected: list[object]
) -> None:
    watch = session.watch(expression, character_id=character_id)
    session.step(3)
    told = session.watches(watch.name)
    assert told["tick"].tolist() == [0, 1, 2, 3]
    assert [None if pd.isna(value) else value for value in told["value"].to_list()] == expected
    assert watch.value == expected[-1]
    assert watch.problem is None


@pytest.mark.filterwarnings("ignore:no attribute or measure")
def test_of_all_characters_each_is_told_when_it_has_a_new_value(session: Session) -> None:
    watch = session.watch("money", "purse")
    session.step(2)
    told = session.watches("purse").dropna(subset="character_id")
    assert told[["tick", "character_id", "value"]].values.tolist() == [[1, "emma", 1], [2, "emma", 2]]
    assert watch.value["emma"] == 2


@pytest.mark.filterwarnings("ignore:no attribute or measure")
def test_a_measure_of_the_model_is_watched_by_its_name(session: Session) -> None:
    session.watch("total + 1")
    session.step(3)
    assert session.watches("total + 1")[["tick", "value"]].values.tolist() == [[1, 2], [2, 3], [3, 4]]


def test_a_watch_is_recorded_drawn_and_taken_away(session: Session, tmp_path: Path) -> None:
    session.record(tmp_path / "run")
    watch = session.watch("tick", "clock")
    session.step(2)
    assert list(session.plot.watch("clock").data[0].y) == [0, 1, 2]
    watch.remove()
    watch.remove()
    assert repr(watch) == "<Watch 'clock': removed>"
    session.step(1)
    session.stop_recording()
    recording = dc.open_recording(tmp_path / "run")
    assert recording.watches("clock")["value"].to_list() == [0, 1, 2]
    assert recording.plot.watch("clock").data[0].name == "clock"
    assert len(recording.errors()) == 0


def test_watches_are_declared_again_after_a_restart_of_the_server(town: SteppedTown, session: Session) -> None:
    session.watch("tick", "clock")
    town.probe.restart_server()
    session.reconnect()
    assert session._store.wait(lambda: len(session._store.watches) == 1, PATIENCE_S)
    session.step(1)
    assert values(session, "clock")[-1] == 1


def test_two_notebooks_that_watch_the_same_have_one_series_and_no_name_for_two_things(
    town: SteppedTown, session: Session
) -> None:
    session.watch("tick", "clock")
    with dc.connect(town.probe, name="second") as other:
        other.watch("tick", "clock")
        with pytest.raises(ValueError, match="first watches tick under the name 'clock' already"):
            other.watch("tick + 1", "clock")
        other.step(2)
        assert values(other, "clock")[-2:] == [1, 2]
        assert len(other.watches("clock")) == 3


@pytest.mark.parametrize(
    ("expression", "points_at"),
    [("entered('MOVE')", 0), ("money.x", 0), ("changed(mood)", 8), ("tick > 3 and type == 'error'", 13), ("seq", 0)],
)
def test_a_mistake_points_at_the_character(session: Session, expression: str, points_at: int) -> None:
    with pytest.raises(ValueError, match="\\^") as caught:
        session.watch(expression)
    assert str(caught.value).splitlines()[-1].index("^") == points_at + 2
    assert session.watches().empty


def test_a_name_that_nobody_has_is_warned_of(session: Session) -> None:
    session.step(1)
    with pytest.warns(UserWarning, match="no attribute or measure 'mony' was seen so far; did you mean 'money'"):
        session.watch("mony", character_id="emma")
    with pytest.warns(UserWarning, match="no character 'ema' was seen so far; did you mean 'emma'"):
        session.watch("money", character_id="ema")


def test_a_watch_that_takes_anothers_name_says_so_and_keeps_nothing_of_its_value(session: Session) -> None:
    session.step(2)
    session.watch("money > 0", "money")
    with pytest.warns(UserWarning, match="'money' was there already: money > 0 is replaced by money"):
        watch = session.watch("money", "money")
    session.step(1)
    assert watch.value == {"emma": 3}
    session.watch("money", "money")  # the same once more is no news


def test_more_watches_than_there_may_be_are_refused(session: Session) -> None:
    with pytest.raises(CommandError, match="at most 100"):
        for one in range(3):
            with dc.connect(session.url) as other:
                watches = [{"name": f"{one}-{n}", "expression": "tick"} for n in range(45)]
                other._commands.call("set_watches", {"watches": watches})


def test_watches_outlive_a_cut_of_their_owner_by_a_minute(town: SteppedTown, session: Session) -> None:
    now = [0.0]
    watches = Watches(
        town.probe.control,
        town.probe.breakpoints,
        reached=lambda: 0,
        forward=lambda: town.probe.server.publish,
        present=set,
        later=lambda _s, _f: lambda: None,
        clock=lambda: now[0],
    )
    watches.set_watches([WatchSpec("clock", "tick")])
    assert len(watches.rows()) == 1
    watches.look_after(set())
    now[0] = 59.0
    watches.look_after(set())
    assert len(watches.rows()) == 1
    now[0] = 60.0
    watches.look_after(set())
    assert watches.rows() == []
