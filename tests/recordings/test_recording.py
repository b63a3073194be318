"""A recording answers as the session did, whenever it is opened, and recording delays nobody."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.protocol.errors import RecordingWarning
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage, from_batch
from degentcivil_nb.recordings.packed_messages import pack, to_batch
from degentcivil_nb.recordings.recorder import Recorder
from degentcivil_nb.recordings.save import declare_gap_between, save
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.session.recording import Recording, open_recording
from degentcivil_nb.store.event_store import EventStore
from tests.store.test_model import STEPS, batches_of
from tests.support.recording_helpers import (
    EPOCH,
    assert_same_answers,
    entries_of,
    message_at,
    opened,
    read_back,
    written,
)
from tests.support.sizes import examples


@pytest.fixture
def server() -> Iterator[dc.LocalServer]:
    with dc.start_local_server(characters=6, tick_s=0.02) as server:
        yield server


def told(batches: list[list[RawMessage]]) -> tuple[EventStore, list[RecordedMessage]]:
    """Give a store as a session would have it, and what its sink was given."""
    store = EventStore()
    entries = [RecordedMessage(batch, 1_500.0 + number, EPOCH) for number, batch in enumerate(batches) if batch]
    for entry in entries:
        store.append(list(entry.messages), entry.received, entry.epoch)
    return store, entries


# --- round trips -----------------------------------------------------------------------------------------------------


@settings(max_examples=examples(25), deadline=None)
@given(STEPS, st.integers(1, 12), st.booleans())
def test_every_question_is_answered_as_by_the_session(steps: list[Any], segment: int, close: bool) -> None:
    store, entries = told(batches_of(steps))
    with tempfile.TemporaryDirectory() as name:
        folder = written(Path(name) / "run", entries, close=close, segment_messages=segment)
        assert_same_answers(store, opened(folder))


HISTORY_BELOW_A_SNAPSHOT: list[Any] = [
    ("event", ("state_change", {"character_id": "emma", "new_state": "IDLE", "location": "Park"}), 1_000, None),
    ("snapshot", [], 2),
    ("cut",),
    ("event", ("state_change", {"character_id": "emma", "new_state": "IDLE", "location": None}), 1_000, None),
]
"""The second event lies before the position of the snapshot that a segment begins behind."""

HISTORY_BELOW_A_FIRST_SNAPSHOT: list[Any] = [
    ("event", ("state_change", {"character_id": "emma", "new_state": "IDLE", "location": "Park"}), 1_001, None),
    ("cut",),
    ("snapshot", [], 2),
    ("event", ("character_update", {"character_id": "bob"}), 1_000, None),
]
"""A segment begins with a snapshot, and an event that lies before its position follows."""


@settings(max_examples=examples(12), deadline=None)
@given(STEPS, st.integers(1, 12))
@example(HISTORY_BELOW_A_SNAPSHOT, 1)
@example(HISTORY_BELOW_A_FIRST_SNAPSHOT, 1)
def test_a_long_recording_answers_as_one_in_memory(steps: list[Any], segment: int) -> None:
    store, entries = told(batches_of(steps))
    with tempfile.TemporaryDirectory() as name:
        folder = written(Path(name) / "run", entries, close=True, segment_messages=segment)
        recording = open_recording(folder, memory_rows=0)
        assert_same_answers(store, recording)
        for last in (0, 1, 7):
            pd.testing.assert_frame_equal(recording.events(last=last), store.events(last=last), check_categorical=False)
        pd.testing.assert_frame_equal(
            recording.events(["state_change", "error"], where="tick >= 2"),
            store.events(["state_change", "error"], where="tick >= 2"),
            check_categorical=False,
        )
        for row in range(len(store)):
            assert recording.payload(row) == store.payload(row)
            if store.control_rows(row + 1, row + 2):
                continue  # a snapshot between two events may count to either
            found, expected = recording.characters(row=row), store.characters(row=row)
            pd.testing.assert_frame_equal(found, expected, check_like=True, check_categorical=False)


@settings(max_examples=examples(25), deadline=None)
@given(STEPS)
def test_what_is_saved_answers_as_the_session(steps: list[Any]) -> None:
    store, _ = told(batches_of(steps))
    with tempfile.TemporaryDirectory() as name:
        save(store, Path(name) / "run")
        assert_same_answers(store, open_recording(Path(name) / "run"))


@pytest.mark.parametrize(
    "message",
    [
        RawMessage("x", Raw(b"{}"), 1e30, 2**53, 2**53, "id"),
        RawMessage("x", Raw(b'"\xff\xfe"'), -1.0, 3),
        RawMessage("", Raw(b"[1, 2"), None, None, None, "ü"),
        RawMessage("t" * 10_000, Raw(b"null"), float("inf")),
        RawMessage("snapshot", Raw(b'{"seq": "no"}')),
        RawMessage("gap", Raw(b"7")),
        RawMessage("state_change", Raw(b'{"character_id": 5}'), 5.0, 1),
        RawMessage("=cmd()", Raw(b"1" * 300)),
    ],
    ids=range(8),
)
def test_whatever_a_message_is_it_comes_back_as_it_was(message: RawMessage) -> None:
    entry = RecordedMessage([message_at(1), message, message_at(2)], 5.0, None)
    assert list(from_batch(to_batch([entry], 0))) == [entry]


@settings(max_examples=examples(25), deadline=None)
@given(STEPS)
def test_what_a_store_made_of_messages_is_as_good_as_they_are(steps: list[Any]) -> None:
    store = EventStore()
    for batch in filter(None, batches_of(steps)):
        entry = RecordedMessage(batch, 1_500.0, EPOCH)
        taken = store.take(batch, entry.received, EPOCH)
        assert list(from_batch(to_batch([pack([entry._replace(taken=taken)])], 0))) == [entry]


@pytest.mark.parametrize("messages", [[], [RawMessage("x", Raw(b"1"), None, -3, -4)], [RawMessage("y", Raw(b""))]])
def test_what_a_store_has_no_column_for_comes_from_the_messages(messages: list[RawMessage]) -> None:
    entry = RecordedMessage([message_at(1), *messages, message_at(3)], 5.0, None)
    taken = EventStore().take(list(entry.messages), 5.0)
    assert taken
    assert list(from_batch(to_batch([pack([entry._replace(taken=taken)])], 0))) == [entry]


def test_what_is_no_message_becomes_an_error_and_its_neighbours_stay() -> None:
    odd: Any = RawMessage(object(), Raw(b"null"), "soon")  # type: ignore[arg-type]
    (entry,) = from_batch(to_batch([RecordedMessage([message_at(1), odd, message_at(2)], 5.0, None)], 0))
    assert [message.type for message in entry.messages] == ["state_change", "error", "state_change"]


def test_rows_count_events_as_the_store_does(tmp_path: Path) -> None:
    gap = RawMessage("gap", Raw(b'{"epoch": "e", "from": 3, "to": 4}'))
    bad = RawMessage("snapshot", Raw(b"7"))
    folder = written(
        tmp_path / "run", [RecordedMessage([message_at(1), gap, bad, message_at(5)], 5.0, "e")], close=True
    )
    recording = open_recording(folder)
    assert len(recording) == recording.info()["events"] == 3
    assert recording.info()["messages"] == 4


# --- opening ---------------------------------------------------------------------------------------------------------


def test_an_unfinished_recording_opens_with_a_warning(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", entries_of(5, 2), close=False)
    with pytest.warns(RecordingWarning, match="position 5 of epoch"):
        recording = open_recording(folder)
    assert len(recording) == 5
    assert recording.info()["state"] == "unfinished"


def test_a_damaged_recording_counts_what_is_missing_and_shows_the_gap(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", entries_of(9, 3), close=True, segment_messages=3)
    path = next(folder.glob("segment-000001-*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.warns(RecordingWarning, match=r"segment-000001.*3 messages are missing"):
        recording = open_recording(folder)
    gaps = recording.gaps()
    assert gaps[["from_seq", "to_seq"]].values.tolist() == [[4, 6]]
    assert gaps["reason"].tolist() == ["damaged"]
    assert recording.events()["seq"].tolist() == [1, 2, 3, 7, 8, 9]


def test_a_recording_is_opened_while_it_is_written_and_follows(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "run", segment_messages=5)
    writer.write(entries_of(3, 3))
    writer.flush()
    recording = open_recording(tmp_path / "run")  # no warning
    assert len(recording) == 3
    assert recording.info()["state"] == "recording"
    for entry in entries_of(8, 4, first=4):
        writer.write([entry])
        if writer.full:
            writer.seal()
    writer.flush()
    assert recording.refresh() == 8
    assert recording.events()["seq"].tolist() == list(range(1, 12))
    writer.close()
    assert recording.refresh() == 0
    assert recording.info()["state"] == "finished"


@pytest.mark.parametrize("memory_rows", [1_000, 0])
def test_what_follows_a_damaged_segment_comes_once(tmp_path: Path, memory_rows: int) -> None:
    written(tmp_path, entries_of(20, 5), close=False, segment_messages=10)
    (path,) = tmp_path.glob("segment-000000-*")
    path.write_bytes(b"")
    with pytest.warns(RecordingWarning):
        recording = Recording(tmp_path, memory_rows=memory_rows)
    assert recording.refresh() == 0
    written(tmp_path, entries_of(5, 5, first=21), close=False)
    assert recording.refresh() == 5
    assert recording.events()["seq"].tolist() == list(range(11, 26))


def test_messages_stream_from_any_place(tmp_path: Path) -> None:
    recording = open_recording(written(tmp_path / "run", entries_of(20, 3), close=True, segment_messages=6))
    assert [message.seq for message, _, _ in recording.messages(7)] == list(range(8, 21))
    message, received, epoch = next(recording.messages(19))
    assert (message, received, epoch) == (message_at(20), 2_019.0, EPOCH)
    assert list(recording.messages(20)) == []


def test_progress_is_told(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    folder = written(tmp_path / "run", entries_of(20, 5), close=True, format=1)
    open_recording(folder, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(5, 20), (10, 20), (15, 20), (20, 20)]


def test_the_figures_and_panels_of_a_recording_are_those_of_a_session(tmp_path: Path) -> None:
    with open_recording(written(tmp_path / "run", entries_of(20, 5), close=True)) as recording:
        assert len(recording.plot.timeline().data) > 0
        assert recording.dashboard() is not None
        with pytest.raises(dc.CommandError, match="the run is over"):
            recording.panel._commands.submit("pause", {}).result(0)


# --- the recorder ----------------------------------------------------------------------------------------------------


class Blocked(SegmentWriter):
    """Write only once it is let."""

    begun, let = threading.Event(), threading.Event()

    def write(self, entries: Any) -> None:
        self.begun.set()
        self.let.wait(10)
        super().write(entries)


def test_what_the_disk_cannot_keep_up_with_is_a_declared_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Blocked.let.clear()
    Blocked.begun.clear()
    monkeypatch.setattr("degentcivil_nb.recordings.recorder.SegmentWriter", Blocked)
    store = EventStore()
    snapshot = RawMessage("snapshot", Raw(b'{"seq": 130}'))
    recorder = Recorder(tmp_path / "run", max_pending=50, snapshot=lambda: [snapshot])
    for entry in entries_of(120, 10):
        recorder.put(list(entry.messages), entry.received, entry.epoch)
        assert Blocked.begun.wait(60), "the first list is being written: nothing else leaves the queue meanwhile"
    assert recorder.stats().dropped >= 20
    Blocked.let.set()
    while recorder.stats().pending:
        recorder._wake.set()
    recorder.put([message_at(121)], 3_000.0, EPOCH)
    recorder.close()
    messages, held = read_back(tmp_path / "run")
    assert held.problems == []
    for message in messages:
        store.append([message], 3_000.0, EPOCH)
    (gap,) = store.gaps().itertuples()
    assert gap.reason == "recorder"
    assert gap.to_seq == 120
    seqs = [message.seq for message in messages if message.seq is not None]
    assert seqs == [*range(1, store.gaps()["from_seq"].tolist()[0]), 121]
    assert messages[-2] == snapshot


class Full(SegmentWriter):
    """Have a full disk for a while."""

    failures = 2

    def _append(self, *arguments: Any) -> None:
        if Full.failures:
            Full.failures -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        super()._append(*arguments)


def test_a_full_disk_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("degentcivil_nb.recordings.recorder.SegmentWriter", Full)
    Full.failures = 2
    recorder = Recorder(tmp_path / "run", commit_s=0.01)
    with caplog.at_level(logging.WARNING, "degentcivil_nb"):
        recorder.put([message_at(1), message_at(2)], 1.0, EPOCH)
        while recorder.stats().committed is None:
            recorder.put([], 1.0, EPOCH)
    recorder.close()
    assert [message.seq for message in read_back(tmp_path / "run")[0]] == [1, 2]
    assert "No space left" in caplog.text
    assert recorder.stats().error is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_after_a_fork_the_child_records_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    recorder.put([message_at(1)], 1.0, EPOCH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        recorder.put([message_at(2)], 1.0, EPOCH)
        recorder.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    recorder.put([message_at(3)], 1.0, EPOCH)
    recorder.close()
    messages, held = read_back(tmp_path / "run")
    assert [message.seq for message in messages] == [1, 3]
    assert held.problems == []


def test_no_token_is_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run", url="ws://host/?token=s3cret")
    recorder.put([message_at(1)], 1.0, EPOCH)
    recorder.close()
    assert all(b"s3cret" not in path.read_bytes() for path in (tmp_path / "run").iterdir())
    assert open_recording(tmp_path / "run").info()["url"] == "ws://host/?token=(withheld)"


# --- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_is_recorded_from_its_first_message(server: dc.LocalServer, tmp_path: Path) -> None:
    with dc.connect(server, record=tmp_path / "run") as session:
        session.wait_for(after=100)
        session.pause()
        session.stop_recording()
        assert_same_answers(session, dc.open_recording(tmp_path / "run"))
        assert dc.open_recording(tmp_path / "run").info()["run_id"] == "town-0"


def test_a_session_goes_on_with_the_recording_of_an_earlier_one(server: dc.LocalServer, tmp_path: Path) -> None:
    with dc.connect(server, record=tmp_path / "run") as session:
        session.wait_for(after=50)
        held = len(session)
    server_moved_on = threading.Event()
    server_moved_on.wait(0.2)
    with dc.connect(server, record=tmp_path / "run") as session:
        assert len(session) >= held
        session.wait_for(timeout=10)
        session.pause()
        session.stop_recording()
        seqs: list[int] = session.events()["seq"].tolist()
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        assert len(session.gaps()) == 0
        assert len(session.characters()) == 6
        assert_same_answers(session, dc.open_recording(tmp_path / "run"))


def test_a_recording_that_begins_in_the_middle_knows_the_town(server: dc.LocalServer, tmp_path: Path) -> None:
    with dc.connect(server) as session:
        session.wait_for(after=50)
        session.record(tmp_path / "run")
        first = session._store.next_row
        session.wait_for(after=first + 30)
        session.pause()
        session.stop_recording()
        recording: Recording = dc.open_recording(tmp_path / "run")
        assert_characters_equal(recording, session)
        seqs = recording.events()["seq"].tolist()
        assert seqs == session.events(last=len(seqs))["seq"].tolist()
        session.record(tmp_path / "run")
        session.step(3)
        session.stop_recording()
        recording = dc.open_recording(tmp_path / "run")
        assert len(recording.gaps()) == 0
        assert_characters_equal(recording, session)


def test_what_is_saved_of_a_session_that_let_events_go_knows_the_town(server: dc.LocalServer, tmp_path: Path) -> None:
    with dc.connect(server, retention=50) as session:
        session.wait_for(after=100)
        session.pause()
        session.save(tmp_path / "run")
        recording = dc.open_recording(tmp_path / "run")
        assert_characters_equal(recording, session)
        assert recording.events()["seq"].tolist() == session.events()["seq"].tolist()
        with pytest.raises(FileExistsError, match="not empty"):
            session.save(tmp_path / "run")


def assert_characters_equal(one: Any, other: Any) -> None:
    found, expected = one.characters().sort_index(), other.characters().sort_index()
    assert found.astype("str").to_dict() == expected.astype("str").to_dict()


def test_what_lies_between_a_recording_and_a_session_is_declared() -> None:
    def gaps(recorded: Any, now: Any) -> list[Any]:
        return [message.payload() for message in declare_gap_between(recorded, now)]

    assert gaps(("e", 5), ("e", 5)) == []
    assert gaps(("e", 5), ("e", 9)) == [{"epoch": "e", "from": 6, "to": 9, "reason": "recorder"}]
    assert gaps(("e", 5), ("f", 3)) == [
        {"epoch": "e", "from": 6, "reason": "recorder"},
        {"epoch": "f", "from": 1, "to": 3, "reason": "recorder"},
    ]
    assert gaps(None, None) == [{"epoch": None}]
