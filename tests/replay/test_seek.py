"""A seek begins at the segment that contains its target, with the same result as reading from the start."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import degentcivil_nb as dc
from degentcivil_nb.protocol.control_payloads import SnapshotCharacter
from degentcivil_nb.recordings import index
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.segment_reader import Segment, SegmentFolder
from degentcivil_nb.replay import player
from degentcivil_nb.replay import seek_index as seek_index
from degentcivil_nb.replay import tape as tape_module
from degentcivil_nb.replay.seek_index import SeekIndex, SeekTarget
from degentcivil_nb.replay.tape import ReplayState, Tape
from degentcivil_nb.server.stream.snapshot import SnapshotBuilder
from tests.store.test_model import STEPS, batches_of
from tests.support.recording_helpers import EPOCH, entries_of, written
from tests.support.sizes import examples


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Take nothing for near, and the smallest recording for worth keeping what was found of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seek_index, "NEAR_EVENTS", 0)
        patch.setattr(index, "WORTH_KEEPING", 0)
        patch.setattr(index, "HELD_ROWS", 3)
        yield


def town(state: ReplayState) -> dict[Any, SnapshotCharacter]:
    return {one.character_id: one for one in state.present.characters()}


def wound(tape: Tape, target: SeekTarget, state: ReplayState, ahead: list[Any], back: bool) -> tuple[int, list[Any]]:
    """Seek as a player does; gives how many events were passed over and what is to be told next."""
    while True:
        try:
            page = tape.begin_at(target, back)
            break
        except LookupError:
            tape.seek_index.read_on(target)
    if back:
        state.present, state.tick, state.moment = SnapshotBuilder(), None, float("-inf")
    skipped, rest = tape.advance(state, target, ahead, page)
    return skipped, [*rest, *tape.read(1_000)]


@settings(max_examples=examples(30), deadline=None)
@given(STEPS, st.integers(1, 6), st.integers(0, 12), st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=3))
def test_seeks_come_to_what_winding_comes_to(
    steps: list[Any], segment: int, told: int, goals: list[tuple[bool, int]]
) -> None:
    entries = [RecordedMessage(batch, 1_500.0 + at, EPOCH) for at, batch in enumerate(batches_of(steps)) if batch]
    if not entries:
        return
    with tempfile.TemporaryDirectory() as name:
        path = written(Path(name) / "run", entries, close=True, segment_messages=segment)
        moments = sorted({item.moment for item in Tape(path).read(1_000)})
        for by_tick, number in goals:
            target = SeekTarget(number % 8) if by_tick else SeekTarget(None, moments[number % len(moments)])
            plain = ReplayState(SnapshotBuilder())
            passed, following = Tape(path).advance(plain, target, [], None)
            for _ in range(2):  # the second finds what the first has kept
                tape, state = Tape(path), ReplayState(SnapshotBuilder())
                ahead = tape.read(told)
                skipped, rest = wound(tape, target, state, ahead, back=False)
                assert (skipped, town(state)) == (passed, town(plain))
                assert (state.tick, state.moment) == (plain.tick, plain.moment)
                assert rest[: len(following)] == following
                tape.read(told)
                _, again = wound(tape, target, state, [], back=True)
                assert (again, town(state)) == (rest, town(plain))


def test_a_far_seek_reads_only_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "run", entries_of(100, 5), close=True, segment_messages=10)
    SeekIndex(SegmentFolder(path)).read_on(SeekTarget(1_000))
    read: list[int] = []
    plain = SegmentFolder.read

    def noted(folder: SegmentFolder, segment: Segment) -> Any:
        read.append(segment.stats.number)
        return plain(folder, segment)

    monkeypatch.setattr(SegmentFolder, "read", noted)
    monkeypatch.setattr(tape_module, "_PIECE", 5)
    for target, segment in ((SeekTarget(7), 7), (SeekTarget(2), 2), (SeekTarget(None, 1_005.05), 5)):
        tape, state = Tape(path), ReplayState(SnapshotBuilder())
        read.clear()
        page = tape.begin_at(target, back=False)
        assert tape.advance(state, target, [], page).rest
        assert read[0] == segment
        assert len(read) <= 2
        assert state.present.character("c1") is not None


def test_a_gap_before_the_place_is_told_and_not_passed_by(tmp_path: Path) -> None:
    path = written(tmp_path / "run", entries_of(40, 5), close=True, segment_messages=5)
    next(path.glob("segment-000003-*")).unlink()
    tape, state = Tape(path), ReplayState(SnapshotBuilder())
    target = SeekTarget(None, 1_002.05)
    plain = ReplayState(SnapshotBuilder())
    passed, following = Tape(path).advance(plain, target, [], None)
    skipped, rest = wound(tape, target, state, [], back=False)
    assert (skipped, rest[0], town(state)) == (passed, following[0], town(plain))


# --- over a server ---------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "run", entries_of(400, 10), close=True, segment_messages=20)


def test_seeks_show_the_town_and_declare_what_they_pass_over(path: Path) -> None:
    recording = dc.open_recording(path)
    with dc.start_replay(path, paused=True) as replay, dc.connect(replay) as session:
        assert "seek" in session.commands()["name"].tolist()
        for tick in (30, 10, 39, 20):
            assert session.command("seek", tick=tick)["tick"] == tick
            expected = recording.characters(tick=tick)["state"].astype("str").to_dict()
            session._store.wait(lambda: session.characters()["state"].astype("str").to_dict() == expected, 5)  # noqa: B023
            assert session.characters()["state"].astype("str").to_dict() == expected
        gaps = session.gaps()
        assert gaps["reason"].tolist() == ["seek"] * 4
        sizes = (gaps["to_seq"] - gaps["from_seq"] + 1).tolist()
        assert sizes == [309, 1, 290, 1]
        session.step()
        assert session.events()["tick"].tolist() == [21] * 10


def test_a_seek_that_must_read_too_much_says_so_and_the_next_one_goes(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    let = threading.Event()
    plain = SeekIndex.read_on

    def slow(self: SeekIndex, target: SeekTarget) -> None:
        assert let.wait(20)
        plain(self, target)

    monkeypatch.setattr(SeekIndex, "read_on", slow)
    monkeypatch.setattr(player, "TOLD_EVERY_S", 0.01)
    monkeypatch.setattr(player, "LONGEST_S", 0.05)
    caplog.set_level(logging.INFO, "degentcivil_nb.replay")
    with dc.start_replay(path, paused=True) as replay, dc.connect(replay) as session, contextlib.ExitStack() as at_end:
        at_end.callback(let.set)  # whatever happens, the replay can be closed
        with pytest.raises(dc.CommandError, match="read for the first time, 0 of 400 messages") as caught:
            session.command("seek", tick=30)
        assert caught.value.code == dc.CommandError.TIMEOUT
        assert replay.tick is None
        assert "0 of 400 messages read" in caplog.text

        def told() -> bool:
            controls = session._store.control_rows(0, 1)
            return any(control.type == "run_state" and b'"seeking"' in control.data for control in controls)

        assert session._store.wait(told, 20) or told()
        assert session.gaps().empty
        let.set()
        monkeypatch.setattr(player, "LONGEST_S", 20.0)
        assert session.command("seek", tick=30)["tick"] == 30


def test_a_replay_ends_while_it_still_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, closing = threading.Event(), threading.Event()
    plain_close = Tape.close

    def slow(self: SeekIndex, target: SeekTarget) -> None:
        begun.set()
        assert closing.wait(20)

    def close(self: Tape) -> None:
        plain_close(self)
        closing.set()

    monkeypatch.setattr(SeekIndex, "read_on", slow)
    monkeypatch.setattr(Tape, "close", close)
    with dc.start_replay(path, paused=True) as replay, dc.connect(replay) as session:
        session._commands.submit("seek", {"tick": 30})
        assert begun.wait(10)
