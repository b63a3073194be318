"""What questions need of each segment is kept beside it, and is not believed where it is not what it should be."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest
from msgspec import Raw

from degentcivil_nb.analysis.costs import BY
from degentcivil_nb.analysis.findings.evidence import Evidence
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings import extract_record, segment_following
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.extract_files import EXTRACTS, SUFFIX, ExtractFiles
from degentcivil_nb.recordings.framing import DIGEST_BYTES, HEADER_BYTES
from degentcivil_nb.recordings.recorder import Recorder, is_flood
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.session.recording import Recording
from degentcivil_nb.store import call_extract, llm
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.store.interfaces import RunStore
from degentcivil_nb.store.pieces import Extract, Extracted, Piece
from tests.support.recording_helpers import EPOCH, message_at, opened, written

NAME: Final = f"calls{SUFFIX}"
COUNT: Final = 120
SEGMENT: Final = 40


def call_at(seq: int) -> RawMessage:
    """Make a call of a language model, now and then one that failed, or whose answer is not what it should be."""
    data: dict[str, Any] = {"character_id": f"c{seq % 3}", "prompt": f"what now, {seq % 4}?", "model": f"m{seq % 2}"}
    data |= {"prompt_type": None if seq % 5 == 0 else "PLAN", "response": '{"do": 1}' if seq % 7 else "rather not"}
    data |= {"latency_s": seq % 7 / 3, "prompt_tokens": seq, "retries": seq % 3 or None, "cost_usd": None}
    data |= {"error": "timeout"} if seq % 11 == 0 else {}
    return RawMessage("llm_call", Raw(encode(data)), 1_000.0 + seq / 10, seq, seq // 10)


def run_of(count: int = COUNT, first: int = 1) -> list[RecordedMessage]:
    """Give messages, two of three of them calls."""
    messages = [(call_at if seq % 3 else message_at)(seq) for seq in range(first, first + count)]
    return [RecordedMessage(messages[at : at + 10], 2_000.0 + first + at, EPOCH) for at in range(0, count, 10)]


def calls_of(store: RunStore) -> pd.DataFrame:
    """Give the calls as findings look at them."""
    return store.by_pieces(lambda pieces: Evidence(pieces, store.gaps()).calls)


def answers(recording: Recording) -> pd.DataFrame:
    return calls_of(recording._store)


def in_memory(count: int = COUNT) -> pd.DataFrame:
    """Give what a store says that has such a run in memory."""
    store = EventStore()
    for entry in run_of(count):
        store.take(list(entry.messages), entry.received, entry.epoch)
    found = calls_of(store)
    assert len(found) > count / 2 and found["malformed"].any() and found["model"].nunique() == 2
    return found


def same(folder: Path, count: int = COUNT) -> None:
    """Ask a recording twice; both times it must say what the store says."""
    recording = opened(folder)
    for _ in range(2):
        pd.testing.assert_frame_equal(answers(recording), in_memory(count))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return written(tmp_path / "run", run_of(), close=True, segment_messages=SEGMENT)


@pytest.fixture
def made(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give a list that grows with each extract of calls that is made from now on: by how many they are."""
    found: list[int] = []
    decode = llm.decode_calls

    def noted(types: Any, payloads: Any) -> Any:
        found.append(len(payloads))
        return decode(types, payloads)

    monkeypatch.setattr(call_extract, "decode_calls", noted)
    return found


