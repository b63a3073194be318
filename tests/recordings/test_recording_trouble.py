"""A recorder whose folder is gone or whose disk is full says so, and writes once it can (issue 10)."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb.recordings import manifest, segment_writer
from degentcivil_nb.recordings.recorder import Recorder, RecorderStats
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from tests.support.recording_helpers import EPOCH, entries_of, message_at, read_back
from tests.support.waiting import until

FOREVER = 1e6
"""A time between commits that no test waits for."""


def seqs(path: Path) -> list[int | None]:
    return [message.seq for message in read_back(path)[0]]


def put(recorder: Recorder, *numbers: int) -> None:
    recorder.put([message_at(number) for number in numbers], 2_000.0, EPOCH)


def is_safe(recorder: Recorder, seq: int) -> bool:
    stats = recorder.stats()
    return stats.committed == (EPOCH, seq) and stats.error is None


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path / "run", commit_s=0.01)
    put(made, 1, 2)
    until(lambda: is_safe(made, 2))
    yield made
    made.close()


def test_the_first_messages_are_on_the_disk_at_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run", commit_s=FOREVER)
    try:
        put(recorder, 1)
        until(lambda: is_safe(recorder, 1))
        put(recorder, 2)
        until(lambda: len(seqs(tmp_path / "run")) == 2)  # written, where the end of the process cannot take it away
    finally:
        recorder.close()


def delete_folder(path: Path) -> None:
    """Delete a folder in one step: the recorder may write into it meanwhile."""
    deleted = path.with_name("deleted")
    path.rename(deleted)
    shutil.rmtree(deleted)


def delete_files(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()


def delete_segment(path: Path) -> None:
    for file in path.glob("*.open"):
        file.unlink()


def move_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def put_another_in_its_place(path: Path) -> None:
    for file in path.glob("*.open"):
        other = file.with_name("other")
        other.write_bytes(b"something else")
        other.replace(file)


@pytest.mark.parametrize(
    "take_away", [delete_folder, delete_files, delete_segment, move_away, put_another_in_its_place]
)
@pytest.mark.parametrize("quiet", [True, False], ids=["quiet", "busy"])
def test_what_is_held_is_written_anew_where_its_files_are_gone(
    recorder: Recorder, take_away: Callable[[Path], None], quiet: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "degentcivil_nb.recordings.recorder")
    take_away(recorder.path)
    if not quiet:
        put(recorder, 3)
    last = 2 if quiet else 3
    until(lambda: recorder.path.exists() and seqs_if_any(recorder.path) == list(range(1, last + 1)))
    until(lambda: is_safe(recorder, last))
    assert "were deleted" in caplog.text
    put(recorder, last + 1)
    recorder.close()
    assert seqs(recorder.path) == list(range(1, last + 2))
    assert dc.open_recording(recorder.path).info()["state"] == "finished"


def seqs_if_any(path: Path) -> list[int | None]:
    try:
        return seqs(path)
    except FileNotFoundError:
        return []


def test_what_was_sealed_and_deleted_is_counted_and_missing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run", commit_s=0.01, segment_messages=2)
    put(recorder, 1, 2)
    until(lambda: recorder.stats().segments == 1)
    put(recorder, 3)
    until(lambda: is_safe(recorder, 3))
    delete_folder(recorder.path)
    until(lambda: recorder.stats().lost == 2)
    assert recorder.stats().state == "writing, 2 messages were deleted"
    recorder.close()
    with pytest.warns(dc.RecordingWarning, match="2 messages are missing"):
        recording = dc.open_recording(tmp_path / "run")
    assert recording.events()["seq"].tolist() == [3]
    assert recording.gaps()["reason"].tolist() == ["damaged"]


def test_nothing_is_written_into_another_recording_that_took_the_place(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "run")
    writer.write(entries_of(3, 3))
    writer.commit()
    assert writer.is_in_place()
    move_away(writer.folder)
    other = SegmentWriter(writer.folder, run_id="another", clock=lambda: 5.0)
    other.write(entries_of(1, 1, first=50))
    assert not writer.is_in_place()
    other.close()
    with pytest.raises(FileExistsError, match="another recording"):
        writer.rewrite()
    assert not writer.is_in_place()
    writer.abandon()
    assert seqs(writer.folder) == [50]


# --- disks that refuse -----------------------------------------------------------------------------------------------


class Disk:
    """A disk that refuses for as long as it is told to."""

    def __init__(self) -> None:
        self.is_full = False
        self.refused = 0

    def refuse(self) -> None:
        if self.is_full:
            self.refused += 1
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    write, whole = segment_writer._write_all, manifest.write_whole

    def write_all(*arguments: Any) -> int:
        disk.refuse()
        return write(*arguments)

    def write_whole(*arguments: Any) -> None:
        disk.refuse()
        whole(*arguments)

    monkeypatch.setattr(segment_writer, "_write_all", write_all)
    monkeypatch.setattr(segment_writer, "write_whole", write_whole)
    monkeypatch.setattr(manifest, "write_whole", write_whole)
    return disk


def test_a_full_disk_is_said_for_as_long_as_it_lasts(disk: Disk, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run", commit_s=0.6)  # longer than a turn: most turns have nothing to write
    put(recorder, 1)
    until(lambda: is_safe(recorder, 1))
    disk.is_full = True
    put(recorder, 2)
    until(lambda: disk.refused)
    until(lambda: recorder.stats().error)
    refused = disk.refused
    said: list[RecorderStats] = []
    while disk.refused <= refused + 3:
        said.append(recorder.stats())
    assert {stats.error for stats in said} == {"[Errno 28] No space left on device"}
    assert {stats.committed for stats in said} == {(EPOCH, 1)}
    assert "failing: [Errno 28] No space left on device, 1 message" in said[-1].state
    disk.is_full = False
    until(lambda: is_safe(recorder, 2))
    assert recorder.stats().state == "writing"
    recorder.close()
    assert seqs(tmp_path / "run") == [1, 2]


def test_what_a_disk_took_and_refused_to_keep_is_written_again(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed fsync the next one says yes, though what was lost stays lost (fsyncgate)."""
    plain = os.fsync
    failed: list[int] = []

    def fsync(handle: int) -> None:
        if not failed:
            failed.append(handle)
            (file,) = recorder.path.glob("*.open")
            with file.open("r+b") as held:  # what the system let go of
                held.truncate(file.stat().st_size - 40)
            raise OSError(errno.EIO, "Input/output error")
        plain(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    put(recorder, 3)
    until(lambda: failed and is_safe(recorder, 3))
    assert seqs(recorder.path) == [1, 2, 3]
    recorder.close()
    assert seqs(recorder.path) == [1, 2, 3]


# --- what a session says ---------------------------------------------------------------------------------------------


def test_a_session_says_how_its_recording_is(disk: Disk, tmp_path: Path) -> None:
    with dc.start_local_server(tick_s=0.01) as server, dc.connect(server) as session:
        assert session.metrics()["recording"] is pd.NA
        assert "recording" not in repr(session)
        session.record(tmp_path / "run")
        until(lambda: session.metrics()["recording"] == "writing")
        assert ", recording>" in repr(session)
        headline = session.dashboard().headline
        assert headline._state()["recording"] == "writing"
        disk.is_full = True
        until(lambda: "No space left" in session.metrics()["recording"])
        assert "No space left on device" in repr(session)
        assert any("the recording cannot be written: " in reason for reason in session._status.health())
        assert "No space left on device" in headline._state()["recording"]
        disk.is_full = False
        until(lambda: session.metrics()["recording"] == "writing")
        shutil.rmtree(tmp_path / "run")
        until(lambda: (tmp_path / "run" / "manifest.json").exists())
        session.stop_recording()
        assert session.metrics()["recording"] is pd.NA
    recording = dc.open_recording(tmp_path / "run")
    assert recording.info()["state"] == "finished"


def test_a_recording_that_cannot_be_finished_is_said_to_whoever_ends_it(disk: Disk, tmp_path: Path) -> None:
    with dc.start_local_server(tick_s=0.01) as server:
        session = dc.connect(server, record=tmp_path / "run")
        until(lambda: session._recorder is not None and session._recorder.stats().committed)
        disk.is_full = True
        session.wait_for()
        with pytest.warns(dc.RecordingWarning, match=r"left unfinished, [\d,]+ messages? short: .*No space left"):
            session.close()
    with pytest.warns(dc.RecordingWarning, match="not finished"):
        assert len(dc.open_recording(tmp_path / "run")) > 0
