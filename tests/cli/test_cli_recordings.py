"""The shell's commands for recordings: files, output, exit codes, and what remains after a kill."""

from __future__ import annotations

import csv
import inspect
import json
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

import degentcivil_nb as dc
from degentcivil_nb.cli import app as cli
from degentcivil_nb.cli import recordings
from degentcivil_nb.protocol.control_payloads import Gap
from degentcivil_nb.recordings.segment_reader import SegmentFolder
from degentcivil_nb.replay.tape import LONGEST_SILENCE_S
from tests.cli.test_cli import first_line, free_port, run, started, unread
from tests.support.run_helpers import HOSTILE, record_town, told, write_recording
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")


@pytest.fixture
def server() -> Iterator[dc.LocalServer]:
    with dc.start_local_server(characters=4, tick_s=0.01) as server:
        yield server


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_town(tmp_path_factory.mktemp("runs") / "town")


def committed(path: Path) -> bool:
    return any(file.stat().st_size > 5_000 for file in path.glob("*.open"))


def written(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("segment*"))


# --- record ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, cli.INTERRUPTED), (signal.SIGTERM, cli.OK)])
def test_record_ends_in_order_when_it_is_told_to(
    server: dc.LocalServer, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    path = tmp_path / "run"
    with started("record", server.url, str(path)) as process:
        until(lambda: committed(path), 90)
        process.send_signal(sent)
        _, told = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in told
    recording = dc.open_recording(path)
    assert recording.info()["state"] == "finished"
    assert f"{len(recording):,} events" in told
    assert recording.info()["run_id"] == "town-0"


def test_what_a_kill_leaves_can_be_read_and_gone_on_with(server: dc.LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "run"
    with started("record", server.url, str(path)) as process:
        until(lambda: committed(path), 90)
        process.kill()
        process.communicate(timeout=30)
    code, out, _ = run("info", str(path))
    assert code == cli.FAILED
    assert "not finished" in out
    with pytest.warns(dc.RecordingWarning, match="was not finished"):
        before = len(dc.open_recording(path))
    assert before > 0
    with started("record", server.url, str(path)) as process:
        assert process.stderr is not None
        assert any("live" in line for line in process.stderr)
        size = written(path)
        until(lambda: written(path) > size)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    recording = dc.open_recording(path)
    seqs = recording.events()["seq"].tolist()
    assert seqs == list(range(1, len(seqs) + 1)), "nothing twice, nothing missing"
    assert recording.gaps().empty


def test_record_without_a_server_says_what_to_try_and_leaves_no_folder(tmp_path: Path) -> None:
    code, _, complaint = run("record", f"ws://127.0.0.1:{free_port()}", str(tmp_path / "run"))
    assert code == cli.FAILED
    assert "refused" in complaint
    assert "Traceback" not in complaint
    assert not (tmp_path / "run").exists()


# --- replay ----------------------------------------------------------------------------------------------------------


def test_replay_serves_a_recording_until_it_is_told_to_end(town: Path) -> None:
    with started("replay", str(town), "--port", "0", "--speed", "1000", "--longest-silence", "inf") as process:
        url = first_line(process, containing="is at").split()[-1]
        with dc.connect(url, history=10_000) as session:
            recorded = dc.open_recording(town)
            until(lambda: len(session) == len(recorded))
            assert session.command("seek", tick=3)["tick"] == 3
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (cli.INTERRUPTED, "")


def test_replay_shortens_silences_as_the_api_does() -> None:
    assert inspect.signature(recordings.replay).parameters["longest_silence"].default == LONGEST_SILENCE_S


# --- info ------------------------------------------------------------------------------------------------------------


def test_info_says_what_there_is(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(town), "--json", "--verify"]) == cli.OK
    facts = json.loads(capsys.readouterr().out)
    assert facts["events"] == len(dc.open_recording(town))
    assert (facts["state"], facts["problems"], facts["last_tick"]) == ("finished", [], 40)
    assert cli.main(["info", str(town)]) == cli.OK
    assert "last_tick    40\n" in capsys.readouterr().out


def test_info_verify_finds_a_flipped_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_recording(tmp_path / HOSTILE.replace("/", ""), [told(HOSTILE, 1)])
    (segment,) = path.glob("*.parquet")
    content = bytearray(segment.read_bytes())
    content[len(content) // 3] ^= 4
    segment.write_bytes(content)
    assert cli.main(["info", str(path), "--verify"]) == cli.FAILED
    out = capsys.readouterr().out
    assert "damaged" in out
    assert all(line.isprintable() for line in out.splitlines())


def test_info_says_what_it_verified(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    messages = SegmentFolder(town).messages
    assert cli.main(["info", str(town), "--verify"]) == cli.OK
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("verified ")]
    assert line.split(maxsplit=1)[1] == (
        f"{messages:,} of {messages:,} messages read, 1 of 1 segments sound: all checksums match"
    )
    assert cli.main(["info", str(town), "--json"]) == cli.OK
    assert "verified" not in json.loads(capsys.readouterr().out)
    path = write_recording(tmp_path / "damaged", [told("x", 1)])
    (segment,) = path.glob("*.parquet")
    segment.write_bytes(segment.read_bytes()[:-1])
    assert cli.main(["info", str(path), "--verify", "--json"]) == cli.FAILED
    facts = json.loads(capsys.readouterr().out)
    assert facts["verified"] == "0 of 1 messages read, 0 of 1 segments sound: 1 segment is damaged"
    assert "damaged" in facts["problems"][0]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes as POSIX has them")
def test_info_into_a_pipe_that_nobody_reads_is_no_error(town: Path, tmp_path: Path) -> None:
    for more in ([], ["--json"], ["--verify"]):
        assert unread("info", str(town), *more) == (cli.OK, "")
    assert unread("export", str(town), str(tmp_path / "out.csv")) == (cli.OK, "")
    assert (tmp_path / "out.csv").stat().st_size > 1_000


def test_without_standard_streams_recordings_are_read_and_exported(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in ("stdout", "stderr", "stdin"):
        monkeypatch.setattr(sys, stream, None)
    assert len(dc.open_recording(town)) > 0
    assert cli.main(["info", str(town), "--verify"]) == cli.OK
    assert cli.main(["export", str(town), str(tmp_path / "out.csv")]) == cli.OK
    assert cli.main(["info", "nowhere"]) == cli.FAILED
    assert cli.main(["tail", f"ws://127.0.0.1:{free_port()}"]) == cli.FAILED


# --- export ----------------------------------------------------------------------------------------------------------


def test_exports_hold_what_the_recording_holds(town: Path, tmp_path: Path) -> None:
    for name in ("run.parquet", "run.csv", "run.jsonl"):
        assert cli.main(["export", str(town), str(tmp_path / name)]) == cli.OK
    events = dc.open_recording(town).events(payload=True)
    table = pq.read_table(tmp_path / "run.parquet").to_pandas()
    assert [json.loads(text) for text in table["payload"]] == events["payload"].tolist()
    assert table["time"].tolist() == events["time"].tolist()
    assert table["row"].tolist() == events.index.tolist()
    with (tmp_path / "run.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["type"] for row in rows] == events["type"].tolist()
    assert [json.loads(row["payload"]) for row in rows] == events["payload"].tolist()
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["data"] for line in lines if "seq" in line] == events["payload"].tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.csv", "run.jsonl", "run.parquet"]


def test_an_export_of_a_damaged_recording_says_that_it_is_not_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_recording(tmp_path / "run", [told("x", 1)])
    (segment,) = path.glob("*.parquet")
    content = bytearray(segment.read_bytes())
    content[len(content) // 3] ^= 4
    segment.write_bytes(content)
    assert cli.main(["export", str(path), str(tmp_path / "run.csv")]) == cli.OK
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "is incomplete, and so is run.csv" in said
    assert segment.name in said


def test_csv_has_no_formulas_and_every_gap_is_a_line(tmp_path: Path) -> None:
    formulas = ["=1+1", "+a", "-1+1", "@x", "\t=x", "\r=x"]
    plain = ["+1", "-1", "-5 %", "\tx"]
    messages = [told("event_notification", {"event_type": text}) for text in [*formulas, *plain]]
    messages.insert(3, told("gap", Gap("one", 4, 6, "overflow")))
    messages.append(told("error", {"code": -5, "message": "-5"}))
    path = write_recording(tmp_path / "run", messages)
    assert cli.main(["export", str(path), str(tmp_path / "out.csv")]) == cli.OK
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["event_type"] for row in rows] == [f"'{text}" for text in formulas[:3]] + [""] + [
        f"'{text}" for text in formulas[3:]
    ] + plain + [""]
    assert (rows[3]["type"], rows[3]["row"], rows[3]["message"]) == ("gap", "", "positions 4 to 6 missing: overflow")
    assert (rows[-1]["code"], rows[-1]["message"]) == ("-5", "-5"), "a number is a number"


def test_a_long_recording_is_exported_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("degentcivil_nb.recordings.export.PIECE", 100)
    path = write_recording(tmp_path / "run", [told("x", number, seq=number) for number in range(1, 1_001)])
    from degentcivil_nb.recordings.export import export_recording

    heard: list[tuple[int, int]] = []
    assert export_recording(path, tmp_path / "o.parquet", progress=lambda *now: heard.append(now)) == 1_000
    assert pq.read_table(tmp_path / "o.parquet")["row"].to_pylist() == list(range(1_000))
    assert heard[:2] == [(100, 1_000), (200, 1_000)]


@pytest.mark.parametrize(
    ("arguments", "complaint", "code"),
    [
        (["export", "{town}", "out.xlsx"], "must be one of .parquet, .csv, .jsonl", cli.USAGE),
        (["export", "{town}", "{town}/manifest.json/x.csv"], "x.csv", cli.FAILED),
        (["export", "nowhere", "out.csv"], "not a recording", cli.FAILED),
        (["info", "nowhere"], "not a recording", cli.FAILED),
        (["replay", "nowhere"], "not a recording", cli.FAILED),
        (["replay", "{town}", "--speed", "0"], "speed", cli.USAGE),
        (["replay", "{town}", "--longest-silence", "0"], "--longest-silence", cli.USAGE),
        (["replay", "{town}", "--longest-silence", "nan"], "--longest-silence", cli.USAGE),
        (["record", "http://localhost:1", "x"], "not a WebSocket URL", cli.USAGE),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_an_exit_code(
    town: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
    code: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([argument.format(town=town) for argument in arguments]) == code
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_export_never_overwrites(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.csv"
    out.write_text("mine")
    assert cli.main(["export", str(town), str(out)]) == cli.FAILED
    assert "exists already" in capsys.readouterr().err
    assert out.read_text() == "mine"


# --- wrong use -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["export", "PATH", "OUT.csv"], ["export", "PATH", "OUT.otlp.jsonl"], ["case", "PATH", "OUT.html"]]
)
def test_a_missing_folder_is_named_and_no_file_of_ours(
    town: Path, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "nowhere" / "out")
    code = cli.main([word.replace("PATH", str(town)).replace("OUT", out) for word in words])
    said = capsys.readouterr().err
    assert code == cli.FAILED
    assert f"there is no folder {tmp_path / 'nowhere'}; create it first" in said
    assert ".part" not in said


def test_what_is_wrong_with_a_recording_is_said_without_a_line_of_code(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(town, damaged)
    (damaged / "manifest.json").write_text("{")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        cli.main(["compare", str(damaged), str(town)])
    said = capsys.readouterr().err
    assert said.startswith(f"{damaged} is damaged or incomplete:\nmanifest.json: damaged")
    assert "command(" not in said and "Warning" not in said