def test_a_recorder_keeps_them_and_questions_read_them(recorded: Path, made: list[int]) -> None:
    pd.testing.assert_frame_equal(answers(opened(recorded)), in_memory())
    assert made == [COUNT * 2 // 3]  # those of the store in memory alone
    assert not [path for path in recorded.glob("*.parquet") if SUFFIX in path.name]
    assert opened(recorded).info()["bytes"] == sum(
        path.stat().st_size for path in recorded.iterdir() if path.suffix not in (SUFFIX, ".index")
    )


def test_what_is_missing_is_made_once_and_kept(recorded: Path, made: list[int]) -> None:
    kept = (recorded / NAME).read_bytes()
    (recorded / NAME).unlink()
    answers(opened(recorded))
    assert len(made) == COUNT // SEGMENT and (recorded / NAME).read_bytes() == kept
    same(recorded)
    assert len(made) == COUNT // SEGMENT + 2  # of the store in memory, twice


@pytest.mark.parametrize("share", (0.0, 0.1, 0.5, 0.9, 1.0))
def test_a_bit_that_flips_or_a_cut_costs_no_answer_and_is_mended(recorded: Path, share: float) -> None:
    whole = (recorded / NAME).read_bytes()
    place = round(share * (len(whole) - 1))
    for damaged in (
        whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :],
        whole[:place],
        whole + whole[:place],
    ):
        (recorded / NAME).write_bytes(damaged)
        same(recorded)
        if damaged[: len(whole)] != whole:
            assert (recorded / NAME).read_bytes() == whole


