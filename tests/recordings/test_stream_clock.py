"""Gaps, summaries and seeks use the clock of the stream (issue 10, row 11)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.cli import app as cli
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.simulation.probe import SimulationProbe
from degentcivil_nb.store.event_store import EventStore
from tests.support.recording_helpers import assert_same_answers, written
from tests.support.run_helpers import told
from tests.support.waiting import until

JANUARY = 1_767_225_600.0
"""2026-01-01, by the clock of the simulation."""
NOVEMBER = JANUARY + 329 * 86_400
HOUR = 3_600.0


def day(*, gaps: bool = True) -> list[RecordedMessage]:
    """Give a simulated day in January that is received within a second of November."""
    entries = [
        RecordedMessage(
            [told("snapshot", {"seq": 0, "characters": [{"character_id": "emma", "state": "IDLE"}]})], NOVEMBER, "e"
        )
    ]
    seq = 0
    for hour in range(25):
        seq += 1
        data = {"character_id": "emma", "new_state": ("MOVE", "IDLE")[hour % 2]}
        moment = JANUARY + hour * HOUR
        messages = [told("state_change", data, seq=seq, tick=hour, timestamp=moment)]
        if gaps and hour % 6 == 0:
            messages.append(told("gap", {"epoch": "e", "from": seq + 1, "to": seq + 2, "reason": "slow"}))
            seq += 2
        if hour == 9:  # what nobody stamps has no time of its own
            messages.append(RawMessage("state_change", Raw(b'{"no": "state"}'), None, seq + 1))
            seq += 1
        entries.append(RecordedMessage(messages, NOVEMBER + hour / 100, "e"))
    return entries


def is_in_january(times: pd.Series) -> bool:
    return bool(
        (times >= pd.Timestamp("2026-01-01", tz="UTC")).all() and (times < pd.Timestamp("2026-02-01", tz="UTC")).all()
    )


def test_gaps_of_a_simulated_january_stand_in_january() -> None:
    store = EventStore()
    for entry in day():
        store.append(list(entry.messages), entry.received, entry.epoch)
    assert [time.hour for time in store.gaps()["time"]] == [0, 6, 12, 18, 0]
    assert is_in_january(store.gaps()["time"])


def test_a_gap_before_everything_stands_where_the_stream_begins() -> None:
    store = EventStore()
    store.append([told("gap", {"epoch": "e", "from": 1, "to": 3, "reason": "seek"})], NOVEMBER, "e")
    store.append([told("x", 1, seq=4, timestamp=JANUARY), told("x", 1, seq=5, timestamp=JANUARY + 9)], NOVEMBER, "e")
    assert store.gaps()["time"].tolist() == [pd.Timestamp(JANUARY, unit="s", tz="UTC")]


@pytest.mark.parametrize(("clock", "expected"), [(JANUARY, JANUARY), (NOVEMBER - 30, NOVEMBER)])
def test_a_gap_without_positions_stands_where_it_says_if_that_is_the_streams_clock(
    clock: float, expected: float
) -> None:
    store = EventStore()
    store.append([told("x", 1, timestamp=clock)], NOVEMBER - 30)
    store.append([told("gap", {"epoch": None}, timestamp=NOVEMBER)], NOVEMBER + 60)
    assert store.gaps()["time"].tolist() == [pd.Timestamp(expected, unit="s", tz="UTC")]


def test_a_gap_of_a_stream_without_any_times_stands_where_it_was_received() -> None:
    store = EventStore()
    store.append([told("x", 1)], NOVEMBER)
    store.append([told("gap", {"epoch": None})], NOVEMBER + 5)
    assert store.gaps()["time"].tolist() == [pd.Timestamp(NOVEMBER + 5, unit="s", tz="UTC")]


# --- recordings ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[65_536, 4], ids=["one segment", "many segments"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return written(tmp_path / "run", day(), close=True, segment_messages=request.param)


def test_one_day_is_one_day_wherever_it_is_said(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = dc.open_recording(path).info()
    assert info["last"] - info["first"] == pd.Timedelta("1D")
    assert info["first"] == pd.Timestamp("2026-01-01", tz="UTC")
    row = dc.open_runs(path.parent).table().loc["run"]
    assert row["duration"] == pd.Timedelta("1D")
    assert row["started"] == info["first"]
    cli.main(["info", str(path), "--json"])
    assert json.loads(capsys.readouterr().out)["duration"].startswith("1 day")


def test_gaps_are_the_same_live_recorded_saved_and_larger_than_memory(path: Path, tmp_path: Path) -> None:
    store = EventStore()
    for entry in day():
        store.append(list(entry.messages), entry.received, entry.epoch)
    assert_same_answers(store, dc.open_recording(path))
    pd.testing.assert_frame_equal(dc.open_recording(path, memory_rows=0).gaps(), store.gaps())
    from degentcivil_nb.recordings.save import save

    save(store, tmp_path / "saved")
    pd.testing.assert_frame_equal(dc.open_recording(tmp_path / "saved").gaps(), store.gaps())


def test_gaps_in_sql_over_many_runs_are_those_of_the_recording(path: Path) -> None:
    found = dc.open_runs(path.parent).sql("select epoch, from_seq, to_seq, reason, time from gaps order by from_seq")
    expected = dc.open_recording(path).gaps()
    assert found["from_seq"].tolist() == expected["from_seq"].tolist()
    assert pd.to_datetime(found["time"], utc=True).tolist() == expected["time"].tolist()


def test_what_damage_loses_stands_in_the_time_of_the_stream(tmp_path: Path) -> None:
    path = written(tmp_path / "run", day(gaps=False), close=True, segment_messages=4)
    next(path.glob("segment-000003-*")).unlink()
    with pytest.warns(dc.RecordingWarning):
        gaps = dc.open_recording(path).gaps()
    assert gaps["reason"].tolist() == ["damaged"]
    assert is_in_january(gaps["time"])


@pytest.mark.parametrize("way", [(6, 20), (20, 6), (0, 24), (9, 10)])
def test_a_seek_by_time_goes_to_that_time_of_the_stream(path: Path, way: tuple[int, int]) -> None:
    recording = dc.open_recording(path)
    with dc.start_replay(path, paused=True) as replay, dc.connect(replay) as session:
        for hour in way:
            moment = pd.Timestamp(JANUARY + hour * HOUR + 60, unit="s", tz="UTC")
            if hour == 24:
                with pytest.raises(dc.CommandError, match="ends at 2026-01-02 00:00:00"):
                    session.command("seek", time=str(moment))
                continue
            session.command("seek", time=str(moment))
            assert replay.tick == hour
            expected = recording.characters(at=moment)["state"].astype("str").to_dict()
            until(lambda wanted=expected: session.characters()["state"].astype("str").to_dict() == wanted)  # type: ignore[misc]


def test_gaps_of_seeks_stand_in_the_time_of_the_stream(path: Path) -> None:
    with dc.start_replay(path, paused=True) as replay, dc.connect(replay) as session:
        session.command("seek", tick=5)
        session.step(2)
        session.command("seek", tick=20)
        until(lambda: "seek" in session.gaps()["reason"].tolist()[-1:])
        assert is_in_january(session.gaps()["time"])


# --- live ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def probe() -> Iterator[SimulationProbe]:
    ticks = itertools.count()
    probe = SimulationProbe(port=0, clock=lambda: JANUARY + next(ticks) * 60.0)
    yield probe
    probe.close()


def test_a_session_of_a_simulated_clock_has_one_clock(probe: SimulationProbe, tmp_path: Path) -> None:
    with dc.connect(probe, record=tmp_path / "run") as session:
        for number in range(5):
            probe.state_change("emma", str(number))
        session._store.wait(lambda: len(session) == 5, 10)
        probe._server.history.append_lost(probe._server.epoch, 2, "overflow")
        probe.state_change("emma", "last")
        session._store.wait(lambda: len(session) == 6, 10)
        session.stop_recording()
        assert is_in_january(session.gaps()["time"])
        assert is_in_january(dc.open_recording(tmp_path / "run").gaps()["time"])
        until(lambda: session._client._incoming.peer_clock.offset_s is not None)
        offset: Any = session._client.clock_offset_s
        assert abs(offset) < 60, "heartbeats tell the wall clock, from which lag is told"
