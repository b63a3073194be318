"""What one reading of a long recording found is kept for the next, which answers the same, or is not believed."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from degentcivil_nb.protocol.errors import RecordingWarning
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings import index, index_file, segment_reader, whole_run
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.index_file import INDEX_NAME, IndexWriter
from degentcivil_nb.recordings.segment_reader import Segment, SegmentFolder
from degentcivil_nb.session.recording import Recording
from degentcivil_nb.store.event_store import EventStore
from tests.store.test_model import STEPS, batches_of
from tests.support import recording_helpers
from tests.support.recording_helpers import EPOCH, assert_same_answers, entries_of, message_at, opened
from tests.support.sizes import examples

HELD = 3
written = partial(recording_helpers.written, format=1)
"""Recordings of format 1, which have no columns and are followed when they are opened."""


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Keep what was found of the smallest recording, and hold few events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "WORTH_KEEPING", 0)
        patch.setattr(index, "HELD_ROWS", HELD)
        patch.setattr(whole_run, "HELD_ROWS", HELD)
        yield


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List the segments whose messages are read."""
    numbers: list[int] = []
    plain = SegmentFolder.read

    def noted(folder: SegmentFolder, segment: Segment) -> Any:
        numbers.append(segment.stats.number)
        return plain(folder, segment)

    monkeypatch.setattr(SegmentFolder, "read", noted)
    return numbers


def long(folder: Path) -> Recording:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        return Recording(folder, memory_rows=0)


def assert_same_towns(one: Recording, other: Recording) -> None:
    """Compare what `assert_same_answers` does not ask."""
    for row in range(len(one)):
        assert one.payload(row) == other.payload(row)
        assert one._store.characters(row=row).equals(other._store.characters(row=row))
    for name in ("tick", "run_state", "next_row"):
        assert getattr(one._store, name) == getattr(other._store, name)
    first, second = one._store.stats(), other._store.stats()
    for name in ("rows", "first_row", "characters", "errors", "malformed", "gaps", "missing", "payload_bytes"):
        assert getattr(first, name) == getattr(second, name), name
    pd.testing.assert_frame_equal(one._store.rows_since(0, 100), other._store.rows_since(0, 100))
    pd.testing.assert_frame_equal(one._store.llm_totals(), other._store.llm_totals())


@settings(max_examples=examples(25), deadline=None)
@given(STEPS, st.integers(1, 12), st.booleans())
def test_what_was_kept_answers_as_what_is_read(steps: list[Any], segment: int, close: bool) -> None:
    entries = [RecordedMessage(batch, 1_500.0 + at, EPOCH) for at, batch in enumerate(batches_of(steps)) if batch]
    store = EventStore()
    for entry in entries:
        store.append(list(entry.messages), entry.received, entry.epoch)
    with tempfile.TemporaryDirectory() as name:
        folder = written(Path(name) / "run", entries, close=close, segment_messages=segment)
        first, again = long(folder), long(folder)
        assert_same_answers(store, again)
        assert_same_towns(first, again)


def test_a_stay_that_a_list_of_characters_told_knows_its_tick(tmp_path: Path) -> None:
    told = [
        ("all_characters", [{"name": "emma", "state": "MOVE"}]),
        ("all_characters", [{"name": "emma", "state": "ACT"}]),
    ]
    steps = [step for tick, event in enumerate(told) for step in (("event", event, 1_000 + tick, tick), ("cut",))]
    entries = [RecordedMessage(batch, 1_500.0, EPOCH) for batch in batches_of(steps) if batch]
    folder = written(tmp_path / "run", entries, close=True, segment_messages=1)
    for character_id in (None, "emma"):
        stays = long(folder).timeline(character_id)
        assert stays["start_tick"].to_list() == [0, 1]


def test_the_second_opening_reads_only_the_last_events(tmp_path: Path, read: list[int]) -> None:
    folder = written(tmp_path / "run", entries_of(40, 5), close=True, segment_messages=5)
    first = long(folder)
    assert read == list(range(8))
    read.clear()
    again = long(folder)
    assert read == [7]
    assert_same_answers(first, again)
    read.clear()
    again.characters(tick=1)
    assert len(read) <= 1


