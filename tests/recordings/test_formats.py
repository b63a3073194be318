"""Recordings of format 1, made by the version before columns: they open as they did, go on, and can be rewritten."""

from __future__ import annotations

import shutil
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from msgspec import Raw

from degentcivil_nb import open_runs, start_replay
from degentcivil_nb.analysis import stops
from degentcivil_nb.analysis.answers import with_malformed
from degentcivil_nb.protocol.errors import RecordingWarning
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings import segment_files, segment_following
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.column_store import ColumnStore
from degentcivil_nb.recordings.columns import COLUMNS, to_columns
from degentcivil_nb.recordings.index_file import MEANING
from degentcivil_nb.recordings.manifest import FORMAT, read_manifest, write_manifest
from degentcivil_nb.recordings.migrate import migrate_recording
from degentcivil_nb.recordings.segment_reader import SegmentFolder
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.recordings.summaries import SUMMARIES_NAME
from degentcivil_nb.session.recording import Recording
from degentcivil_nb.store.event_store import EventStore
from tests.support.paths import ROOT
from tests.support.recording_helpers import EPOCH, assert_same_answers, entries_of, opened, written

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


TOLD = [
    RecordedMessage([RawMessage(kind, Raw(data), 1_767_225_600.0 + n, n + 1)], 1_796_000_000.0 + n, "e")
    for n, (kind, data) in enumerate(
        [
            ("state_change", b'{"character_id":"emma","new_state":"MOVE","previous_state":"REST"}'),
            ("event_notification", b'{"event_type":"trade","data":{"price":3}}'),
            ("chat_message", b'{"character_id":"emma","text":"hello","to":["john"]}'),
            ("llm_call", b'{"character_id":"emma","prompt":"p","response":"r","model":"m"}'),
            ("error", b'{"code":1100,"message":"no"}'),
        ]
    )
]


def written_with(columns: pa.Schema, folder: Path, monkeypatch: pytest.MonkeyPatch, told_in: str | None = None) -> None:
    """Write a recording whose sealed segments have these columns, as another version of the package would."""

    def as_made(*given: Any) -> pa.Table:
        table = to_columns(*given)
        if told_in is not None:
            table = table.append_column(told_in, table.column(PAYLOAD_TOLD))
        elif PAYLOAD_TOLD not in columns.names:  # before it had a column of its own, a text was in the one for all
            told = pc.coalesce(table.column("payload"), table.column(PAYLOAD_TOLD))
            table = table.set_column(table.column_names.index("payload"), "payload", told)
        more = [name for name in columns.names if name not in table.column_names]
        for name in more:
            table = table.append_column(name, pa.nulls(len(table), pa.string()))
        return table.select(columns.names)

    with monkeypatch.context() as patch:
        patch.setattr(segment_following, "to_columns", as_made)
        written(folder, TOLD, close=True)
    (folder / SUMMARIES_NAME).unlink()  # its version is raised with each column


PAYLOAD_TOLD = "payload_told"
LACKING = ("state", "event_type", "previous_state", "model", PAYLOAD_TOLD)