def test_one_of_another_segment_version_or_meaning_is_not_believed(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = written(tmp_path / "other", run_of(first=2), close=True, segment_messages=SEGMENT)
    shutil.copy(other / NAME, recorded / NAME)
    same(recorded)
    for patched in (
        ("degentcivil_nb.recordings.extract_record.MEANING", 99),
        ("degentcivil_nb.analysis.run_calls.CALLS", replace(call_extract.CALLS, version=99)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(*patched)
            answers(opened(recorded))  # written by that version
        same(recorded)


def test_one_that_was_forged_costs_no_answer(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checksums are right, and what it says does not fit the segment."""
    make = call_extract.CALLS.make
    for column, value in (("place", SEGMENT), ("place", -1), ("model", 9), ("character_id", -2)):

        def forged(piece: Piece, column: str = column, value: int = value) -> Extracted:
            found = make(piece)
            changed = found.columns[column].copy()
            changed[-1] = value
            return Extracted(found.columns | {column: changed}, found.words)

        with monkeypatch.context() as patch:
            patch.setattr(segment_following, "EXTRACTS", (replace(call_extract.CALLS, make=forged),))
            folder = written(recorded.parent / f"{column}{value}", run_of(), close=True, segment_messages=SEGMENT)
        same(folder)


@pytest.mark.parametrize("kind", ("folder", "link", "pipe"))
def test_whatever_lies_in_its_place_questions_are_answered(recorded: Path, kind: str) -> None:
    path = recorded / NAME
    path.rename(recorded.parent / "elsewhere")
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(recorded.parent / "elsewhere")
    else:
        os.mkfifo(path)
    same(recorded)


@pytest.mark.parametrize("refused", ["replace", "unlink"])
def test_a_folder_that_cannot_be_written_into_works_without(
    recorded: Path, made: list[int], monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    expected = in_memory()
    (recorded / NAME).unlink()
    made.clear()
    monkeypatch.setattr(Path, "replace", refuse)
    if refused == "unlink":  # a file system that was mounted so says it of a file that is not there, too
        monkeypatch.setattr(Path, "unlink", refuse)
    recording = opened(recorded)
    for _ in range(2):
        pd.testing.assert_frame_equal(answers(recording), expected)
    assert len(made) == COUNT // SEGMENT  # held for the second question
    if refused == "replace":
        assert not [path for path in recorded.iterdir() if path.name.startswith("calls")]


def test_a_recording_that_grows_has_them_of_what_is_sealed_and_readers_leave_its_file_alone(
    tmp_path: Path, made: list[int]
) -> None:
    writer = SegmentWriter(tmp_path / "growing", segment_messages=SEGMENT)
    try:
        for number, entry in enumerate(run_of(), start=1):
            writer.write([entry])
            if writer.full:
                writer.seal()
                (tmp_path / "growing" / NAME).unlink()
            writer.commit()
            if number > 3:
                same(tmp_path / "growing", 10 * number)
                assert not (tmp_path / "growing" / NAME).exists()
    finally:
        writer.abandon()


def test_a_crash_between_a_segment_and_its_extract_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = run_of()
    with monkeypatch.context() as patch:  # torn, as a crash or a full disk leaves it
        patch.setattr(segment_following, "record_of", lambda *given: extract_record.record_of(*given)[:-9])
        written(tmp_path / "run", entries[:6], close=False, segment_messages=SEGMENT)
    same(tmp_path / "run", 60)
    folder = written(tmp_path / "run", entries[6:], close=True, segment_messages=SEGMENT)
    same(folder)


def test_several_who_ask_at_once_leave_a_whole_file(recorded: Path) -> None:
    expected, whole = in_memory(), (recorded / NAME).read_bytes()
    (recorded / NAME).unlink()
    recordings = [opened(recorded) for _ in range(4)]
    barrier = threading.Barrier(4)
    found: dict[int, pd.DataFrame] = {}

    def ask(number: int) -> None:
        barrier.wait()
        found[number] = answers(recordings[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for one in found.values():
        pd.testing.assert_frame_equal(one, expected)
    assert (recorded / NAME).read_bytes() == whole


def test_a_segment_sealed_in_a_hurry_gets_its_extracts_from_the_first_question(tmp_path: Path, made: list[int]) -> None:
    folder, entries = tmp_path / "hurried", run_of()
    writer = SegmentWriter(folder)
    for number in range(3):
        writer.write(entries[4 * number : 4 * number + 4])
        writer.seal(hurried=number == 1)
    writer.close()
    expected = in_memory()
    made.clear()
    pd.testing.assert_frame_equal(answers(opened(folder)), expected)
    assert made == [sum(seq % 3 > 0 for seq in range(SEGMENT + 1, 2 * SEGMENT + 1))]
    pd.testing.assert_frame_equal(answers(opened(folder)), expected)
    assert len(made) == 1


@pytest.mark.parametrize(("behind", "flood"), ((0, False), (1 << 20, False), (1 << 20, True)))
def test_a_recorder_hurries_while_messages_wait_or_come_in_a_flood(
    behind: int, flood: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("degentcivil_nb.recordings.recorder.BEHIND", behind)
    monkeypatch.setattr("degentcivil_nb.recordings.recorder.is_flood", lambda messages, seconds: flood)
    monkeypatch.setattr(SegmentWriter, "full", property(lambda writer: bool(writer._batches)))
    hurries: list[bool] = []
    seal = SegmentWriter.seal

    def noted(writer: SegmentWriter, *, last: bool = False, hurried: bool = False) -> None:
        hurries.append(hurried)
        seal(writer, last=last, hurried=hurried)

    monkeypatch.setattr(SegmentWriter, "seal", noted)
    recorder = Recorder(tmp_path / "run")
    for entry in run_of():
        recorder.put(list(entry.messages), entry.received, entry.epoch)
    recorder.close()
    assert hurries and set(hurries) == {behind == 0 or flood}
    same(tmp_path / "run")


@pytest.mark.parametrize(
    ("messages", "seconds", "flood"),
    ((20_000, 1.0, False), (20_000, 0.1, True), (10, 1e-6, False), (70_000, 0.0, True)),
)
def test_a_large_segment_that_fills_up_fast_is_a_flood(messages: int, seconds: float, flood: bool) -> None:
    assert is_flood(messages, seconds) is flood


MEANINGS: Final = {
    "calls": (2, "31875d0c344368e0"),
    "changes": (1, "3e64ac885b19057b"),
    "chat": (1, "3dcfb610ed138321"),
    "errors": (1, "4ceae91ef544e20b"),
    "kinds": (1, "a9b8eef69ededd0f"),
    "silences": (1, "9eef045eb7d66622"),
    "sums": (1, "cf5a1b96222ba3dc"),
    "ticks": (1, "6b74495cfb80e7a3"),
}
"""The version of each extract, and a hash of what it says of the run above."""


@pytest.mark.parametrize("extract", EXTRACTS, ids=[extract.name for extract in EXTRACTS])
def test_an_extract_says_the_same_while_its_version_is_the_same(recorded: Path, extract: Extract) -> None:
    """What an earlier version kept is believed: then it must be what this one would make."""
    found = sha256()
    for part in opened(recorded)._store._parts:  # type: ignore[attr-defined]  # of a recording in columns
        extracted = ExtractFiles(recorded, live=True).of(extract, part.stats, part, part._words)
        columns = {name: column.tolist() for name, column in extracted.columns.items()}
        found.update(repr((columns, extracted.words)).encode())
    assert (extract.version, found.hexdigest()[:16]) == MEANINGS[extract.name], (
        "an extract is made otherwise: raise its version, and note both here"
    )


@pytest.mark.parametrize("by", BY)
def test_costs_of_a_recording_are_those_of_its_calls(recorded: Path, by: str) -> None:
    recording = opened(recorded)
    calls = recording.llm_calls()
    keys = calls["time"].dt.floor("D") if by == "day" else calls[by].astype("str").fillna("")
    found = recording.costs(by)
    assert found["calls"].sum() == len(calls) and found["malformed"].sum() == calls["malformed"].sum()
    for key, some in calls.groupby(keys):
        row: Any = found[found.index.isna()].squeeze() if key == "" else found.loc[key]
        assert row["errors"] == some["error"].notna().sum()
        assert row["prompt_tokens"] == some["prompt_tokens"].sum() and row["cost_usd"] is pd.NA
        assert row["latency_s"] == pytest.approx(some["latency_s"].sum())


@pytest.mark.parametrize(
    "wanted", ({"character_id": "c1"}, {"since": 1_005.0, "last": 3}, {"character_id": ["c1"], "until": 1_006.0})
)
def test_calls_that_pass_filters_are_those_of_the_whole_table(recorded: Path, wanted: dict[str, Any]) -> None:
    recording = opened(recorded)
    calls = recording.llm_calls()
    at = pd.Timestamp(0, unit="s", tz="UTC")
    keep = (calls["time"] >= at + pd.Timedelta(seconds=wanted.get("since", 0))) & (
        calls["time"] < at + pd.Timedelta(seconds=wanted.get("until", 1e6))
    )
    if "character_id" in wanted:
        keep &= calls["character_id"] == "c1"
    pd.testing.assert_frame_equal(recording.llm_calls(**wanted), calls[keep].tail(wanted.get("last", COUNT)))


def _emptied(made: Extracted) -> Extracted:
    return Extracted({name: values[:0] for name, values in made.columns.items()}, made.words)


def _backwards(made: Extracted) -> Extracted:
    return Extracted(made.columns | {"place": made.columns["place"][::-1]}, made.words)


def _negative(made: Extracted) -> Extracted:
    return Extracted(made.columns | {"count": made.columns["count"] - 10**6}, made.words)


def _of_others(made: Extracted) -> Extracted:
    return Extracted(made.columns, made.words | {"character_id": ["nobody"] * len(made.words["character_id"])})


@pytest.mark.parametrize(
    ("name", "forged"),
    [
        ("ticks", _emptied),
        ("ticks", _backwards),
        ("silences", _negative),
        ("silences", _of_others),
        ("changes", _of_others),
    ],
)
def test_a_forged_file_with_right_checksums_is_made_again(
    recorded: Path, name: str, forged: Callable[[Extracted], Extracted]
) -> None:
    expected = opened(recorded).findings()
    extract = next(extract for extract in EXTRACTS if extract.name == name)
    parts = opened(recorded)._store._parts  # type: ignore[attr-defined]  # of a recording in columns
    records = [extract_record.record_of(extract, part.stats, forged(extract.make(part))) for part in parts]
    (recorded / f"{name}{SUFFIX}").write_bytes(b"".join(records))
    found = opened(recorded)
    pd.testing.assert_frame_equal(found.findings(), expected)
    assert len(found.timeline())


def test_a_record_that_is_longer_than_any_is_not_read(recorded: Path) -> None:
    path = recorded / f"ticks{SUFFIX}"
    head = bytearray(path.read_bytes()[:HEADER_BYTES])
    end = HEADER_BYTES - DIGEST_BYTES  # of the length
    head[end - 8 : end] = (3 << 40).to_bytes(8, "little")
    expected = opened(recorded).findings()
    with path.open("wb") as file:
        file.write(head)
        file.truncate((3 << 40) + HEADER_BYTES)  # with holes: it needs no room on the disk
    pd.testing.assert_frame_equal(opened(recorded).findings(), expected)
