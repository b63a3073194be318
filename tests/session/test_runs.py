"""A folder of many runs as one dataset: its table, SQL across it, damage, object storage, and nothing else in reach."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.fs as pafs  # type: ignore[import-untyped]
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.protocol.control_payloads import Gap
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.recorder import Recorder
from tests.support.run_helpers import HOSTILE, leave_open, record_town, told, write_recording
from tests.support.waiting import until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    record_town(folder / "first", seed=1)
    record_town(folder / "deep" / "second", seed=2, characters=4)
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("not a run")
    return folder


@pytest.fixture(scope="module")
def runs(folder: Path) -> dc.Runs:
    return dc.open_runs(folder)


def test_the_table_has_a_row_a_run(runs: dc.Runs) -> None:
    assert list(runs) == ["deep/second", "first"]
    table = runs.table()
    for name in runs:
        recording = runs.open(name)
        row = table.loc[name]
        assert row["events"] == len(recording)
        assert row["characters"] == len(recording.characters())
        assert row["errors"] == (recording.events()["type"] == "error").sum()
        assert row["started"] == recording.events()["time"].min()
        assert row["duration"] >= recording.events()["time"].max() - row["started"]
        ticks = recording.events()["tick"]
        assert (row["first_tick"], row["last_tick"]) == (ticks.min(), ticks.max())
        assert (row["gaps"], row["problems"], row["finished"]) == (0, 0, True)
    assert table.loc["first", "run_id"] == "town-1"
    assert repr(runs).endswith("2 runs, " + f"{table['events'].sum():,} events>")


def test_sql_agrees_with_each_recording(runs: dc.Runs) -> None:
    counted = runs.sql("select run, type, count(*) as n from events group by run, type")
    for name, part in counted.groupby("run"):
        expected = runs.open(str(name)).events()["type"].astype("str").value_counts()
        assert part.set_index("type")["n"].to_dict() == expected.to_dict()


@pytest.mark.parametrize("column", ["row", "seq", "tick", "time", "type", "character_id", "state", "location", "code"])
def test_the_columns_of_events_are_those_of_a_recording(runs: dc.Runs, column: str) -> None:
    given = runs.sql(f"select {column} as it from events where run = 'first' order by row")["it"]
    expected = runs.open("first").events().reset_index()[column]
    assert given.astype("object").where(given.notna(), None).tolist() == (
        expected.astype("object").where(expected.notna(), None).tolist()
    )


def test_payloads_and_runs_can_be_asked_together(runs: dc.Runs) -> None:
    found = runs.sql(
        "select run_id, max(cast(json_extract(payload, '$.money') as double)) as richest "
        "from events join runs using (run) where type = 'character_update' group by run_id order by run_id"
    )
    assert found["run_id"].tolist() == ["town-1", "town-2"]
    assert (found["richest"] > 0).all()


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('{file}')",
        "select * from '{file}'",
        "select * from glob('/*')",
        "select * from read_parquet('{file}')",
        "copy (select 1) to '{file}'",
        "set enable_external_access = true",
        "create table mine as select 1",
        "select 1; select 2",
        "select getenv('HOME')",
        "select * from secret",
        "drop view events",
        "",
    ],
)
def test_a_query_reaches_the_runs_and_nothing_else(runs: dc.Runs, query: str, tmp_path: Path) -> None:
    secret = pd.DataFrame({"token": ["hidden"]})
    assert len(secret) == 1
    file = tmp_path / "secret.csv"
    file.write_text("token\nhidden\n")
    with pytest.raises(ValueError, match=r"\w"):
        runs.sql(query.format(file=file))
    assert file.read_text() == "token\nhidden\n"


def test_a_run_that_is_being_recorded_is_read_as_far_as_it_was_committed(tmp_path: Path) -> None:
    messages = [
        told("event_notification", {"event_type": HOSTILE, "character_id": HOSTILE}, seq=1),
        told("gap", Gap("one", 2, 4, "slow")),
    ]
    recorder = leave_open(tmp_path / HOSTILE.replace("/", ""), messages)
    try:
        runs = dc.open_runs(tmp_path)
        table = runs.table()
        assert table[["events", "characters", "gaps"]].iloc[0].tolist() == [1, 0, 1]
        assert runs.sql("select event_type from events")["event_type"].tolist() == [HOSTILE]
        assert runs.sql("select from_seq, to_seq, reason from gaps").iloc[0].tolist() == [2, 4, "slow"]
        assert "not finished" in runs.problems[table.index[0]][0]
        assert repr(runs).isprintable()
    finally:
        recorder.close()
    runs.refresh()
    assert runs.problems == {}
    assert runs.table()["finished"].all()


def test_what_a_run_is_called_is_known_while_it_is_recorded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "one")
    try:
        recorder.note_run("my run", {"seed": 7})
        until(lambda: dc.open_runs(tmp_path).table()["run_id"].tolist() == ["my run"])
        assert dc.open_runs(tmp_path).table()["seed"].tolist() == [7]
        assert dc.open_recording(tmp_path / "one").info()[["run_id", "state"]].tolist() == ["my run", "recording"]
    finally:
        recorder.close()


def test_times_have_one_unit_in_all_answers(runs: dc.Runs) -> None:
    recording = runs.open("first")
    questions = ("events", "chat", "characters", "errors", "llm_calls", "thoughts", "tool_calls", "timeline",
                 "measures", "gaps", "meetings", "stops", "watches", "findings")  # fmt: skip
    frames = {name: getattr(recording, name)() for name in questions}
    for name, frame in {**frames, "table": runs.table(), "of all runs": runs.findings()}.items():
        kinds = {column: str(kind) for column, kind in frame.dtypes.items() if "time" in str(kind)}
        assert set(kinds.values()) <= {"datetime64[ns, UTC]", "timedelta64[ns]"}, (name, kinds)


def test_a_damaged_segment_is_left_out_with_a_warning(tmp_path: Path) -> None:
    write_recording(tmp_path / "good", [told("x", 1)])
    write_recording(tmp_path / "bad", [told("x", 1), told("x", 2)])
    (path,) = (tmp_path / "bad").glob("*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    runs = dc.open_runs(tmp_path)
    with pytest.warns(dc.RecordingWarning, match="2 messages are missing"):
        counted = runs.sql("select run, count(*) as n from events group by run")
    assert counted["run"].tolist() == ["good"]
    assert "checksum" in runs.problems["bad"][0]
    path.unlink()
    (tmp_path / "good" / "manifest.json").write_text("{")
    runs.refresh()
    assert "is missing" in runs.problems["bad"][0]
    assert "manifest is damaged" in runs.problems["good"][0]
    assert runs.sql("select count(*) as n from events")["n"][0] == 1, "what the segments say of themselves is used"


def test_payloads_that_are_no_json_are_rows_all_the_same(tmp_path: Path) -> None:
    bad = [
        RawMessage("error", Raw(b'{"code": ')),
        RawMessage("error", Raw(b"\xff\xfe")),
        told("error", {"code": 10**30}),
    ]
    write_recording(tmp_path / "bad", [*bad, told("error", {"code": 7, "message": "m"}, timestamp=1e300)])
    found = dc.open_runs(tmp_path).sql("select code, message, time from events order by row")
    assert found["code"].tolist() == [1001, 1001, 1001, 7], "as the store has it"
    assert found["time"].notna().all()


def test_other_file_systems_do_as_well(folder: Path, runs: dc.Runs) -> None:
    elsewhere = dc.open_runs("", filesystem=pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem()))
    pd.testing.assert_frame_equal(elsewhere.table(), runs.table())
    with pytest.raises(ValueError, match="copy the folder here first"):
        elsewhere.open("first")
    by_uri = dc.open_runs(folder.as_uri())
    assert list(by_uri) == list(runs)


def test_no_folder_is_an_error_and_an_empty_one_a_table_without_rows(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dc.open_runs(tmp_path / "none")
    runs = dc.open_runs(tmp_path)
    assert len(runs) == 0
    assert runs.table().empty
    assert runs.sql("select count(*) as n from events")["n"][0] == 0


def test_findings_of_all_runs_stand_below_each_other(runs: dc.Runs) -> None:
    each = {name: runs.open(name).findings() for name in runs}
    found = runs.findings()
    assert found.columns.to_list() == ["run", *each["first"].columns]
    assert found["run"].value_counts().to_dict() == {name: len(frame) for name, frame in each.items() if len(frame)}
    assert set(runs.findings(["new_error"])["kind"]) <= {"new_error"}
    with pytest.raises(ValueError, match="stuk"):
        runs.findings("stuk")