@pytest.mark.parametrize("lacking", LACKING)
def test_a_recording_that_lacks_a_column_of_this_version_answers_the_same_and_can_be_rewritten(
    tmp_path: Path, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs" / "older"
    columns = pa.schema([field for field in COLUMNS if field.name != lacking])
    written_with(columns, folder, monkeypatch)
    assert read_table_names(folder) == columns.names
    recording = opened(folder)
    assert not recording.problems
    assert_same_answers(followed(folder), recording)
    assert not isinstance(recording._store, ColumnStore)
    assert SegmentFolder(folder).clock_begins is not None
    recording.close()
    messages = list(SegmentFolder(folder).entries())
    migrate_recording(folder)
    assert read_table_names(folder) == COLUMNS.names
    assert list(SegmentFolder(folder).entries()) == messages
    migrated = opened(folder)
    assert isinstance(migrated._store, ColumnStore)
    assert_same_answers(followed(folder), migrated)


@pytest.mark.parametrize("meaning", [MEANING - 1, MEANING + 1])
def test_columns_that_mean_something_else_in_this_version_are_not_believed(
    tmp_path: Path, meaning: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs" / "other"
    with monkeypatch.context() as patch:
        patch.setattr(segment_files, "MEANING", meaning)
        written_with(COLUMNS, folder, monkeypatch)
    recording = opened(folder)
    assert not recording.problems
    assert not isinstance(recording._store, ColumnStore)
    assert_same_answers(followed(folder), recording)
    recording.close()
    with pytest.warns(UserWarning, match="its columns are another version's"):
        assert open_runs(folder.parent).arrow().count_rows() == 0
    if meaning > MEANING:
        with pytest.raises(ValueError, match="a later version of this package: migrate with that one"):
            migrate_recording(folder)
        assert_same_answers(followed(folder), opened(folder))
        return
    change_manifest(folder, parameters={"seed": 7})
    migrate_recording(folder)
    migrated = opened(folder)
    assert isinstance(migrated._store, ColumnStore)
    assert read_manifest(folder).parameters == {"seed": 7}


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = read_manifest(folder)
    for name, value in changes.items():
        setattr(manifest, name, value)
    write_manifest(folder, manifest)


def test_a_recording_whose_messages_are_in_columns_of_another_version_is_never_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gap for what cannot be read would be equal to itself, and the recording would be deleted."""
    folder = tmp_path / "runs" / "other"
    fields = [field if field.name != PAYLOAD_TOLD else pa.field("payload_chat", pa.string()) for field in COLUMNS]
    written_with(pa.schema(fields), folder, monkeypatch, told_in="payload_chat")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(ValueError, match="is left as it was"):
        migrate_recording(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_columns_that_a_later_version_added_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "newer"
    written_with(pa.schema([*COLUMNS, ("goal", pa.string())]), folder, monkeypatch)
    assert read_table_names(folder)[-1] == "goal"
    recording = opened(folder)
    assert not recording.problems
    assert isinstance(recording._store, ColumnStore)
    assert_same_answers(followed(folder), recording)


def read_table_names(folder: Path) -> list[str]:
    """List the columns of the first sealed segment."""
    names: list[str] = pq.read_schema(next(iter(sorted(folder.glob("*.parquet"))))).names
    return names


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


@pytest.mark.parametrize("format", (1, 2))
def test_a_question_that_reads_many_segments_shows_how_far_it_is(
    format: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("degentcivil_nb.core.progress.PATIENCE_S", 0.0)
    folder = written(tmp_path / "run", entries_of(100, 5), close=True, segment_messages=10, format=format)
    with Recording(folder, memory_rows=0) as recording, caplog.at_level("INFO", logger="degentcivil_nb.core"):
        caplog.clear()  # what opening shows
        recording.timeline("c1")
        assert caplog.messages[0] == "reading segments: 1 of 10"  # of the rest the log repeats only some
        caplog.clear()
        asking = threading.Thread(target=recording.timeline)  # as a panel does
        asking.start()
        asking.join()
        assert caplog.messages == []


def test_matches_of_a_long_recording_show_how_far_they_are_and_give_their_own_events_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, int, int]] = []
    monkeypatch.setattr(stops, "CHUNK", 40)
    monkeypatch.setattr(stops, "following_cell", lambda what: nullcontext(lambda *far: shown.append((what, *far))))
    folder = written(tmp_path / "run", entries_of(100, 5), close=True, segment_messages=10)
    with Recording(folder) as recording:
        expected = recording.events("state_change")
        monkeypatch.setattr(type(recording._store), "events", None)  # those of a long run do not fit into memory
        pd.testing.assert_frame_equal(recording.matches("type == 'state_change'"), expected)
    assert shown == [("looking through events", done, 100) for done in (40, 80, 100)]


CALLS = (
    {"prompt_type": "PLAN", "prompt": "a", "response": "{}", "model": "m", "prompt_tokens": 3, "latency_s": 0.5},
    {
        "prompt": {"a": [1]},
        "response": ["b"],
        "retries": 2,
        "rejected": "not JSON",
        "provider": ["x"],
        "cost_usd": 0.25,
    },
    {"error": "too slow", "completion_tokens": 2**60, "retries": "often", "rejected": {"why": 1}, "provider": False},
    {"prompt_type": "é" * 300, "response": "", "cost_usd": 1e300, "prompt_tokens": 2**53 - 1},
)


@pytest.mark.parametrize("odd", (b'{"latency_s": NaN, "prompt": "c"}', b"", b'{"latest_prompt": "p"}'))
def test_all_calls_are_the_same_from_columns_and_from_payloads(
    odd: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "character_update_llm" if b"latest" in odd else "llm_call"
    messages = [RawMessage("llm_call", Raw(encode(call)), 5.0, seq, 1) for seq, call in enumerate(CALLS, 1)]
    messages += [RawMessage(kind, Raw(odd), 6.0, 5, 1)] if odd else []
    folder = written(tmp_path / "run", [RecordedMessage(messages, 5.0, EPOCH)], close=True, segment_messages=2)
    monkeypatch.setattr("degentcivil_nb.recordings.column_events.FEW", 0)  # as for many calls
    with Recording(folder) as recording:
        found = recording.llm_calls()
    store = EventStore()
    store.append(messages, 5.0, EPOCH)
    pd.testing.assert_frame_equal(found, with_malformed(store.llm_calls()), check_categorical=False)