def test_a_recording_that_goes_on_is_read_on_from_where_it_was_known(tmp_path: Path, read: list[int]) -> None:
    folder = written(tmp_path / "run", entries_of(20, 5), close=False, segment_messages=5)
    long(folder)
    written(folder, entries_of(20, 5, first=21), close=True, segment_messages=5)
    read.clear()
    recording = long(folder)
    assert read == [3, 4, 5, 6, 7]
    assert_same_answers(opened(folder), recording)
    read.clear()
    assert long(folder).events()["seq"].tolist() == list(range(1, 41))


def test_who_has_it_open_is_not_disturbed_by_what_is_added(tmp_path: Path, read: list[int]) -> None:
    folder = written(tmp_path / "run", entries_of(20, 5), close=False, segment_messages=5)
    recording = long(folder)
    written(folder, entries_of(20, 5, first=21), close=True, segment_messages=5)
    long(folder)
    read.clear()
    recording.characters(row=2)
    assert read == [0]


def test_parts_of_a_snapshot_in_two_segments_make_one_town(tmp_path: Path) -> None:
    parts = [
        b'{"seq": 1, "part": 0, "last": false, "characters": [{"character_id": "a", "state": "X"}]}',
        b'{"seq": 1, "part": 1, "last": true, "characters": [{"character_id": "b", "state": "Y"}]}',
    ]
    snapshots = [RawMessage("snapshot", Raw(part)) for part in parts]
    messages = [message_at(1), snapshots[0], snapshots[1], *map(message_at, range(2, 12))]
    entries = [RecordedMessage([message], 5.0, EPOCH) for message in messages]
    folder = written(tmp_path / "run", entries, close=True, segment_messages=2)
    expected = opened(folder)
    for _ in range(2):
        recording = long(folder)
        assert_same_answers(expected, recording)
        for row in (1, 2, 7):
            assert set(recording.characters(row=row).index) == set(expected.characters(row=row).index)


def test_a_segment_behind_a_snapshot_has_the_town_that_the_stream_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_run, "HELD_ROWS", 100)
    snapshot = RawMessage("snapshot", Raw(b'{"seq": 9, "characters": [{"character_id": "new", "state": "X"}]}'))
    messages = [*map(message_at, range(1, 6)), snapshot, *map(message_at, range(6, 16))]
    entries = [RecordedMessage([message], 5.0, EPOCH) for message in messages]
    folder = written(tmp_path / "run", entries, close=True, segment_messages=2)
    expected = opened(folder)
    for _ in range(2):
        recording = long(folder)
        for row in range(len(recording)):
            found = recording.characters(row=row)
            pd.testing.assert_frame_equal(
                found, expected.characters(row=row), check_like=True, check_categorical=False, obj=f"row {row}"
            )


def test_nothing_is_kept_where_a_snapshot_is_ahead_of_the_stream(tmp_path: Path) -> None:
    snapshot = RawMessage("snapshot", Raw(b'{"seq": 99, "characters": [{"character_id": "new", "state": "X"}]}'))
    messages = [*map(message_at, range(1, 6)), snapshot, *map(message_at, range(6, 16))]
    folder = written(
        tmp_path / "run", [RecordedMessage([one], 5.0, EPOCH) for one in messages], close=True, segment_messages=2
    )
    first, again = long(folder), long(folder)
    assert not (folder / INDEX_NAME).exists()
    assert_same_towns(first, again)


# --- what is not believed --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, small: None) -> Path:
    odd = [
        RawMessage("run_state", Raw(b'{"state": "running", "tick": 2}')),
        RawMessage("gap", Raw(b'{"epoch": "epoch-1", "from": 7, "to": 9, "reason": "filtered"}')),
        RawMessage("error", Raw(b'{"code": 1004, "message": "no"}'), 1_002.0, 10),
        RawMessage("all_buildings", Raw(b'[{"id": 1, "name": "Park"}]'), 1_002.0, 11),
        RawMessage("llm_call", Raw(b'{"model": "m", "latency_s": 2.0, "prompt_tokens": 3}'), 1_002.0, 12),
        RawMessage("character_update", Raw(b'{"character_id": "c1", "money": 1180591620717411303424}'), 1_003.0, 13),
        RawMessage("all_characters", Raw(b'[{"name": "n", "state": "A"}]'), 1_004.0, 14),
    ]
    entries = [*entries_of(6, 3), RecordedMessage(odd, 2_500.0, EPOCH), *entries_of(20, 5, first=15)]
    folder = written(tmp_path_factory.mktemp("kept") / "run", entries, close=True, segment_messages=5)
    long(folder)
    assert (folder / INDEX_NAME).is_file()
    return folder


