"""A recording served as a live run: the same messages, times and ticks, paused, stepped and sought in."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.protocol.control_payloads import Gap, RunState, Snapshot, SnapshotCharacter
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.replay.tape import Playhead, Tape
from tests.support.recording_helpers import written
from tests.support.run_helpers import HOSTILE, record_town, told, write_recording
from tests.support.waiting import until

SAME = ["tick", "time", "type", "character_id", "state", "location", "event_type", "code", "message"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_town(tmp_path_factory.mktemp("runs") / "town", ticks=60)


@pytest.fixture
def replay(town: Path, nothing_leaks: Callable[[], None]) -> Iterator[dc.Replay]:
    with dc.start_replay(town, paused=True, speed=1_000) as replay:
        yield replay


@pytest.fixture
def session(replay: dc.Replay) -> Iterator[dc.Session]:
    with dc.connect(replay) as session:
        yield session


def shows(session: dc.Session, states: object) -> bool:
    return bool(session.characters()["state"].astype("str").to_dict() == states)


def at_end(session: dc.Session, replay: dc.Replay) -> None:
    until(lambda: replay.run_state == "paused" and session.metrics()["run_state"] == "paused")


def test_a_replay_tells_what_was_recorded_with_its_times_and_ticks(
    session: dc.Session, replay: dc.Replay, town: Path
) -> None:
    assert session.resume() == "running"
    recording = dc.open_recording(town)
    at_end(session, replay)
    until(lambda: len(session) == len(recording))
    given, expected = session.events(payload=True), recording.events(payload=True)
    for name in SAME:
        pd.testing.assert_series_equal(given[name].astype("object"), expected[name].astype("object"))
    assert given["payload"].tolist() == expected["payload"].tolist()
    assert session.gaps().empty
    assert dc.compare(recording, session).same


def test_who_comes_later_finds_the_town_as_it_is_there(session: dc.Session, replay: dc.Replay, town: Path) -> None:
    session.step(30)
    with dc.connect(replay, history=0) as other:
        now = other.characters()
    was = dc.open_recording(town).characters(tick=replay.tick)
    assert now["state"].astype("str").to_dict() == was["state"].astype("str").to_dict()


def test_steps_stop_at_ticks(session: dc.Session, replay: dc.Replay) -> None:
    assert session.step() == "paused"
    assert replay.tick == 0
    session.step(10)
    assert (replay.tick, session.metrics()["tick"]) == (10, 10)
    assert session.events()["tick"].max() <= 10


@pytest.mark.parametrize("way", [(40, 15), (15, 40), (59, 0)])
def test_seeking_shows_the_town_as_it_was(
    session: dc.Session, replay: dc.Replay, town: Path, way: tuple[int, int]
) -> None:
    recording = dc.open_recording(town)
    for tick in way:
        state = session.command("seek", tick=tick)
        assert (state["state"], state["reason"], state["tick"]) == ("paused", "seek", tick)
        expected = recording.characters(tick=tick)["state"].astype("str").to_dict()
        until(partial(shows, session, expected))
    assert session.gaps()["reason"].tolist() == ["seek", "seek"]
    session.step(2)
    assert replay.tick == way[1] + 2 or way[1] == 59


def test_seeking_by_time_goes_to_that_moment(session: dc.Session, replay: dc.Replay, town: Path) -> None:
    events = dc.open_recording(town).events()
    times = events["time"].drop_duplicates().sort_values()
    apart = times[times.diff().shift(-1) > pd.Timedelta("10us")]  # a moment of which no event is a rounding away
    moment = apart.iloc[len(apart) // 2] + pd.Timedelta("5us")
    session.command("seek", time=str(moment))
    session.step()
    new = session.events()
    assert new["time"].min() > moment.floor("us")
    assert len(new) + (events["time"] <= moment).sum() <= len(events)


@pytest.mark.parametrize(
    "written",
    [
        str,
        pd.Timestamp,
        pd.Timestamp.tz_localize,
        pd.Timestamp.to_datetime64,
        pd.Timestamp.to_pydatetime,
        lambda time: time.tz_localize("UTC").timestamp(),
        lambda time: np.float64(time.tz_localize("UTC").timestamp()),
    ],
)
def test_a_seek_takes_a_time_in_every_form(
    session: dc.Session, replay: dc.Replay, town: Path, written: Callable[..., Any]
) -> None:
    last = dc.open_recording(town).events(last=1).iloc[0]
    moment = last["time"].tz_localize(None)
    given = written(moment, "UTC") if written is pd.Timestamp.tz_localize else written(moment)
    assert session.command("seek", time=given)["tick"] == last["tick"]


def test_the_end_is_a_pause_from_which_one_can_go_back(session: dc.Session, replay: dc.Replay) -> None:
    session.resume()
    at_end(session, replay)
    for command in (session.resume, session.step):
        with pytest.raises(dc.CommandError, match="the recording is over"):
            command()
    session.command("seek", tick=3)
    assert session.resume() == "running"
    at_end(session, replay)
    assert replay.tick is not None
    assert replay.tick > 3


def test_a_running_replay_is_paused_and_changes_its_speed(town: Path) -> None:
    with dc.start_replay(town, speed=0.001) as replay, dc.connect(replay) as session:
        assert replay.run_state == "running"
        with pytest.raises(dc.CommandError, match="pause it first"):
            session.step()
        assert session.pause() == "paused"
        session.set_speed(1e6)
        session.resume()
        at_end(session, replay)
        assert session.inspect("emma")["character_id"] == "emma"
        with pytest.raises(dc.CommandError, match="no character"):
            session.inspect("nobody")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "either a tick or a time"),
        ({"tick": 1, "time": 1}, "either a tick or a time"),
        ({"tick": 10**9}, "ends at tick 6"),
        ({"time": "2200-01-01"}, "ends at 20"),
        ({"time": "yesterday-ish"}, "is not a time"),
        ({"tick": -1}, "tick"),
    ],
)
def test_a_place_that_is_none_is_refused(session: dc.Session, arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(dc.CommandError, match=complaint):
        session.command("seek", arguments=arguments)
    assert session.gaps().empty


def test_what_the_recording_lacks_is_declared_where_it_is_missing(tmp_path: Path) -> None:
    lost = Gap("one", 3, 5, "overflow")
    messages = [
        told("snapshot", Snapshot(0, characters=[SnapshotCharacter("emma", "IDLE")])),
        told("state_change", {"character_id": "emma", "new_state": "MOVE"}, seq=1, timestamp=999.0),
        told("run_state", RunState("paused")),
        told("gap", lost),
        told("gap", Gap(None, reason="restart")),
        told("state_change", {"character_id": "noah", "new_state": "MOVE"}, timestamp=1001.0),
    ]
    with dc.start_replay(write_recording(tmp_path / "gaps", messages), paused=True) as replay:
        with dc.connect(replay) as session:
            session.step(2)
            gaps = session.gaps()
            assert session.metrics()["run_state"] == "paused"
        assert (gaps["to_seq"] - gaps["from_seq"] + 1).tolist() == [3, 1]
        assert gaps["reason"].tolist() == ["overflow", "restart, of unknown size"]


def test_hostile_recordings_are_told_as_far_as_they_are_messages(tmp_path: Path) -> None:
    messages = [
        told("hello", {"epoch": "mine"}),
        told("command", {"name": "pause"}),
        RawMessage("event_notification", Raw(b'{"event_type": broken')),
        told("event_notification", {"event_type": HOSTILE}, timestamp=1e30),
        told("event_notification", {"event_type": "far"}, timestamp=9e9),
        told("snapshot", ["none"]),
        told("gap", "none"),
        told("event_notification", {"event_type": "last"}, timestamp=-1.0, tick=3),
    ]
    with dc.start_replay(write_recording(tmp_path / "bad", messages)) as replay, dc.connect(replay) as session:
        until(lambda: replay.run_state == "paused")
        until(lambda: "last" in session.events()["event_type"].tolist())
        events = session.events()
        assert events["event_type"].dropna().tolist() == [HOSTILE, "far", "last"]
        assert (events["code"] == 1001).sum() == 3
        assert session.gaps()["reason"].tolist() == ["unreadable, of unknown size"]


def test_without_ticks_steps_are_messages_and_ticks_cannot_be_sought(tmp_path: Path) -> None:
    messages = [told("event_notification", {"event_type": str(number)}) for number in range(5)]
    path = write_recording(tmp_path / "flat", messages)
    with dc.start_replay(path, paused=True) as replay, dc.connect(replay) as session:
        session.step(2)
        assert session.events()["event_type"].tolist() == ["0", "1"]
        with pytest.raises(dc.CommandError, match="no ticks"):
            session.command("seek", tick=1)


def test_a_token_is_asked_for(town: Path) -> None:
    with dc.start_replay(town, token="secret") as replay:
        assert "secret" not in repr(replay)
        with pytest.raises(ConnectionError):
            dc.connect(replay.url)
        dc.connect(replay).close()


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(town: Path, speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        dc.start_replay(town, speed=speed)


def test_no_recording_and_no_port_are_errors_that_leave_nothing(
    town: Path, tmp_path: Path, replay: dc.Replay, nothing_leaks: Callable[[], None]
) -> None:
    with pytest.raises(FileNotFoundError):
        dc.start_replay(tmp_path)
    with pytest.raises(ConnectionError):
        dc.start_replay(town, port=int(replay.url.rpartition(":")[2]))
    replay.stop()
    replay.stop()


def test_the_playhead_follows_the_clock_at_its_speed() -> None:
    clock = [0.0]
    head = Playhead(2.0, lambda: clock[0])

    def at(now: float) -> float | None:
        clock[0] = now
        return head.moment

    assert at(0.0) is None
    head.run()
    assert head.wait_s(100.0) == 0.0, "the first moment is now"
    assert head.wait_s(110.0) == 5.0
    assert at(3.0) == 106.0
    head.stop()
    assert at(50.0) == 106.0
    head.run()
    head.set_speed(0.5)
    assert head.wait_s(110.0) == 8.0
    head.set_moment(200.0)
    assert at(52.0) == 201.0


def test_a_wild_clock_of_the_sender_does_not_hold_the_tape_up(tmp_path: Path) -> None:
    messages = [told("x", None, timestamp=when) for when in (999.5, 999.6, 999.7, 1e30, -5.0, 1e6)]
    tape = Tape(write_recording(tmp_path / "wild", messages))
    # half of the times are of this day, so it is the receiver's clock that counts
    assert [item.moment for item in tape.read(10)] == [999.5, 999.6, 999.7, 1_000.0, 1_000.0, 1_000.0]


class Playing:
    """A playhead that is asked as a player asks it: the time that it takes to tell messages of these moments."""

    def __init__(self, speed: float = 1.0, longest_s: float | None = 3.0) -> None:
        self.now = 0.0
        self.head = Playhead(speed, lambda: self.now, longest_s)
        self.head.run()

    def tell(self, *moments: float) -> list[float]:
        waits = []
        for moment in moments:
            began = self.now
            while (wait := self.head.wait_s(moment)) > 1e-6:
                self.now += wait
            waits.append(round(self.now - began, 3))
        return waits


DAY = 86_400.0


def test_a_silence_lasts_a_few_seconds_and_what_is_near_it_its_time() -> None:
    playing = Playing()
    assert playing.tell(0, 2, 2 + 8 * 3_600, 8 * 3_600 + 4, 400 * DAY, 400 * DAY + 1) == [0, 2, 3, 2, 3, 1]
    assert playing.head.left_out_s == pytest.approx(400 * DAY - 4 - 6)
    assert Playing(speed=10).tell(0, 20, 8 * 3_600) == [0, 2, 3]
    assert Playing(speed=0.01).tell(0, 0.1) == [0, 10], "no silence, but slow motion"
    assert Playing(longest_s=None).tell(0, 8 * 3_600) == [0, 8 * 3_600]


def test_a_silence_that_is_looked_at_twice_is_shortened_once() -> None:
    playing = Playing()
    playing.tell(0)
    assert playing.head.wait_s(1_000) == 3
    playing.now += 1
    assert playing.head.wait_s(1_000) == pytest.approx(2)
    assert playing.head.left_out_s == 997


@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY, -3_600, 3_600])
def test_a_clock_that_jumped_holds_nothing_up_and_rushes_nothing(jump: float) -> None:
    waits = Playing().tell(1e8, 1e8 + 1, 1e8 + jump, 1e8 + jump + 1, 1e8 + jump + 2)
    assert waits == [0, 1, 3 if jump > 0 else 0, 1, 1]
    back_again = Playing().tell(1e8, 1e8 + jump, 1e8 + 2, 1e8 + 3, 1e8 + 4)
    assert back_again[1:] in ([3, 0, 1, 1], [0, 2, 1, 1]), "from where it was before it went back"


def test_two_senders_whose_clocks_are_apart_do_not_wait_for_each_other() -> None:
    moments = [at for step in range(20) for at in (1e8 + step, 1e8 + 7_200 + step)]
    assert sum(Playing().tell(*moments)) < 30


def test_silences_of_a_replay_are_shortened_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "degentcivil_nb.replay")
    times = [1_000.0, 1_000.01, 1_000.0 + 8 * 3_600, 1_000.0 + 400 * DAY]
    entries = [RecordedMessage([told("x", number, timestamp=when)], when, "one") for number, when in enumerate(times)]
    path = written(tmp_path / "run", entries, close=True)
    with dc.start_replay(path, longest_silence_s=0.05) as replay, dc.connect(replay, history=100) as session:
        until(lambda: replay.run_state == "paused" and len(session) == 4)
        assert session.events()["time"].tolist() == dc.open_recording(path).events()["time"].tolist()
        assert "400 days, 0:00:00 of silence left out" in repr(replay)
    said = [record for record in caplog.records if "of silence" in record.getMessage()]
    assert [record.levelname for record in said] == ["WARNING", "INFO"]
    assert "8:00:00 of silence" in said[0].getMessage()
    assert "longest_silence_s=None" in said[0].getMessage()
    with dc.start_replay(path, longest_silence_s=None, speed=1) as replay, dc.connect(replay, history=100) as session:
        until(lambda: len(session) == 2)
        assert replay.run_state == "running"


@pytest.mark.parametrize("option", ["speed", "longest_silence_s"])
@pytest.mark.parametrize("value", ["fast", True, float("nan"), -1, 0, [1]])
def test_what_is_no_number_above_zero_is_refused_by_name(town: Path, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{option} is a number .* not {re.escape(repr(value))}"):
        dc.start_replay(town, **{option: value})


def test_a_speed_may_come_from_numpy(town: Path) -> None:
    float_like: Any = np.float32(1_000)
    with dc.start_replay(town, speed=float_like, paused=True) as replay:
        assert replay.run_state == "paused"


def test_a_time_behind_the_end_is_answered_with_the_date_of_the_end(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "run", [told("x", 1, timestamp=1_769_860_805.25)], received=1_769_860_805.5)
    with (
        dc.start_replay(path, paused=True) as replay,
        dc.connect(replay) as session,
        pytest.raises(dc.CommandError, match=r"ends at 2026-01-31 12:00:05\.250\+00:00"),
    ):
        session.command("seek", time="2027-01-01")
