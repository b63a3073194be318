"""Damaged recordings: cuts, flipped bits, lost files and malicious files are always noticed."""

from __future__ import annotations

import errno
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from filelock import lock_descriptor, unlock_descriptor

from degentcivil_nb.protocol.errors import RecordingWarning
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings import segment_bytes
from degentcivil_nb.recordings.arrow_messages import SCHEMA
from degentcivil_nb.recordings.extract_files import is_derived
from degentcivil_nb.recordings.framing import HEADER_BYTES, Record, read_records, write_record
from degentcivil_nb.recordings.manifest import LOCK, Manifest, SegmentStats, digest_of, read_manifest, write_manifest
from degentcivil_nb.recordings.packed_messages import pack
from degentcivil_nb.recordings.segment_reader import SegmentFolder
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from tests.support.recording_helpers import EPOCH, entries_of, is_damage, message_at, read_back, written
from tests.support.sizes import examples

COUNT = 12


@pytest.fixture(params=[True, False], ids=["finished", "killed"])
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a recording with two sealed segments, and one more that is sealed or was left open."""
    return written(tmp_path / "run", entries_of(COUNT, 2), close=request.param, segment_messages=4)


def files_of(folder: Path) -> list[Path]:
    """List the files that hold what was recorded; the index beside them is made again where it is damaged."""
    return sorted(path for path in folder.iterdir() if path.stat().st_size and not is_derived(path))


def is_part_of(found: list[RawMessage], count: int = COUNT) -> bool:
    """Say whether messages are some of those written, in order, each as it was."""
    seqs = [message.seq or 0 for message in found]
    return seqs == sorted(set(seqs)) and all(1 <= seq <= count for seq in seqs) and found == list(map(message_at, seqs))


def test_what_was_written_is_read_back(recording: Path) -> None:
    messages, held = read_back(recording)
    assert messages == [message_at(seq) for seq in range(1, COUNT + 1)]
    assert held.position == (EPOCH, COUNT)
    assert len(held.segments) == 3


def test_a_finished_recording_has_no_problems_and_a_killed_one_says_where_it_ends(tmp_path: Path) -> None:
    assert read_back(written(tmp_path / "a", entries_of(5, 2), close=True))[1].problems == []
    problems = read_back(written(tmp_path / "b", entries_of(5, 2), close=False))[1].problems
    assert len(problems) == 1
    assert "position 5 of epoch epoch-1" in str(problems[0])


def test_a_cut_at_every_byte_is_noticed(tmp_path: Path) -> None:
    for close in (True, False):
        recording = written(tmp_path / f"run-{close}", entries_of(4, 2), close=close)
        for path in files_of(recording):
            whole = path.read_bytes()
            ends = set()
            if path.suffix == ".open":
                size = 0
                for record in read_records(memoryview(whole)):
                    assert isinstance(record, Record)
                    size += HEADER_BYTES + len(record.payload)
                    ends.add(size)
            for length in range(len(whole)):
                path.write_bytes(whole[:length])
                messages, held = read_back(recording)
                told = " ".join(map(str, held.problems))
                assert held.problems, f"{path.name} cut at {length}"
                assert is_part_of(messages, 4), f"{path.name} cut at {length}"
                if path.name == "manifest.json":
                    assert len(messages) == 4
                    assert "damaged" in told
                elif path.suffix == ".parquet":
                    assert messages == []
                    assert "4 messages are missing" in told
                elif length not in ends and length:
                    assert "ends within a record" in told or "damaged" in told
            path.write_bytes(whole)


def test_no_flipped_bit_goes_unnoticed(recording: Path) -> None:
    randomness = random.Random(5)
    before = read_back(recording)[1].problems
    for _ in range(examples(100)):  # for each of the two recordings: 200, and 10,000 at full size
        path = randomness.choice(files_of(recording))
        whole = path.read_bytes()
        flipped = bytearray(whole)
        place = randomness.randrange(len(whole) * 8)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        messages, held = read_back(recording)
        assert held.problems != before, f"bit {place} of {path.name}"
        assert is_part_of(messages), f"bit {place} of {path.name}"
        if path.name == "manifest.json":
            assert len(messages) == COUNT
        path.write_bytes(whole)
    assert read_back(recording)[1].problems == before


def test_a_damaged_record_costs_itself_and_is_counted_with_its_positions(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", entries_of(9, 3), close=False)
    path = folder / "segment-000000.open"
    data = bytearray(path.read_bytes())
    first = next(iter(read_records(memoryview(bytes(data)))))
    assert isinstance(first, Record)
    data[HEADER_BYTES + len(first.payload) + HEADER_BYTES + 100] ^= 1
    path.write_bytes(data)
    held = SegmentFolder(folder)
    messages = [message for entry in held.entries() for message in entry.messages]
    assert [message.seq for message in messages] == [1, 2, 3, None, 7, 8, 9]
    assert messages[3].payload() == {"epoch": EPOCH, "from": 4, "to": 6, "reason": "damaged"}
    assert any(problem.missing == 3 for problem in held.problems)


def test_a_lost_segment_is_counted_with_its_positions(recording: Path) -> None:
    next(recording.glob("segment-000001-*.parquet")).unlink()
    held = SegmentFolder(recording)
    messages = [message for entry in held.entries() for message in entry.messages]
    gaps = [message.payload() for message in messages if is_damage(message)]
    assert gaps == [{"epoch": EPOCH, "from": 5, "to": 8, "reason": "damaged"}]
    assert any(problem.missing == 4 for problem in held.problems)
    assert len(messages) == COUNT - 4 + 1


def test_without_a_manifest_the_segments_tell_all_and_it_is_said(recording: Path) -> None:
    (recording / "manifest.json").unlink()
    messages, held = read_back(recording)
    assert len(messages) == COUNT
    assert any("missing" in problem.what for problem in held.problems)


def test_a_segment_that_is_sealed_and_still_open_counts_once(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", entries_of(4, 2), close=False)
    left = (folder / "segment-000000.open").read_bytes()
    writer = SegmentWriter(folder)
    writer.abandon()
    (folder / "segment-000000.open").write_bytes(left)
    assert len(read_back(folder)[0]) == 4


def test_going_on_after_a_kill_seals_what_was_left_and_loses_nothing(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", entries_of(7, 2), close=False)
    with (folder / "segment-000000.open").open("ab") as file:
        file.write(b"\x89DCR")  # the record that the kill interrupted
    writer = SegmentWriter(folder, segment_messages=4)
    assert writer.position == (EPOCH, 7)
    assert writer.existed
    writer.write(entries_of(3, 3, first=8))
    writer.close()
    messages, held = read_back(folder)
    assert messages == [message_at(seq) for seq in range(1, 11)]
    assert held.problems == []


def test_a_disk_that_fills_up_while_a_segment_is_sealed_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(tmp_path / "run", segment_messages=4)
    writer.write(entries_of(4, 2))
    with monkeypatch.context() as full:
        full.setattr("degentcivil_nb.recordings.segment_writer.write_manifest", _no_space)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                writer.seal()
    writer.seal()
    writer.write(entries_of(2, 2, first=5))
    writer.close()
    messages, held = read_back(tmp_path / "run")
    assert messages == [message_at(seq) for seq in range(1, 7)]
    assert held.problems == []
    assert len(held.segments) == len(list((tmp_path / "run").glob("segment-*"))) == 2


def _no_space(folder: Path, manifest: Manifest) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_segment_that_is_sealed_while_somebody_looks_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(tmp_path / "run")
    writer.write(entries_of(6, 3))
    writer.commit()
    plain = SegmentFolder._open_segment

    def late(folder: SegmentFolder, path: Path, number: int) -> Any:
        writer.seal()
        return plain(folder, path, number)

    monkeypatch.setattr(SegmentFolder, "_open_segment", late)
    messages, held = read_back(tmp_path / "run")
    assert [message.seq for message in messages] == list(range(1, 7))
    assert held.problems == []
    writer.close()


def test_a_reader_takes_another_reader_for_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "run", entries_of(6, 3), close=False)
    with (folder / LOCK).open("r+") as file:
        assert lock_descriptor(file.fileno(), blocking=False)  # as a reader does that looks at this very moment
        monkeypatch.setattr("time.sleep", lambda _: unlock_descriptor(file.fileno()))
        assert not SegmentFolder(folder).live


def test_a_finished_recording_never_shows_as_being_written(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", entries_of(6, 3), close=True)
    with (folder / LOCK).open("r+") as file:
        assert lock_descriptor(file.fileno(), blocking=False)
        held = SegmentFolder(folder)
    assert (held.live, held.finished, held.problems) == (False, True, [])


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has file systems without flock")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL])
def test_a_file_system_without_locks_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    import fcntl

    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(RecordingWarning, match=rf"run is on a file system without file locks \({os.strerror(number)}\)"):
        writer = SegmentWriter(tmp_path / "run")
    writer.write(entries_of(6, 3))
    writer.commit()
    assert not SegmentFolder(tmp_path / "run").live, "nobody knows, and nobody is accused"
    writer.close()
    messages, held = read_back(tmp_path / "run")
    assert len(messages) == 6 and held.finished


@pytest.mark.skipif(os.name != "posix", reason="only POSIX says it in three ways")
@pytest.mark.parametrize("number", [errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES])
def test_who_holds_the_lock_is_told_in_three_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    import fcntl

    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(BlockingIOError, match="already being recorded into"):
        SegmentWriter(tmp_path / "run")


def test_what_arrow_reads_from_is_not_in_memory_of_python(recording: Path) -> None:
    """Its threads may let go of it at the interpreter's end, which then aborts: seen in 1 of 50 runs of `info`."""
    segment = SegmentFolder(recording).segments[0]
    assert segment.path is not None
    data = segment_bytes.sound_bytes(segment.path, segment.stats.digest or "")
    assert isinstance(data, pa.Buffer)
    assert data.to_pybytes() == segment.path.read_bytes()


