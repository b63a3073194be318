"""A recording is sound whatever its folder is called, and many runs are asked past what cannot be read (issue 10)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.cli import app as cli
from degentcivil_nb.recordings import run_files
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from tests.support.recording_helpers import entries_of, written
from tests.support.run_helpers import told, write_recording
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
LATIN_1 = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize("memory_rows", [1_000, 0])
def test_a_sound_recording_is_sound_in_a_folder_whose_name_is_not_utf_8(
    tmp_path: Path, memory_rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / LATIN_1, entries_of(20, 5), close=True, segment_messages=10)
    recording = dc.open_recording(path, memory_rows=memory_rows)
    assert recording.events()["seq"].tolist() == list(range(1, 21))
    assert recording.problems == []
    assert str(recording.info()).isascii()
    assert repr(recording).isprintable()
    assert cli.main(["info", str(path), "--verify"]) == cli.OK
    assert "finished" in capsys.readouterr().out
    with dc.start_replay(path, speed=1e6) as replay, dc.connect(replay, history=100) as session:
        until(lambda: len(session) == 20)
    written(path, entries_of(5, 5, first=21), close=True)
    assert len(dc.open_recording(path)) == 25


def test_many_runs_are_asked_past_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    write_recording(tmp_path / "good", [told("x", 1), told("x", 2)])
    write_recording(tmp_path / LATIN_1, [told("x", 1)])
    write_recording(tmp_path / LATIN_1 / "inside", [told("x", 1)])
    (tmp_path / "nothing").symlink_to("nowhere")
    (tmp_path / "good" / "back").symlink_to(tmp_path)
    with pytest.warns(dc.RecordingWarning, match="is left out") as warned:
        runs = dc.open_runs(tmp_path)
    assert len(warned) == 2
    assert list(runs) == ["good"]
    assert runs.table()["events"].tolist() == [2]
    assert runs.sql("select count(*) as n from events")["n"].tolist() == [2]


def test_many_runs_are_asked_past_a_folder_that_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(tmp_path / "good", [told("x", 1)])
    (tmp_path / "locked").mkdir()
    plain = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return plain(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.warns(dc.RecordingWarning, match="locked cannot be read and is left out: .*Permission denied"):
        runs = dc.open_runs(tmp_path)
    assert list(runs) == ["good"]
    with pytest.raises(PermissionError):
        dc.open_runs(tmp_path / "locked")


@pytest.mark.parametrize("moment", ["_content", "_read_tail"])
def test_a_segment_that_is_sealed_while_one_looks_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    writer = SegmentWriter(tmp_path / "run")
    writer.write(entries_of(5, 5))
    writer.commit()
    plain = getattr(run_files, moment)
    sealed: list[bool] = []

    def seals(*arguments: Any) -> Any:
        if not sealed:
            sealed.append(True)
            writer.seal()
        return plain(*arguments)

    monkeypatch.setattr(run_files, moment, seals)
    runs = dc.open_runs(tmp_path)
    assert runs.problems == {"run": ["it was not finished, or is being recorded"]}
    assert runs.sql("select count(*) as n from events")["n"].tolist() == [5]
    writer.abandon()


def test_one_is_one(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "run", [told("x", 1), told("gap", {"epoch": None})])
    assert "finished, 1 event, 1 gap>" in repr(dc.open_recording(path))
    assert repr(dc.open_runs(tmp_path)).endswith(": 1 run, 1 event>")
