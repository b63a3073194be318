"""Breakpoints of a replay: it stops at the very event, and where `matches` says of the recording that it would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import degentcivil_nb as dc
from degentcivil_nb.protocol.errors import CommandError
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.session.stop import Stop
from tests.support.run_helpers import record_town, told, write_recording
from tests.support.sizes import examples

PATIENCE_S = 20.0
STATES = ("IDLE", "MOVE", "BARGAIN")
CONDITIONS = (
    "new_state == 'BARGAIN'",
    "entered('MOVE') and money > 1",
    "left('BARGAIN')",
    "changed(money)",
    "type == 'event_notification' and data['price'] >= 2",
    "silent(3)",
    "stuck(4, character_id='emma')",
    "loops(2)",
    "total_calls >= 2",
    "total_cost > 1",
    "tick % 4 == 0 and silent(2)",
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_town(tmp_path_factory.mktemp("runs") / "town", ticks=60)


@pytest.fixture
def session(town: Path, nothing_leaks: Callable[[], None]) -> Iterator[dc.Session]:
    with dc.start_replay(town, paused=True, speed=1_000) as replay, dc.connect(replay, name="first") as session:
        yield session


def stopped(session: dc.Session) -> Stop:
    assert session._store.wait(lambda: session._store.run_state == "paused", PATIENCE_S)
    stop = session.stopped()
    assert stop is not None
    return stop


def last_row(session: dc.Session) -> int:
    return session._store.next_row - 1


def test_a_replay_stops_at_the_very_event_and_says_why(session: dc.Session, town: Path) -> None:
    wanted = dc.open_recording(town).matches("entered('BARGAIN')")
    point = session.break_when("entered('BARGAIN')", name="deal")
    assert (point.verified, point.problem) == (True, None)
    session.resume()
    stop = stopped(session)
    assert (stop.reason, stop.breakpoint, stop.matched) == ("breakpoint", "deal", wanted.index[0])
    assert stop.matched == last_row(session)
    assert stop.tick == wanted["tick"].iloc[0]
    assert session.stops()["matched"].tolist() == [stop.matched]
    session.resume()
    assert stopped(session).matched == wanted.index[1]
    assert point.hits == 2


def test_run_until_and_a_step_that_is_cut_short(session: dc.Session) -> None:
    assert session.run_until(tick=7).tick == 7
    assert session.events()["tick"].max() <= 7
    there = session.run_until("type == 'state_change'")
    assert there.matched == last_row(session)
    at = there.tick or 0
    session.break_when(f"tick == {at + 3}", name="three")
    state = session.step(10)
    assert (state, repr(state)) == ("paused", "'paused' (at a breakpoint after 3 of 10 ticks)")
    assert session.breakpoints()["name"].tolist() == ["three"]


def test_a_log_point_tells_in_a_replay_too(session: dc.Session) -> None:
    session.break_when("entered('BARGAIN')", log="{character_id} bargains", once=True)
    session.run_until(tick=40)
    logged = session.events("log", payload=True)
    assert [payload["text"] for payload in logged["payload"]] == [
        f"{session.events(last=1_000).loc[logged.index[0] - 1, 'character_id']} bargains"
    ]


def test_two_notebooks_see_the_breakpoints_of_a_replay(session: dc.Session) -> None:
    session.break_when("entered('BARGAIN')", name="deal")
    with dc.connect(session.url, name="second") as other:
        assert other._store.wait(lambda: bool(other._store.breakpoints), PATIENCE_S)
        assert other.breakpoints()[["name", "owner"]].values.tolist() == [["deal", "first"]]
        other.resume()
        assert stopped(other).breakpoint == "deal"


def test_a_replay_that_stands_without_debuggers_goes_on_standing_and_tells_the_next_one_why(town: Path) -> None:
    with dc.start_replay(town, paused=True, speed=1_000) as replay:
        with dc.connect(replay, name="gone") as session:
            stop = session.run_until("entered('MOVE')")
            session.break_when("money < 0", name="left behind")
            session._portal.call(session._client.close, timeout=PATIENCE_S)  # as a kernel that is killed
        with dc.connect(replay, name="next") as session:
            found = stopped(session)
            assert (found.reason, found.tick, found.breakpoint) == ("breakpoint", stop.tick, "run_until")
            assert session._store.wait(lambda: len(session._store.breakpoints) > 0, PATIENCE_S)
            assert session.breakpoints()[["name", "owner"]].values.tolist() == [["left behind", "gone"]]
            before = session.metrics()["tick"]
            assert session.step(1) == "paused"
            assert session.metrics()["tick"] == before + 1


def test_after_a_seek_only_what_is_known_there_counts(session: dc.Session, town: Path) -> None:
    session.command("seek", tick=30)
    session.break_when("stuck(5)", name="stuck")
    session.step(1)
    session.command("seek", tick=10)
    before = session.stopped()
    assert before is not None
    session.resume()
    stop = stopped(session)
    assert stop.reason in ("breakpoint", "end")
    assert (stop.tick or 0) >= 15  # everybody is known since tick 10 and no longer


def test_a_replay_at_its_end_judges_the_last_tick_too(tmp_path: Path) -> None:
    run = [told("state_change", {"character_id": "emma", "new_state": "IDLE"}, tick=0, timestamp=1.0)]
    run += [told("event_notification", {"event_type": "x", "data": n}, tick=n, timestamp=1.0 + n) for n in range(1, 4)]
    path = write_recording(tmp_path / "run", run)
    with dc.start_replay(path, paused=True, speed=1e6) as replay, dc.connect(replay) as session:
        session.break_when("stuck(3)")
        session.resume()
        assert (stopped(session).reason, stopped(session).tick) == ("breakpoint", 3)
        with pytest.raises(CommandError, match="is over"):
            session.resume()


def one_message() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    who = st.sampled_from(("emma", "noah", 5))
    return st.one_of(
        st.builds(
            lambda one, state: ("state_change", {"character_id": one, "new_state": state}), who, st.sampled_from(STATES)
        ),
        st.builds(
            lambda one, money: ("character_update", {"character_id": one, "money": money}), who, st.integers(0, 3)
        ),
        st.builds(lambda price: ("event_notification", {"event_type": "trade", "data": {"price": price}}),
                  st.integers(0, 3)),
        st.builds(lambda one: ("llm_call", {"character_id": one, "prompt_type": "PLAN", "prompt": "?",
                                            "response": "!", "cost_usd": 0.5}), who),
    )  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> list[RawMessage]:
    """A run whose ticks go on, stand, leave some out, are missing, and now and then start over."""
    tick, run = 0, []
    for place, (type, payload) in enumerate(draw(st.lists(one_message(), min_size=1, max_size=25))):
        tick = max(0, tick + draw(st.sampled_from((0, 0, 1, 1, 3, -2))))
        run.append(told(type, payload, tick=tick if draw(st.booleans()) or place == 0 else None, timestamp=1.0 + place))
    return run


@pytest.mark.filterwarnings("ignore:no .* was seen so far")  # of words that only some runs have
@settings(max_examples=examples(15))
@given(run=runs(), condition=st.sampled_from(CONDITIONS), by_steps=st.booleans())
def test_a_replay_stops_where_matches_says(run: list[RawMessage], condition: str, by_steps: bool) -> None:
    with TemporaryDirectory() as folder:
        path = write_recording(Path(folder) / "run", run)
        wanted = dc.open_recording(path).matches(condition).index.tolist()
        found = []
        with dc.start_replay(path, paused=True, speed=1e6) as replay, dc.connect(replay) as session:
            session.break_when(condition)
            while True:
                try:
                    session.step(2) if by_steps else session.resume()
                except CommandError:  # the recording is over
                    break
                stop = stopped(session)
                if stop.reason == "breakpoint":
                    found.append(last_row(session))
                elif stop.reason == "end":
                    break
            assert session.matches(condition).index.tolist() == wanted
        assert list(dict.fromkeys(found)) == wanted