def test_a_bit_that_flips_anywhere_is_noticed(kept: Path, tmp_path: Path) -> None:
    expected = opened(kept)
    whole = (kept / INDEX_NAME).read_bytes()
    folder = Path(shutil.copytree(kept, tmp_path / "run"))
    for place in [*range(0, 120, 7), *range(120, len(whole), max(1, len(whole) // examples(40)))]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        (folder / INDEX_NAME).write_bytes(damaged)
        recording = long(folder)
        assert recording.problems == []
        assert_same_answers(expected, recording)
        for row in (1, 6, 12, 19):
            pd.testing.assert_frame_equal(
                recording.characters(row=row), expected.characters(row=row), check_like=True, check_categorical=False
            )


@pytest.mark.parametrize("size", [0, 1, 22, 60, 200, -1], ids=str)
def test_a_cut_is_noticed(kept: Path, tmp_path: Path, size: int) -> None:
    folder = Path(shutil.copytree(kept, tmp_path / "run"))
    (folder / INDEX_NAME).write_bytes((kept / INDEX_NAME).read_bytes()[:size])
    assert_same_answers(opened(kept), long(folder))


def test_what_was_kept_of_another_recording_is_not_used(kept: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other", entries_of(40, 4), close=True, segment_messages=5)
    shutil.copy(kept / INDEX_NAME, other / INDEX_NAME)
    assert_same_answers(opened(other), long(other))


def test_what_another_version_kept_is_not_used(
    kept: Path, tmp_path: Path, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(kept, tmp_path / "run"))
    monkeypatch.setattr("degentcivil_nb.recordings.index_file.MEANING", 99)
    long(folder)
    assert read[0] == 0


@pytest.mark.parametrize(
    "forge",
    [
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: os.mkfifo(path) if os.name == "posix" else None,
        lambda path: path.write_bytes(b"degentcivil_nb survey\nffffffffffffffff " + b"0" * 64 + b"\n{}"),
        lambda path: path.write_bytes(b"degentcivil_nb survey\n-000000000000001 " + b"0" * 64 + b"\n{}"),
        lambda path: path.write_bytes(b"PK\3\4" * 1_000),
    ],
    ids=["folder", "link", "pipe", "huge", "negative", "foreign"],
)
def test_whatever_lies_in_its_place_the_recording_opens(tmp_path: Path, forge: Any) -> None:
    folder = written(tmp_path / "run", entries_of(20, 5), close=True, segment_messages=5)
    expected = opened(folder)
    forge(folder / INDEX_NAME)
    assert_same_answers(expected, long(folder))


def test_codes_without_words_are_refused(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(kept, tmp_path / "run"))
    (folder / INDEX_NAME).unlink()
    plain = IndexWriter.add_array
    for wrong in range(18):
        place = iter(range(100))

        def forged(writer: IndexWriter, array: Any) -> Any:
            return plain(writer, array + 1_000 if next(place) == wrong else array)  # noqa: B023 — used at once

        monkeypatch.setattr(IndexWriter, "add_array", forged)
        long(folder)
        monkeypatch.undo()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(index, "WORTH_KEEPING", 1 << 40)
            recording = long(folder)
            for question in ("transitions", "timeline", "rates", "characters"):
                getattr(recording, question)()
        (folder / INDEX_NAME).unlink()


def test_a_segment_damaged_since_is_found_at_the_next_opening(kept: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(kept, tmp_path / "run"))
    path = next(folder.glob("segment-000001-*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.warns(RecordingWarning, match="segment-000001"):
        recording = Recording(folder, memory_rows=0)
    assert_same_answers(opened(folder), recording)
    assert "damaged" in recording.gaps()["reason"].tolist()


def test_a_segment_damaged_while_it_is_open_is_told(
    kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(kept, tmp_path / "run"))
    recording = long(folder)
    next(folder.glob("segment-000001-*")).write_bytes(b"")
    recording.characters(row=6)
    assert "damaged after it was opened" in caplog.text


def test_a_folder_that_cannot_be_written_into_is_read_each_time(
    tmp_path: Path, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(IndexWriter, "write", refuse)
    folder = written(tmp_path / "run", entries_of(20, 5), close=True, segment_messages=5)
    for _ in range(2):
        read.clear()
        assert_same_answers(opened(folder), long(folder))
        assert 0 in read
    assert not (folder / INDEX_NAME).exists()


def test_what_a_store_makes_of_messages_has_not_changed_its_meaning() -> None:
    """What was kept by an earlier version is believed while `MEANING` is the same: then it must be what it was."""
    odd = [
        RawMessage("run_state", Raw(b'{"state": "running", "tick": 2, "command_id": "x"}')),
        RawMessage("gap", Raw(b'{"epoch": "epoch-1", "from": 7, "to": 9, "reason": "filtered"}')),
        RawMessage("error", Raw(b'{"code": 1004, "message": "no", "character_id": "c1"}'), 1_002.0, 10),
        RawMessage("error", Raw(b'{"code": "none"}'), 1_002.0, 11),
        RawMessage("all_buildings", Raw(b'[{"id": 1, "name": "Park"}]'), 1_002.0, 12),
        RawMessage("llm_call", Raw(b'{"model": "m", "latency_s": 2.0, "prompt_tokens": 3}'), 1_002.0, 13),
        RawMessage("character_update", Raw(b'{"character_id": "c1", "money": 3, "state": "IDLE"}'), 1_003.0, 14, 3),
        RawMessage("character_update_llm", Raw(b'{"latest_prompt_type": "n"}'), 1_003.0, 15),
        RawMessage("event_notification", Raw(b'{"event_type": "trade", "character_id": 7}'), -1.0, 16),
        RawMessage("all_characters", Raw(b'[{"name": "n", "state": "A", "location": "Park"}]'), 1_004.0, 17),
        RawMessage("state_change", Raw(b'{"character_id": "c1", "new_state": "B", "previous_state": "Z"}'), 1e300, 18),
        RawMessage("anything", Raw(b"[1, 2]"), None, None, 4),
        RawMessage("anything", Raw(b'{"character_id": "own"}'), 1_005.0, None, 4),
        RawMessage("snapshot", Raw(b'{"seq": 20, "characters": [{"character_id": "s", "state": "X", "since": 5}]}')),
        message_at(19),
        RawMessage("snapshot", Raw(b'{"seq": 21, "last": false, "characters": [{"character_id": "t"}]}')),
    ]
    found = sha256()
    run = whole_run.WholeRun()
    for entry in [
        *entries_of(6, 3),
        RecordedMessage(odd[:-3], 2_500.0, EPOCH),
        RecordedMessage(odd[-3:], 2_501.0, EPOCH),
    ]:
        run.append(list(entry.messages), entry.received, entry.epoch)
        kept, arrays = run.keep()
        town, epoch = run.town()
        found.update(encode([kept, town.decode(), epoch]))
        for name, array in sorted(arrays.items()):
            found.update(encode([name, array.tolist()]))
    # `ModelTotals` has got counts since: an older index is believed, and what it lacks there is `None`
    assert (index_file.MEANING, found.hexdigest()[:16]) == (4, "21ee15570fc25edd"), (
        "a store makes something else of the same messages: raise MEANING in index_file.py, and note both here"
    )


def test_a_short_reading_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "WORTH_KEEPING", 21)
    folder = written(tmp_path / "run", entries_of(20, 5), close=True, segment_messages=5)
    long(folder)
    assert not (folder / INDEX_NAME).exists()


def test_what_is_kept_is_no_part_of_the_recording(kept: Path) -> None:
    info = Recording(kept).info()
    assert info["bytes"] == sum(path.stat().st_size for path in kept.iterdir() if path.name != INDEX_NAME)
    assert info["segments"] == len(segment_reader.SegmentFolder(kept).segments)