def test_a_segment_that_fills_up_at_once_goes_straight_into_parquet(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "run", segment_messages=4)
    writer.write([entries_of(3, 3)[0], pack(entries_of(3, 2, first=4)), entries_of(1, 1, first=7)[0]])
    assert writer.full
    writer.seal()
    assert not list((tmp_path / "run").glob("*.open"))
    messages, held = read_back(tmp_path / "run")
    assert messages == [message_at(seq) for seq in range(1, 8)]
    assert [entry.received for entry in held.entries()] == [2_001.0, 2_004.0, 2_006.0, 2_007.0]
    writer.close()


@pytest.mark.parametrize("left", [["recording.lock"], ["recording.lock", "manifest.json.tmp"]])
def test_a_kill_before_there_was_anything_does_not_spoil_the_folder(left: list[str], tmp_path: Path) -> None:
    for name in left:
        (tmp_path / name).touch()
    writer = SegmentWriter(tmp_path)
    assert not writer.existed
    writer.write(entries_of(2, 2))
    writer.close()
    assert len(read_back(tmp_path)[0]) == 2
    assert not list(tmp_path.glob("*.tmp"))


def test_two_writers_are_kept_apart(tmp_path: Path) -> None:
    first = SegmentWriter(tmp_path / "run")
    with pytest.raises(BlockingIOError, match="already"):
        SegmentWriter(tmp_path / "run")
    first.close()
    SegmentWriter(tmp_path / "run").close()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(ValueError, match="other files"):
        SegmentWriter(tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        SegmentWriter(tmp_path / "thesis.tex")
    with pytest.raises(FileNotFoundError):
        SegmentFolder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    outside = written(tmp_path / "secret", entries_of(4, 2), close=True)
    sealed = next(outside.glob("*.parquet"))
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / sealed.name).symlink_to(sealed)
    (folder / "segment-000001.open").symlink_to(sealed)
    stats = read_manifest(outside).segments[0]
    write_manifest(folder, Manifest(run_id="../../x", closed=True, segments=[stats]))
    messages, held = read_back(folder)
    assert messages == []
    assert any("missing" in problem.what for problem in held.problems)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": [1, 2]}),
        pa.table({name: pa.nulls(2, SCHEMA.field(name).type) for name in SCHEMA.names}, schema=SCHEMA),
        pa.table({name: pa.nulls(3, SCHEMA.field(name).type) for name in SCHEMA.names}, schema=SCHEMA),
    ],
    ids=["other columns", "no values", "another number of rows"],
)
def test_a_segment_made_to_harm_is_refused_whatever_its_checksum_says(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "x")
    data = (tmp_path / "x").read_bytes()
    (tmp_path / "x").unlink()
    stats = SegmentStats(0, 0, 0, 2, 2, digest=digest_of(data))
    (tmp_path / stats.name).write_bytes(data)
    write_manifest(tmp_path, Manifest(closed=True, segments=[stats]))
    messages, held = read_back(tmp_path)
    assert messages == []
    assert any("damaged" in problem.what and problem.missing == 2 for problem in held.problems)


def test_records_made_to_harm_are_damage(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", entries_of(4, 2), close=False)
    batch = pa.record_batch({"a": [1]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    with (folder / "segment-000000.open").open("ab") as file:
        for payload in (b"", b"\xff" * 50, memoryview(sink.getvalue())):
            file.writelines(write_record(Record(1, 0, 2, 4, 4, 1, payload)))
        file.writelines(write_record(Record(1, 77, 2, 4, 4, 1, b"of another segment")))
    messages, held = read_back(folder)
    assert len(messages) == 4
    assert len(held.problems) > 1


def test_a_copy_of_the_folder_is_the_recording(recording: Path, tmp_path: Path) -> None:
    shutil.copytree(recording, tmp_path / "copy")
    assert read_back(tmp_path / "copy")[0] == read_back(recording)[0]
