"""Recordings of format 1, made by the version before columns: they open as they did, go on, and can be rewritten."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pandas as pd
import pytest
from msgspec import Raw

from degentcivil_nb import open_runs, start_replay
from degentcivil_nb.protocol.errors import RecordingWarning
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.column_store import ColumnStore
from degentcivil_nb.recordings.manifest import FORMAT, read_manifest, write_manifest
from degentcivil_nb.recordings.migrate import migrate_recording
from degentcivil_nb.recordings.segment_reader import SegmentFolder
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.recordings.summaries import SUMMARIES_NAME
from degentcivil_nb.session.recording import Recording
from degentcivil_nb.store.event_store import EventStore
from tests.support.paths import ROOT
from tests.support.recording_helpers import assert_same_answers, entries_of, opened, written

OLD = ROOT / "tests" / "recordings" / "format_1"
NAMES = ("finished", "killed")


def followed(folder: Path) -> EventStore:
    """Give the store that follows all messages."""
    store = EventStore()
    for entry in SegmentFolder(folder).entries():
        store.append(list(entry.messages), entry.received, entry.epoch)
    return store


@pytest.fixture(params=NAMES)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD / request.param, tmp_path / request.param))


def test_a_recording_of_format_1_opens_as_it_did(old: Path) -> None:
    recording = opened(old)
    assert recording.in_memory
    assert len(recording) == 44 - 3  # without a gap, a run state and a snapshot
    assert_same_answers(followed(old), recording)


def test_an_old_recording_of_a_simulated_clock_lasts_as_long_as_it_does(tmp_path: Path) -> None:
    """The first versions noted times of receipt beside those of senders: a January recorded in November."""
    folder, january, november = tmp_path / "runs" / "one", 1_767_225_600.0, 1_796_000_000.0
    entries = [
        RecordedMessage([RawMessage("event_notification", Raw(b'{"event_type":"x"}'), january + n * 3600, n + 1)],
                        november + n, "e")
        for n in range(24)
    ]  # fmt: skip
    written(folder, entries, close=True, segment_messages=10, format=1)
    manifest = read_manifest(folder)
    for stats in manifest.segments:
        stats.sent, stats.time = None, (january, november)
    write_manifest(folder, manifest)
    info = Recording(folder).info()
    assert info["last"] - info["first"] == pd.Timedelta(hours=23)
    assert open_runs(tmp_path / "runs").table()["duration"].tolist() == [pd.Timedelta(hours=23)]
    with start_replay(folder, paused=True) as replay:
        assert replay._tape.last_time == january + 23 * 3600


def test_a_recording_of_format_1_goes_on_in_it(old: Path) -> None:
    before = len(opened(old))
    writer = SegmentWriter(old)
    for entry in entries_of(10, 5, first=100):
        writer.write([entry])
    writer.close()
    assert read_manifest(old).format == 1
    recording = Recording(old)
    assert len(recording) == before + 10
    assert_same_answers(followed(old), recording)


def test_a_migrated_recording_has_the_same_messages_and_answers(old: Path) -> None:
    expected, finished = opened(old), SegmentFolder(old).finished
    steps: list[tuple[int, int]] = []
    assert migrate_recording(old, progress=lambda done, total: steps.append((done, total))) == 44
    assert steps
    manifest = read_manifest(old)
    assert (manifest.format, manifest.run_id, manifest.started, manifest.closed) == (
        FORMAT,
        "town-1",
        1_000.0,
        finished,
    )
    assert [path.name for path in old.parent.iterdir()] == [old.name]
    recording = opened(old)
    assert isinstance(recording._store, ColumnStore)
    assert_same_answers(expected, recording)
    for row in range(len(expected)):
        assert recording.payload(row) == expected.payload(row)
        pd.testing.assert_frame_equal(
            recording.characters(row=row), expected.characters(row=row), check_like=True, check_categorical=False
        )
    assert migrate_recording(old) == 44, "a second time there is nothing to do"


def test_a_recording_that_is_being_written_is_not_migrated(old: Path) -> None:
    writer = SegmentWriter(old)
    with pytest.raises(BlockingIOError):
        migrate_recording(old)
    writer.abandon()
    assert read_manifest(old).format == 1


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign", "flipped"])
def test_an_index_that_cannot_be_used_is_made_again(old: Path, damage: str) -> None:
    migrate_recording(old)
    index = old / SUMMARIES_NAME
    expected, whole = opened(old), index.read_bytes()
    changed = {
        "cut": whole[: len(whole) // 2],
        "foreign": b"PK" * 500,
        "flipped": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
    }
    if damage == "missing":
        index.unlink()
    else:
        index.write_bytes(changed[damage])
    recording = opened(old)
    assert isinstance(recording._store, ColumnStore)
    assert_same_answers(expected, recording)
    assert index.stat().st_size > 0


def test_damage_since_the_opening_is_told_where_a_question_looks(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate_recording(old)
    monkeypatch.setattr("degentcivil_nb.recordings.column_base.VERIFIED_BYTES", 0)  # as for a large recording
    recording = opened(old)
    path = next(old.glob("segment-000000-*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.warns(RecordingWarning, match="segment-000000.*checksum"):
        events = recording.events()
    monkeypatch.undo()
    pd.testing.assert_frame_equal(events, opened(old).events(), check_categorical=False)
    assert "damaged" in recording.gaps()["reason"].tolist()
    assert any("segment-000000" in problem for problem in recording.problems)


def test_a_question_that_reads_many_segments_shows_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("degentcivil_nb.core.progress.PATIENCE_S", 0.0)
    folder = written(tmp_path / "run", entries_of(100, 5), close=True, segment_messages=10)
    with Recording(folder) as recording, caplog.at_level("INFO", logger="degentcivil_nb.core"):
        recording.timeline("c1")
        assert caplog.messages[0] == "reading segments: 1 of 10"  # of the rest the log repeats only some
        caplog.clear()
        asking = threading.Thread(target=recording.timeline)  # as a panel does
        asking.start()
        asking.join()
        assert caplog.messages == []
